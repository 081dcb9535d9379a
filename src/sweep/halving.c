/* halving.c - see halving.h. */
#define _POSIX_C_SOURCE 200809L
#include "sweep/halving.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/log.h"

enum { PAIRS_MOST = 64, WAIT_MS = 100, WAITS = 10 };

/* One configuration: its trials in `points`, which differ only in their seed, and how it did. */
struct contender {
    size_t first, count;
    double loss;                 /* mean over seeds; infinite if one diverged */
};

static const char *pair_value(const char *const *set, const char *key)
{
    for (; *set; set += 2)
        if (strcmp(set[0], key) == 0)
            return set[1];
    return NULL;
}

static bool same_point(const struct planned_trial *a, const struct planned_trial *b)
{
    for (const char *const *pair = a->set; *pair; pair += 2) {
        const char *other = pair_value(b->set, pair[0]);
        if (strcmp(pair[0], "seed") != 0 && (!other || strcmp(other, pair[1]) != 0))
            return false;
    }
    return true;
}

/* Seeds turn fastest in a plan, so the trials of a configuration are neighbours. */
static size_t find_contenders(const struct sweep_plan *points, struct contender *list)
{
    size_t n = 0;
    for (size_t i = 0; i < points->trial_count; i++) {
        if (n == 0 || !same_point(&points->trials[list[n - 1].first], &points->trials[i]))
            list[n++] = (struct contender){.first = i};
        list[n - 1].count++;
    }
    return n;
}

/* Positions of a schedule (optim/schedule.h) in `ratio` of the epochs: those in epochs and steps
 * shrink, shares of the run stay. */
static int squeeze(const char *text, double ratio, char out[OPTION_TEXT_SIZE], struct err *e)
{
    size_t n = 0;
    out[0] = 0;
    for (const char *p = text; *p;) {
        char *end;
        double position = strtod(p, &end);
        size_t rest = strcspn(end, ",");
        if (*end == 's')
            position = round(position * ratio);
        else if (*end != '%')
            position *= ratio;
        n += (size_t)snprintf(out + n, OPTION_TEXT_SIZE - n, "%s%.6g%.*s", n ? "," : "", position,
                              (int)rest, end);
        if (n >= OPTION_TEXT_SIZE)
            return err_set(e, EXIT_USAGE, "--halving: the schedule '%.100s' has too many positions",
                           text);
        p = end + rest + (end[rest] == ',');
    }
    return 0;
}

static int add_axis(const struct halving *h, struct sweep_plan *plan, struct err *e)
{
    char text[HALVING_RUNGS * 24] = "epochs=";
    size_t n = strlen(text);
    for (int r = 0; r < h->rungs; r++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.15g", r ? "," : "", h->epochs[r]);
    plan->axes = arena_alloc(&plan->memory, (size_t)h->points->axis_count + 1, sizeof *plan->axes);
    memcpy(plan->axes, h->points->axes, (size_t)h->points->axis_count * sizeof *plan->axes);
    plan->axis_count = h->points->axis_count + 1;
    return axis_parse(&plan->axes[plan->axis_count - 1], &plan->memory,
                      arena_strdup(&plan->memory, text), e);
}

int halving_init(struct halving *h, const struct sweep_plan *points, int factor,
                 struct sweep_plan *plan, struct err *e)
{
    static const char *const set_here[] = {"epochs", "knots", "step_at", "warmup"};
    struct contender *list = xcalloc(points->trial_count, sizeof *list);
    size_t n = find_contenders(points, list);
    double epochs = points->base.epochs;
    free(list);
    *h = (struct halving){.points = points, .factor = factor, .rungs = 1};
    if (factor < 2)
        return err_set(e, EXIT_USAGE, "--halving must be at least 2");
    for (int i = 0; i < points->axis_count; i++)
        for (int k = 0; k < 4; k++)
            if (strcmp(points->axes[i].key, set_here[k]) == 0)
                return err_set(e, EXIT_USAGE, "--halving sets %s itself, so that cannot vary",
                               set_here[k]);
    for (size_t left = n / (size_t)factor; left > 0 && h->rungs < HALVING_RUNGS &&
                                           epochs / pow(factor, h->rungs) >= 1;
         left /= (size_t)factor)
        h->rungs++;
    if (h->rungs < 2)
        return err_set(e, EXIT_USAGE,
                       "--halving %d needs at least %d configurations and %d epochs; here are %zu "
                       "and %.4g",
                       factor, factor, factor, n, epochs);
    h->configurations[0] = n;
    for (int r = 0; r < h->rungs; r++) {
        h->epochs[r] = epochs / pow(factor, h->rungs - 1 - r);
        if (r > 0)
            h->configurations[r] = h->configurations[r - 1] / (size_t)factor;
    }
    plan->sampler = points->sampler;
    plan->sample_count = points->sample_count;
    plan->sample_seed = points->sample_seed;
    plan->halving = factor;
    return add_axis(h, plan, e);
}

/* The trial of `points` as rung r has it; returns its number in the plan, or -1. */
static int add_trial(const struct halving *h, struct sweep_plan *plan, int r, size_t trial,
                     struct err *e)
{
    const struct config *base = &plan->base;
    const char *pairs[PAIRS_MOST];
    char epochs[32], warmup[32], knots[OPTION_TEXT_SIZE], step_at[OPTION_TEXT_SIZE];
    double ratio = h->epochs[r] / base->epochs;
    size_t n = 0;
    for (const char *const *pair = h->points->trials[trial].set; *pair && n < PAIRS_MOST - 12;) {
        pairs[n++] = *pair++;
        pairs[n++] = *pair++;
    }
    if (r < h->rungs - 1) {
        if (squeeze(base->knots, ratio, knots, e) || squeeze(base->step_at, ratio, step_at, e))
            return -1;
        snprintf(epochs, sizeof epochs, "%.15g", h->epochs[r]);
        snprintf(warmup, sizeof warmup, "%.15g", base->warmup * ratio);
        const char *const squeezed[][2] = {
            {"epochs", epochs}, {"knots", knots}, {"step_at", step_at}, {"warmup", warmup}};
        for (int i = 0; i < 4; i++) {
            if (!*squeezed[i][1] || (i == 3 && base->warmup == 0))
                continue;
            pairs[n++] = squeezed[i][0];
            pairs[n++] = squeezed[i][1];
        }
    }
    pairs[n] = NULL;
    return sweep_plan_add(plan, "", pairs, e);
}

/* Adds a configuration's trials at a rung; whether all are done, and its loss. */
static int settle(const struct halving *h, struct sweep_plan *plan, const char *dir, int r,
                  struct contender *c, bool *done, struct err *e)
{
    double sum = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct run_summary run;
        int trial = add_trial(h, plan, r, c->first + i, e);
        if (trial < 0)
            return -1;
        enum trial_state state = trial_state_of(dir, plan->trials[trial].id, &run);
        double loss = plan->base.validation > 0 ? run.validation_loss : run.test_loss;
        sum += state == TRIAL_FINISHED && isfinite(loss) ? loss : (double)INFINITY;
        *done &= trial_is_done(state);
        summary_release(&run);
    }
    c->loss = sum / (double)c->count;
    return 0;
}

static int by_loss(const void *a, const void *b)
{
    const struct contender *c = a, *d = b;
    if (c->loss != d->loss)
        return c->loss < d->loss ? -1 : 1;
    return (c->first > d->first) - (c->first < d->first);
}

static int by_order(const void *a, const void *b)
{
    const struct contender *c = a, *d = b;
    return (c->first > d->first) - (c->first < d->first);
}

/* Keeps the best of list[n], in the order of the plan; returns how many. */
static size_t promote(const struct halving *h, int r, struct contender *list, size_t n)
{
    qsort(list, n, sizeof *list, by_loss);
    size_t kept = 0;
    while (kept < n && kept < h->configurations[r + 1] && isfinite(list[kept].loss))
        kept++;
    qsort(list, kept, sizeof *list, by_order);
    return kept;
}

int halving_extend(struct halving *h, struct sweep_plan *plan, const char *dir, struct err *e)
{
    struct contender *list = xcalloc(h->points->trial_count, sizeof *list);
    size_t n = find_contenders(h->points, list);
    bool done = true;
    int rc = 0, r = 0;
    for (; r < h->rungs && done && !rc; r++) {
        for (size_t i = 0; i < n && !rc; i++)
            rc = settle(h, plan, dir, r, &list[i], &done, e);
        if (!done || rc)
            break;
        if (r + 1 < h->rungs)
            n = promote(h, r, list, n);
    }
    h->complete = r;
    free(list);
    return rc;
}

/* Waits a second for what others are doing, or less if an end is asked for. */
static void wait_for_others(struct halving *h, const struct sweep_options *o)
{
    const struct timespec pause = {.tv_nsec = WAIT_MS * 1000000L};
    if (!h->waited)
        log_say("waiting for the trials of this rung that other processes have");
    h->waited = true;
    for (int i = 0; i < WAITS && !(o->stop && *o->stop); i++)
        nanosleep(&pause, NULL);
}

static size_t count_done(const struct sweep_plan *plan, const char *dir)
{
    size_t done = 0;
    for (size_t i = 0; i < plan->trial_count; i++)
        done += (size_t)trial_is_done(trial_state_of(dir, plan->trials[i].id, NULL));
    return done;
}

int halving_run(struct halving *h, struct sweep_plan *plan, const char *dir,
                const struct sweep_options *o, struct sweep_report *report, struct err *e)
{
    struct sweep_report all = {0};
    if (halving_extend(h, plan, dir, e))
        return -1;
    all.before = count_done(plan, dir);
    while (h->complete < h->rungs) {
        struct sweep_report one;
        if (sweep_plan_save(plan, dir, o->from, NULL, e) || sweep_run(plan, dir, o, &one, e))
            return -1;
        all.finished += one.finished;
        all.diverged += one.diverged;
        all.failed = one.failed;
        all.left = one.left;
        all.stop_signal = one.stop_signal;
        if (one.failed)
            snprintf(all.first_failure, sizeof all.first_failure, "%s", one.first_failure);
        if (one.left || one.stop_signal)
            break;
        int was = h->complete;
        if (halving_extend(h, plan, dir, e))
            return -1;
        if (h->complete == was)
            wait_for_others(h, o);
        if (o->stop && *o->stop) {
            all.stop_signal = *o->stop;
            break;
        }
    }
    all.total = plan->trial_count;
    size_t done = count_done(plan, dir), ours = all.before + all.finished + all.diverged;
    all.elsewhere = done > ours ? done - ours : 0;
    *report = all;
    return 0;
}
