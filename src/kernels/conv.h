/* conv.h - the kernels of convolution: gather, outer product, and the packing of weights.
 *
 * Direct convolution in the layout of layout.h. The unit of work is one output pixel, up to 32
 * images, and one *panel* of output channels: two lines, or one if the last panel has only one.
 *
 *      gather   y[image][k]  = sum over taps t and channels c:  x_t[image][c] * w_t[c][k]
 *      outer    dw_t[c][k]  += sum over pixels and images:      x[image][c] * dy[image][k]
 *
 * The caller lists the taps that hit the map, so kernels know nothing of strides, padding, or the
 * size of a map. Backward-data is the same gather with the channels exchanged: a pixel of dx
 * gathers from the pixels of dy that it took part in. A letter K here means the channels that are
 * gathered into (C of the convolution in backward-data), C those that are summed over.
 *
 * Weights are packed once a step, so that a gather reads them in order: [panel of K][tap r*S+s],
 * and for each panel and tap
 *
 *      fp32, fp64   [c][lines*CB channels of K]
 *      bf16         [k / 16][c / 2][k % 16][c % 2], what one instruction multiplies in order
 *
 * with zeros past K, and in bf16 past an odd C. Sums are P and start from zero or the bias; what is
 * written is rounded to A once. The gradient of the weights is summed in P, in every precision as
 * [panel of K][tap][c][lines*CB].
 */
#ifndef KILN_KERNELS_CONV_H
#define KILN_KERNELS_CONV_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/layout.h"

enum { PANEL_LINES = 2 };

/* A place in the input, and the weights that it is multiplied with. */
struct conv_tap {
    const void *x; /* A [ceil(c/CB)] tiles of one pixel, from the first wanted image on */
    const void *w; /* A: one panel and tap of the packed weights */
    const void *ahead; /* as many weights, which come next: a tier may ask for them; or NULL */
};

/* A rectangle of pixels of dy, and the pixels of x that one tap pairs them with. Row and pixel
 * steps count elements. */
struct conv_rect {
    int rows, pixels;
    const void *x;  /* A: pixel (p, q) at x + p*x_row + q*x_pixel, one line */
    const void *dy; /* A: likewise, a panel's lines */
    size_t x_row, x_pixel, dy_row, dy_pixel;
};

struct conv_kernels {
    /* y[l][i][j] = bias[l*CB+j] + sum over t < count, c' < c of x_t[c'/CB][i][c'%CB] *
     * w_t[c'][l*CB+j], for l < lines, i < images, j < CB; y are tiles. bias P [lines*CB], aligned
     * to a line, may be NULL for zero. With add the sum begins with what y holds instead. A tier
     * may compute up to the next multiple of 8 images, never more than fit the tile. */
    void (*gather)(int count, const struct conv_tap *taps, int c, int images, int lines,
                   const void *bias, bool add, void *y);

    /* dw[c'][l*CB+j] += sum over the pixels of the rectangle and i < images of
     * x[i*CB + c'] * dy[(l*IMAGES+i)*CB + j], for c' < c <= CB, l < lines, j < CB.
     * dw P [c][lines*CB]. Images past `images` are not read into any sum. */
    void (*outer)(const struct conv_rect *r, int images, int c, int lines, void *dw);

    /* sum[j] += sum over p < pixels, i < images of dy[p*dy_step + i*CB + j], j < CB; P [CB]. */
    void (*sum_images)(int pixels, int images, const void *dy, size_t dy_step, void *sum);

    /* packed = one panel, channels k0 .. k0+lines*CB-1, of weights P [k][c][taps]. */
    void (*pack)(int k, int c, int taps, const void *weights, int k0, int lines, void *packed);

    /* The same with the roles exchanged, for backward-data: a panel of channels c0 ..
     * c0+lines*CB-1 of C, summed over k. */
    void (*pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                            void *packed);

    /* dw [k][c][taps], rows k0 .. k0+lines*CB-1 (those below k) and channels [c_first, c_end), =
     * the binary tree sum ((0+1)+(2+3))+... of the panels lane[0..lanes-1], each [tap][c][lines *
     * CB]. lanes is a power of two up to 8; a lane that is NULL is left out of the tree. At least
     * one is not NULL. */
    void (*unpack)(int lanes, const void *const *lane, int k, int c, int taps, int k0, int lines,
                   int c_first, int c_end, void *dw);
};

/* The channels of C that packed weights hold, the zero one included. */
static inline int conv_packed_depth(enum precision p, int c)
{
    return p == PRECISION_BF16 ? (c + 1) / 2 * 2 : c;
}

/* Bytes of a panel of `lines` lines: packed weights of `taps` taps, and their gradient. */
static inline size_t conv_packed_bytes(enum precision p, int lines, int c, int taps)
{
    return (size_t)lines * LINE * (size_t)conv_packed_depth(p, c) * (size_t)taps;
}

static inline size_t conv_gradient_bytes(enum precision p, int lines, int c, int taps)
{
    return (size_t)lines * (size_t)layout_cb(p) * precision_real_bytes(p) * (size_t)c *
           (size_t)taps;
}

/* Index of channels (cc of C, j of a panel of `width`) in one tap of packed weights. */
static inline size_t conv_packed_at(enum precision p, int c, int width, int cc, int j)
{
    if (p != PRECISION_BF16)
        return (size_t)cc * (size_t)width + (size_t)j;
    size_t pairs = (size_t)conv_packed_depth(p, c) / 2;
    return (((size_t)j / 16 * pairs + (size_t)cc / 2) * 16 + (size_t)j % 16) * 2 + (size_t)cc % 2;
}

/* Panels of k channels, and the lines of one of them. */
static inline int conv_panels(enum precision p, int k)
{
    return (layout_cblocks(p, k) + PANEL_LINES - 1) / PANEL_LINES;
}

static inline int conv_panel_lines(enum precision p, int k, int panel)
{
    int rest = layout_cblocks(p, k) - panel * PANEL_LINES;
    return rest < PANEL_LINES ? rest : PANEL_LINES;
}

/* Fills the table with the plain versions, then replaces those that a tier does better. */
void conv_kernels_init(struct conv_kernels *k, enum precision p);
void conv_kernels_init__avx2(struct conv_kernels *k);
void conv_kernels_init__avx512(struct conv_kernels *k);
void conv_kernels_init_bf16__avx2(struct conv_kernels *k);
void conv_kernels_init_bf16__avx512(struct conv_kernels *k);
void conv_kernels_init_bf16__avx512bf16(struct conv_kernels *k);

#endif
