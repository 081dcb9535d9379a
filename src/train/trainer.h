/* trainer.h - everything a run holds in memory: network, plans, images, optimiser, position.
 *
 * trainer_init builds all of it from a config and the images; after that training, evaluation and
 * checkpoints allocate no device memory. The state that decides the future is small and named: the
 * model, the optimiser's buffer, the slow weights of averaging, and `step`; everything else (the
 * order of the images, their augmentation, the learning rate) is a function of the config and
 * `step`, which is why a run resumes to the bit.
 */
#ifndef KILN_TRAIN_TRAINER_H
#define KILN_TRAIN_TRAINER_H

#include "data/loader.h"
#include "dist/dist.h"
#include "optim/average.h"
#include "optim/hold.h"
#include "optim/lars.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "train/carry.h"
#include "train/eval.h"
#include "train/network.h"

/* One batch on the host, filled by train/batch.h. */
struct batch {
    int n;
    struct image_view *views; /* [config.batch] */
    uint8_t *labels;          /* [config.batch] */
    double *losses;           /* [config.batch] */
    uint8_t *hits;            /* [config.batch] */
};

struct trainer {
    struct config config;
    const struct images *images;  /* borrowed */
    struct dist dist;
    struct network net;           /* net.model is the one in training */
    struct model slow;            /* of averaging; .params is NULL without it */
    struct plan *plan;
    struct plan *frozen_plan;     /* of steps from freeze_statistics on; NULL without it */
    struct evaluator evaluator;   /* of trainer_result_model */
    struct selection selection;
    struct image_store train_store, test_store;
    struct sgd sgd;
    struct lars lars;             /* with optimizer = lars; else all zeros */
    struct hold_tensor *hold;     /* [graph.tensor_count] */
    struct schedule schedule;
    struct average_rule average;
    void *state_before;           /* running statistics before the step */
    uint32_t *order;              /* [selection.train_count] of epoch order_epoch */
    int64_t order_epoch;          /* -1: none yet */
    struct batch batch;
    uint64_t per_epoch, total;    /* steps */

    uint64_t step;                /* updates done */
    /* Sums over the epoch in progress, for its averages. */
    double epoch_loss;
    uint64_t epoch_hits, epoch_images;
    double last_loss, last_accuracy; /* of the epoch before it; NaN in the first */
    double best_accuracy;         /* of evaluations so far, -1 before the first */
    struct carry carry;           /* of observers: as the last checkpoint has it */
};

/* Builds a trainer with freshly initialised weights (start = true) or zeros (a checkpoint will fill
 * them). `t` must not move afterwards. Fails with EXIT_USAGE (the config does not fit the images or
 * the network) or EXIT_FAILED (no memory). The caller ends it with trainer_release, also after a
 * failure. */
int trainer_init(struct trainer *t, const struct config *c, const struct images *images,
                 bool start, struct err *e);
void trainer_release(struct trainer *t);

/* The model that is evaluated and saved: slow for an EMA, else the one in training. */
struct model *trainer_result_model(struct trainer *t);

/* Learning rate of the next step (of the role weight). */
double trainer_lr(const struct trainer *t);

/* Evaluates on the test images, or on those held out for validation. `outcomes` may be NULL. */
void trainer_evaluate(struct trainer *t, bool validation, enum tta tta, struct eval_result *result,
                      struct eval_outcome *outcomes);

/* What a run would take, without data and without big allocations: for --dry-run. */
struct train_estimate {
    uint64_t steps_per_epoch, total_steps;
    uint32_t train_images;        /* trained on: without those held out or left aside */
    size_t memory;                /* bytes of all that grows with network, batch and images */
    size_t parameters;
    double training_macs;         /* for one image */
    double total_macs;            /* of the whole run, evaluation left out */
};
int trainer_estimate(const struct config *c, struct shape input, int classes, uint32_t train_images,
                     uint32_t test_images, struct train_estimate *out, struct err *e);

/* Bytes that the trainer and its images hold: parameters, gradients, optimiser, averages, plans,
 * scratch, images on host and device, their order and the batch, and a checkpoint in the making.
 * The program itself comes on top. */
size_t trainer_memory(const struct trainer *t);

#endif
