/* init.h - first values of parameters and state. */
#ifndef KILN_NN_INIT_H
#define KILN_NN_INIT_H

#include "nn/plan.h"

/* Images that patch whitening looks at: normalised doubles [count, c, h, w], from the caller.
 * count may be 0 when the graph has no INIT_WHITEN tensor. */
struct init_images {
    const double *pixels;
    int count, c, h, w;
};

/* How many images graph's whitening wants, 0 if it has none. */
int init_images_wanted(const struct graph *g);

/* Fills every tensor from its struct init, each from its own random stream (seed, RNG_INIT, index
 * of the tensor), running_mean 0 and running_var 1. Fails if whitening lacks images. */
int init_model(struct model *m, uint64_t seed, const struct init_images *images, struct err *e);

#endif
