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
 * gathers from the pixels of dy that it took part in. Weights are packed once a step, so that a
 * gather reads them in order, as [panel of K][tap r*S+s][c][lines * CB]; channels past K are zero.
 * The gradient of the weights is summed in the same order. A letter K here means the channels that
 * are gathered into (C of the convolution in backward-data), C those that are summed over.
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
    const void *w; /* P [c][lines*CB] */
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
     * w_t[c'][l*CB+j], for l < lines, i < images, j < CB; y are tiles. bias P [lines*CB] may be
     * NULL for zero. With add the sum begins with what y holds instead of the bias. A tier may
     * compute up to the next multiple of 8 images, never more than fit the tile. */
    void (*gather)(int count, const struct conv_tap *taps, int c, int images, int lines,
                   const void *bias, bool add, void *y);

    /* dw[c'][l*CB+j] += sum over the pixels of the rectangle and i < images of
     * x[i*CB + c'] * dy[(l*IMAGES+i)*CB + j], for c' < c <= CB, l < lines, j < CB.
     * dw P [c][lines*CB]. Images past `images` are not read into any sum. */
    void (*outer)(const struct conv_rect *r, int images, int c, int lines, void *dw);

    /* sum[j] += sum over p < pixels, i < images of dy[p*dy_step + i*CB + j], j < CB. */
    void (*sum_images)(int pixels, int images, const void *dy, size_t dy_step, void *sum);

    /* packed [tap][c][lines*CB] = one panel, channels k0 .. k0+lines*CB-1, of weights
     * [k][c][taps]; zero past k. */
    void (*pack)(int k, int c, int taps, const void *weights, int k0, int lines, void *packed);

    /* The same with the roles exchanged, for backward-data: packed [tap][k][lines*CB] = channels
     * c0 .. c0+lines*CB-1 of C, zero past c. */
    void (*pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                            void *packed);

    /* dw [k][c][taps], rows k0 .. k0+lines*CB-1 (those below k) and channels [c_first, c_end), =
     * the binary tree sum ((0+1)+(2+3))+... of the panels lane[0..lanes-1], each [tap][c][lines *
     * CB]. lanes is a power of two up to 8; a lane that is NULL is left out of the tree. At least
     * one is not NULL. */
    void (*unpack)(int lanes, const void *const *lane, int k, int c, int taps, int k0, int lines,
                   int c_first, int c_end, void *dw);
};

/* Elements of the packed form of [k][c][taps]: every panel together. */
static inline size_t conv_packed_count(enum precision p, int k, int c, int taps)
{
    return (size_t)layout_cblocks(p, k) * (size_t)layout_cb(p) * (size_t)c * (size_t)taps;
}

/* Elements before panel `panel` in the packed form. */
static inline size_t conv_panel_at(enum precision p, int panel, int c, int taps)
{
    return (size_t)panel * PANEL_LINES * (size_t)layout_cb(p) * (size_t)c * (size_t)taps;
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

#endif
