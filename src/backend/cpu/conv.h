/* conv.h - what the algorithms of conv_algorithm.h share. */
#ifndef KILN_BACKEND_CPU_CONV_H
#define KILN_BACKEND_CPU_CONV_H

#include "backend/cpu/conv_algorithm.h"

enum {
    TILE = IMAGES * LINE,   /* bytes */
    FILTER_MAX = 64         /* rows and columns of a filter */
};

static inline int conv_taps(const struct conv_shape *s)
{
    return s->r * s->s;
}

static inline int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* The channels that a pass writes and those that it sums over; of backward-data, the other way
 * round than the shape says. */
static inline int conv_to(const struct conv_shape *s, enum conv_pass pass)
{
    return pass == CONV_BACKWARD_DATA ? s->c : s->k;
}

static inline int conv_from(const struct conv_shape *s, enum conv_pass pass)
{
    return pass == CONV_BACKWARD_DATA ? s->k : s->c;
}

/* Taps that fall into the input, of all outputs together. */
double conv_taps_inside(const struct conv_shape *s);

/* Likewise of one column of outputs and of the filter. */
double conv_row_taps_inside(const struct conv_shape *s);

/* How the taps of a filter are numbered, and how they lie on the map that is read. */
enum conv_order {
    ORDER_FORWARD,
    ORDER_BACKWARD,         /* backward-data: the next tap falls on the pixel before */
    ORDER_TURNED            /* likewise, but counted from the filter's end, so along the map */
};

/* Lists the rows (or columns) of a filter of so many that fall into the map that is read, which has
 * `size` of them, for row (or column) `out` of the map that is written; in the order of the taps.
 * hits: [filter]. Returns their number. */
int conv_hits(const struct conv_shape *s, enum conv_order order, int out, int filter, int size,
              struct conv_hit *hits);

/* A range of rows or columns. */
struct conv_range {
    int begin, end;
};

/* The outputs of `out` whose input under row (or column) `tap` of the filter is in [0, size). */
struct conv_range conv_clip(const struct conv_shape *s, struct conv_range out, int tap, int size);

/* Bytes of packed weights that gather from c channels into k, and where a panel of them begins. */
static inline size_t conv_packed_size(const struct backend *b, int k, int c, int taps)
{
    return conv_packed_bytes(b->precision, layout_cblocks(b->precision, k), c, taps);
}

static inline size_t conv_panel_at(const struct backend *b, int panel, int c, int taps)
{
    return conv_packed_bytes(b->precision, panel * PANEL_LINES, c, taps);
}

/* Likewise of the gradient of weights [k][c][taps] in packed order. */
static inline size_t conv_gradient_size(const struct backend *b, int k, int c, int taps)
{
    return conv_gradient_bytes(b->precision, layout_cblocks(b->precision, k), c, taps);
}

static inline size_t conv_gradient_at(const struct backend *b, int panel, int c, int taps)
{
    return conv_gradient_bytes(b->precision, panel * PANEL_LINES, c, taps);
}

/* The lanes of n images that have any, in order; returns their number. */
static inline int conv_lanes(int n, int lanes[LANES])
{
    int count = 0;
    for (int l = 0; l < LANES; l++)
        if (cpu_lane_begin(n, l) < cpu_lane_begin(n, l + 1))
            lanes[count++] = l;
    return count;
}

/* dw [K][C][taps]: adds up the lanes (NULL where there are no images; each packed as
 * conv_gradient_size says) and unpacks channels [c_first, c_end) of C in one panel of K. */
void conv_unpack(const struct cpu_backend *b, const struct conv_shape *s,
                 void *const lanes[LANES], int panel, int c_first, int c_end, void *dw);

/* conv_bias.c: dbias [k] = the sum of dy over images and pixels, with so much workspace. */
size_t conv_bias_bytes(const struct backend *b, int n, int k);
void conv_bias(struct cpu_backend *b, int n, const struct map *dy, void *dbias, void *workspace);

/* conv_direct_weights.c: backward-weights of conv_direct. */
size_t conv_direct_weights_workspace(const struct cpu_backend *b, int n,
                                     const struct conv_shape *s);
void conv_direct_weights(struct cpu_backend *b, const struct conv_work *w);

#endif
