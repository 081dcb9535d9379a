/* pointwise.h - the kernels that touch every element once: sums, activations, normalisation,
 * pooling, the loss, the optimiser's update. */
#ifndef KILN_KERNELS_POINTWISE_H
#define KILN_KERNELS_POINTWISE_H

#include <stddef.h>

#include "kernels/layout.h"

struct pointwise_kernels {
    /* y[i] = a[i] + b[i], A [count]; y may be a or b. */
    void (*add)(size_t count, const void *a, const void *b, void *y);
};

/* Fills the table with the plain versions, then replaces those that a tier does better. */
void pointwise_kernels_init(struct pointwise_kernels *k, enum precision p);
void pointwise_kernels_init__avx2(struct pointwise_kernels *k);
void pointwise_kernels_init__avx512(struct pointwise_kernels *k);

#endif
