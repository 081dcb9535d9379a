/* find_lr.h - kiln find-lr: the learning rate range test, in isolation from any run.
 *
 *     DIR/            a sweep of kind "find-lr": one ramp a seed, each a run from scratch in which
 *                     the learning rate rises from `min` to `max` by equal factors
 *     DIR/confirm/    a sweep: a few rates of the range, constant, for a short while
 *     DIR/find-lr.json  the curves, the points and what became of them (docs/formats.md)
 *
 * Both sweeps are resumed, shared and killed like any other; the JSON is made from their runs and
 * can be made again.
 */
#ifndef KILN_SWEEP_FIND_LR_H
#define KILN_SWEEP_FIND_LR_H

#include "base/json.h"
#include "sweep/sweep.h"

struct find_lr {
    struct config base;          /* the recipe, resolved */
    const char *recipe, *dir;
    double min, max;
    int steps;                   /* of the ramp */
    int seeds;                   /* counted up from the base's */
    int confirm_steps;           /* of each confirming run; 0: none */
    struct sweep_options run;    /* of both sweeps; without .images the published number counts */
};

/* The two plans, for --dry-run too. `rates` are those to confirm. Release them. */
int find_lr_ramp_plan(const struct find_lr *f, struct sweep_plan *p, struct err *e);
int find_lr_confirm_plan(const struct find_lr *f, const double *rates, int count,
                         struct sweep_plan *p, struct err *e);

/* Runs what is missing and writes find-lr.json; *result is the same, owned by the caller; NULL when
 * trials are left (report says why). `planned` is called with each plan before it runs, so that
 * whoever shows progress knows its trials. EXIT_FAILED when the loss never fell. */
int find_lr_run(const struct find_lr *f, void (*planned)(void *context, const struct sweep_plan *p),
                json_t **result, struct sweep_report *report, struct err *e);

#endif
