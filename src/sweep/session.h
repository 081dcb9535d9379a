/* session.h - one process's part in a run: training, with its records in a run directory.
 *
 *     struct recorder r;
 *     recorder_init(&r, stop);
 *     if (rundir_create(&r.dir, ...) || recorder_begin(&r, ...) || session_train(&s, ...)) ...
 *     recorder_close(&r);
 */
#ifndef KILN_SWEEP_SESSION_H
#define KILN_SWEEP_SESSION_H

#include "sweep/recorder.h"

struct session {
    const struct config *config;
    const struct images *images;
    struct recorder *recorder;   /* begun or resumed; training looks at its stop flag */
    const char *resume_from;     /* weights file of a checkpoint, or NULL */
    const struct observer *observers; /* [observer_count], told after the recorder */
    int observer_count;          /* at most SESSION_OBSERVERS */
};

enum { SESSION_OBSERVERS = 15 };

/* Trains and ends the records. Returns 0 with *exit_status what kiln exits with (EXIT_DONE,
 * EXIT_TARGET, or the code of the signal that asked for an end); or -1 with e filled, as train_run
 * does, or because a record could not be written. */
int session_train(const struct session *s, struct train_result *result, int *exit_status,
                  struct err *e);

/* The newest checkpoint of a run, from[4096]; empty when it ended before its first. EXIT_DATA when
 * it had some and lost them: beginning anew would throw its records away. */
int session_find_checkpoint(const struct rundir *dir, char *from, struct err *e);

#endif
