/* conv.c - convolution on the CPU: packing, forward and backward-data.
 *
 * Forward and backward-data are one routine. It walks over the pixels of the map that it writes,
 * lists for each the pairs (pixel of the map that it reads, tap) that exist, and hands the list to
 * the gather kernel. Filters that leave the map, strides and trimmed outputs only make the list
 * shorter; nothing is ever multiplied by padding.
 *
 *   item      (block of 32 images, row, some panels of output channels)
 *   within    panel > pixels of the row: the weights of a panel stay in the second-level cache
 *             while the row passes
 */
#include "backend/cpu/conv.h"

#include <assert.h>
#include <string.h>

enum {
    TAPS = 64,              /* of one kernel call; longer lists are gathered in several */
    ITEMS_PER_THREAD = 4    /* at least, where the work can be cut that finely */
};

void conv_assert_shape(const struct conv_shape *s)
{
    assert(s->c > 0 && s->h > 0 && s->w > 0 && s->k > 0 && s->p > 0 && s->q > 0);
    assert(s->r > 0 && s->r <= FILTER_MAX && s->s > 0 && s->s <= FILTER_MAX);
    assert(s->stride > 0 && s->pad >= 0);
    assert((s->p - 1) * s->stride + s->r <= s->h + 2 * s->pad);
    assert((s->q - 1) * s->stride + s->s <= s->w + 2 * s->pad);
}

void conv_assert_map(const struct map *m, int c, int h, int w)
{
    assert(m->data && m->c == c && m->h == h && m->w == w);
    (void)m, (void)c, (void)h, (void)w;
}

/* Packing. */

static size_t conv_packed_bytes(struct backend *b, const struct conv_shape *s, bool with_backward)
{
    size_t forward = conv_packed_size(b, s->k, s->c, conv_taps(s));
    return forward + (with_backward ? conv_packed_size(b, s->c, s->k, conv_taps(s)) : 0);
}

/* Where the weights for backward-data begin. */
static const char *packed_backward(const struct backend *b, const struct conv_shape *s,
                                   const void *packed)
{
    return (const char *)packed + conv_packed_size(b, s->k, s->c, conv_taps(s));
}

struct pack_job {
    struct cpu_backend *b;
    const struct conv_shape *s;
    const void *weights;
    char *forward, *backward;
    int forward_panels;
};

static void pack_panel(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const struct conv_shape *s = j->s;
    enum precision p = j->b->base.precision;
    bool backward = item >= j->forward_panels;
    int panel = backward ? item - j->forward_panels : item;
    int to = backward ? s->c : s->k, from = backward ? s->k : s->c;
    char *out = (backward ? j->backward : j->forward) +
                conv_panel_at(p, panel, from, conv_taps(s)) * j->b->base.real_bytes;
    int first = panel * PANEL_LINES * layout_cb(p), lines = conv_panel_lines(p, to, panel);
    if (backward)
        j->b->kernels.conv.pack_transposed(s->k, s->c, conv_taps(s), j->weights, first, lines,
                                           out);
    else
        j->b->kernels.conv.pack(s->k, s->c, conv_taps(s), j->weights, first, lines, out);
}

static void conv_pack(struct backend *base, const struct conv_shape *s, const void *weights,
                      bool with_backward, void *packed)
{
    conv_assert_shape(s);
    struct pack_job j = {
        .b = cpu_of(base),
        .s = s,
        .weights = weights,
        .forward = packed,
        .backward = (char *)packed + conv_packed_size(base, s->k, s->c, conv_taps(s)),
        .forward_panels = conv_panels(base->precision, s->k),
    };
    int backward_panels = with_backward ? conv_panels(base->precision, s->c) : 0;
    cpu_parallel(j.b, j.forward_panels + backward_panels, pack_panel, &j);
}

/* Gathering: forward and backward-data. */

struct gather_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    bool backward;
    struct map in, out;
    int in_lines, out_lines;    /* of one pixel */
    const char *packed;
    const void *bias;
    int panels, splits;         /* an item takes panels/splits panels */
};

/* A row (or column) of the filter, and the row (or column) of the input that it falls on. */
struct hit {
    int tap, at;
};

/* Lists the rows of the filter that fall into the input at row `out` of the output. */
static int list_hits(const struct gather_job *j, int out, int filter, int size, struct hit *hits)
{
    int count = 0, stride = j->s->stride, pad = j->s->pad;
    for (int t = 0; t < filter; t++) {
        int at = j->backward ? out + pad - t : out * stride + t - pad;
        if (at < 0)
            continue;
        if (j->backward && stride > 1) {
            if (at % stride)
                continue;
            at /= stride;
        }
        if (at < size)
            hits[count++] = (struct hit){t, at};
    }
    return count;
}

/* One row of one panel in the making: what does not change from pixel to pixel. */
struct gather_row {
    const struct gather_job *j;
    int block, y, panel, lines;
    const struct hit *rows;
    int row_count;
    const char *weights;        /* of the panel */
    const void *bias;           /* padded to the panel */
};

static void gather_pixel(const struct gather_row *g, int x)
{
    const struct gather_job *j = g->j;
    const struct conv_kernels *k = &j->b->kernels.conv;
    int images = cpu_block_images(j->n, g->block);
    size_t pixel = ((size_t)g->block * (size_t)j->out.h + (size_t)g->y) * (size_t)j->out.w +
                   (size_t)x;
    char *out = (char *)j->out.data +
                (pixel * (size_t)j->out_lines + (size_t)g->panel * PANEL_LINES) * TILE;
    size_t tap_bytes = (size_t)j->in.c * (size_t)g->lines * LINE;
    struct hit columns[FILTER_MAX];
    int column_count = list_hits(j, x, j->s->s, j->in.w, columns);
    struct conv_tap taps[TAPS];
    int count = 0;
    bool add = false;
    for (int r = 0; r < g->row_count; r++) {
        const struct hit *row = &g->rows[r];
        size_t line = ((size_t)g->block * (size_t)j->in.h + (size_t)row->at) * (size_t)j->in.w;
        for (int c = 0; c < column_count; c++) {
            if (count == TAPS) {
                k->gather(count, taps, j->in.c, images, g->lines, g->bias, add, out);
                add = true;
                count = 0;
            }
            size_t at = (line + (size_t)columns[c].at) * (size_t)j->in_lines * TILE;
            size_t tap = (size_t)(row->tap * j->s->s + columns[c].tap);
            taps[count++] = (struct conv_tap){(const char *)j->in.data + at,
                                              g->weights + tap * tap_bytes};
        }
    }
    k->gather(count, taps, j->in.c, images, g->lines, g->bias, add, out);
}

/* Copies the panel's part of the bias, with zeros past its end. */
static void copy_bias(const struct gather_job *j, int first, void *padded)
{
    size_t real = j->b->base.real_bytes;
    int rest = j->out.c - first, width = PANEL_LINES * layout_cb(j->b->base.precision);
    memset(padded, 0, PANEL_LINES * LINE);
    memcpy(padded, (const char *)j->bias + (size_t)first * real,
           (size_t)(rest < width ? rest : width) * real);
}

static void gather_panel(struct gather_row *g)
{
    const struct gather_job *j = g->j;
    enum precision p = j->b->base.precision;
    _Alignas(LINE) char bias[PANEL_LINES * LINE];
    g->lines = conv_panel_lines(p, j->out.c, g->panel);
    g->weights = j->packed + conv_panel_at(p, g->panel, j->in.c, conv_taps(j->s)) *
                                 j->b->base.real_bytes;
    g->bias = NULL;
    if (j->bias) {
        copy_bias(j, g->panel * PANEL_LINES * layout_cb(p), bias);
        g->bias = bias;
    }
    for (int x = 0; x < j->out.w; x++)
        gather_pixel(g, x);
}

static void gather_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct gather_job *j = ctx;
    int split = item % j->splits;
    struct gather_row g = {.j = j, .y = item / j->splits % j->out.h,
                           .block = item / j->splits / j->out.h};
    struct hit rows[FILTER_MAX];
    g.row_count = list_hits(j, g.y, j->s->r, j->in.h, rows);
    g.rows = rows;
    int end = j->panels * (split + 1) / j->splits;
    for (g.panel = j->panels * split / j->splits; g.panel < end; g.panel++)
        gather_panel(&g);
}

static void gather_map(struct gather_job *j)
{
    enum precision p = j->b->base.precision;
    j->in_lines = layout_cblocks(p, j->in.c);
    j->out_lines = layout_cblocks(p, j->out.c);
    j->panels = conv_panels(p, j->out.c);
    int items = layout_blocks(j->n) * j->out.h, wanted = ITEMS_PER_THREAD * j->b->base.threads;
    j->splits = (wanted + items - 1) / items;
    if (j->splits > j->panels)
        j->splits = j->panels;
    cpu_parallel(j->b, items * j->splits, gather_item, j);
}

static void conv_forward(struct backend *b, int n, const struct conv_shape *s, const struct map *x,
                         const void *packed, const void *bias, const struct map *y)
{
    conv_assert_shape(s);
    conv_assert_map(x, s->c, s->h, s->w);
    conv_assert_map(y, s->k, s->p, s->q);
    struct gather_job j = {.b = cpu_of(b), .n = n, .s = s, .in = *x, .out = *y, .packed = packed,
                           .bias = bias};
    gather_map(&j);
}

static void conv_backward_data(struct backend *b, int n, const struct conv_shape *s,
                               const struct map *dy, const void *packed, const struct map *dx)
{
    conv_assert_shape(s);
    conv_assert_map(dy, s->k, s->p, s->q);
    conv_assert_map(dx, s->c, s->h, s->w);
    struct gather_job j = {.b = cpu_of(b), .n = n, .s = s, .backward = true, .in = *dy, .out = *dx,
                           .packed = packed_backward(b, s, packed)};
    gather_map(&j);
}

void cpu_conv_ops(struct backend_ops *ops)
{
    ops->conv_packed_bytes = conv_packed_bytes;
    ops->conv_workspace = conv_workspace;
    ops->conv_pack = conv_pack;
    ops->conv_forward = conv_forward;
    ops->conv_backward_data = conv_backward_data;
    ops->conv_backward_weights = conv_backward_weights;
}
