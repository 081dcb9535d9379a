/* train.h - a whole run: steps, evaluations, checkpoints, and telling the observers. */
#ifndef KILN_TRAIN_TRAIN_H
#define KILN_TRAIN_TRAIN_H

#include <signal.h>

#include "train/observer.h"
#include "train/trainer.h"

struct train_request {
    const struct config *config;
    const struct images *images;
    const struct observer *observers; /* [observer_count] */
    int observer_count;
    const char *checkpoints;     /* folder, made if missing; NULL: write none */
    const char *resume_from;     /* weights file of a checkpoint, NULL: from scratch */
    /* Set to a signal's number to ask for an end: the step is finished, a checkpoint written.
     * NULL: never. */
    const volatile sig_atomic_t *stop;
};

/* Trains. Returns 0 with *result filled (also when stopped on request or by the step limit), or -1
 * and a sentence: EXIT_USAGE, EXIT_DATA, EXIT_FAILED (a checkpoint could not be written: the older
 * ones are untouched), EXIT_DIVERGED (the last good state was saved as a checkpoint). After -1
 * *result holds what was known. A missed target is no error here: see result->target_missed. */
int train_run(const struct train_request *r, struct train_result *result, struct err *e);

/* Replays a run's first `steps` steps from scratch and writes the weight hash after each one to
 * hashes[steps]: for kiln verify. */
int train_replay(const struct config *c, const struct images *images, int steps,
                 char (*hashes)[65], struct err *e);

#endif
