/* plan.c - see plan.h. Saving is in plan_save.c. */
#include "sweep/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sweep/sample.h"
#include "train/trainer.h"

void sweep_plan_init(struct sweep_plan *p, const char *kind, const char *recipe,
                     const struct config *base)
{
    memset(p, 0, sizeof *p);
    p->kind = arena_strdup(&p->memory, kind);
    p->recipe = arena_strdup(&p->memory, recipe);
    p->base = *base;
}

void sweep_plan_release(struct sweep_plan *p)
{
    free(p->trials);
    arena_release(&p->memory);
    memset(p, 0, sizeof *p);
}

static const char *set_value(const char *const *set, const char *key)
{
    for (; *set; set += 2)
        if (strcmp(set[0], key) == 0)
            return set[1];
    return NULL;
}

/* Keys that cannot change what a trial measures. */
static bool is_indifferent(const struct option_def *o)
{
    static const char *const keys[] = {"data_dir", "threads", "name"};
    if (strcmp(o->group, "checkpoints") == 0)
        return true;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(o->name, keys[i]) == 0)
            return true;
    return false;
}

/* The id of a configuration in which the keys of `set` are what the sweep is about. */
static void identify(const struct config *c, const char *const *set, char id[TRIAL_ID + 1])
{
    struct hash h;
    char hex[HASH_HEX], value[OPTION_TEXT_SIZE];
    hash_init(&h, HASH_SHA256);
    for (const struct option_def *o = config_options; o->name; o++) {
        if (is_indifferent(o) && !set_value(set, o->name))
            continue;
        options_get(config_options, c, o->name, value);
        hash_add(&h, o->name, strlen(o->name) + 1);
        hash_add(&h, value, strlen(value) + 1);
    }
    hash_hex(&h, hex);
    memcpy(id, hex, TRIAL_ID);
    id[TRIAL_ID] = 0;
}

/* Whether the network, the batch and the images fit each other, and what training costs. */
static int check_trial(const struct config *c, double *cost, struct err *e)
{
    const struct dataset *kind = dataset_find(c->data);
    struct train_estimate estimate;
    if (!kind)
        return dataset_unknown(c->data, e);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    if (trainer_estimate(c, input, kind->classes, kind->train_count, kind->test_count, &estimate,
                         e))
        return -1;
    *cost = estimate.total_macs;
    if (c->steps > 0 && (uint64_t)c->steps < estimate.total_steps)
        *cost *= (double)c->steps / (double)estimate.total_steps;
    return 0;
}

static void describe(const char *const *set, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (; *set && n < size; set += 2)
        n += (size_t)snprintf(text + n, size - n, "%s%s=%.60s", n ? " " : "", set[0], set[1]);
}

/* Copies the pairs, values as the configuration prints them, with the seed if it is not there. */
static const char *const *copy_set(struct sweep_plan *p, const char *const *pairs,
                                   const struct config *c)
{
    size_t n = 0, at = 0;
    char value[OPTION_TEXT_SIZE];
    while (pairs[n])
        n++;
    const char **set = arena_alloc(&p->memory, n + 3, sizeof *set);
    for (size_t i = 0; i < n; i += 2) {
        options_get(config_options, c, pairs[i], value);
        set[at++] = arena_strdup(&p->memory, pairs[i]);
        set[at++] = arena_strdup(&p->memory, value);
    }
    if (!set_value(pairs, "seed")) {
        options_get(config_options, c, "seed", value);
        set[at++] = "seed";
        set[at++] = arena_strdup(&p->memory, value);
    }
    return set;
}

int sweep_plan_add(struct sweep_plan *p, const char *label, const char *const *pairs,
                   struct err *e)
{
    struct config c = p->base;
    struct planned_trial trial = {.label = arena_strdup(&p->memory, label ? label : "")};
    char what[400];
    describe(pairs, what, sizeof what);
    for (const char *const *pair = pairs; *pair; pair += 2)
        if (options_set(config_options, &c, pair[0], pair[1], "--vary", e))
            return -1;
    if (config_check(&c, e) || check_trial(&c, &trial.cost, e))
        return err_prefix(e, "trial %s", what);
    trial.set = copy_set(p, pairs, &c);
    identify(&c, trial.set, trial.id);
    for (size_t i = 0; i < p->trial_count; i++)
        if (strcmp(p->trials[i].id, trial.id) == 0)
            return (int)i;
    if ((p->trial_count & (p->trial_count - 1)) == 0) /* room doubles at powers of two */
        p->trials = xrealloc(p->trials, (2 * p->trial_count + 1) * sizeof *p->trials);
    p->trials[p->trial_count] = trial;
    return (int)p->trial_count++;
}

void sweep_plan_config(const struct sweep_plan *p, size_t trial, struct config *c)
{
    *c = p->base;
    for (const char *const *pair = p->trials[trial].set; *pair; pair += 2)
        options_set(config_options, c, pair[0], pair[1], "plan", NULL);
}

static int read_axes(struct sweep_plan *p, const char *vary, struct err *e)
{
    int count = 0;
    for (const char *s = vary; *s; s++)
        count += *s == '\n';
    p->axes = arena_alloc(&p->memory, (size_t)count + 1, sizeof *p->axes);
    for (const char *line = vary; *line;) {
        size_t n = strcspn(line, "\n");
        struct axis *a = &p->axes[p->axis_count];
        if (axis_parse(a, &p->memory, arena_strndup(&p->memory, line, n), e))
            return -1;
        for (int i = 0; i < p->axis_count; i++)
            if (strcmp(p->axes[i].key, a->key) == 0)
                return err_set(e, EXIT_USAGE, "--vary: %s varies twice", a->key);
        p->axis_count++;
        line += n + (line[n] == '\n');
    }
    return 0;
}

static int read_sampler(struct sweep_plan *p, const char *sample, struct err *e)
{
    char *end;
    p->sampler = SAMPLER_GRID;
    p->sample_seed = p->base.seed;
    if (!*sample)
        return 0;
    size_t n = strcspn(sample, ":");
    if (strncmp(sample, "random:", n + 1) == 0)
        p->sampler = SAMPLER_RANDOM;
    else if (strncmp(sample, "sobol:", n + 1) == 0)
        p->sampler = SAMPLER_SOBOL;
    long count = sample[n] ? strtol(sample + n + 1, &end, 10) : 0;
    if (p->sampler == SAMPLER_GRID || count < 1 || count > 100000 || *end)
        return err_set(e, EXIT_USAGE, "--sample is '%s', but must be random:N or sobol:N", sample);
    if (p->sampler == SAMPLER_SOBOL && p->axis_count > SOBOL_DIMENSIONS)
        return err_set(e, EXIT_USAGE, "--sample sobol can vary %d keys, not %d", SOBOL_DIMENSIONS,
                       p->axis_count);
    p->sample_count = (int)count;
    return 0;
}

static int check_axes(const struct sweep_plan *p, int seeds, struct err *e)
{
    double trials = p->sampler == SAMPLER_GRID ? seeds : (double)seeds * p->sample_count;
    for (int i = 0; i < p->axis_count; i++) {
        const struct axis *a = &p->axes[i];
        if (p->sampler == SAMPLER_GRID && a->count == 0)
            return err_set(e, EXIT_USAGE,
                           "--vary: the range of %s has no points: end it in :log2, :logN or "
                           ":linN, or draw them with --sample",
                           a->key);
        if (strcmp(a->key, "seed") == 0 && seeds > 1)
            return err_set(e, EXIT_USAGE, "--seeds and --vary seed=... exclude each other");
        if (p->sampler == SAMPLER_GRID)
            trials *= a->count;
    }
    if (trials > 100000)
        return err_set(e, EXIT_USAGE, "that makes %.0f trials; 100000 is the most", trials);
    return 0;
}

/* Adds one point with its seeds; pairs[] has the axes' keys and values, and room for the seed. */
static int add_point(struct sweep_plan *p, const char **pairs, int seeds, struct err *e)
{
    const char **seed = pairs + 2 * p->axis_count;
    char text[32];
    seed[0] = NULL;
    if (set_value(pairs, "seed"))
        return sweep_plan_add(p, "", pairs, e) < 0 ? -1 : 0;
    seed[0] = "seed";
    seed[1] = text;
    seed[2] = NULL;
    for (int i = 0; i < seeds; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)p->base.seed + (unsigned)i);
        if (sweep_plan_add(p, "", pairs, e) < 0)
            return -1;
    }
    return 0;
}

/* Point number `index`: of the grid, in which the last axis turns fastest, or of the sample. */
static void choose_point(struct sweep_plan *p, size_t index, const char **pairs)
{
    for (int i = p->axis_count - 1; i >= 0; i--) {
        const struct axis *a = &p->axes[i];
        uint32_t point = (uint32_t)index, dimension = (uint32_t)i;
        pairs[2 * i] = a->key;
        if (p->sampler == SAMPLER_GRID) {
            pairs[2 * i + 1] = a->values[index % (size_t)a->count];
            index /= (size_t)a->count;
        } else {
            double u = p->sampler == SAMPLER_SOBOL
                           ? sample_sobol(p->sample_seed, point, dimension)
                           : sample_random(p->sample_seed, point, dimension);
            pairs[2 * i + 1] = axis_at(a, &p->memory, u);
        }
    }
}

int sweep_plan_axes(struct sweep_plan *p, const char *vary, const char *sample, int seeds,
                    struct err *e)
{
    if (read_axes(p, vary, e) || read_sampler(p, sample, e) || check_axes(p, seeds, e))
        return -1;
    const char **pairs = xcalloc(2 * (size_t)p->axis_count + 3, sizeof *pairs);
    size_t points = p->sampler == SAMPLER_GRID ? 1 : (size_t)p->sample_count;
    for (int i = 0; i < p->axis_count && p->sampler == SAMPLER_GRID; i++)
        points *= (size_t)p->axes[i].count;
    int rc = 0;
    for (size_t i = 0; i < points && !rc; i++) {
        choose_point(p, i, pairs);
        rc = add_point(p, pairs, seeds, e);
    }
    free(pairs);
    return rc;
}
