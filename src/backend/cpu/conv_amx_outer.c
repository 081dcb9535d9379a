/* conv_amx_outer.c - direct convolution in tile registers: the sums of the gradient of the weights.
 *
 * A lane's images pass in order, in chunks that stay near the first-level cache with both maps
 * brought into shape:
 *
 *   chunk: rows of one block of images, or whole maps of several
 *      dy in pairs, the part's lines of K                       room: pairs
 *      line of C:  x transposed                                 room: turned
 *         half a line of K > row of the filter (> column): a sum over the whole chunk in registers
 *
 * A number of dw is summed up by blocks, rows, pixels, however the chunks and items are cut.
 */
#include "backend/cpu/conv_amx.h"

#include <string.h>

enum {
    CHUNK_PIXELS = 28,
    CHUNK_ROWS = 2
};

struct chunk {
    int rows;       /* of dy */
    int blocks;     /* more than one only if rows are all */
};

/* The rows of x that `rows` rows of dy reach, at most. */
static int rows_reached(const struct conv_shape *s, int rows)
{
    return min_int(s->h, (rows - 1) * s->stride + s->r);
}

/* Of half a line of a block, with `rows` rows of dy. */
static size_t turned_bytes(const struct conv_shape *s, int rows)
{
    return (size_t)(rows_reached(s, rows) * s->w) * TILE_REGISTER;
}

static size_t pair_bytes(const struct conv_shape *s, int rows)
{
    return (size_t)(rows * s->q) * TILE_REGISTER;
}

/* At least CHUNK_PIXELS of one block, in rows; or several blocks, where the map is smaller. With
 * fewer, reading and writing dw costs more; with many, what a sum goes through is no longer in the
 * first-level cache when the next row of the filter wants it (docs/kernels.md). */
static struct chunk cut_chunk(int n, const struct conv_shape *s)
{
    int step = s->p % 2 == 0 ? 2 : 1; /* so that a pool's windows stay whole */
    int pixels = s->p * s->q, most = (layout_blocks(n) + LANES - 1) / LANES;
    int parts = min_int(pixels / CHUNK_PIXELS, s->p / CHUNK_ROWS);
    struct chunk c = {.rows = s->p, .blocks = 1};
    if (parts > 1)
        c.rows = (s->p / step + parts - 1) / parts * step;
    else
        c.blocks = min_int(pixels < CHUNK_PIXELS ? CHUNK_PIXELS / pixels : 1, most);
    return c;
}

/* By figures for a product of two tiles with its loads, bringing a tile into shape, and reading and
 * writing a KB of sums that stay in the second-level cache, or do not. */
static double outer_cycles(int n, const struct conv_shape *s, struct amx_cut c)
{
    enum { PRODUCT = 85, SHAPE = 330, NEAR = 40, FAR = 130, NEAR_KB = 600 };
    struct chunk chunk = cut_chunk(n, s);
    double tiles = (double)layout_blocks(n) * c.lanes / LANES * s->p * s->q;
    double kb = (double)amx_part_reals(s, c) * sizeof(float) / 1024;
    double rate = kb <= NEAR_KB ? NEAR : FAR;
    double halo = chunk.rows < s->p ? (double)rows_reached(s, chunk.rows) / chunk.rows : 1;
    double chunks = tiles / (chunk.rows * chunk.blocks * s->q);
    return tiles * (c.c_lines * c.k_lines * conv_taps(s) * PRODUCT +
                    (c.c_lines * halo + c.k_lines) * SHAPE) +
           (chunks + 2 * (c.lanes - 1)) * kb * rate + 2 * kb * FAR;
}

static size_t outer_room(int n, const struct conv_shape *s, struct amx_cut c)
{
    struct chunk chunk = cut_chunk(n, s);
    return 2 * (size_t)chunk.blocks *
           (turned_bytes(s, chunk.rows) + (size_t)c.k_lines * pair_bytes(s, chunk.rows));
}

/* A chunk at work. */
struct stage {
    const struct amx_part *p;
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    bool by_row;                /* three columns of the filter at once */
    float *sum;                 /* the lane's */
    char *turned, *pairs;       /* [half a line of C or K][block][row][column] registers */
    size_t turned_half, pairs_half; /* bytes between halves */
    int block, blocks;          /* of the chunk */
    int y_begin, y_end;         /* rows of dy */
    int x_begin, x_end;         /* rows of x that these reach */
    bool add;                   /* not the first chunk */
};

/* Where the first half's pairs of a row of block g of the chunk go. */
static char *pairs_at(const struct stage *w, int g, int y)
{
    const struct conv_shape *s = w->p->s;
    return w->pairs + (size_t)((g * (w->y_end - w->y_begin) + y) * s->q) * TILE_REGISTER;
}

static void pair_row(const struct stage *w, int g, int y)
{
    const struct amx_part *p = w->p;
    const struct conv_shape *s = p->s;
    int images = cpu_block_images(p->n, w->block + g);
    size_t row = (size_t)(w->block + g) * (size_t)s->p + (size_t)(w->y_begin + y);
    const char *dy = (const char *)p->dy.data +
                     (row * (size_t)(s->q * w->k_lines) + (size_t)p->k_begin) * TILE;
    char *out = pairs_at(w, g, y);
    for (int q = 0; q < s->q; q++, out += TILE_REGISTER, dy += (size_t)w->k_lines * TILE)
        for (int k = 0; k < p->k_end - p->k_begin; k++)
            p->b->kernels.tiles.pair(dy + (size_t)k * TILE, images,
                                     out + 2 * (size_t)k * w->pairs_half, w->pairs_half);
}

/* Rows y and y + 1 of it, from one row of the pool. */
static void pair_pooled_rows(const struct stage *w, int g, int y)
{
    const struct amx_part *p = w->p;
    const struct conv_shape *s = p->s;
    int images = cpu_block_images(p->n, w->block + g);
    size_t row = ((size_t)(w->block + g) * (size_t)s->p + (size_t)(w->y_begin + y)) / 2;
    size_t pixel = row * (size_t)(s->q / 2 * w->k_lines) + (size_t)p->k_begin;
    char *out = pairs_at(w, g, y);
    for (int q = 0; q < s->q; q += 2, out += 2 * TILE_REGISTER, pixel += (size_t)w->k_lines)
        for (int k = 0; k < p->k_end - p->k_begin; k++) {
            size_t at = (pixel + (size_t)k) * TILE;
            p->b->kernels.tiles.pair_pooled((const char *)p->dy.data + at,
                                            p->taken + at / precision_bytes(PRECISION_BF16), images,
                                            out + 2 * (size_t)k * w->pairs_half, TILE_REGISTER,
                                            (size_t)s->q * TILE_REGISTER, w->pairs_half);
        }
}

static void pair_chunk(const struct stage *w)
{
    int rows = w->y_end - w->y_begin;
    for (int g = 0; g < w->blocks; g++)
        for (int y = 0; y < rows; y += w->p->taken ? 2 : 1)
            if (w->p->taken)
                pair_pooled_rows(w, g, y);
            else
                pair_row(w, g, y);
}

/* Pixels that a stride steps over are never read, so not transposed either. */
static void transpose_chunk(const struct stage *w, int line)
{
    const struct amx_part *p = w->p;
    const struct conv_shape *s = p->s;
    char *out = w->turned;
    for (int g = 0; g < w->blocks; g++) {
        int images = cpu_block_images(p->n, w->block + g);
        for (int y = w->x_begin; y < w->x_end; y++)
            for (int x = 0; x < s->w; x++, out += TILE_REGISTER) {
                if ((y + s->pad) % s->stride >= s->r || (x + s->pad) % s->stride >= s->s)
                    continue;
                size_t pixel = ((size_t)(w->block + g) * (size_t)s->h + (size_t)y) *
                                   (size_t)s->w + (size_t)x;
                size_t at = (pixel * (size_t)w->c_lines + (size_t)line) * TILE;
                p->b->kernels.tiles.transpose((const char *)p->x.data + at, images, out,
                                              w->turned_half);
            }
    }
}

/* What a row r of the filter is multiplied with: the rows of dy that it can use, and all of their
 * columns. half: of the part's lines of K. */
static struct tile_outer outer_of(const struct stage *w, int half, int r)
{
    const struct amx_part *p = w->p;
    const struct conv_shape *s = p->s;
    int rows = w->y_end - w->y_begin;
    struct conv_range y = conv_clip(s, (struct conv_range){w->y_begin, w->y_end}, r, s->h);
    struct tile_outer o = {
        .x = w->turned, .dy = w->pairs + (size_t)half * w->pairs_half,
        .x_block = (size_t)((w->x_end - w->x_begin) * s->w) * TILE_REGISTER,
        .x_row = (size_t)(s->stride * s->w) * TILE_REGISTER,
        .x_pixel = (size_t)s->stride * TILE_REGISTER,
        .dy_block = (size_t)(rows * s->q) * TILE_REGISTER,
        .dy_row = (size_t)s->q * TILE_REGISTER, .dy_pixel = TILE_REGISTER,
        .blocks = w->blocks, .rows = y.end - y.begin, .pixels = s->q,
        .x_width = s->w, .column = -s->pad,
        .x_half = w->turned_half, .dy_half = w->pairs_half,
        .dw_k_half = (size_t)conv_taps(s) * REGISTER_REALS,
        .dw_c_half = (size_t)(2 * p->cut.k_lines * conv_taps(s)) * REGISTER_REALS,
        .add = w->add,
    };
    if (o.rows) {
        o.x += (size_t)((y.begin * s->stride + r - s->pad - w->x_begin) * s->w) * TILE_REGISTER;
        o.dy += (size_t)(y.begin - w->y_begin) * o.dy_row;
    }
    return o;
}

/* Half c of the line of C. */
static void outer_rows(const struct stage *w, int c, int half, float *dw)
{
    const struct conv_shape *s = w->p->s;
    for (int r = 0; r < s->r; r++, dw += OUTER_TAPS * REGISTER_REALS) {
        struct tile_outer o = outer_of(w, half, r);
        o.x += (size_t)c * w->turned_half;
        if (o.rows || !o.add)
            w->p->b->kernels.tiles.outer_row(&o, dw);
    }
}

/* Both halves of a line of C and of K at once. */
static void outer_taps(const struct stage *w, int half, float *dw)
{
    const struct conv_shape *s = w->p->s;
    for (int r = 0; r < s->r; r++)
        for (int t = 0; t < s->s; t++, dw += REGISTER_REALS) {
            struct tile_outer o = outer_of(w, half, r);
            struct conv_range q = conv_clip(s, (struct conv_range){0, s->q}, t, s->w);
            o.pixels = q.end - q.begin;
            if (o.pixels) {
                o.x += (size_t)(q.begin * s->stride + t - s->pad) * TILE_REGISTER;
                o.dy += (size_t)q.begin * o.dy_pixel;
            }
            if ((o.rows && o.pixels) || !o.add)
                w->p->b->kernels.tiles.outer_tap(&o, dw);
        }
}

static void outer_line(const struct stage *w, int line, float *dw)
{
    const struct amx_part *p = w->p;
    int halves = 2 * (p->k_end - p->k_begin);
    size_t taps = (size_t)conv_taps(p->s) * REGISTER_REALS;
    size_t c_half = 2 * (size_t)p->cut.k_lines * taps;
    if (!w->by_row) {
        for (int half = 0; half < halves; half += 2)
            outer_taps(w, half, dw + (size_t)half * taps);
        return;
    }
    for (int c = 0; c < 2; c++, dw += c_half)
        if (line * CHANNELS + c * TILE_ROWS < p->s->c)
            for (int half = 0; half < halves; half++)
                outer_rows(w, c, half, dw + (size_t)half * taps);
        else if (!w->add)
            memset(dw, 0, c_half * sizeof *dw); /* no channels */
}

static void outer_chunk(struct stage *w)
{
    const struct amx_part *p = w->p;
    size_t line_reals = 4 * (size_t)(p->cut.k_lines * conv_taps(p->s)) * REGISTER_REALS;
    float *dw = w->sum;
    pair_chunk(w);
    for (int line = p->c_begin; line < p->c_end; line++, dw += line_reals) {
        transpose_chunk(w, line);
        outer_line(w, line, dw);
    }
    w->add = true;
}

static void outer_lane(const struct amx_part *p, int lane, float *sum)
{
    const struct conv_shape *s = p->s;
    struct chunk chunk = cut_chunk(p->n, s);
    struct stage w = {
        .p = p, .c_lines = amx_lines(s->c), .k_lines = amx_lines(s->k),
        .by_row = s->s == OUTER_TAPS && s->stride == 1, .sum = sum, .turned = p->room,
        .turned_half = (size_t)chunk.blocks * turned_bytes(s, chunk.rows),
        .pairs_half = (size_t)chunk.blocks * pair_bytes(s, chunk.rows),
    };
    w.pairs = w.turned + 2 * w.turned_half;
    int end = cpu_lane_begin(p->n, lane + 1);
    for (w.block = cpu_lane_begin(p->n, lane); w.block < end; w.block += w.blocks) {
        w.blocks = min_int(chunk.blocks, end - w.block);
        for (w.y_begin = 0; w.y_begin < s->p; w.y_begin = w.y_end) {
            w.y_end = min_int(w.y_begin + chunk.rows, s->p);
            int first = w.y_begin * s->stride - s->pad;
            int past = (w.y_end - 1) * s->stride - s->pad + s->r;
            w.x_begin = first < 0 ? 0 : min_int(first, s->h);
            w.x_end = past < w.x_begin ? w.x_begin : min_int(past, s->h);
            outer_chunk(&w);
        }
    }
}

const struct amx_way amx_outer = {
    .room = outer_room,
    .cycles = outer_cycles,
    .lane = outer_lane,
};
