/* conv.c - convolution on the CPU: which kernel call for which pixel, panel and lane.
 *
 * Forward and backward-data are one routine. It walks over the pixels of the map that it writes,
 * lists for each the pairs (pixel of the map that it reads, tap) that exist, and hands the list to
 * the gather kernel. Filters that leave the map, strides and trimmed outputs only make the list
 * shorter; nothing is ever multiplied by padding.
 *
 *   item      (block of 32 images, row, some panels of output channels)
 *   within    panel > pixels of the row: the weights of a panel stay in the second-level cache
 *             while the row passes
 *
 * Backward-weights: an item is (lane, panel of K, some lines of C). It owns its part of the lane's
 * gradient, which stays in cache while the lane's images pass in order:
 *
 *   block of images > row of dy > chunk of its pixels > line of C > tap: one outer product
 *
 * Then the lanes are added as a tree and unpacked into PyTorch's order.
 */
#include <assert.h>
#include <string.h>

#include "backend/cpu/cpu.h"

enum {
    TILE = IMAGES * LINE,   /* bytes */
    FILTER_MAX = 64,        /* rows and columns of a filter */
    TAPS = 64,              /* of one kernel call; longer lists are gathered in several */
    GROUP_LINES = 8,        /* lines of C in an item of backward-weights */
    CHUNK = 16,             /* pixels of one outer product, about: its x and dy stay near */
    ITEMS_PER_THREAD = 4    /* at least, where the work can be cut that finely */
};

static int filter_taps(const struct conv_shape *s)
{
    return s->r * s->s;
}

static void assert_shape(const struct conv_shape *s)
{
    assert(s->c > 0 && s->h > 0 && s->w > 0 && s->k > 0 && s->p > 0 && s->q > 0);
    assert(s->r > 0 && s->r <= FILTER_MAX && s->s > 0 && s->s <= FILTER_MAX);
    assert(s->stride > 0 && s->pad >= 0);
    assert((s->p - 1) * s->stride + s->r <= s->h + 2 * s->pad);
    assert((s->q - 1) * s->stride + s->s <= s->w + 2 * s->pad);
}

static void assert_map(const struct map *m, int c, int h, int w)
{
    assert(m->data && m->c == c && m->h == h && m->w == w);
    (void)m, (void)c, (void)h, (void)w;
}

/* Packing. */

static size_t packed_bytes(const struct backend *b, int k, int c, int taps)
{
    return conv_packed_count(b->precision, k, c, taps) * b->real_bytes;
}

static size_t conv_packed_bytes(struct backend *b, const struct conv_shape *s, bool with_backward)
{
    size_t forward = packed_bytes(b, s->k, s->c, filter_taps(s));
    return forward + (with_backward ? packed_bytes(b, s->c, s->k, filter_taps(s)) : 0);
}

/* Where the weights for backward-data begin. */
static const char *packed_backward(const struct backend *b, const struct conv_shape *s,
                                   const void *packed)
{
    return (const char *)packed + packed_bytes(b, s->k, s->c, filter_taps(s));
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
                conv_panel_at(p, panel, from, filter_taps(s)) * j->b->base.real_bytes;
    int first = panel * PANEL_LINES * layout_cb(p), lines = conv_panel_lines(p, to, panel);
    if (backward)
        j->b->kernels.conv.pack_transposed(s->k, s->c, filter_taps(s), j->weights, first, lines,
                                           out);
    else
        j->b->kernels.conv.pack(s->k, s->c, filter_taps(s), j->weights, first, lines, out);
}

static void conv_pack(struct backend *base, const struct conv_shape *s, const void *weights,
                      bool with_backward, void *packed)
{
    assert_shape(s);
    struct pack_job j = {
        .b = cpu_of(base),
        .s = s,
        .weights = weights,
        .forward = packed,
        .backward = (char *)packed + packed_bytes(base, s->k, s->c, filter_taps(s)),
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
    g->weights = j->packed + conv_panel_at(p, g->panel, j->in.c, filter_taps(j->s)) *
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
    assert_shape(s);
    assert_map(x, s->c, s->h, s->w);
    assert_map(y, s->k, s->p, s->q);
    struct gather_job j = {.b = cpu_of(b), .n = n, .s = s, .in = *x, .out = *y, .packed = packed,
                           .bias = bias};
    gather_map(&j);
}

static void conv_backward_data(struct backend *b, int n, const struct conv_shape *s,
                               const struct map *dy, const void *packed, const struct map *dx)
{
    assert_shape(s);
    assert_map(dy, s->k, s->p, s->q);
    assert_map(dx, s->c, s->h, s->w);
    struct gather_job j = {.b = cpu_of(b), .n = n, .s = s, .backward = true, .in = *dy, .out = *dx,
                           .packed = packed_backward(b, s, packed)};
    gather_map(&j);
}

/* Backward-weights. */

struct weights_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    const char *x, *dy;
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    int panels, groups;         /* of K, of lines of C */
    int lanes[LANES];           /* the lanes that have images */
    int lane_count;
    void *lane[LANES];          /* sums of each lane, packed; NULL if it has no images */
    void *bias_lane[LANES];     /* P [k_lines * CB] */
    void *dw, *dbias;
};

static int min_int(int a, int b)
{
    return a < b ? a : b;
}

/* The part of the gradient that an item owns, and where it is. */
struct weights_part {
    const struct weights_job *j;
    int panel, lines, line_first, line_end;
    char *dw;                   /* the panel of the lane */
};

/* A range of rows or columns. */
struct range {
    int begin, end;
};

/* The outputs of `out` whose input under row (or column) `tap` of the filter is in [0, size). */
static struct range clip(const struct conv_shape *s, struct range out, int tap, int size)
{
    while (out.begin < out.end && out.begin * s->stride + tap < s->pad)
        out.begin++;
    while (out.begin < out.end && (out.end - 1) * s->stride + tap - s->pad >= size)
        out.end--;
    return out;
}

/* One outer product: line `line` of C and one tap, over a rectangle of one block's outputs. */
static void outer_tap(const struct weights_part *w, int block, struct range p, struct range q,
                      int line, int r, int s)
{
    const struct weights_job *j = w->j;
    const struct conv_shape *shape = j->s;
    int cb = layout_cb(j->b->base.precision), stride = shape->stride, c_first = line * cb;
    size_t at_y = (size_t)(p.begin * stride + r - shape->pad);
    size_t at_x = (size_t)(q.begin * stride + s - shape->pad);
    size_t x = ((size_t)block * (size_t)shape->h + at_y) * (size_t)shape->w + at_x;
    size_t dy = ((size_t)block * (size_t)shape->p + (size_t)p.begin) * (size_t)shape->q +
                (size_t)q.begin;
    size_t dw = (size_t)(r * shape->s + s) * (size_t)shape->c + (size_t)c_first;
    size_t tile = (size_t)(IMAGES * cb);
    struct conv_rect rect = {
        .rows = p.end - p.begin,
        .pixels = q.end - q.begin,
        .x = j->x + (x * (size_t)j->c_lines + (size_t)line) * TILE,
        .dy = j->dy + (dy * (size_t)j->k_lines + (size_t)w->panel * PANEL_LINES) * TILE,
        .x_pixel = (size_t)(stride * j->c_lines) * tile,
        .x_row = (size_t)(stride * shape->w * j->c_lines) * tile,
        .dy_pixel = (size_t)j->k_lines * tile,
        .dy_row = (size_t)(shape->q * j->k_lines) * tile,
    };
    j->b->kernels.conv.outer(&rect, cpu_block_images(j->n, block), min_int(cb, shape->c - c_first),
                             w->lines, w->dw + dw * (size_t)w->lines * LINE);
}

static void outer_chunk(const struct weights_part *w, int block, struct range p, struct range q)
{
    const struct conv_shape *s = w->j->s;
    for (int line = w->line_first; line < w->line_end; line++) {
        for (int r = 0; r < s->r; r++) {
            struct range rows = clip(s, p, r, s->h);
            if (rows.begin == rows.end)
                continue;
            for (int t = 0; t < s->s; t++) {
                struct range columns = clip(s, q, t, s->w);
                if (columns.begin < columns.end)
                    outer_tap(w, block, rows, columns, line, r, t);
            }
        }
    }
}

/* All outputs of one block, in chunks of whole rows or of parts of one. */
static void outer_block(const struct weights_part *w, int block)
{
    const struct conv_shape *s = w->j->s;
    int chunks = (s->q + CHUNK - 1) / CHUNK, rows = chunks > 1 ? 1 : CHUNK / s->q;
    for (int p = 0; p < s->p; p += rows)
        for (int i = 0; i < chunks; i++)
            outer_chunk(w, block, (struct range){p, min_int(p + rows, s->p)},
                        (struct range){s->q * i / chunks, s->q * (i + 1) / chunks});
}

static void zero_part(const struct weights_part *w)
{
    const struct conv_shape *s = w->j->s;
    int cb = layout_cb(w->j->b->base.precision);
    int c_first = w->line_first * cb, c_end = min_int(w->line_end * cb, s->c);
    size_t row = (size_t)w->lines * LINE;
    for (int tap = 0; tap < filter_taps(s); tap++)
        memset(w->dw + ((size_t)tap * (size_t)s->c + (size_t)c_first) * row, 0,
               (size_t)(c_end - c_first) * row);
}

static void weights_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->s;
    enum precision p = j->b->base.precision;
    int group = item % j->groups, lane = j->lanes[item / j->groups / j->panels];
    struct weights_part w = {.j = j, .panel = item / j->groups % j->panels};
    w.lines = conv_panel_lines(p, s->k, w.panel);
    w.line_first = j->c_lines * group / j->groups;
    w.line_end = j->c_lines * (group + 1) / j->groups;
    w.dw = (char *)j->lane[lane] +
           conv_panel_at(p, w.panel, s->c, filter_taps(s)) * j->b->base.real_bytes;
    zero_part(&w);
    int end = cpu_lane_begin(j->n, lane + 1);
    for (int block = cpu_lane_begin(j->n, lane); block < end; block++)
        outer_block(&w, block);
}

/* Adds the lanes up and unpacks some lines of C of one panel. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->s;
    enum precision p = j->b->base.precision;
    int cb = layout_cb(p), group = item % j->groups, panel = item / j->groups;
    size_t offset = conv_panel_at(p, panel, s->c, filter_taps(s)) * j->b->base.real_bytes;
    const void *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = j->lane[l] ? (const char *)j->lane[l] + offset : NULL;
    int c_end = min_int(j->c_lines * (group + 1) / j->groups * cb, s->c);
    j->b->kernels.conv.unpack(LANES, lane, s->k, s->c, filter_taps(s), panel * PANEL_LINES * cb,
                              conv_panel_lines(p, s->k, panel),
                              j->c_lines * group / j->groups * cb, c_end, j->dw);
}

/* One lane's sum of one line of dy. */
static void bias_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->s;
    int line = item % j->k_lines, lane = j->lanes[item / j->k_lines];
    size_t step = (size_t)j->k_lines * TILE / j->b->base.real_bytes, pixels = (size_t)(s->p * s->q);
    char *sum = (char *)j->bias_lane[lane] + (size_t)line * LINE;
    memset(sum, 0, LINE);
    int end = cpu_lane_begin(j->n, lane + 1);
    for (int block = cpu_lane_begin(j->n, lane); block < end; block++)
        for (int y = 0; y < s->p; y++) {
            size_t at = (size_t)block * pixels + (size_t)(y * s->q);
            j->b->kernels.conv.sum_images(s->q, cpu_block_images(j->n, block),
                                          j->dy + (at * (size_t)j->k_lines + (size_t)line) * TILE,
                                          step, sum);
        }
}

/* A bias is the weight of one tap on one channel that is always 1. */
static void add_bias_lanes(const struct weights_job *j)
{
    int cb = layout_cb(j->b->base.precision);
    for (int line = 0; line < j->k_lines; line++) {
        const void *lane[LANES];
        for (int l = 0; l < LANES; l++)
            lane[l] = j->bias_lane[l] ? (const char *)j->bias_lane[l] + (size_t)line * LINE : NULL;
        j->b->kernels.conv.unpack(LANES, lane, j->s->k, 1, 1, line * cb, 1, 0, 1, j->dbias);
    }
}

static size_t lane_bytes(const struct backend *b, const struct conv_shape *s)
{
    return packed_bytes(b, s->k, s->c, filter_taps(s)) +
           (size_t)layout_cblocks(b->precision, s->k) * LINE;
}

static size_t conv_workspace(struct backend *b, int n, const struct conv_shape *s)
{
    return (size_t)min_int(LANES, layout_blocks(n)) * lane_bytes(b, s);
}

static void find_lanes(struct weights_job *j, char *workspace)
{
    const struct backend *b = &j->b->base;
    for (int l = 0; l < LANES; l++) {
        if (cpu_lane_begin(j->n, l) == cpu_lane_begin(j->n, l + 1))
            continue;
        j->lane[l] = workspace;
        j->bias_lane[l] = workspace + packed_bytes(b, j->s->k, j->s->c, filter_taps(j->s));
        workspace += lane_bytes(b, j->s);
        j->lanes[j->lane_count++] = l;
    }
}

static void conv_backward_weights(struct backend *base, int n, const struct conv_shape *s,
                                  const struct map *x, const struct map *dy, void *dw, void *dbias,
                                  void *workspace)
{
    assert_shape(s);
    assert_map(x, s->c, s->h, s->w);
    assert_map(dy, s->k, s->p, s->q);
    assert(n > 0);
    enum precision p = base->precision;
    struct weights_job j = {.b = cpu_of(base), .n = n, .s = s, .x = x->data, .dy = dy->data,
                            .c_lines = layout_cblocks(p, s->c), .k_lines = layout_cblocks(p, s->k),
                            .panels = conv_panels(p, s->k), .dw = dw, .dbias = dbias};
    j.groups = (j.c_lines + GROUP_LINES - 1) / GROUP_LINES;
    find_lanes(&j, workspace);
    if (dw) {
        cpu_parallel(j.b, j.lane_count * j.panels * j.groups, weights_item, &j);
        cpu_parallel(j.b, j.panels * j.groups, unpack_item, &j);
    }
    if (dbias) {
        cpu_parallel(j.b, j.lane_count * j.k_lines, bias_item, &j);
        add_bias_lanes(&j);
    }
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
