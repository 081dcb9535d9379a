/* conv_direct_weights.c - direct convolution on the CPU: the gradient of the weights.
 *
 * An item is (lane, panel of K, some lines of C). It owns its part of the lane's gradient, which
 * stays in cache while the lane's images pass in order:
 *
 *   block of images > some rows of dy > chunk of their pixels > line of C > tap: an outer product
 *
 * Then the lanes are added as a tree and unpacked into PyTorch's order.
 */
#include "backend/cpu/conv.h"

#include <string.h>

enum {
    GROUP_LINES = 8,        /* lines of C in an item */
    CHUNK = 16              /* pixels of one outer product, about: its x and dy stay near */
};

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
    void *dw;
};

/* The part of the gradient that an item owns, and where it is. */
struct weights_part {
    const struct weights_job *j;
    int panel, lines, line_first, line_end;
    char *dw;                   /* the panel of the lane */
};

/* Bytes of one channel of C in the part's gradient. */
static size_t row_bytes(const struct weights_part *w)
{
    return conv_gradient_bytes(w->j->b->base.precision, w->lines, 1, 1);
}

/* One outer product: line `line` of C and one tap, over a rectangle of one block's outputs. */
static void outer_tap(const struct weights_part *w, int block, struct conv_range p,
                      struct conv_range q, int line, int r, int s)
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
                             w->lines, w->dw + dw * row_bytes(w));
}

static void outer_chunk(const struct weights_part *w, int block, struct conv_range p,
                        struct conv_range q)
{
    const struct conv_shape *s = w->j->s;
    for (int line = w->line_first; line < w->line_end; line++) {
        for (int r = 0; r < s->r; r++) {
            struct conv_range rows = conv_clip(s, p, r, s->h);
            if (rows.begin == rows.end)
                continue;
            for (int t = 0; t < s->s; t++) {
                struct conv_range columns = conv_clip(s, q, t, s->w);
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
            outer_chunk(w, block, (struct conv_range){p, min_int(p + rows, s->p)},
                        (struct conv_range){s->q * i / chunks, s->q * (i + 1) / chunks});
}

static void zero_part(const struct weights_part *w)
{
    const struct conv_shape *s = w->j->s;
    int cb = layout_cb(w->j->b->base.precision);
    int c_first = w->line_first * cb, c_end = min_int(w->line_end * cb, s->c);
    size_t row = row_bytes(w);
    for (int tap = 0; tap < conv_taps(s); tap++)
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
    w.dw = (char *)j->lane[lane] + conv_gradient_at(&j->b->base, w.panel, s->c, conv_taps(s));
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
    int cb = layout_cb(j->b->base.precision), group = item % j->groups;
    conv_unpack(j->b, j->s, j->lane, item / j->groups, j->c_lines * group / j->groups * cb,
                min_int(j->c_lines * (group + 1) / j->groups * cb, j->s->c), j->dw);
}

size_t conv_direct_weights_workspace(const struct cpu_backend *b, int n,
                                     const struct conv_shape *s)
{
    int lanes[LANES];
    return (size_t)conv_lanes(n, lanes) *
           conv_gradient_size(&b->base, s->k, s->c, conv_taps(s));
}

void conv_direct_weights(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    enum precision p = b->base.precision;
    struct weights_job j = {.b = b, .n = w->n, .s = s, .x = w->x.data, .dy = w->y.data,
                            .c_lines = layout_cblocks(p, s->c), .k_lines = layout_cblocks(p, s->k),
                            .panels = conv_panels(p, s->k), .dw = w->dw};
    j.groups = (j.c_lines + GROUP_LINES - 1) / GROUP_LINES;
    j.lane_count = conv_lanes(w->n, j.lanes);
    size_t lane_bytes = conv_gradient_size(&b->base, s->k, s->c, conv_taps(s));
    for (int i = 0; i < j.lane_count; i++)
        j.lane[j.lanes[i]] = (char *)w->workspace + (size_t)i * lane_bytes;
    cpu_parallel(b, j.lane_count * j.panels * j.groups, weights_item, &j);
    cpu_parallel(b, j.panels * j.groups, unpack_item, &j);
}
