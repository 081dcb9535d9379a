/* conv_amx_weights.c - direct convolution in tile registers: the gradient of the weights.
 *
 * An item is (lane, some lines of C). It owns its part of the lane's gradient and goes through the
 * lane's images in order, in chunks that fit the cache with both maps brought into shape:
 *
 *   chunk: rows of one block of images, or whole maps of several
 *      dy in pairs, all lines of K                              room: pairs
 *      line of C:  x transposed                                 room: turned
 *         half a line of K > row of the filter (> column): a sum over the whole chunk in registers
 *
 * A number of dw is summed up by blocks, rows, pixels, however the chunks and items are cut. Then
 * the lanes are added as a tree and unpacked into PyTorch's order. A lane's gradient is
 *
 *   float [line of C][half a line of K][r][s][2 halves of C][16 of C][16 of K]
 */
#include "backend/cpu/conv_amx.h"

#include <string.h>

enum {
    TAP_REALS = 2 * REGISTER_REALS,
    CHUNK_PIXELS = 28,
    CHUNK_ROWS = 2
};

struct chunk {
    int rows;       /* of dy */
    int blocks;     /* more than one only if rows are all */
};

struct weights_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    const char *x, *dy;
    const uint8_t *taken;       /* dy is the gradient of a 2x2 max pool, and this is what it took;
                                   NULL: there is no pool */
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    struct chunk chunk;
    bool by_row;                /* three columns of the filter at once */
    int groups;                 /* of lines of C */
    int lanes[LANES];           /* the lanes that have images */
    float *lane[LANES];         /* the gradient of each; NULL if it has no images */
    char *room;                 /* room_bytes for each worker */
    float *dw;
};

/* The rows of x that `rows` rows of dy reach, at most. */
static int rows_reached(const struct conv_shape *s, int rows)
{
    return min_int(s->h, (rows - 1) * s->stride + s->r);
}

static size_t turned_bytes(const struct conv_shape *s, int rows)
{
    return (size_t)rows_reached(s, rows) * (size_t)s->w * TILE;
}

static size_t pair_bytes(const struct conv_shape *s, int rows)
{
    return (size_t)rows * (size_t)s->q * (size_t)amx_lines(s->k) * TILE;
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

static size_t room_bytes(const struct conv_shape *s, struct chunk c)
{
    return (size_t)c.blocks * (turned_bytes(s, c.rows) + pair_bytes(s, c.rows));
}

static size_t lane_reals(const struct conv_shape *s)
{
    return 2 * (size_t)(amx_lines(s->c) * amx_lines(s->k) * conv_taps(s)) * TAP_REALS;
}

/* The part of the gradient that an item owns, and the chunk that it is at. */
struct weights_part {
    const struct weights_job *j;
    float *dw;                  /* of the lane */
    char *turned, *pairs;       /* [block][row][column], [block][line of K][row][column] */
    int block, blocks;          /* of the chunk */
    int y_begin, y_end;         /* rows of dy */
    int x_begin, x_end;         /* rows of x that these reach */
    bool add;                   /* not the first chunk */
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

/* The pairs of a row of block g of the chunk: of each pixel all lines. */
static void pair_row(const struct weights_part *p, int g, int y)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    int rows = p->y_end - p->y_begin, images = cpu_block_images(j->n, p->block + g);
    size_t row = (size_t)(p->block + g) * (size_t)s->p + (size_t)(p->y_begin + y);
    const char *dy = j->dy + row * (size_t)(s->q * j->k_lines) * TILE;
    char *out = p->pairs + (size_t)g * pair_bytes(s, rows) + (size_t)(y * s->q) * TILE;
    for (int q = 0; q < s->q; q++, out += TILE)
        for (int k = 0; k < j->k_lines; k++, dy += TILE)
            j->b->kernels.tiles.pair(dy, images, out + (size_t)k * (size_t)(rows * s->q) * TILE);
}

/* Rows y and y + 1 of it, from one row of the pool. */
static void pair_pooled_rows(const struct weights_part *p, int g, int y)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    int rows = p->y_end - p->y_begin, images = cpu_block_images(j->n, p->block + g);
    size_t row = ((size_t)(p->block + g) * (size_t)s->p + (size_t)(p->y_begin + y)) / 2;
    size_t at = row * (size_t)(s->q / 2 * j->k_lines) * TILE;
    char *out = p->pairs + (size_t)g * pair_bytes(s, rows) + (size_t)(y * s->q) * TILE;
    for (int q = 0; q < s->q; q += 2, out += 2 * TILE)
        for (int k = 0; k < j->k_lines; k++, at += TILE)
            j->b->kernels.tiles.pair_pooled(j->dy + at,
                                            j->taken + at / precision_bytes(PRECISION_BF16), images,
                                            out + (size_t)k * (size_t)(rows * s->q) * TILE, TILE,
                                            (size_t)s->q * TILE);
}

static void pair_chunk(const struct weights_part *p)
{
    int rows = p->y_end - p->y_begin;
    for (int g = 0; g < p->blocks; g++)
        for (int y = 0; y < rows; y += p->j->taken ? 2 : 1)
            if (p->j->taken)
                pair_pooled_rows(p, g, y);
            else
                pair_row(p, g, y);
}

/* Pixels that a stride steps over are never read, so not transposed either. */
static void transpose_chunk(const struct weights_part *p, int line)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    char *out = p->turned;
    for (int g = 0; g < p->blocks; g++) {
        int images = cpu_block_images(j->n, p->block + g);
        for (int y = p->x_begin; y < p->x_end; y++)
            for (int x = 0; x < s->w; x++, out += TILE) {
                if ((y + s->pad) % s->stride >= s->r || (x + s->pad) % s->stride >= s->s)
                    continue;
                size_t pixel = ((size_t)(p->block + g) * (size_t)s->h + (size_t)y) *
                                   (size_t)s->w + (size_t)x;
                j->b->kernels.tiles.transpose(
                    j->x + (pixel * (size_t)j->c_lines + (size_t)line) * TILE, images, out);
            }
    }
}

/* What a row r of the filter is multiplied with: the rows of dy that it can use, and all of their
 * columns. */
static struct tile_outer outer_of(const struct weights_part *p, int line, int half, int r)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    (void)line;
    int rows = p->y_end - p->y_begin;
    struct range y = clip(s, (struct range){p->y_begin, p->y_end}, r, s->h);
    struct tile_outer o = {
        .x = p->turned, .dy = p->pairs,
        .x_block = (size_t)(p->x_end - p->x_begin) * (size_t)s->w * TILE,
        .x_row = (size_t)(s->stride * s->w) * TILE, .x_pixel = (size_t)s->stride * TILE,
        .dy_block = pair_bytes(s, rows), .dy_row = (size_t)s->q * TILE, .dy_pixel = TILE,
        .blocks = p->blocks, .rows = y.end - y.begin, .pixels = s->q,
        .x_width = s->w, .column = -s->pad,
        .dy_half = TILE_REGISTER, .dw_half = (size_t)conv_taps(s) * TAP_REALS, .add = p->add,
    };
    if (o.rows) {
        o.x += (size_t)(y.begin * s->stride + r - s->pad - p->x_begin) * (size_t)s->w * TILE;
        o.dy += (size_t)(half / 2 * rows + y.begin - p->y_begin) * o.dy_row +
                (size_t)(half % 2) * TILE_REGISTER;
    }
    return o;
}

static void outer_rows(const struct weights_part *p, int line, int half, float *dw)
{
    const struct conv_shape *s = p->j->s;
    for (int r = 0; r < s->r; r++, dw += OUTER_TAPS * TAP_REALS) {
        struct tile_outer o = outer_of(p, line, half, r);
        if (o.rows || !o.add)
            p->j->b->kernels.tiles.outer_row(&o, dw);
    }
}

/* Both halves of a line of K at once. */
static void outer_taps(const struct weights_part *p, int line, int half, float *dw)
{
    const struct conv_shape *s = p->j->s;
    for (int r = 0; r < s->r; r++)
        for (int t = 0; t < s->s; t++, dw += TAP_REALS) {
            struct tile_outer o = outer_of(p, line, half, r);
            struct range q = clip(s, (struct range){0, s->q}, t, s->w);
            o.pixels = q.end - q.begin;
            if (o.pixels) {
                o.x += (size_t)(q.begin * s->stride + t - s->pad) * TILE;
                o.dy += (size_t)q.begin * o.dy_pixel;
            }
            if ((o.rows && o.pixels) || !o.add)
                p->j->b->kernels.tiles.outer_tap(&o, dw);
        }
}

static void outer_chunk(struct weights_part *p, struct range lines)
{
    const struct weights_job *j = p->j;
    size_t half_reals = (size_t)conv_taps(j->s) * TAP_REALS;
    pair_chunk(p);
    for (int line = lines.begin; line < lines.end; line++) {
        transpose_chunk(p, line);
        float *dw = p->dw + 2 * (size_t)(line * j->k_lines) * half_reals;
        for (int half = 0; half < 2 * j->k_lines; half += j->by_row ? 1 : 2)
            if (j->by_row)
                outer_rows(p, line, half, dw + (size_t)half * half_reals);
            else
                outer_taps(p, line, half, dw + (size_t)half * half_reals);
    }
    p->add = true;
}

static void weights_item(void *ctx, int item, int worker)
{
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->s;
    int group = item % j->groups, lane = j->lanes[item / j->groups];
    struct range lines = {j->c_lines * group / j->groups, j->c_lines * (group + 1) / j->groups};
    char *room = j->room + (size_t)worker * room_bytes(s, j->chunk);
    struct weights_part p = {
        .j = j, .dw = j->lane[lane],
        .turned = room,
        .pairs = room + (size_t)j->chunk.blocks * turned_bytes(s, j->chunk.rows),
    };
    int end = cpu_lane_begin(j->n, lane + 1);
    j->b->kernels.tiles.outer_begin();
    for (p.block = cpu_lane_begin(j->n, lane); p.block < end; p.block += p.blocks) {
        p.blocks = min_int(j->chunk.blocks, end - p.block);
        for (p.y_begin = 0; p.y_begin < s->p; p.y_begin = p.y_end) {
            p.y_end = min_int(p.y_begin + j->chunk.rows, s->p);
            int first = p.y_begin * s->stride - s->pad;
            int past = (p.y_end - 1) * s->stride - s->pad + s->r;
            p.x_begin = first < 0 ? 0 : min_int(first, s->h);
            p.x_end = past < p.x_begin ? p.x_begin : min_int(past, s->h);
            outer_chunk(&p, lines);
        }
    }
    j->b->kernels.tiles.outer_end();
}

/* Adds the lanes up and unpacks one line of C and half a line of K. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    int half = item % (2 * j->k_lines), line = item / (2 * j->k_lines);
    size_t at = (size_t)item * (size_t)conv_taps(j->s) * TAP_REALS;
    const float *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = j->lane[l] ? j->lane[l] + at : NULL;
    j->b->kernels.tiles.unpack(lane, j->s->k, j->s->c, conv_taps(j->s), half / 2, half % 2,
                               line * CHANNELS, j->dw);
}

/* Each group brings dy into shape for itself, which costs about a fifth of one line of C's
 * products; so as few groups as keep every thread busy. The result does not depend on it. */
static int cut_groups(int lanes, int threads, int c_lines)
{
    int best = 1;
    double least = 0;
    for (int groups = 1; groups <= c_lines; groups++) {
        int rounds = (lanes * groups + threads - 1) / threads;
        double time = rounds * ((double)((c_lines + groups - 1) / groups) + 0.2);
        if (groups == 1 || time < least) {
            least = time;
            best = groups;
        }
    }
    return best;
}

size_t amx_weights_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s)
{
    int lanes[LANES];
    return (size_t)conv_lanes(n, lanes) * lane_reals(s) * sizeof(float) +
           (size_t)b->base.threads * room_bytes(s, cut_chunk(n, s));
}

void amx_weights(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    struct weights_job j = {
        .b = b, .n = w->n, .s = s, .x = w->x.data, .dy = w->y.data,
        .taken = w->pooled ? w->taken : NULL,
        .c_lines = amx_lines(s->c), .k_lines = amx_lines(s->k), .chunk = cut_chunk(w->n, s),
        .by_row = s->s == OUTER_TAPS && s->stride == 1, .dw = w->dw,
    };
    int lanes = conv_lanes(w->n, j.lanes);
    float *at = w->workspace;
    for (int i = 0; i < lanes; i++, at += lane_reals(s))
        j.lane[j.lanes[i]] = at;
    j.room = (char *)at;
    j.groups = cut_groups(lanes, b->base.threads, j.c_lines);
    cpu_parallel(b, lanes * j.groups, weights_item, &j);
    cpu_parallel(b, 2 * j.k_lines * j.c_lines, unpack_item, &j);
}
