/* recorder.h - writes what training tells into a run directory.
 *
 * The recorder is an observer. While the disk is full, records wait in memory (store/append.h),
 * checkpoints are left out, and training goes on; it warns once, and once when there is room again.
 * If there still is none at the end, recorder_end fails. When a record cannot be written for
 * another reason, it keeps the first cause and asks the run to end through the flag that training
 * looks at, so that the state goes into a checkpoint; `failed` says so afterwards.
 */
#ifndef KILN_SWEEP_RECORDER_H
#define KILN_SWEEP_RECORDER_H

#include <signal.h>
#include <stdbool.h>

#include "data/dataset.h"
#include "store/metrics.h"
#include "store/rundir.h"
#include "store/table.h"
#include "sweep/manifest.h"
#include "train/config.h"
#include "train/observer.h"

/* What the stop flag holds when no signal but the recorder asked for an end. */
enum { STOP_RECORDS = 1000 };

struct recorder {
    struct rundir dir;
    volatile sig_atomic_t *stop; /* set to STOP_RECORDS when a record cannot be written */
    struct metrics metrics;
    struct metrics probes;       /* probes.jsonl; open if there is one or will be */
    struct table epochs;
    json_t *manifest;            /* owned */
    json_t *session;             /* the last of manifest's sessions; borrowed */
    uint64_t first_step, step, total_steps;
    double epoch;
    double status_written;       /* clock_seconds */
    bool status_old;             /* the newest could not be written */
    bool waiting;                /* something could not be written for want of room */
    bool failed;
    struct err why;              /* of the first failure */
};

/* Begins a recorder that owns nothing yet: recorder_close is then safe. */
void recorder_init(struct recorder *r, volatile sig_atomic_t *stop);

/* Starts the records of a new run in r->dir (which rundir_create made): config.ini, manifest.json,
 * status.json. `steps_down` says which lesser data set was taken and why, "" if none. */
int recorder_begin(struct recorder *r, const struct provenance *from, const struct config *c,
                   const char *recipe, const struct images *images, const char *steps_down,
                   struct err *e);

/* Goes on with those of r->dir (which rundir_open opened). Fails with EXIT_DATA when the images are
 * not the ones that the run began with. */
int recorder_resume(struct recorder *r, const struct provenance *from, const struct config *c,
                    const struct images *images, struct err *e);

struct observer recorder_observer(struct recorder *r);

/* Keeps the first cause, and asks the run to end. */
void recorder_fail(struct recorder *r, const struct err *e);

/* Writes the result into manifest and status: `exit_status` is what kiln will exit with, `sentence`
 * why it failed, or NULL. */
int recorder_end(struct recorder *r, const struct train_result *result, int exit_status,
                 const char *sentence, struct err *e);

/* Closes everything and lets go of the lock. Safe after a failure of any of the above. */
void recorder_close(struct recorder *r);

/* The keys of a result, as --json prints them and the manifest keeps them. */
json_t *result_json(const struct train_result *result);

#endif
