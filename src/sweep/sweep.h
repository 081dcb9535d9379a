/* sweep.h - runs the trials of a plan: in processes of its own, beside those of others.
 *
 *     sweep_run ---- fork ---- worker --- claim a trial, train it, next (sweep/trial.h)
 *        |                  \- worker --- ...
 *        watches, tells progress, starts a worker anew when one dies
 *
 * Workers find work by claiming (store/claim.h), so any number of calls, on any number of machines
 * that see the directory, share it, and a call does only what is missing. A diverged trial is a
 * result; a failed one is left for the next call. Killing any process at any time loses no more
 * than the steps since a checkpoint.
 *
 * Observers of a study run inside the workers: what they find must go through the recorder into the
 * run directory, for nothing else of a worker outlives it.
 */
#ifndef KILN_SWEEP_SWEEP_H
#define KILN_SWEEP_SWEEP_H

#include "sweep/plan.h"
#include "sweep/trial.h"

/* What is going on, for whoever shows it. */
struct sweep_progress {
    size_t total;                /* trials of the plan */
    size_t done;                 /* finished or diverged, now or before */
    size_t diverged, failed;     /* of this call */
    size_t running;              /* by this call */
    double elapsed, left;        /* seconds; left is NaN while nobody can say */
    const char *trial;           /* id of one that is running, or "" */
    uint64_t step, last_step;    /* of it */
    double images_per_second;    /* of all that are running */
};

/* One trial has ended in this call. */
struct sweep_ended {
    size_t trial;                /* index in the plan */
    enum trial_state state;
    const char *why;             /* what went wrong, or "" */
    double seconds;
};

struct sweep_options {
    int jobs;                    /* worker processes, at least 1 */
    int threads;                 /* shared out to them; 0: what the machine grants */
    bool fail_fast;              /* stop everything at the first failure */
    int lease;                   /* seconds, see claim.h; 0: CLAIM_LEASE */
    enum keep_weights keep;
    const struct provenance *from;
    const struct images *images; /* of the plan's base, if the caller has them; or NULL */
    const char *steps_down;      /* why other images than asked for, or NULL */
    const volatile sig_atomic_t *stop; /* a signal's number asks for an end; NULL: never */
    void (*progress)(void *context, const struct sweep_progress *p); /* ten times a second */
    void (*ended)(void *context, const struct sweep_ended *trial, const struct sweep_progress *p);
    void *context;               /* of both; they are called in the calling process */
    /* Further observers of each trial, called in the worker; NULL: none. `open` gets the trial's
     * index and resolved configuration and fills observers[SESSION_OBSERVERS], returning how many,
     * or -1 with e filled; `close` is called after training. */
    int (*open)(void *context, size_t trial, const struct config *c, struct recorder *r,
                struct observer *observers, struct err *e);
    void (*close)(void *context, size_t trial, struct recorder *r);
    void *observer_context;
};

struct sweep_report {
    size_t total, before;        /* trials of the plan; done before this call */
    size_t finished, diverged, failed; /* by this call */
    size_t elsewhere;            /* others work on them, or did meanwhile */
    size_t left;                 /* still to be done: stopped, or failed */
    int stop_signal;             /* 0, or what *stop held */
    char first_failure[512];     /* "trial lr=0.1 seed=2: no space ...", or "" */
};

/* Runs what is missing. The plan must have been saved there. Returns 0 with the report filled, also
 * when trials failed or it was stopped; -1 when nothing could be done at all. */
int sweep_run(const struct sweep_plan *plan, const char *dir, const struct sweep_options *o,
              struct sweep_report *report, struct err *e);

/* "lr=0.1 seed=2": what a trial sets, for people; text[size]. */
void sweep_trial_text(const struct sweep_plan *plan, size_t trial, char *text, size_t size);

#endif
