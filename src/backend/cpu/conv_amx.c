/* conv_amx.c - direct convolution in tile registers: packing, forward and backward-data.
 *
 * Forward and backward-data are one routine, as in conv_direct.c: it walks over the pixels of the
 * map that it writes and lists the taps that fall into the map that it reads. Filters of three
 * columns at stride 1 go four pixels at a time, everything else pixel by pixel; so do maps of one
 * line, whose sums are too short to pay for holding three weights.
 *
 *   item      (blocks of 32 images, rows, lines of K)
 *   within    block > row > line of K > pixels, while the weights of a layer fit the cache beside
 *             the rows that are read;
 *             line of K > block > row > pixels, when they do not: those of one line stay in it
 *             beside the map, and with many weights it pays to let several maps pass by
 */
#include "backend/cpu/conv_amx.h"

#include <assert.h>
#include <string.h>

enum {
    ITEMS_PER_THREAD = 4,   /* at least, where the work can be cut that finely */
    BLOCKS = 4              /* of an item with many weights */
};

static bool amx_supports(const struct cpu_backend *b, const struct conv_shape *s,
                         enum conv_pass pass)
{
    (void)s, (void)pass;
    return b->base.precision == PRECISION_BF16 && b->kernels.tiles.begin;
}

/* Padded channels are multiplied like others; taps outside the map are not. */
static double amx_seconds(const struct cpu_backend *b, int n, const struct conv_shape *s,
                          enum conv_pass pass)
{
    double channels = (double)amx_lines(s->c) * amx_lines(s->k) * CHANNELS * CHANNELS;
    const struct conv_rates *rates = &b->rates;
    double rate = pass == CONV_BACKWARD_WEIGHTS ? rates->tiles_outer : rates->tiles;
    return layout_blocks(n) * IMAGES * channels * conv_taps_inside(s) / rate;
}

/* Packing. */

static size_t amx_packed_bytes(const struct cpu_backend *b, const struct conv_shape *s,
                               enum conv_pass pass)
{
    (void)b;
    return 2 * (size_t)amx_lines(conv_to(s, pass)) *
           conv_tiles_half_bytes(amx_lines(conv_from(s, pass)), s->r, s->s);
}

struct pack_job {
    struct cpu_backend *b;
    const struct conv_shape *s;
    enum conv_pass pass;
    const float *weights;
    char *packed;
};

static void pack_item(void *ctx, int half, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const struct conv_shape *s = j->s;
    bool backward = j->pass == CONV_BACKWARD_DATA;
    int from = conv_from(s, j->pass);
    size_t by_k = (size_t)s->c * (size_t)conv_taps(s), by_c = (size_t)conv_taps(s);
    j->b->kernels.tiles.pack(conv_to(s, j->pass), from, s->r, s->s, j->weights,
                             backward ? by_c : by_k, backward ? by_k : by_c, half * TILE_ROWS,
                             backward,
                             j->packed + (size_t)half *
                                             conv_tiles_half_bytes(amx_lines(from), s->r, s->s));
}

static void amx_pack(struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                     const void *weights, void *packed)
{
    struct pack_job j = {.b = b, .s = s, .pass = pass, .weights = weights, .packed = packed};
    cpu_parallel(b, 2 * amx_lines(conv_to(s, pass)), pack_item, &j);
}

/* Gathering. */

struct gather_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    bool backward;
    bool by_row;                /* four pixels at a time */
    struct map in, out;
    int in_lines, out_lines;    /* of one pixel */
    const char *packed;
    const float *bias;          /* [out_lines * CHANNELS] in forward */
    bool lines_outside;         /* the order of the loops */
    int blocks, row_parts, line_parts; /* of an item; and into how many a block is cut */
};

/* Lists the rows (or columns) of the filter that fall into the input at row `out` of the output. In
 * backward-data weights are packed in reverse, so taps run the way the input does there too. */
static int list_hits(const struct gather_job *j, int out, int filter, int size,
                     struct tile_hit *hits)
{
    int count = 0, stride = j->s->stride, pad = j->s->pad;
    for (int t = 0; t < filter; t++) {
        int at = j->backward ? out + pad - (filter - 1 - t) : out * stride + t - pad;
        if (at < 0)
            continue;
        if (j->backward && stride > 1) {
            if (at % stride)
                continue;
            at /= stride;
        }
        if (at < size)
            hits[count++] = (struct tile_hit){t, at};
    }
    return count;
}

/* One row of one line of K in the making. */
struct gather_row {
    const struct gather_job *j;
    struct tile_run *run;
    const char *x;              /* the block of the input */
    char *y;                    /* its first pixel */
    size_t x_row, x_pixel, y_pixel;
    const char *w;
    const float *bias;
    const struct tile_hit *hits;
    int hit_count;
};

static void gather_pixels(const struct gather_row *g)
{
    const struct gather_job *j = g->j;
    struct tile_hit columns[FILTER_MAX];
    struct tile_pixel p = {
        .x = g->x, .x_row = g->x_row, .x_pixel = g->x_pixel, .c_lines = j->in_lines,
        .w = g->w, .r = j->s->r, .s = j->s->s,
        .rows = g->hits, .row_count = g->hit_count, .columns = columns,
        .bias = g->bias, .y = g->y,
    };
    for (int x = 0; x < j->out.w; x++, p.y += g->y_pixel) {
        p.column_count = list_hits(j, x, j->s->s, j->in.w, columns);
        j->b->kernels.tiles.pixel(g->run, &p);
    }
}

/* Fours, but a rest of five or six begins with three: one or two alone would load their weights for
 * little. */
static void gather_fours(const struct gather_row *g)
{
    const struct gather_job *j = g->j;
    int pad = j->backward ? ROW_TAPS - 1 - j->s->pad : j->s->pad;
    struct tile_pixels p = {
        .x = g->x, .x_row = g->x_row, .x_pixel = g->x_pixel, .x_width = j->in.w,
        .c_lines = j->in_lines, .w = g->w, .r = j->s->r,
        .rows = g->hits, .row_count = g->hit_count,
        .bias = g->bias, .y = g->y, .y_pixel = g->y_pixel,
    };
    for (int x = 0; x < j->out.w; x += p.count, p.y += (size_t)p.count * g->y_pixel) {
        int rest = j->out.w - x;
        p.count = rest == 5 || rest == 6 ? 3 : min_int(rest, ROW_PIXELS);
        p.column = x - pad;
        j->b->kernels.tiles.row(g->run, &p);
    }
}

static void gather_row(const struct gather_job *j, struct tile_run *run, int block, int y, int line)
{
    static const _Alignas(LINE) float no_bias[CHANNELS];
    struct tile_hit hits[FILTER_MAX];
    size_t x_pixel = (size_t)j->in_lines * TILE, y_pixel = (size_t)j->out_lines * TILE;
    size_t row = ((size_t)block * (size_t)j->out.h + (size_t)y) * (size_t)j->out.w;
    const struct gather_row g = {
        .j = j,
        .run = run,
        .x = (const char *)j->in.data + (size_t)(block * j->in.h) * (size_t)j->in.w * x_pixel,
        .y = (char *)j->out.data + row * y_pixel + (size_t)line * TILE,
        .x_row = (size_t)j->in.w * x_pixel,
        .x_pixel = x_pixel,
        .y_pixel = y_pixel,
        .w = j->packed + 2 * (size_t)line * conv_tiles_half_bytes(j->in_lines, j->s->r, j->s->s),
        .bias = j->bias ? j->bias + line * CHANNELS : no_bias,
        .hits = hits,
        .hit_count = list_hits(j, y, j->s->r, j->in.h, hits),
    };
    if (j->by_row)
        gather_fours(&g);
    else
        gather_pixels(&g);
}

static void gather_item(void *ctx, int item, int worker)
{
    const struct gather_job *j = ctx;
    struct tile_run *run = cpu_scratch(j->b, worker);
    int row_part = item % j->row_parts, line_part = item / j->row_parts % j->line_parts;
    int block = item / j->row_parts / j->line_parts * j->blocks;
    int y_begin = j->out.h * row_part / j->row_parts;
    int y_end = j->out.h * (row_part + 1) / j->row_parts;
    int line_begin = j->out_lines * line_part / j->line_parts;
    int line_end = j->out_lines * (line_part + 1) / j->line_parts;
    int block_end = min_int(block + j->blocks, layout_blocks(j->n));
    j->b->kernels.tiles.begin(run);
    if (j->lines_outside)
        for (int line = line_begin; line < line_end; line++)
            for (int g = block; g < block_end; g++)
                for (int y = y_begin; y < y_end; y++)
                    gather_row(j, run, g, y, line);
    else
        for (int g = block; g < block_end; g++)
            for (int y = y_begin; y < y_end; y++)
                for (int line = line_begin; line < line_end; line++)
                    gather_row(j, run, g, y, line);
    j->b->kernels.tiles.end(run);
}

/* Halves the blocks of an item, then cuts rows, then lines, until there is enough for everyone. No
 * result depends on the cut. */
static int cut(struct gather_job *j)
{
    int wanted = ITEMS_PER_THREAD * j->b->base.threads, blocks = layout_blocks(j->n);
    size_t weights = 2 * (size_t)j->out_lines *
                     conv_tiles_half_bytes(j->in_lines, j->s->r, j->s->s);
    j->lines_outside = weights > AMX_CACHE;
    j->blocks = weights > AMX_CACHE + AMX_CACHE / 4 ? BLOCKS : 1;
    j->line_parts = j->lines_outside ? j->out_lines : 1;
    while (j->blocks > 1 && (blocks + j->blocks - 1) / j->blocks * j->line_parts < wanted)
        j->blocks /= 2;
    int items = (blocks + j->blocks - 1) / j->blocks;
    j->row_parts = min_int((wanted - 1) / (items * j->line_parts) + 1, j->out.h);
    if (!j->lines_outside)
        j->line_parts = min_int((wanted - 1) / (items * j->row_parts) + 1, j->out_lines);
    return items * j->row_parts * j->line_parts;
}

static size_t padded_bias_bytes(const struct conv_shape *s)
{
    return (size_t)amx_lines(s->k) * CHANNELS * sizeof(float);
}

static void gather_map(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    bool backward = w->pass == CONV_BACKWARD_DATA;
    struct gather_job j = {
        .b = b, .n = w->n, .s = s, .backward = backward,
        .in = backward ? w->y : w->x, .out = backward ? w->x : w->y,
        .in_lines = amx_lines(conv_from(s, w->pass)), .out_lines = amx_lines(conv_to(s, w->pass)),
        .packed = w->packed,
    };
    static_assert(sizeof(struct tile_run) <= CPU_SCRATCH, "the scratch holds a run");
    j.by_row = s->s == ROW_TAPS && s->stride == 1 && j.in_lines > 1;
    if (!backward && w->bias) {
        memset(w->workspace, 0, padded_bias_bytes(s));
        memcpy(w->workspace, w->bias, (size_t)s->k * sizeof(float));
        j.bias = w->workspace;
    }
    cpu_parallel(b, cut(&j), gather_item, &j);
}

/* The algorithm. */

static size_t amx_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                            enum conv_pass pass)
{
    if (pass == CONV_BACKWARD_WEIGHTS)
        return amx_weights_workspace(b, n, s);
    return pass == CONV_FORWARD ? padded_bias_bytes(s) : 0;
}

static void amx_run(struct cpu_backend *b, const struct conv_work *w)
{
    if (w->pass == CONV_BACKWARD_WEIGHTS)
        amx_weights(b, w);
    else
        gather_map(b, w);
}

const struct conv_algorithm conv_amx = {
    .name = "amx",
    .supports = amx_supports,
    .seconds = amx_seconds,
    .packed_bytes = amx_packed_bytes,
    .workspace = amx_workspace,
    .pack = amx_pack,
    .run = amx_run,
};
