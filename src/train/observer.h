/* observer.h - how training tells what happens, in plain numbers.
 *
 * train/ knows no terminal and no files of a run; whoever wants to show or store something hands
 * in observers. Each member may be NULL. The structs live for the call only. Calls come from the
 * thread that runs train_run, in the order: run, { step, hash, epoch, carry, checkpoint or omission
 * }..., outcomes, end. A run that could not begin (no memory, a damaged checkpoint) tells nothing.
 */
#ifndef KILN_TRAIN_OBSERVER_H
#define KILN_TRAIN_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"

struct carry;                /* train/carry.h */
struct eval_outcome;         /* train/eval.h */
struct trainer;              /* train/trainer.h: for probes that look at weights and gradients */

/* Before the first step. */
struct run_event {
    const struct trainer *trainer;
    uint64_t first_step;     /* 0, or where a resumed run goes on */
    uint64_t total_steps;    /* of the schedule */
    uint64_t last_step;      /* where this call stops: total_steps, or `steps` if that is less */
    uint64_t steps_per_epoch;
    uint32_t train_images, validation_images, test_images;
    size_t parameters;       /* as torch counts them */
    double training_macs;    /* multiply-adds for one image, forward and backward */
    size_t memory;           /* bytes of parameters, plans and images */
    enum tier tier;
    enum precision precision;
    int threads;
};

/* After every update. */
struct step_event {
    const struct trainer *trainer;
    uint64_t step;           /* 1 after the first update */
    double epoch;            /* step / steps per epoch */
    int images;              /* of this batch */
    double loss;             /* mean per image, as trained (label smoothing included) */
    double accuracy;         /* share of the batch, augmented, before the update */
    double lr;               /* of the role weight */
    double weight_decay, momentum;
    double seconds;          /* of this step */
    double elapsed;          /* since train_run began */
    double images_per_second; /* over the steps of this call so far, evaluation left out */
};

/* After one of the first hash_steps steps, and after every epoch. */
struct hash_event {
    uint64_t step;
    const char *weights_hash; /* 64 hex digits, model_hash of the network in training */
};

/* After the last step of an epoch, of a run, or of this call. `evaluated` tells whether the
 * evaluation below was made (eval_every). */
struct epoch_event {
    const struct trainer *trainer;
    uint64_t step;
    double epoch;            /* epochs done: 1, 2 ... 9.9 */
    double train_loss, train_accuracy; /* over the steps of this epoch */
    double lr;               /* of the last step */
    bool evaluated;
    double test_loss, test_accuracy;   /* plain cross-entropy, one view */
    bool validated;          /* validation images are held out, and evaluated */
    double validation_loss, validation_accuracy;
    double train_seconds, eval_seconds; /* of this epoch */
    double elapsed;
    double images_per_second; /* over the steps of this epoch */
};

/* A checkpoint that was due is not there, because the disk is full or an observer's records wait
 * for room on it. Training goes on, and the next one that is due will do. The last one of a run
 * must be written: without it train_run fails. */
struct omission_event {
    uint64_t step;
    const struct err *why;
};

/* After a checkpoint has been written and older ones removed. */
struct checkpoint_event {
    uint64_t step;
    const char *path;        /* of the weights */
    bool best;               /* also kept as best.safetensors */
};

/* What each held-out image was taken for, by the last evaluation with one view: on the images that
 * decide (validation where some are held out, else test). With the key `predictions`, after the
 * last step of a run, or of this call when it stops at the limit `steps`; not after a signal. */
struct outcomes_event {
    const struct trainer *trainer;
    uint64_t step;
    bool validation;         /* else test */
    uint32_t count;
    const uint32_t *indices; /* [count]: into the training images; NULL: test images 0, 1, 2 ... */
    const struct eval_outcome *outcomes; /* [count], train/eval.h */
};

enum train_reason {
    TRAIN_FINISHED,          /* the schedule's end */
    TRAIN_STEPS,             /* the limit `steps` */
    TRAIN_STOPPED,           /* the stop flag */
    TRAIN_DIVERGED,          /* a loss or gradient was not finite; train_run returns -1 */
    TRAIN_FAILED             /* train_run returns -1 for another reason */
};
const char *train_reason_name(enum train_reason r);

/* At the end, and what train_run hands back. Numbers that were never measured are NaN. */
struct train_result {
    enum train_reason reason;
    int stop_signal;         /* of TRAIN_STOPPED: the flag's value */
    uint64_t steps;          /* done since the very first step */
    double epochs;
    char weights_hash[65];   /* of the weights that are evaluated and saved */
    double train_loss, train_accuracy; /* over the last epoch, or what there was of it */
    double test_loss, test_accuracy;   /* one view, after the last step */
    double tta_loss, tta_accuracy;     /* with the configuration's tta; NaN if it is none */
    double validation_loss, validation_accuracy;
    double images_per_second; /* over the steps of this call, evaluation left out */
    double train_seconds;    /* in steps */
    double seconds;          /* in train_run, evaluation and checkpoints included */
    bool target_missed;      /* a target accuracy was set and the run finished below it */
    char checkpoint[4096];   /* last one written, "" if none */
};

/* What a probe (probes/probe.h) measured: one row of its table. */
struct probe_event {
    const char *probe;       /* "norms" */
    uint64_t step;           /* updates done */
    double epoch;
    const char *of;          /* what the row is of: "conv1.weight"; "" for the whole network */
    const char *const *names; /* [count]: of the numbers, without the probe's: "weight_norm" */
    const double *values;    /* [count]; NaN: could not be measured */
    int count;
};

struct observer {
    void *context;
    void (*run)(void *context, const struct run_event *event);
    void (*step)(void *context, const struct step_event *event);
    void (*hash)(void *context, const struct hash_event *event);
    void (*epoch)(void *context, const struct epoch_event *event);
    void (*carry)(void *context, struct carry *carry); /* before a checkpoint: train/carry.h */
    void (*checkpoint)(void *context, const struct checkpoint_event *event);
    void (*omission)(void *context, const struct omission_event *event);
    void (*outcomes)(void *context, const struct outcomes_event *event);
    void (*end)(void *context, const struct train_result *result);
    void (*probe)(void *context, const struct probe_event *event); /* after a step */
};

#endif
