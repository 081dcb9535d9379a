/* halving.h - successive halving: many configurations for a few epochs, the best for longer.
 *
 *     rung 1   all N configurations    E / F^(R-1) epochs     every seed
 *     rung 2   the best N / F          E / F^(R-2)
 *     ...
 *     rung R   the best N / F^(R-1)    E epochs: these are trials of the plain sweep, same ids
 *
 * (Jamieson and Talwalkar 2016, with fresh runs: a rung trains from scratch with the whole schedule
 * squeezed into its epochs, because losses in the middle of a schedule do not rank those at its
 * end. All rungs together cost at most R times the first.)
 *
 * A rung's trials are ordinary trials. Who is promoted follows from the results on disk alone: mean
 * loss over seeds, on validation images where the base holds some out, else on test images; one
 * diverged seed puts a configuration last and out; ties go by the order of the plan. So every
 * process that shares the sweep, and every later call, comes to the same trials.
 */
#ifndef KILN_SWEEP_HALVING_H
#define KILN_SWEEP_HALVING_H

#include "sweep/sweep.h"

enum { HALVING_RUNGS = 12 };

struct halving {
    const struct sweep_plan *points; /* every configuration with its seeds, for all epochs;
                                        borrowed */
    int factor, rungs;
    double epochs[HALVING_RUNGS];    /* of each rung, ascending; the last are the base's */
    size_t configurations[HALVING_RUNGS];
    int complete;                    /* rungs that were done when last looked at */
    bool waited;                     /* it has been said that others are waited for */
};

/* Chooses the rungs: as many as leave one configuration at the top and one epoch at the bottom.
 * Gives `plan`, which sweep_plan_init has begun, the axes of `points` and one more, epochs. Fails
 * with EXIT_USAGE when the points vary what halving sets (epochs, knots, step_at, warmup), or are
 * too few. */
int halving_init(struct halving *h, const struct sweep_plan *points, int factor,
                 struct sweep_plan *plan, struct err *e);

/* Adds to the plan the trials that follow from what is done in `dir`, and counts the rungs that are
 * complete: h->rungs means all of it, or that nothing is left that could be promoted. */
int halving_extend(struct halving *h, struct sweep_plan *plan, const char *dir, struct err *e);

/* Runs what is missing, rung after rung, with sweep_plan_save and sweep_run; waits for other
 * processes where a rung's last trials are theirs. The report covers all rungs. */
int halving_run(struct halving *h, struct sweep_plan *plan, const char *dir,
                const struct sweep_options *o, struct sweep_report *report, struct err *e);

#endif
