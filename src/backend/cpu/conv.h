/* conv.h - what the two halves of convolution on the CPU share: conv.c (packing, forward,
 * backward-data) and conv_weights.c (backward-weights). */
#ifndef KILN_BACKEND_CPU_CONV_H
#define KILN_BACKEND_CPU_CONV_H

#include "backend/cpu/cpu.h"

enum {
    TILE = IMAGES * LINE,   /* bytes */
    FILTER_MAX = 64         /* rows and columns of a filter */
};

static inline int conv_taps(const struct conv_shape *s)
{
    return s->r * s->s;
}

/* Bytes of packed weights that gather from c channels into k. */
static inline size_t conv_packed_size(const struct backend *b, int k, int c, int taps)
{
    return conv_packed_count(b->precision, k, c, taps) * b->real_bytes;
}

/* Asserts that the shape is one that the kernels can do, and that a map has the shape it says. */
void conv_assert_shape(const struct conv_shape *s);
void conv_assert_map(const struct map *m, int c, int h, int w);

/* The operations conv_workspace and conv_backward_weights of struct backend_ops. */
size_t conv_workspace(struct backend *b, int n, const struct conv_shape *s);
void conv_backward_weights(struct backend *b, int n, const struct conv_shape *s,
                           const struct map *x, const struct map *dy, void *dw, void *dbias,
                           void *workspace);

#endif
