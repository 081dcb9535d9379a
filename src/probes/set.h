/* set.h - the probes of a run, and how often each is asked.
 *
 * A set is an observer: hand probe_set_observer to train_run, after the observers that the rows
 * shall reach. How often a probe measures follows from declared costs alone, never from the clock,
 * so that a run's records are as reproducible as its weights: if the probes at their own periods
 * would cost more than the budget's share of training, all periods are stretched by the same
 * factor. Due steps are multiples of the period counted from the run's first step, so a resumed run
 * measures at the same steps.
 */
#ifndef KILN_PROBES_SET_H
#define KILN_PROBES_SET_H

#include "probes/probe.h"

enum { PROBES_MAX = 16 };

struct probe_slot {
    const struct probe *probe;
    void *self;
    double cost;             /* of one measurement, in steps */
    uint64_t period;         /* steps */
    uint64_t wanted;         /* the same without a budget */
};

struct probe_set {
    struct probe_slot slots[PROBES_MAX];
    int count;
    const struct observer *sinks; /* borrowed [sink_count] */
    int sink_count;
    /* Told when a probe fails (no memory), after which none measures any more; may be NULL. */
    void (*on_failure)(void *context, const struct err *why);
    void *context;
    bool failed;
};

/* Fills the slots from a list of names ("norms, sharpness"; "" for none). Fails with EXIT_USAGE on
 * an unknown name or one that stands twice. */
int probe_set_init(struct probe_set *s, const char *names, struct err *e);

/* Sets periods[count] (steps) of measurements that cost cost[i] steps each and want to be made
 * every period[i] steps, so that they take at most `budget` of training (the sum of
 * cost / period). unit[i] is what a period must stay a multiple of. */
void probe_periods(int count, const double *cost, const uint64_t *period, const uint64_t *unit,
                   double budget, uint64_t *periods);

/* Fills cost, period and wanted of the slots for a run of this trainer, of which the configuration,
 * the graph, the backend's precision, the selection's counts and per_epoch are looked at. A run
 * does so at its start. */
void probe_set_plan(struct probe_set *s, const struct trainer *t);

/* The set lives for one run; what the probes hold ends with it. */
struct observer probe_set_observer(struct probe_set *s);

#endif
