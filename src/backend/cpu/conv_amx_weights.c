/* conv_amx_weights.c - direct convolution in tile registers: the gradient of the weights.
 *
 * The gradient is cut into parts of some lines of C by some of K. An item is a part and some lanes:
 * it goes through the images of each lane in order, in chunks that stay near the first-level cache
 * with both maps brought into shape, and adds the lanes up as a tree:
 *
 *   chunk: rows of one block of images, or whole maps of several
 *      dy in pairs, the part's lines of K                       room: pairs
 *      line of C:  x transposed                                 room: turned
 *         half a line of K > row of the filter (> column): a sum over the whole chunk in registers
 *
 * A number of dw is summed up by blocks, rows, pixels, however the chunks and items are cut. Last,
 * what is left of the tree is done and unpacked into PyTorch's order. A part is
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

/* Lines of a part, and the lanes that an item adds up: a power of two. */
struct cut {
    int c_lines, k_lines, lanes;
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
    struct cut cut;
    int c_parts, k_parts;
    float *sum[LANES];          /* [c_parts][k_parts] parts: the sum of the cut.lanes lanes from
                                   this one on; NULL for others, and if these have no images */
    int lanes[LANES];           /* whose sums there are */
    char *room;                 /* worker_bytes for each worker */
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

static size_t pair_bytes(const struct conv_shape *s, int rows, int k_lines)
{
    return (size_t)(rows * s->q * k_lines) * TILE;
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

static int parts_of(int lines, int of_part)
{
    return (lines + of_part - 1) / of_part;
}

static size_t part_reals(const struct conv_shape *s, struct cut c)
{
    return 2 * (size_t)(c.c_lines * c.k_lines * conv_taps(s)) * TAP_REALS;
}

/* About how many cycles an item takes, by figures from one processor with tile registers: a product
 * of two tiles with its loads, bringing a tile into shape, and reading and writing a KB of sums
 * that stay in the second-level cache, or do not. */
static double item_cycles(int blocks, const struct conv_shape *s, struct chunk chunk, struct cut c)
{
    enum { PRODUCT = 85, SHAPE = 330, NEAR = 40, FAR = 130, NEAR_KB = 600 };
    double tiles = (double)blocks * c.lanes / LANES * s->p * s->q;
    double kb = (double)part_reals(s, c) * sizeof(float) / 1024, rate = kb <= NEAR_KB ? NEAR : FAR;
    double halo = chunk.rows < s->p ? (double)rows_reached(s, chunk.rows) / chunk.rows : 1;
    double chunks = tiles / (chunk.rows * chunk.blocks * s->q);
    return tiles * (c.c_lines * c.k_lines * conv_taps(s) * PRODUCT +
                    (c.c_lines * halo + c.k_lines) * SHAPE) +
           (chunks + 2 * (c.lanes - 1)) * kb * rate + 2 * kb * FAR;
}

/* The cut that takes the least time, when threads wait for each other for a part of an item. The
 * result of the pass does not depend on it. */
static struct cut choose_cut(const struct cpu_backend *b, int n, const struct conv_shape *s)
{
    static const double UNEVEN = 0.5;
    struct cut best = {0};
    double least = 0;
    int all_c = amx_lines(s->c), all_k = amx_lines(s->k), unused[LANES];
    int lanes = conv_lanes(n, unused), blocks = layout_blocks(n);
    struct chunk chunk = cut_chunk(n, s);
    for (int each = 1; each <= LANES; each *= 2)
        for (int c = 1; c < 2 * all_c; c *= 2)
            for (int k = 1; k < 2 * all_k; k *= 2) {
                struct cut cut = {min_int(c, all_c), min_int(k, all_k), each};
                int items = parts_of(all_c, cut.c_lines) * parts_of(all_k, cut.k_lines) *
                            parts_of(lanes, each);
                double time = (parts_of(items, b->base.threads) + UNEVEN) *
                              item_cycles(blocks, s, chunk, cut);
                if (best.lanes == 0 || time < least) {
                    least = time;
                    best = cut;
                }
            }
    return best;
}

/* Both rooms, and the sums of all but one of the lanes that are being added up. */
static size_t worker_bytes(const struct conv_shape *s, struct chunk chunk, struct cut c)
{
    size_t spare = 0;
    for (int lanes = c.lanes; lanes > 1; lanes /= 2)
        spare += part_reals(s, c) * sizeof(float);
    return (size_t)chunk.blocks * (turned_bytes(s, chunk.rows) +
                                   pair_bytes(s, chunk.rows, c.k_lines)) + spare;
}

/* The part of the gradient that an item owns, and the chunk that it is at. */
struct weights_part {
    const struct weights_job *j;
    int c_begin, c_end, k_begin, k_end; /* lines */
    float *dw;                  /* of the lane that is being summed up */
    char *turned, *pairs;       /* [block][row][column], [block][line of K][row][column] */
    int block, blocks;          /* of the chunk */
    int y_begin, y_end;         /* rows of dy */
    int x_begin, x_end;         /* rows of x that these reach */
    bool add;                   /* not the first chunk */
};

/* The pairs of a row of block g of the chunk: of each pixel the part's lines. */
static void pair_row(const struct weights_part *p, int g, int y)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    int rows = p->y_end - p->y_begin, images = cpu_block_images(j->n, p->block + g);
    size_t row = (size_t)(p->block + g) * (size_t)s->p + (size_t)(p->y_begin + y);
    const char *dy = j->dy + (row * (size_t)(s->q * j->k_lines) + (size_t)p->k_begin) * TILE;
    char *out = p->pairs + (size_t)g * pair_bytes(s, rows, p->k_end - p->k_begin) +
                (size_t)(y * s->q) * TILE;
    for (int q = 0; q < s->q; q++, out += TILE, dy += (size_t)j->k_lines * TILE)
        for (int k = 0; k < p->k_end - p->k_begin; k++)
            j->b->kernels.tiles.pair(dy + (size_t)k * TILE, images,
                                     out + (size_t)(k * rows * s->q) * TILE);
}

/* Rows y and y + 1 of it, from one row of the pool. */
static void pair_pooled_rows(const struct weights_part *p, int g, int y)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    int rows = p->y_end - p->y_begin, images = cpu_block_images(j->n, p->block + g);
    size_t row = ((size_t)(p->block + g) * (size_t)s->p + (size_t)(p->y_begin + y)) / 2;
    size_t pixel = row * (size_t)(s->q / 2 * j->k_lines) + (size_t)p->k_begin;
    char *out = p->pairs + (size_t)g * pair_bytes(s, rows, p->k_end - p->k_begin) +
                (size_t)(y * s->q) * TILE;
    for (int q = 0; q < s->q; q += 2, out += 2 * TILE, pixel += (size_t)j->k_lines)
        for (int k = 0; k < p->k_end - p->k_begin; k++) {
            size_t at = (pixel + (size_t)k) * TILE;
            j->b->kernels.tiles.pair_pooled(j->dy + at,
                                            j->taken + at / precision_bytes(PRECISION_BF16), images,
                                            out + (size_t)(k * rows * s->q) * TILE, TILE,
                                            (size_t)s->q * TILE);
        }
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
 * columns. half: of the part. */
static struct tile_outer outer_of(const struct weights_part *p, int half, int r)
{
    const struct weights_job *j = p->j;
    const struct conv_shape *s = j->s;
    int rows = p->y_end - p->y_begin;
    struct conv_range y = conv_clip(s, (struct conv_range){p->y_begin, p->y_end}, r, s->h);
    struct tile_outer o = {
        .x = p->turned, .dy = p->pairs,
        .x_block = (size_t)(p->x_end - p->x_begin) * (size_t)s->w * TILE,
        .x_row = (size_t)(s->stride * s->w) * TILE, .x_pixel = (size_t)s->stride * TILE,
        .dy_block = pair_bytes(s, rows, p->k_end - p->k_begin),
        .dy_row = (size_t)s->q * TILE, .dy_pixel = TILE,
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

static void outer_rows(const struct weights_part *p, int half, float *dw)
{
    const struct conv_shape *s = p->j->s;
    for (int r = 0; r < s->r; r++, dw += OUTER_TAPS * TAP_REALS) {
        struct tile_outer o = outer_of(p, half, r);
        if (o.rows || !o.add)
            p->j->b->kernels.tiles.outer_row(&o, dw);
    }
}

/* Both halves of a line of K at once. */
static void outer_taps(const struct weights_part *p, int half, float *dw)
{
    const struct conv_shape *s = p->j->s;
    for (int r = 0; r < s->r; r++)
        for (int t = 0; t < s->s; t++, dw += TAP_REALS) {
            struct tile_outer o = outer_of(p, half, r);
            struct conv_range q = conv_clip(s, (struct conv_range){0, s->q}, t, s->w);
            o.pixels = q.end - q.begin;
            if (o.pixels) {
                o.x += (size_t)(q.begin * s->stride + t - s->pad) * TILE;
                o.dy += (size_t)q.begin * o.dy_pixel;
            }
            if ((o.rows && o.pixels) || !o.add)
                p->j->b->kernels.tiles.outer_tap(&o, dw);
        }
}

static void outer_chunk(struct weights_part *p)
{
    const struct weights_job *j = p->j;
    size_t half_reals = (size_t)conv_taps(j->s) * TAP_REALS;
    float *dw = p->dw;
    pair_chunk(p);
    for (int line = p->c_begin; line < p->c_end; line++) {
        transpose_chunk(p, line);
        for (int half = 0; half < 2 * (p->k_end - p->k_begin); half += j->by_row ? 1 : 2)
            if (j->by_row)
                outer_rows(p, half, dw + (size_t)half * half_reals);
            else
                outer_taps(p, half, dw + (size_t)half * half_reals);
        dw += 2 * (size_t)j->cut.k_lines * half_reals;
    }
    p->add = true;
}

/* p->dw = the sum over a lane. */
static void outer_lane(struct weights_part *p, int lane)
{
    const struct conv_shape *s = p->j->s;
    int end = cpu_lane_begin(p->j->n, lane + 1);
    p->add = false;
    for (p->block = cpu_lane_begin(p->j->n, lane); p->block < end; p->block += p->blocks) {
        p->blocks = min_int(p->j->chunk.blocks, end - p->block);
        for (p->y_begin = 0; p->y_begin < s->p; p->y_begin = p->y_end) {
            p->y_end = min_int(p->y_begin + p->j->chunk.rows, s->p);
            int first = p->y_begin * s->stride - s->pad;
            int past = (p->y_end - 1) * s->stride - s->pad + s->r;
            p->x_begin = first < 0 ? 0 : min_int(first, s->h);
            p->x_end = past < p->x_begin ? p->x_begin : min_int(past, s->h);
            outer_chunk(p);
        }
    }
}

/* sum = the tree over the lanes [first, first + lanes), with room for more sums in `spare`; false
 * if they have no images. */
static bool sum_lanes(struct weights_part *p, int first, int lanes, float *sum, float *spare)
{
    size_t reals = part_reals(p->j->s, p->j->cut);
    if (lanes == 1) {
        bool any = cpu_lane_begin(p->j->n, first) < cpu_lane_begin(p->j->n, first + 1);
        p->dw = sum;
        if (any)
            outer_lane(p, first);
        return any;
    }
    bool left = sum_lanes(p, first, lanes / 2, sum, spare);
    bool right = sum_lanes(p, first + lanes / 2, lanes / 2, left ? spare : sum,
                           left ? spare + reals : spare);
    if (left && right)
        p->j->b->kernels.tiles.add(reals, sum, spare);
    return left || right;
}

static void weights_item(void *ctx, int item, int worker)
{
    const struct weights_job *j = ctx;
    int parts = j->c_parts * j->k_parts, part = item % parts, lane = j->lanes[item / parts];
    int c = part / j->k_parts * j->cut.c_lines, k = part % j->k_parts * j->cut.k_lines;
    char *room = j->room + (size_t)worker * worker_bytes(j->s, j->chunk, j->cut);
    struct weights_part p = {
        .j = j,
        .c_begin = c, .c_end = min_int(c + j->cut.c_lines, j->c_lines),
        .k_begin = k, .k_end = min_int(k + j->cut.k_lines, j->k_lines),
        .turned = room,
        .pairs = room + (size_t)j->chunk.blocks * turned_bytes(j->s, j->chunk.rows),
    };
    char *spare = p.pairs +
                  (size_t)j->chunk.blocks * pair_bytes(j->s, j->chunk.rows, j->cut.k_lines);
    j->b->kernels.tiles.outer_begin();
    sum_lanes(&p, lane, j->cut.lanes, j->sum[lane] + (size_t)part * part_reals(j->s, j->cut),
              (float *)(void *)spare);
    j->b->kernels.tiles.outer_end();
}

/* Adds up what is left and unpacks one line of C and half a line of K. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    int half = item % (2 * j->k_lines), line = item / (2 * j->k_lines);
    int part = line / j->cut.c_lines * j->k_parts + half / 2 / j->cut.k_lines;
    int in_part = line % j->cut.c_lines * 2 * j->cut.k_lines + half % (2 * j->cut.k_lines);
    size_t at = (size_t)part * part_reals(j->s, j->cut) +
                (size_t)(in_part * conv_taps(j->s)) * TAP_REALS;
    const float *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = j->sum[l] ? j->sum[l] + at : NULL;
    j->b->kernels.tiles.unpack(lane, j->s->k, j->s->c, conv_taps(j->s), half / 2, half % 2,
                               line * CHANNELS, j->dw);
}

/* Lists the lanes that begin an item and have images, or others of the item have; returns their
 * number. */
static int first_lanes(int n, int each, int lanes[LANES])
{
    int count = 0;
    for (int l = 0; l < LANES; l += each)
        if (cpu_lane_begin(n, l) < cpu_lane_begin(n, l + each))
            lanes[count++] = l;
    return count;
}

static size_t sum_reals(const struct conv_shape *s, struct cut c)
{
    return (size_t)(parts_of(amx_lines(s->c), c.c_lines) * parts_of(amx_lines(s->k), c.k_lines)) *
           part_reals(s, c);
}

/* A smaller batch may be cut in another way, and want more. */
size_t amx_weights_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s)
{
    size_t most = 0;
    for (int images = IMAGES; images < n + IMAGES; images += IMAGES) {
        int lanes[LANES];
        struct cut c = choose_cut(b, images, s);
        size_t bytes = (size_t)first_lanes(images, c.lanes, lanes) * sum_reals(s, c) *
                           sizeof(float) +
                       (size_t)b->base.threads * worker_bytes(s, cut_chunk(images, s), c);
        most = bytes > most ? bytes : most;
    }
    return most;
}

void amx_weights(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    struct weights_job j = {
        .b = b, .n = w->n, .s = s, .x = w->x.data, .dy = w->y.data,
        .taken = w->pooled ? w->taken : NULL,
        .c_lines = amx_lines(s->c), .k_lines = amx_lines(s->k), .chunk = cut_chunk(w->n, s),
        .cut = choose_cut(b, w->n, s),
        .by_row = s->s == OUTER_TAPS && s->stride == 1, .dw = w->dw,
    };
    j.c_parts = parts_of(j.c_lines, j.cut.c_lines);
    j.k_parts = parts_of(j.k_lines, j.cut.k_lines);
    int sums = first_lanes(w->n, j.cut.lanes, j.lanes);
    float *at = w->workspace;
    for (int i = 0; i < sums; i++, at += sum_reals(s, j.cut))
        j.sum[j.lanes[i]] = at;
    j.room = (char *)at;
    cpu_parallel(b, sums * j.c_parts * j.k_parts, weights_item, &j);
    cpu_parallel(b, 2 * j.k_lines * j.c_lines, unpack_item, &j);
}
