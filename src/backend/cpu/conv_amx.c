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
 *             beside the map, and with many weights it pays to let several maps pass by;
 *             four pixels at a time a row of half of the images, then of the other half
 *
 * With a 2x2 max pool behind, forward goes by pairs of rows, which lie in the scratch of a thread
 * until they are pooled. Backward-data then reads rows that it spreads from the pool's gradient
 * into a room of its own, of so many rows as the filter reaches, one after the other in a ring; all
 * rows of the map, where lines of K stand outside. Such an item is one block, and has all lines of
 * K.
 */
#include "backend/cpu/conv_amx.h"

#include <assert.h>
#include <string.h>

enum {
    ITEMS_PER_THREAD = 4,   /* at least, where the work can be cut that finely */
    BLOCKS = 4,             /* of an item with many weights */
    NOTHING = -1
};

static bool amx_supports(const struct cpu_backend *b, const struct conv_shape *s,
                         enum conv_pass pass)
{
    (void)s, (void)pass;
    return b->base.precision == PRECISION_BF16 && b->kernels.tiles.begin;
}

/* Padded channels are multiplied like others, but for half lines of C without any in
 * backward-weights; taps outside the map are not. */
static double amx_seconds(const struct cpu_backend *b, int n, const struct conv_shape *s,
                          enum conv_pass pass)
{
    bool weights = pass == CONV_BACKWARD_WEIGHTS;
    int c = weights ? (s->c + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS : amx_lines(s->c) * CHANNELS;
    double channels = (double)c * amx_lines(s->k) * CHANNELS;
    double rate = weights ? b->rates.tiles_outer : b->rates.tiles;
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

/* Backward-data behind a pool: the rows of the ring, and their bytes. Of the rows that the filter
 * reaches the first may be the second of its window, and the last the first. */
static int ring_rows(const struct cpu_backend *b, const struct conv_shape *s)
{
    int reached = (s->r + 2) / 2 * 2;
    return amx_packed_bytes(b, s, CONV_BACKWARD_DATA) > AMX_CACHE ? s->p : min_int(reached, s->p);
}

static size_t ring_bytes(const struct conv_shape *s, int rows)
{
    return (size_t)(rows * s->q * amx_lines(s->k)) * TILE;
}

struct gather_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    enum conv_order order;      /* weights of backward-data are packed in reverse */
    bool by_row;                /* four pixels at a time */
    struct map in, out;
    int in_lines, out_lines;    /* of one pixel */
    const char *packed;
    const float *bias;          /* [out_lines * CHANNELS] in forward */
    size_t packed_bytes;
    bool lines_outside;         /* the order of the loops */
    int blocks, row_parts, line_parts; /* of an item; and into how many a block is cut */
    int step;                   /* a part has a multiple of so many rows */
    bool stream;                /* outputs go past the caches */
    bool pooled;                /* forward: `out` is pooled at once, and has no data */
    struct map pool;            /* its 2x2 max pool, or in backward-data that of `in` */
    uint8_t *argmax;            /* forward, if not NULL: where the positions of the maxima go */
    const uint8_t *taken;       /* backward-data, to read; NULL: there is no pool */
    char *rooms;                /* ring_bytes for each thread: */
    int ring;                   /* rows of `in`, made from the pool's gradient */
};

/* What an item works with. */
struct gather_stage {
    const struct gather_job *j;
    struct tile_run *run;
    int line_begin;             /* of the item */
    char *window;               /* forward with a pool: two rows of one line of `out` */
    char *room;                 /* backward-data behind a pool: the ring, */
    int spread;                 /* and the first row that has not been put into it */
};

/* One row of one line of K in the making. */
struct gather_row {
    const struct gather_job *j;
    struct tile_run *run;
    const char *x;              /* the block of the input */
    char *y;                    /* its first pixel */
    size_t x_row, x_pixel, y_pixel;
    const char *w;
    const float *bias;
    const struct conv_hit *hits;
    int hit_count;
    const char *ahead;          /* the row of the input that the next one needs; NULL: it has it */
};

static void ask_for(const char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LINE)
        __builtin_prefetch(at + i, 0, 2);
}

static void gather_pixels(const struct gather_row *g)
{
    const struct gather_job *j = g->j;
    struct conv_hit columns[FILTER_MAX];
    struct tile_pixel p = {
        .x = g->x, .x_row = g->x_row, .x_pixel = g->x_pixel, .c_lines = j->in_lines,
        .w = g->w, .r = j->s->r, .s = j->s->s,
        .rows = g->hits, .row_count = g->hit_count, .columns = columns,
        .bias = g->bias, .y = g->y,
    };
    for (int x = 0; x < j->out.w; x++, p.y += g->y_pixel) {
        if (g->ahead && x < j->in.w)
            ask_for(g->ahead + (size_t)x * g->x_pixel, g->x_pixel);
        p.column_count = conv_hits(j->s, j->order, x, j->s->s, j->in.w, columns);
        j->b->kernels.tiles.pixel(g->run, &p);
    }
}

/* Half of the images. Fours, but a rest of five or six begins with three: one or two alone would
 * load their weights for little. */
static void gather_fours(const struct gather_row *g, int half)
{
    const struct gather_job *j = g->j;
    int pad = j->order == ORDER_TURNED ? ROW_TAPS - 1 - j->s->pad : j->s->pad;
    struct tile_pixels p = {
        .x = g->x, .x_row = g->x_row, .x_pixel = g->x_pixel, .x_width = j->in.w,
        .c_lines = j->in_lines, .w = g->w, .r = j->s->r,
        .rows = g->hits, .row_count = g->hit_count,
        .bias = g->bias, .half = half, .y = g->y, .y_pixel = g->y_pixel,
    };
    for (int x = 0; x < j->out.w; x += p.count, p.y += (size_t)p.count * g->y_pixel) {
        int rest = j->out.w - x;
        p.count = rest == 5 || rest == 6 ? 3 : min_int(rest, ROW_PIXELS);
        p.column = x - pad;
        p.ahead = g->ahead && x + p.count <= j->in.w ? g->ahead + (size_t)x * g->x_pixel : NULL;
        j->b->kernels.tiles.row(g->run, &p);
    }
}

/* Puts what the filter reads up to row `last` into the ring, from the pool's gradient. */
static void spread_rows(struct gather_stage *g, int block, int last)
{
    const struct gather_job *j = g->j;
    size_t pixel = (size_t)j->in_lines * TILE, row = (size_t)j->in.w * pixel;
    for (; g->spread <= last; g->spread += 2) {
        size_t from = (size_t)(block * j->pool.h + g->spread / 2) * (row / 2);
        char *to = g->room + (size_t)(g->spread % j->ring) * row;
        for (int x = 0; x < j->pool.w; x++, to += pixel)
            for (int line = 0; line < j->in_lines; line++, from += TILE, to += TILE)
                j->b->kernels.tiles.spread((const char *)j->pool.data + from,
                                           j->taken + from / precision_bytes(PRECISION_BF16), to,
                                           pixel, row);
    }
}

/* Where the rows begin that a row of the output reads: in the block, or in the ring, where they
 * have other numbers. */
static const char *input_of(struct gather_stage *g, int block, struct conv_hit *hits, int count)
{
    const struct gather_job *j = g->j;
    if (!j->taken)
        return (const char *)j->in.data +
               (size_t)(block * j->in.h) * (size_t)(j->in.w * j->in_lines) * TILE;
    if (g->spread == NOTHING && count > 0)
        g->spread = hits[0].at / 2 * 2;
    if (count > 0)
        spread_rows(g, block, hits[count - 1].at);
    for (int i = 0; i < count; i++)
        hits[i].at %= j->ring;
    return g->room;
}

/* The row of the input behind the last that a row of the output takes, in this block or the next.
 * With lines outside it has been here before. */
static const char *row_ahead(const struct gather_stage *g, int block, int last)
{
    const struct gather_job *j = g->j;
    int row = block * j->in.h + last + 1;
    if (j->taken || j->lines_outside || row >= layout_blocks(j->n) * j->in.h)
        return NULL;
    return (const char *)j->in.data + (size_t)row * (size_t)(j->in.w * j->in_lines) * TILE;
}

static void gather_row(struct gather_stage *g, int block, int y, int line)
{
    static const _Alignas(LINE) float no_bias[CHANNELS];
    const struct gather_job *j = g->j;
    struct conv_hit hits[FILTER_MAX];
    int hit_count = conv_hits(j->s, j->order, y, j->s->r, j->in.h, hits);
    const char *ahead = NULL;
    if (hit_count > 0 && line == g->line_begin)
        ahead = row_ahead(g, block, hits[hit_count - 1].at);
    const char *x = input_of(g, block, hits, hit_count);
    size_t x_pixel = (size_t)j->in_lines * TILE, y_pixel = (size_t)j->out_lines * TILE;
    size_t row = ((size_t)block * (size_t)j->out.h + (size_t)y) * (size_t)j->out.w;
    const struct gather_row r = {
        .j = j,
        .run = g->run,
        .x = x,
        .y = j->pooled ? g->window + (size_t)(y % 2 * j->out.w) * TILE
                       : (char *)j->out.data + row * y_pixel + (size_t)line * TILE,
        .x_row = (size_t)j->in.w * x_pixel,
        .x_pixel = x_pixel,
        .y_pixel = j->pooled ? TILE : y_pixel,
        .w = j->packed + 2 * (size_t)line * conv_tiles_half_bytes(j->in_lines, j->s->r, j->s->s),
        .bias = j->bias ? j->bias + line * CHANNELS : no_bias,
        .hits = hits,
        .hit_count = hit_count,
        .ahead = ahead,
    };
    if (!j->by_row) {
        gather_pixels(&r);
        return;
    }
    gather_fours(&r, 0);
    gather_fours(&r, 1);
}

/* Pools the two rows that end with row y. */
static void pool_rows(struct gather_stage *g, int block, int y, int line)
{
    const struct gather_job *j = g->j;
    const struct pool_shape window = {.c = CHANNELS, .h = 2, .w = j->out.w, .p = 1, .q = 1,
                                      .window = 2, .stride = 2};
    size_t row = ((size_t)block * (size_t)j->pool.h + (size_t)(y / 2)) * (size_t)j->pool.w;
    j->b->kernels.tiles.flush(g->run);
    for (int x = 0; x < j->pool.w; x++) {
        size_t to = ((row + (size_t)x) * (size_t)j->out_lines + (size_t)line) * TILE;
        j->b->kernels.pointwise.maxpool_forward(
            &window, 0, 1, g->window + (size_t)(2 * x) * TILE, (char *)j->pool.data + to,
            j->argmax ? j->argmax + to / precision_bytes(PRECISION_BF16) : NULL);
    }
}

/* The rows of one line from y on that belong together: two, where they are pooled. */
static void gather_rows(struct gather_stage *g, int block, int y, int line)
{
    gather_row(g, block, y, line);
    if (g->j->pooled) {
        gather_row(g, block, y + 1, line);
        pool_rows(g, block, y + 1, line);
    }
}

static void gather_item(void *ctx, int item, int worker)
{
    const struct gather_job *j = ctx;
    struct gather_stage s = {.j = j, .run = cpu_scratch(j->b, worker)};
    int row_part = item % j->row_parts, line_part = item / j->row_parts % j->line_parts;
    int block = item / j->row_parts / j->line_parts * j->blocks;
    int y_begin = j->out.h / j->step * row_part / j->row_parts * j->step;
    int y_end = j->out.h / j->step * (row_part + 1) / j->row_parts * j->step;
    int line_begin = j->out_lines * line_part / j->line_parts;
    int line_end = j->out_lines * (line_part + 1) / j->line_parts;
    int block_end = min_int(block + j->blocks, layout_blocks(j->n));
    s.window = (char *)(s.run + 1);
    s.room = j->rooms ? j->rooms + (size_t)worker * ring_bytes(j->s, j->ring) : NULL;
    s.spread = NOTHING;
    s.line_begin = line_begin;
    j->b->kernels.tiles.begin(s.run, j->stream);
    if (j->lines_outside)
        for (int line = line_begin; line < line_end; line++)
            for (int g = block; g < block_end; g++)
                for (int y = y_begin; y < y_end; y += j->step)
                    gather_rows(&s, g, y, line);
    else
        for (int g = block; g < block_end; g++)
            for (int y = y_begin; y < y_end; y += j->step)
                for (int line = line_begin; line < line_end; line++)
                    gather_rows(&s, g, y, line);
    j->b->kernels.tiles.end(s.run);
}

/* Halves the blocks of an item, then cuts rows, then lines, until there is enough for everyone. No
 * result depends on the cut. */
static int cut(struct gather_job *j)
{
    int wanted = ITEMS_PER_THREAD * j->b->base.threads, blocks = layout_blocks(j->n);
    j->lines_outside = j->packed_bytes > AMX_CACHE;
    j->blocks = j->packed_bytes > AMX_CACHE + AMX_CACHE / 4 && !j->taken ? BLOCKS : 1;
    j->line_parts = j->lines_outside && !j->taken ? j->out_lines : 1;
    while (j->blocks > 1 && (blocks + j->blocks - 1) / j->blocks * j->line_parts < wanted)
        j->blocks /= 2;
    int items = (blocks + j->blocks - 1) / j->blocks;
    j->row_parts = min_int((wanted - 1) / (items * j->line_parts) + 1, j->out.h / j->step);
    if (!j->lines_outside && !j->taken)
        j->line_parts = min_int((wanted - 1) / (items * j->row_parts) + 1, j->out_lines);
    return items * j->row_parts * j->line_parts;
}

static size_t padded_bias_bytes(const struct conv_shape *s)
{
    return (size_t)amx_lines(s->k) * CHANNELS * sizeof(float);
}

static struct gather_job forward_job(const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    struct gather_job j = {.in = w->x, .out = w->y, .step = 1};
    if (w->pooled) {
        j.step = 2;
        j.out = (struct map){NULL, s->k, s->p, s->q};
        j.pooled = true;
        j.pool = w->y;
        j.argmax = w->argmax;
    }
    if (w->bias) {
        memset(w->workspace, 0, padded_bias_bytes(s));
        memcpy(w->workspace, w->bias, (size_t)s->k * sizeof(float));
        j.bias = w->workspace;
    }
    return j;
}

static struct gather_job backward_job(const struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    struct gather_job j = {.order = ORDER_TURNED, .in = w->y, .out = w->x, .step = 1};
    if (w->pooled) {
        j.in = (struct map){NULL, s->k, s->p, s->q};
        j.pool = w->y;
        j.taken = w->taken;
        j.rooms = w->workspace;
        j.ring = ring_rows(b, s);
    }
    return j;
}

static void gather_map(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    struct gather_job j = w->pass == CONV_FORWARD ? forward_job(w) : backward_job(b, w);
    j.b = b;
    j.n = w->n;
    j.s = s;
    j.in_lines = amx_lines(conv_from(s, w->pass));
    j.out_lines = amx_lines(conv_to(s, w->pass));
    j.packed = w->packed;
    j.packed_bytes = amx_packed_bytes(b, s, w->pass);
    j.by_row = s->s == ROW_TAPS && s->stride == 1;
    j.stream = !w->pooled && cpu_streams(b, w->n, &j.out);
    static_assert(sizeof(struct tile_run) <= CPU_SCRATCH, "the scratch holds a run");
    cpu_parallel(b, cut(&j), gather_item, &j);
}

/* The algorithm. */

static bool amx_pools(const struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass)
{
    if (pass == CONV_FORWARD)
        return sizeof(struct tile_run) + (size_t)(2 * s->q) * TILE <= CPU_SCRATCH;
    return pass == CONV_BACKWARD_WEIGHTS ||
           (s->stride == 1 && ring_bytes(s, ring_rows(b, s)) <= AMX_CACHE);
}

static size_t amx_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                            enum conv_pass pass)
{
    if (pass == CONV_BACKWARD_WEIGHTS)
        return amx_weights_workspace(b, n, s, &amx_outer);
    if (pass == CONV_FORWARD)
        return padded_bias_bytes(s);
    return s->p % 2 == 0 && s->q % 2 == 0 && amx_pools(b, s, pass)
               ? (size_t)b->base.threads * ring_bytes(s, ring_rows(b, s))
               : 0;
}

static void amx_run(struct cpu_backend *b, const struct conv_work *w)
{
    if (w->pass == CONV_BACKWARD_WEIGHTS)
        amx_weights(b, w, &amx_outer);
    else
        gather_map(b, w);
}

const struct conv_algorithm conv_amx = {
    .name = "amx",
    .supports = amx_supports,
    .pools = amx_pools,
    .seconds = amx_seconds,
    .packed_bytes = amx_packed_bytes,
    .workspace = amx_workspace,
    .pack = amx_pack,
    .run = amx_run,
};
