/* sweepdir.h - the directory of a sweep: many runs, planned together. For whoever looks at one.
 *
 *     DIR/sweep.json      what varies, over which values, and the list of all trials
 *     DIR/trials/ID/      a run directory (store/rundir.h) for each trial that was begun
 *     DIR/claims/ID.N     who works on a trial now (store/claim.h)
 *
 * sweep.json is replaced whole when a sweep is extended; trials are only ever added to it. So what
 * is read here stays true while the sweep goes on, and a trial's state is looked up when asked.
 *
 *     struct sweepdir s;
 *     if (sweepdir_read(&s, "runs/sweep-quickstart-1a2b3c4d", e)) return -1;
 *     for (size_t i = 0; i < s.trial_count; i++) {
 *         struct run_summary run;
 *         enum trial_state state = sweepdir_trial(&s, i, &run);
 *         printf("%s lr=%s %s %.4f\n", s.trials[i].id, sweepdir_value(&s, i, "lr"),
 *                trial_state_name(state), run.test_accuracy);
 *         summary_release(&run);
 *     }
 *     sweepdir_release(&s);
 */
#ifndef KILN_STORE_SWEEPDIR_H
#define KILN_STORE_SWEEPDIR_H

#include <jansson.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/summary.h"

enum { TRIAL_ID = 16 }; /* hex digits of a trial's name */

enum trial_state {
    TRIAL_WAITING,     /* nothing done yet, and nobody at it */
    TRIAL_RUNNING,     /* somebody works on it */
    TRIAL_INTERRUPTED, /* begun, its process is gone; goes on when the sweep does */
    TRIAL_FINISHED,    /* a result */
    TRIAL_DIVERGED,    /* a result too: never tried again */
    TRIAL_FAILED,      /* an error that is no result; the next call tries again */
    TRIAL_STATE_COUNT
};

/* "waiting", "running" ... */
const char *trial_state_name(enum trial_state state);

/* Finished or diverged: nothing is left to do. */
int trial_is_done(enum trial_state state);

/* One key of the configuration that varies. */
struct sweep_axis {
    const char *key;
    const char *scale;           /* "list", "linear" or "log": how the values are spread */
    const char *const *values;   /* [count], as text, in the order of the axis; a sampled range has
                                    its two ends here */
    size_t count;
};

struct sweep_trial {
    const char *id;              /* hash of its configuration */
    const char *path;            /* DIR/trials/ID, whether it is there yet or not */
    const char *label;           /* what a study calls it, or "" */
    const char *const *values;   /* [axis_count]: the value of each axis, as text */
    const char *seed;
};

struct sweepdir {
    struct arena memory;         /* owns every text */
    json_t *file;                /* all of sweep.json */
    const char *path;            /* without slashes at the end */
    const char *kind;            /* "sweep", "find-lr", or a study's name */
    const char *recipe;          /* as it was given */
    const char *sampler;         /* "grid", "random", "sobol", or "list" (of a study) */
    struct sweep_axis *axes;     /* [axis_count]; seeds are no axis */
    size_t axis_count;
    struct sweep_trial *trials;  /* [trial_count]; in the order in which they are run */
    size_t trial_count;
};

/* 1 if `path` looks like one: it has a sweep.json. */
int sweepdir_is(const char *path);

/* Reads sweep.json. Fails with EXIT_DATA when `path` is no sweep or its file is damaged; `s` then
 * needs no release. */
int sweepdir_read(struct sweepdir *s, const char *path, struct err *e);
void sweepdir_release(struct sweepdir *s);

/* What a trial has of a key: its axis's value, its seed, or what all trials share; NULL when there
 * is no such key. */
const char *sweepdir_value(const struct sweepdir *s, size_t trial, const char *key);

/* How a trial stands now. `run` (may be NULL) gets its summary, with less in it the less there is;
 * it always needs summary_release. */
enum trial_state sweepdir_trial(const struct sweepdir *s, size_t trial, struct run_summary *run);

/* The same for a trial by its id, in the sweep `dir`. */
enum trial_state trial_state_of(const char *dir, const char *id, struct run_summary *run);

#endif
