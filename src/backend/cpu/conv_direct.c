/* conv_direct.c - direct convolution on the CPU: packing, forward and backward-data.
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

#include <string.h>

enum {
    TAPS = 64,              /* of one kernel call; longer lists are gathered in several */
    PANEL_BIAS = 2 * PANEL_LINES * LINE, /* bytes, at most: P is up to twice as wide as A */
    ITEMS_PER_THREAD = 4    /* at least, where the work can be cut that finely */
};

/* Packing. */

static size_t direct_packed_bytes(const struct cpu_backend *b, const struct conv_shape *s,
                                  enum conv_pass pass)
{
    return conv_packed_size(&b->base, conv_to(s, pass), conv_from(s, pass), conv_taps(s));
}

struct pack_job {
    struct cpu_backend *b;
    const struct conv_shape *s;
    enum conv_pass pass;
    const void *weights;
    char *packed;
};

static void pack_panel(void *ctx, int panel, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const struct conv_shape *s = j->s;
    enum precision p = j->b->base.precision;
    char *out = j->packed + conv_panel_at(&j->b->base, panel, conv_from(s, j->pass), conv_taps(s));
    int first = panel * PANEL_LINES * layout_cb(p);
    int lines = conv_panel_lines(p, conv_to(s, j->pass), panel);
    if (j->pass == CONV_BACKWARD_DATA)
        j->b->kernels.conv.pack_transposed(s->k, s->c, conv_taps(s), j->weights, first, lines,
                                           out);
    else
        j->b->kernels.conv.pack(s->k, s->c, conv_taps(s), j->weights, first, lines, out);
}

static void direct_pack(struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                        const void *weights, void *packed)
{
    struct pack_job j = {.b = b, .s = s, .pass = pass, .weights = weights, .packed = packed};
    cpu_parallel(b, conv_panels(b->base.precision, conv_to(s, pass)), pack_panel, &j);
}

/* Gathering: forward and backward-data. */

struct gather_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    enum conv_order order;
    struct map in, out;
    int in_lines, out_lines;    /* of one pixel */
    const char *packed;
    const void *bias;
    int panels, splits;         /* an item takes panels/splits panels */
};

/* One row of one panel in the making: what does not change from pixel to pixel. */
struct gather_row {
    const struct gather_job *j;
    int block, y, panel, lines;
    const struct conv_hit *rows;
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
    size_t tap_bytes = conv_packed_bytes(j->b->base.precision, g->lines, j->in.c, 1);
    struct conv_hit columns[FILTER_MAX];
    int column_count = conv_hits(j->s, j->order, x, j->s->s, j->in.w, columns);
    struct conv_tap taps[TAPS];
    int count = 0;
    bool add = false;
    for (int r = 0; r < g->row_count; r++) {
        const struct conv_hit *row = &g->rows[r];
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
                                              g->weights + tap * tap_bytes, NULL};
        }
    }
    k->gather(count, taps, j->in.c, images, g->lines, g->bias, add, out);
}

/* Copies the panel's part of the bias, with zeros past its end. */
static void copy_bias(const struct gather_job *j, int first, void *padded)
{
    size_t real = j->b->base.real_bytes;
    int rest = j->out.c - first, width = PANEL_LINES * layout_cb(j->b->base.precision);
    memset(padded, 0, (size_t)width * real);
    memcpy(padded, (const char *)j->bias + (size_t)first * real,
           (size_t)(rest < width ? rest : width) * real);
}

static void gather_panel(struct gather_row *g)
{
    const struct gather_job *j = g->j;
    enum precision p = j->b->base.precision;
    _Alignas(LINE) char bias[PANEL_BIAS];
    g->lines = conv_panel_lines(p, j->out.c, g->panel);
    g->weights = j->packed + conv_panel_at(&j->b->base, g->panel, j->in.c, conv_taps(j->s));
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
    struct conv_hit rows[FILTER_MAX];
    g.row_count = conv_hits(j->s, j->order, g.y, j->s->r, j->in.h, rows);
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

static void direct_run(struct cpu_backend *b, const struct conv_work *w)
{
    if (w->pass == CONV_BACKWARD_WEIGHTS) {
        conv_direct_weights(b, w);
        return;
    }
    bool backward = w->pass == CONV_BACKWARD_DATA;
    struct gather_job j = {.b = b, .n = w->n, .s = w->shape,
                           .order = backward ? ORDER_BACKWARD : ORDER_FORWARD,
                           .in = backward ? w->y : w->x, .out = backward ? w->x : w->y,
                           .packed = w->packed, .bias = w->bias};
    gather_map(&j);
}

static bool direct_supports(const struct cpu_backend *b, const struct conv_shape *s,
                            enum conv_pass pass)
{
    (void)b, (void)s, (void)pass;
    return true;
}

/* Products of taps that fall into the map, with whole lines of output channels; every line of the
 * maps, once; and the gradient of the weights, which each lane writes and the tree reads, once for
 * every 32 images: so a batch of any size takes the same algorithm. */
static double direct_seconds(const struct cpu_backend *b, int n, const struct conv_shape *s,
                             enum conv_pass pass)
{
    enum precision p = b->base.precision;
    bool weights = pass == CONV_BACKWARD_WEIGHTS;
    double c = layout_cblocks(p, s->c), k = layout_cblocks(p, s->k), cb = layout_cb(p);
    double to = pass == CONV_BACKWARD_DATA ? c : k;
    double products = n * conv_taps_inside(s) * to * cb * conv_from(s, pass);
    double lines = n * (c * s->h * s->w + k * s->p * s->q) +
                   (weights ? 2.0 * n / IMAGES * c * k * cb * conv_taps(s) : 0);
    return products / (weights ? b->rates.outer : b->rates.gather) + lines / b->rates.lines;
}

static size_t direct_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                               enum conv_pass pass)
{
    return pass == CONV_BACKWARD_WEIGHTS ? conv_direct_weights_workspace(b, n, s) : 0;
}

const struct conv_algorithm conv_direct = {
    .name = "direct",
    .supports = direct_supports,
    .seconds = direct_seconds,
    .packed_bytes = direct_packed_bytes,
    .workspace = direct_workspace,
    .pack = direct_pack,
    .run = direct_run,
};
