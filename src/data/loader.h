/* loader.h - which images a run uses, and in which order: pure functions of the seed.
 *
 * Within each class the images are put in a random order by the seed. The validation images are
 * the first of that order and the training images follow, so the validation split is the same for
 * every training count, and a smaller training subset is part of every larger one.
 */
#ifndef KILN_DATA_LOADER_H
#define KILN_DATA_LOADER_H

#include <stdbool.h>

#include "data/augment.h"
#include "data/dataset.h"

struct subset_options {
    uint32_t train_count;   /* 0: by train_fraction */
    double train_fraction;  /* in (0, 1], of what validation leaves; used if train_count is 0 */
    uint32_t validation;    /* images held out of the training split */
    double label_noise;     /* in [0, 1]: chance of a training label to be replaced by another */
    uint64_t seed;
};

/* The training images that a run uses, their (possibly noisy) labels, and those held out. */
struct selection {
    uint32_t *train, train_count;           /* indices into images.train, ascending */
    uint32_t *validation, validation_count; /* the same, disjoint from train; true labels */
    uint8_t *labels;                        /* [images.train.count], noise applied to train */
};

/* How many of `available` training images are trained on: *count. Fails (EXIT_USAGE) when more is
 * asked than there is, or none would be left. */
int selection_count(const struct subset_options *o, uint32_t available, uint32_t *count,
                    struct err *e);

/* Counts are spread over the classes as evenly as they allow: each class gives the same number; a
 * class with too few gives all, and the others make up for it; what does not divide goes to the
 * first classes. Fails as selection_count does. The caller ends it with selection_release, which
 * takes zero bits too. */
int selection_init(struct selection *s, const struct images *images,
                   const struct subset_options *o, struct err *e);
void selection_release(struct selection *s);

/* Fills order[count] with the epoch's order of 0..count-1. */
void loader_order(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count);

/* Steps of one epoch. */
uint32_t loader_steps(uint32_t count, uint32_t batch, bool drop_last);

#endif
