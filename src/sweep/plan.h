/* plan.h - which trials a sweep has: configurations by name, before any is run.
 *
 * A plan is a base configuration and a list of trials; each trial sets some keys, always the seed
 * among them. It comes from axes (a grid, or points drawn from ranges), or a study adds trials one
 * by one. A trial's id is a hash of its resolved configuration, so that the same trial has the same
 * id wherever and whenever it is planned (docs/formats.md says what goes into it).
 *
 *     struct sweep_plan plan;
 *     sweep_plan_init(&plan, "lr-batch", "quickstart", &base);
 *     int a = sweep_plan_add(&plan, "half, augmented",
 *                            (const char *[]){"train_fraction", "0.5", "seed", "1", NULL}, e);
 *     if (a < 0 || sweep_plan_save(&plan, "runs/lr-batch", &provenance, e)) ...
 *     ... sweep_run (sweep/sweep.h), then sweepdir_read and sweepdir_trial for the results
 *     sweep_plan_release(&plan);
 */
#ifndef KILN_SWEEP_PLAN_H
#define KILN_SWEEP_PLAN_H

#include "store/sweepdir.h"
#include "sweep/axis.h"
#include "sweep/manifest.h"

enum sampler { SAMPLER_LIST, SAMPLER_GRID, SAMPLER_RANDOM, SAMPLER_SOBOL };

struct planned_trial {
    char id[TRIAL_ID + 1];
    const char *label;
    const char *const *set;      /* key, value, key, value ... NULL; as config.ini has them */
    double cost;                 /* multiply-adds of its training, for estimates of time */
};

struct sweep_plan {
    struct arena memory;         /* owns every text */
    const char *kind, *recipe;
    struct config base;
    enum sampler sampler;
    int sample_count;
    uint64_t sample_seed;
    int halving;                 /* factor of successive halving (halving.h); 0: none */
    struct axis *axes;           /* [axis_count]; of a list: none, they are found by saving it */
    int axis_count;
    struct planned_trial *trials; /* [trial_count], heap */
    size_t trial_count;
};

/* Begins an empty list of trials. `kind` and `recipe` go into sweep.json. */
void sweep_plan_init(struct sweep_plan *p, const char *kind, const char *recipe,
                     const struct config *base);
void sweep_plan_release(struct sweep_plan *p);

/* Adds a trial that sets `pairs` (key, value, ... NULL) and returns its number; that of an equal
 * trial if there is one already. -1 with EXIT_USAGE when the configuration cannot work: an unknown
 * key, a value out of range, a batch larger than the training set ... */
int sweep_plan_add(struct sweep_plan *p, const char *label, const char *const *pairs,
                   struct err *e);

/* Makes the trials of axes: `vary` has one on a line (axis.h); every combination in a grid, or,
 * with `sample` "random:N" or "sobol:N", N points; each with `seeds` seeds, counted up from the
 * base's. The points are drawn by the base's seed. Seeds turn fastest, so that a sweep that is
 * stopped has whole answers. */
int sweep_plan_axes(struct sweep_plan *p, const char *vary, const char *sample, int seeds,
                    struct err *e);

/* A trial's whole configuration. */
void sweep_plan_config(const struct sweep_plan *p, size_t trial, struct config *c);

/* The usual directory: runs/<kind>-<recipe>-<hash>, the same for the same base and keys. */
void sweep_plan_folder(const struct sweep_plan *p, const char *slug, char *path, size_t size);

/* Writes DIR/sweep.json; where there is one, checks that it is of the same kind, base and keys, and
 * adds the trials that it lacks (*added, may be NULL, counts them). EXIT_USAGE, and what differs,
 * when it is another sweep. Safe when many processes do it at once. */
int sweep_plan_save(const struct sweep_plan *p, const char *dir, const struct provenance *from,
                    size_t *added, struct err *e);

#endif
