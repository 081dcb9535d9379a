/* layout.h - how activations lie in memory, for every tier and precision.
 *
 * A *line* is 64 bytes: the channels c .. c+CB-1 of one image at one pixel, CB = 64 / size of an
 * element (16 for fp32, 32 for bf16, 8 for fp64). A *tile* is the 32 lines of 32 images. A *map*
 * is an array of tiles:
 *
 *      map [block of 32 images][y][x][block of CB channels] -> tile [32 images][CB channels]
 *
 *      block 0, y 0, x 0:   | c 0..15 of images 0..31 | c 16..31 of images 0..31 | ...
 *                    x 1:   | ...
 *
 * No halo: a tap outside the map is skipped instead of multiplied by zero. A row of a tile is one
 * image at one pixel, so 1x1 maps, strides and odd sizes are all alike; see docs/kernels.md.
 *
 * Invariants: channels past C are *zero* in every map that a kernel writes; images past n in the
 * last block hold finite but meaningless numbers, and nothing that is summed reads them.
 *
 * The letters, everywhere: N images, C input channels, K output channels, H W rows and columns of
 * the input, P Q of the output, R S of the filter.
 */
#ifndef KILN_KERNELS_LAYOUT_H
#define KILN_KERNELS_LAYOUT_H

#include <stddef.h>

enum { IMAGES = 32, LINE = 64 };

/* What the elements of maps (A) and of parameters, gradients and statistics (P) are.
 * FP32: both float. BF16: A is struct bf16 of kernels/bf16.h, P float, and what is computed on the
 * way is float. FP64: both double; reference kernels only, for tests and probes. AUTO stands for
 * one of them until precision_resolve. */
enum precision { PRECISION_AUTO, PRECISION_FP32, PRECISION_BF16, PRECISION_FP64, PRECISION_COUNT };

/* The choices of an option, in the order of enum precision; and one of their names. */
#define PRECISION_CHOICES "auto|fp32|bf16|fp64"
const char *precision_name(enum precision p);

/* sizeof A and sizeof P. */
static inline size_t precision_bytes(enum precision p)
{
    return p == PRECISION_FP64 ? 8 : p == PRECISION_BF16 ? 2 : 4;
}

static inline size_t precision_real_bytes(enum precision p)
{
    return p == PRECISION_FP64 ? 8 : 4;
}

/* Channels of a line. */
static inline int layout_cb(enum precision p)
{
    return LINE / (int)precision_bytes(p);
}

/* Blocks of 32 images that hold n. */
static inline int layout_blocks(int n)
{
    return (n + IMAGES - 1) / IMAGES;
}

/* Blocks of CB channels that hold c. */
static inline int layout_cblocks(enum precision p, int c)
{
    return (c + layout_cb(p) - 1) / layout_cb(p);
}

/* Bytes of a map of n images. */
static inline size_t layout_bytes(enum precision p, int n, int h, int w, int c)
{
    return (size_t)layout_blocks(n) * (size_t)h * (size_t)w * (size_t)layout_cblocks(p, c) *
           IMAGES * LINE;
}

/* Index of the element (image i, y, x, channel c) of a map of [h, w, channels]. */
static inline size_t layout_at(enum precision p, int h, int w, int channels, int i, int y, int x,
                               int c)
{
    int cb = layout_cb(p);
    size_t tile = (((size_t)(i / IMAGES) * (size_t)h + (size_t)y) * (size_t)w + (size_t)x) *
                      (size_t)layout_cblocks(p, channels) + (size_t)(c / cb);
    return (tile * IMAGES + (size_t)(i % IMAGES)) * (size_t)cb + (size_t)(c % cb);
}

#endif
