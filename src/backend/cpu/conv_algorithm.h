/* conv_algorithm.h - the ways in which the CPU computes a convolution.
 *
 * An algorithm is one `const struct conv_algorithm` in a file of its own, named in the list of
 * conv.c; its index there is what conv_shape.algorithm[pass] holds. conv.c is the operations of
 * the backend: it checks shapes, adds up bias gradients, and hands each pass to its algorithm.
 *
 * Which algorithm a pass takes is decided when a plan is made (conv_choose): the one that predicts
 * the least time from the shape and the rates of the tier. A prediction is a pure function of its
 * arguments, never of a clock or of the number of threads, so that results can be reproduced.
 *
 * What every algorithm promises: results that do not depend on the number of threads; channels past
 * the last are zero in maps that it writes; images past n are never summed; backward-weights adds
 * up in lanes (backend.h).
 */
#ifndef KILN_BACKEND_CPU_CONV_ALGORITHM_H
#define KILN_BACKEND_CPU_CONV_ALGORITHM_H

#include "backend/cpu/cpu.h"

/* One pass of a convolution over n images. */
struct conv_work {
    int n;
    const struct conv_shape *shape;
    enum conv_pass pass;
    struct map x, y;       /* forward: reads x, writes y; otherwise the gradients of y and x:
                              backward-data reads y, writes x; backward-weights reads both, where
                              x is the input itself */
    bool pooled;           /* y is the map, or gradient, of a 2x2 max pool behind */
    uint8_t *argmax;       /* of this pool: forward, where to put it, or NULL */
    const uint8_t *taken;  /* backward, to read */
    const void *packed;    /* forward, backward-data: what `pack` made for this pass */
    const void *bias;      /* forward: P [k] or NULL */
    void *dw;              /* backward-weights: P [k, c, r, s] */
    void *workspace;       /* `workspace` bytes */
};

struct conv_algorithm {
    const char *name;      /* as the key `convolution` spells it */
    int tile;              /* Winograd: outputs of its largest tile in one dimension; else 0 */

    /* Whether it can compute the pass; the functions below are called only if so. */
    bool (*supports)(const struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass);

    /* Whether it can compute the pass, which it supports, with a 2x2 max pool: windows of p x q
     * without gaps, p and q even. NULL: never. */
    bool (*pools)(const struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass);

    /* Predicted seconds of one core for n images; any number for n. */
    double (*seconds)(const struct cpu_backend *b, int n, const struct conv_shape *s,
                      enum conv_pass pass);

    /* Bytes of the packed weights of forward or backward-data. */
    size_t (*packed_bytes)(const struct cpu_backend *b, const struct conv_shape *s,
                           enum conv_pass pass);

    /* Bytes that `run` works in for at most n images. */
    size_t (*workspace)(const struct cpu_backend *b, int n, const struct conv_shape *s,
                        enum conv_pass pass);

    /* Packs weights P [k, c, r, s] for forward or backward-data. */
    void (*pack)(struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                 const void *weights, void *packed);

    void (*run)(struct cpu_backend *b, const struct conv_work *w);
};

/* NULL-ended; the first is conv_direct, which supports everything. */
extern const struct conv_algorithm *const conv_algorithms[];

extern const struct conv_algorithm conv_direct, conv_winograd6, conv_winograd4, conv_winograd3,
    conv_winograd2;
/* Where the table of kernels has those of tiles. */
extern const struct conv_algorithm conv_amx, conv_amx_rows;

/* The rates that are built in for the kernels of a tier. */
struct conv_rates conv_builtin_rates(enum tier tier, enum precision precision);

/* Multiply-adds of the pass for one image: r * s for each output, as if nothing were padding. */
double conv_products(const struct conv_shape *s);

#endif
