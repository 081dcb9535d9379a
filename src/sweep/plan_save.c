/* plan_save.c - a plan as sweep.json, made or extended; see plan.h. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "store/claim.h"
#include "sweep/plan.h"

static const char *sampler_name(enum sampler s)
{
    static const char *const names[] = {"list", "grid", "random", "sobol"};
    return names[s];
}

static json_t *config_json(const struct config *c)
{
    json_t *o = json_object();
    char value[OPTION_TEXT_SIZE];
    for (const struct option_def *d = config_options; d->name; d++) {
        options_get(config_options, c, d->name, value);
        json_object_set_new(o, d->name, json_string(value));
    }
    return o;
}

static json_t *trial_json(const struct planned_trial *t)
{
    json_t *o = json_object(), *set = json_object();
    for (const char *const *pair = t->set; *pair; pair += 2)
        json_object_set_new(set, pair[0], json_string(pair[1]));
    json_object_set_new(o, "id", json_string(t->id));
    json_object_set_new(o, "label", json_string(t->label));
    json_object_set_new(o, "set", set);
    return o;
}

static bool holds(const json_t *list, const char *text)
{
    size_t i;
    json_t *value;
    json_array_foreach(list, i, value) {
        if (strcmp(json_string_value(value), text) == 0)
            return true;
    }
    return false;
}

static void add_text(json_t *list, const char *text)
{
    if (!holds(list, text))
        json_array_append_new(list, json_string(text));
}

static json_t *axis_json(const struct axis *a, bool sampled)
{
    json_t *o = json_object(), *values = json_array();
    char text[64];
    json_object_set_new(o, "key", json_string(a->key));
    json_object_set_new(o, "scale", json_string(axis_scale_name(a->scale)));
    if (sampled && a->is_range) {
        for (int i = 0; i < 2; i++) {
            snprintf(text, sizeof text, "%.15g", i ? a->high : a->low);
            json_array_append_new(values, json_string(text));
        }
    } else {
        for (int i = 0; i < a->count; i++)
            json_array_append_new(values, json_string(a->values[i]));
    }
    json_object_set_new(o, "values", values);
    return o;
}

/* The axes of a list: every key that a trial sets but the seed, and the values in the order in
 * which they come. */
static json_t *found_axes(const struct sweep_plan *p)
{
    json_t *axes = json_array();
    for (size_t i = 0; i < p->trial_count; i++) {
        for (const char *const *pair = p->trials[i].set; *pair; pair += 2) {
            if (strcmp(pair[0], "seed") == 0)
                continue;
            json_t *axis = json_find(axes, "key", pair[0]);
            if (!axis) {
                const struct axis empty = {.key = pair[0]};
                axis = axis_json(&empty, false);
                json_array_append_new(axes, axis);
            }
            add_text(json_object_get(axis, "values"), pair[1]);
        }
    }
    /* A trial that does not set a key has the base's value of it. */
    size_t n;
    json_t *axis;
    json_array_foreach(axes, n, axis) {
        char value[OPTION_TEXT_SIZE];
        const char *key = json_string_value(json_object_get(axis, "key"));
        options_get(config_options, &p->base, key, value);
        for (size_t i = 0; i < p->trial_count; i++) {
            const char *const *pair = p->trials[i].set;
            while (*pair && strcmp(pair[0], key) != 0)
                pair += 2;
            if (!*pair)
                add_text(json_object_get(axis, "values"), value);
        }
    }
    return axes;
}

static json_t *plan_json(const struct sweep_plan *p, const struct provenance *from)
{
    json_t *o = json_object(), *sampler = json_object(), *argv = json_array();
    json_t *axes = json_array(), *seeds = json_array(), *trials = json_array();
    bool sampled = p->sampler == SAMPLER_RANDOM || p->sampler == SAMPLER_SOBOL;
    for (int i = 0; i < from->argc; i++) {
        json_t *word = json_string(from->argv[i]);
        json_array_append_new(argv, word ? word : json_string("(not UTF-8)"));
    }
    json_object_set_new(sampler, "kind", json_string(sampler_name(p->sampler)));
    if (sampled) {
        json_object_set_new(sampler, "count", json_integer(p->sample_count));
        char seed[32];
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)p->sample_seed);
        json_object_set_new(sampler, "seed", json_string(seed));
    }
    for (int i = 0; i < p->axis_count; i++)
        json_array_append_new(axes, axis_json(&p->axes[i], sampled));
    if (p->sampler == SAMPLER_LIST) {
        json_decref(axes);
        axes = found_axes(p);
    }
    for (size_t i = 0; i < p->trial_count; i++) {
        json_array_append_new(trials, trial_json(&p->trials[i]));
        for (const char *const *pair = p->trials[i].set; *pair; pair += 2)
            if (strcmp(pair[0], "seed") == 0)
                add_text(seeds, pair[1]);
    }
    json_object_set_new(o, "format", json_integer(1));
    json_object_set_new(o, "kind", json_string(p->kind));
    json_object_set_new(o, "recipe", json_string(p->recipe));
    json_object_set_new(o, "argv", argv);
    json_object_set_new(o, "created", manifest_time());
    json_object_set_new(o, "sampler", sampler);
    if (p->halving)
        json_object_set_new(o, "halving", json_integer(p->halving));
    json_object_set_new(o, "axes", axes);
    json_object_set_new(o, "seeds", seeds);
    json_object_set_new(o, "base", config_json(&p->base));
    json_object_set_new(o, "trials", trials);
    return o;
}

static int differs(const char *dir, const char *what, const char *there, const char *here,
                   struct err *e)
{
    return err_set(e, EXIT_USAGE,
                   "'%s' is another sweep: its %s is '%.100s', not '%.100s'; choose another --out",
                   dir, what, there, here);
}

/* Keys that no two processes of a sweep need to agree on. */
static bool may_differ(const json_t *axes, const struct option_def *o)
{
    static const char *const keys[] = {"seed", "data_dir", "threads", "name"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(o->name, keys[i]) == 0)
            return true;
    return strcmp(o->group, "checkpoints") == 0 || json_find(axes, "key", o->name);
}

static int check_base(const char *dir, const json_t *there, const json_t *here, struct err *e)
{
    const json_t *old = json_object_get(there, "base"), *new = json_object_get(here, "base");
    const json_t *axes = json_object_get(here, "axes");
    for (const struct option_def *o = config_options; o->name; o++) {
        if (may_differ(axes, o))
            continue;
        if (!json_object_get(old, o->name))
            return err_set(e, EXIT_USAGE,
                           "'%s' was begun by a kiln that had no key '%s'; choose another --out",
                           dir, o->name);
        if (strcmp(json_text_at(old, o->name), json_text_at(new, o->name)) != 0)
            return differs(dir, o->name, json_text_at(old, o->name), json_text_at(new, o->name), e);
    }
    return 0;
}

/* Checks that both are the same sweep; more seeds, values and points make no other one. */
static int check_same(const char *dir, const json_t *there, const json_t *here, struct err *e)
{
    const json_t *old = json_object_get(there, "sampler"), *new = json_object_get(here, "sampler");
    const json_t *old_axes = json_object_get(there, "axes");
    const json_t *new_axes = json_object_get(here, "axes");
    size_t i;
    json_t *axis;
    if (strcmp(json_text_at(there, "kind"), json_text_at(here, "kind")) != 0)
        return differs(dir, "kind", json_text_at(there, "kind"), json_text_at(here, "kind"), e);
    if (strcmp(json_text_at(old, "kind"), json_text_at(new, "kind")) != 0)
        return differs(dir, "sampler", json_text_at(old, "kind"), json_text_at(new, "kind"), e);
    if (strcmp(json_text_at(old, "seed"), json_text_at(new, "seed")) != 0)
        return differs(dir, "sampler's seed", json_text_at(old, "seed"),
                       json_text_at(new, "seed"), e);
    if (!json_equal(json_object_get(there, "halving"), json_object_get(here, "halving")) &&
        (json_object_get(there, "halving") || json_object_get(here, "halving")))
        return err_set(e, EXIT_USAGE, "'%s' is another sweep: it halves by another factor, or not "
                       "at all; choose another --out", dir);
    json_array_foreach(old_axes, i, axis) {
        if (!json_find(new_axes, "key", json_text_at(axis, "key")))
            return err_set(e, EXIT_USAGE, "'%s' is another sweep: it varies %s; choose another "
                           "--out", dir, json_text_at(axis, "key"));
    }
    json_array_foreach(new_axes, i, axis) {
        const json_t *other = json_find(old_axes, "key", json_text_at(axis, "key"));
        if (!other)
            return err_set(e, EXIT_USAGE, "'%s' is another sweep: it does not vary %s; choose "
                           "another --out", dir, json_text_at(axis, "key"));
        if (*json_text_at(new, "seed") && !json_equal(axis, other)) /* other ends, other points */
            return err_set(e, EXIT_USAGE, "'%s' is another sweep: it draws %s from another range; "
                           "choose another --out", dir, json_text_at(axis, "key"));
    }
    return check_base(dir, there, here, e);
}

static int by_number(const void *a, const void *b)
{
    double x = strtod(json_string_value(*(json_t *const *)a), NULL);
    double y = strtod(json_string_value(*(json_t *const *)b), NULL);
    return (x > y) - (x < y);
}

/* Puts the values of both into `there`; numbers of ranges in ascending order. */
static void merge_axis(json_t *there, const json_t *here)
{
    json_t *values = json_object_get(there, "values"), *value;
    size_t before = json_array_size(values), n, i;
    json_array_foreach(json_object_get(here, "values"), i, value)
        add_text(values, json_string_value(value));
    n = json_array_size(values);
    if (n == before)
        return;
    const struct option_def *o = options_find(config_options, json_text_at(there, "key"));
    if (o->type != OPTION_INT && o->type != OPTION_REAL && o->type != OPTION_SEED)
        return;
    json_t **list = xcalloc(n, sizeof *list);
    json_array_foreach(values, i, value)
        list[i] = json_incref(value);
    qsort(list, n, sizeof *list, by_number);
    json_array_clear(values);
    for (i = 0; i < n; i++)
        json_array_append_new(values, list[i]);
    free(list);
}

/* Remembers the command that adds trials: "extended" is a list of such, the newest last. */
static void merge_command(json_t *there, const json_t *here)
{
    json_t *list = json_object_get(there, "extended");
    if (!list) {
        list = json_array();
        json_object_set_new(there, "extended", list);
    }
    json_array_append(list, json_object_get(here, "argv"));
}

/* Adds to `there` what only `here` has; returns the number of new trials. */
static size_t merge(json_t *there, const json_t *here)
{
    json_t *trials = json_object_get(there, "trials"), *seeds = json_object_get(there, "seeds");
    json_t *axes = json_object_get(there, "axes"), *ids = json_object(), *entry;
    size_t i, added = 0;
    json_array_foreach(json_object_get(here, "axes"), i, entry)
        merge_axis(json_find(axes, "key", json_text_at(entry, "key")), entry);
    json_array_foreach(json_object_get(here, "seeds"), i, entry)
        add_text(seeds, json_string_value(entry));
    json_array_foreach(trials, i, entry)
        json_object_set_new(ids, json_text_at(entry, "id"), json_true());
    json_array_foreach(json_object_get(here, "trials"), i, entry) {
        if (json_object_get(ids, json_text_at(entry, "id")))
            continue;
        json_array_append(trials, entry);
        added++;
    }
    json_t *count = json_object_get(json_object_get(there, "sampler"), "count");
    json_t *wanted = json_object_get(json_object_get(here, "sampler"), "count");
    if (count && json_integer_value(wanted) > json_integer_value(count))
        json_integer_set(count, json_integer_value(wanted));
    if (added)
        merge_command(there, here);
    json_decref(ids);
    return added;
}

/* Makes or extends the file; the claim on it is ours. */
static int save_claimed(const char *dir, const json_t *here, size_t *added, struct err *e)
{
    char path[4096];
    struct sweepdir readable;
    *added = json_array_size(json_object_get(here, "trials"));
    if (file_join(path, sizeof path, dir, "sweep.json", e))
        return -1;
    if (!file_exists(path))
        return json_write(here, path, e);
    if (sweepdir_read(&readable, dir, e)) /* checks its form */
        return -1;
    json_t *there = json_incref(readable.file);
    sweepdir_release(&readable);
    int rc = check_same(dir, there, here, e);
    if (!rc && (*added = merge(there, here)) > 0)
        rc = json_write(there, path, e);
    json_decref(there);
    return rc;
}

int sweep_plan_save(const struct sweep_plan *p, const char *dir, const struct provenance *from,
                    size_t *added, struct err *e)
{
    char claims[4096], trials[4096];
    struct claim claim;
    size_t count;
    if (file_join(claims, sizeof claims, dir, "claims", e) ||
        file_join(trials, sizeof trials, dir, "trials", e) || file_make_folders(claims, e) ||
        file_make_folders(trials, e))
        return -1;
    /* Others hold this claim for the time of one small file. */
    int taken = 0;
    for (int i = 0; i < 6000 && taken == 0; i++) {
        const struct timespec pause = {.tv_nsec = 10000000};
        if (i > 0)
            nanosleep(&pause, NULL);
        taken = claim_take(&claim, claims, "sweep", CLAIM_LEASE, NULL, e);
    }
    if (taken == 0)
        return err_set(e, EXIT_FAILED, "another process holds '%s/claims/sweep'", dir);
    if (taken < 0)
        return -1;
    json_t *here = plan_json(p, from);
    int rc = save_claimed(dir, here, added ? added : &count, e);
    json_decref(here);
    claim_finish(&claim);
    return rc;
}

void sweep_plan_folder(const struct sweep_plan *p, const char *slug, char *path, size_t size)
{
    struct hash h;
    char hex[HASH_HEX], value[OPTION_TEXT_SIZE];
    json_t *axes = json_array();
    hash_init(&h, HASH_SHA256);
    for (int i = 0; i < p->axis_count; i++) {
        json_array_append_new(axes, axis_json(&p->axes[i], false));
        hash_add(&h, p->axes[i].key, strlen(p->axes[i].key) + 1);
    }
    hash_add(&h, sampler_name(p->sampler), strlen(sampler_name(p->sampler)) + 1);
    for (const struct option_def *o = config_options; o->name; o++) {
        if (may_differ(axes, o))
            continue;
        options_get(config_options, &p->base, o->name, value);
        hash_add(&h, o->name, strlen(o->name) + 1);
        hash_add(&h, value, strlen(value) + 1);
    }
    hash_hex(&h, hex);
    json_decref(axes);
    snprintf(path, size, "runs/%s-%.64s-%.8s", p->kind, slug, hex);
}
