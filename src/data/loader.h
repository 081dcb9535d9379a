/* loader.h - which images make batch `step` of an epoch: a pure function of the seed. */
#ifndef KILN_DATA_LOADER_H
#define KILN_DATA_LOADER_H

#include <stdbool.h>

#include "data/augment.h"
#include "data/dataset.h"

struct subset_options {
    uint32_t train_count;   /* 0: all; class-balanced, seeded */
    double train_fraction;  /* 1: all; applied if train_count is 0 */
    uint32_t validation;    /* images held out of the training split, class-balanced */
    double label_noise;     /* share of training labels replaced by another, seeded */
    uint64_t seed;
};

/* The training images that a run uses, their (possibly noisy) labels, and those held out. */
struct selection {
    uint32_t *train, train_count;           /* indices into images.train */
    uint32_t *validation, validation_count;
    uint8_t *labels;                        /* [images.train.count], noise applied */
};

/* Fails (EXIT_USAGE) when more is asked than there is. */
int selection_init(struct selection *s, const struct images *images,
                   const struct subset_options *o, struct err *e);
void selection_release(struct selection *s);

/* Fills order[count] with the epoch's order of 0..count-1. */
void loader_order(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count);

/* Steps of one epoch. */
uint32_t loader_steps(uint32_t count, uint32_t batch, bool drop_last);

#endif
