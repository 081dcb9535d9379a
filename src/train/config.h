/* config.h - everything that decides how a run trains, as one plain struct with one table of keys.
 *
 * The table `config_options` drives recipes, options, --help and the config.ini saved with a run
 * (base/options.h). What a key means is written in its help line; the conventions behind them:
 *
 * - The learning rate at a step is lr * schedule factor * the factor of the parameter's role.
 *   Schedules are factors, so that a sweep over lr scales the whole schedule.
 * - Weight decay is PyTorch's (coupled: added to the gradient), weight_decay * the role's factor;
 *   it does not follow the schedule by itself, but the update does, through the learning rate.
 * - Weights are scale-invariant where nothing but batch norms read them (nn/graph.h): init_scale,
 *   invariant_decay_factor and hold_norms (optim/hold.h) are about those.
 * - reduction = mean divides the loss, and so its gradient, by the images of the batch; a recipe
 *   written for a summed loss (Page, airbench) becomes lr * batch and weight_decay / batch. Losses
 *   are reported per image whatever the reduction.
 * - An epoch has `steps per epoch` = floor (drop_last) or ceil of images / batch; a run has
 *   ceil(epochs * steps per epoch) steps (airbench: 9.9 epochs of 48 steps are 476).
 */
#ifndef KILN_TRAIN_CONFIG_H
#define KILN_TRAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"
#include "data/loader.h"
#include "nn/convolutions.h"
#include "optim/average.h"
#include "optim/schedule.h"

enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_LARS };
enum probe_precision { PROBE_FP32, PROBE_FP64 };
enum loss_reduction { REDUCTION_MEAN, REDUCTION_SUM };

/* How an image is looked at in evaluation; see train/eval.h. */
enum tta { TTA_NONE, TTA_FLIP, TTA_SIX };

struct config {
    /* data */
    char data[OPTION_TEXT_SIZE];
    char data_dir[OPTION_TEXT_SIZE];   /* "": where data sets are usually looked for */
    int train_count;
    double train_fraction;
    int validation;
    double label_noise;
    uint64_t data_seed;
    /* network */
    char net[OPTION_TEXT_SIZE];
    double width;
    double init_scale;
    /* training */
    int batch;
    double epochs;
    int steps;
    bool drop_last;
    uint64_t seed;
    double label_smoothing;
    int reduction;                     /* enum loss_reduction */
    double freeze_statistics;          /* epochs; -1: never */
    /* augmentation */
    int crop;
    int flip;                          /* enum flip */
    int cutout;
    /* optimiser */
    int optimizer;                     /* enum optimizer_kind */
    double lr, momentum;
    bool nesterov;
    double weight_decay;
    double lr_factor[ROLE_COUNT];      /* [ROLE_WEIGHT] is 1: weights are the reference */
    double decay_factor[ROLE_COUNT];
    double invariant_decay_factor;
    double hold_norms;                 /* epochs; -1: never */
    double whiten_bias_epochs;
    int lars_scope;                    /* enum lars_scope */
    double lars_trust, lars_eps;
    /* schedule */
    int schedule;                      /* enum schedule_kind */
    char knots[OPTION_TEXT_SIZE];
    char step_at[OPTION_TEXT_SIZE];
    double step_factor;
    double final_factor;
    double cycle_start, cycle_peak;
    double warmup, warmup_factor;
    int schedule_origin;
    /* averaging */
    int average;                       /* enum average_kind */
    int average_every;
    double average_decay, average_power;
    /* evaluation */
    int tta;                           /* enum tta */
    int eval_every;
    double target;
    /* checkpoints */
    int checkpoint_every;
    int keep_last;
    bool keep_best;
    int hash_steps;
    bool predictions;
    /* probes */
    char probes[OPTION_TEXT_SIZE];     /* names, with commas between them */
    double probe_budget;
    int probe_images;
    int probe_precision;               /* enum probe_precision */
    int probe_iterations;
    /* machine */
    int threads;                       /* 0: what the machine grants */
    int isa;                           /* enum tier */
    int precision;                     /* enum precision */
    char convolution[OPTION_TEXT_SIZE]; /* nn/convolutions.h */
    /* record */
    char name[OPTION_TEXT_SIZE];       /* UTF-8 */
    /* Not a key: what the run that is taken up recorded as its choice; "": chosen anew. */
    char convolutions_recorded[CONVOLUTIONS_TEXT];
    /* Not a key either: why `isa` and `precision` are what they are, for people; "": as asked. */
    char kernels_why[OPTION_TEXT_SIZE];
};

extern const struct option_def config_options[];

/* Sets every key to its default. */
void config_default(struct config *c);

/* Checks what no single key can show: that the schedule's knots parse and are there, that momentum
 * and nesterov go together ... Fails with EXIT_USAGE and the keys concerned. */
int config_check(const struct config *c, struct err *e);

/* The parts that other rooms want, cut from a config. config_schedule fails (EXIT_USAGE) when the
 * knots do not parse. */
int config_schedule(const struct config *c, struct schedule *s, struct err *e);
struct average_rule config_average(const struct config *c);
struct subset_options config_subset(const struct config *c);
struct augment config_augment(const struct config *c);

/* SHA-256 over the keys that decide the weights (not threads, folders, evaluation, checkpoints,
 * `steps`, nor `name`): two configs of one hash train the same network. hex[65]. */
void config_hash(const struct config *c, char hex[65]);

#endif
