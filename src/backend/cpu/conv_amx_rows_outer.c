/* conv_amx_rows_outer.c - Winograd along rows, with products in tile registers: the sums of the
 * gradient of the weights; see struct winograd_row_kernels.
 *
 * Each row of dy is cut into tiles of 4, 3 or 2. For each point of a tile the gradient is that of a
 * filter of one column: the rows of D slide over those of V. A lane's images pass in order, in
 * chunks that stay near the second-level cache:
 *
 *   chunk: some tiles, all rows or some, of one block of images; or whole maps of several
 *      x -> V, dy -> D     [point][half a line of C, of K][block][tile][row] registers
 *      point > half a line of C > half a line of K:
 *         dU [3 rows of the filter] += the sum over the whole chunk, in registers
 *
 * At a lane's end dU, [point][half a line of C][half a line of K][3 rows], becomes the sum of its
 * dW. A number of dU is summed up by chunks, in these by blocks, tiles, rows; chunks are cut by the
 * shape and the batch alone.
 */
#include "backend/cpu/conv_amx.h"
#include "backend/cpu/conv_winograd.h"

enum {
    BLOCK_PIXELS = 12,          /* of one point: a chunk has blocks until there are so many, */
    TILE_PIXELS = 20,           /* tiles up to so many, */
    MOST_PIXELS = 40,           /* and fewer rows where one tile has more */
    POINT_STEP = TILE + LINE    /* of one line: a line more, lest points share sets of the caches */
};

/* Of a chunk, at most: tiles of a row, rows, and blocks; more than one block only if the others are
 * all that there are. */
struct extent {
    int tiles, rows, blocks;
};

static struct tile_axis tiles_of(const struct conv_shape *s)
{
    struct tiling t;
    tiling_init(&t, s->p, s->q, WINOGRAD_MOST);
    return t.columns;
}

static struct extent chunk_extent(int n, const struct conv_shape *s)
{
    int tiles = tiles_of(s).count, lane = parts_of(layout_blocks(n), LANES);
    struct extent e = {.tiles = tiles, .rows = s->p, .blocks = 1};
    if (tiles * s->p < BLOCK_PIXELS) {
        int chunks = parts_of(lane, parts_of(BLOCK_PIXELS, tiles * s->p));
        e.blocks = parts_of(lane, chunks);
    } else if (s->p <= MOST_PIXELS) {
        int fit = TILE_PIXELS / s->p > 1 ? TILE_PIXELS / s->p : 1;
        e.tiles = parts_of(tiles, parts_of(tiles, fit));
    } else {
        e.tiles = 1;
        e.rows = parts_of(s->p, parts_of(s->p, TILE_PIXELS));
    }
    return e;
}

static int rows_reached(const struct conv_shape *s, int rows)
{
    return min_int(s->h, rows + OUTER_TAPS - 1);
}

/* Bytes of V and D of half a line at a point. */
static size_t v_half(const struct conv_shape *s, struct extent e)
{
    return (size_t)(e.blocks * e.tiles * rows_reached(s, e.rows)) * TILE_REGISTER;
}

static size_t d_half(struct extent e)
{
    return (size_t)(e.blocks * e.tiles * e.rows) * TILE_REGISTER;
}

/* From point to point. */
static size_t v_step(const struct conv_shape *s, struct extent e, struct amx_cut c)
{
    return 2 * (size_t)c.c_lines * v_half(s, e) + LINE;
}

static size_t d_step(struct extent e, struct amx_cut c)
{
    return 2 * (size_t)c.k_lines * d_half(e) + LINE;
}

/* Likewise of dU, in floats. */
static size_t du_step(struct amx_cut c)
{
    return 4 * (size_t)(c.c_lines * c.k_lines * OUTER_TAPS) * REGISTER_REALS;
}

static size_t rows_room(int n, const struct conv_shape *s, struct amx_cut c)
{
    struct extent e = chunk_extent(n, s);
    return WINOGRAD_POINTS *
           (v_step(s, e, c) + d_step(e, c) + POINT_STEP + du_step(c) * sizeof(float));
}

/* By figures for a product, for the transforms of a tile's row of x and of dy, and for a KB of dU
 * that is added to, and of dU and dW that is read and written at a lane's end. */
static double rows_cycles(int n, const struct conv_shape *s, struct amx_cut c)
{
    enum { PRODUCT = 18, X = 2200, DY = 1600, ADD = 30, FINISH = 135 };
    struct extent e = chunk_extent(n, s);
    struct tile_axis t = tiles_of(s);
    double blocks = (double)layout_blocks(n) * c.lanes / LANES;
    double halo = (double)rows_reached(s, e.rows) / e.rows, rows = t.count * s->p;
    double products = 4 * c.c_lines * c.k_lines * tiles_points(&t) * conv_row_taps_inside(s);
    double du = WINOGRAD_POINTS * (double)du_step(c) * sizeof(float) / 1024;
    double dw = (double)amx_part_reals(s, c) * sizeof(float) / 1024;
    double chunks = blocks * rows / (e.tiles * e.rows * e.blocks);
    return blocks * (products * PRODUCT + rows * (c.c_lines * halo * X + c.k_lines * DY)) +
           chunks * du * ADD + c.lanes * (du + dw) * FINISH + 3 * (c.lanes - 1) * dw * FINISH / 2;
}

/* A chunk at work. */
struct stage {
    const struct amx_part *p;
    struct extent most;
    struct tile_axis tiles;
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    char *v, *d;
    char *points;               /* of one line of x, POINT_STEP apart */
    float *du;
    int block, blocks;
    int t_begin, t_end;         /* tiles */
    int y_begin, y_end;         /* rows of dy */
    int x_begin, x_end;         /* rows of x that these reach */
    bool add;                   /* not the first chunk */
};

/* Bytes from the first register of a half to that of a tile of block g, with `rows` rows a tile. */
static size_t tile_at(const struct stage *w, int g, int t, int rows)
{
    return (size_t)((g * w->most.tiles + t - w->t_begin) * rows) * TILE_REGISTER;
}

static void transform_x(const struct stage *w, int g, int t, int y)
{
    const struct amx_part *p = w->p;
    const struct kernels *k = &p->b->kernels;
    int m = tile_size(&w->tiles, t), images = cpu_block_images(p->n, w->block + g);
    size_t half = v_half(p->s, w->most), step = v_step(p->s, w->most, p->cut);
    char *v = w->v + tile_at(w, g, t, w->x_end - w->x_begin) +
              (size_t)(y - w->x_begin) * TILE_REGISTER;
    for (int line = p->c_begin; line < p->c_end; line++, v += 2 * half) {
        const void *pixels[WINOGRAD_POINTS];
        list_pixels(&p->x, w->c_lines, line, w->block + g, y,
                    tile_begin(&w->tiles, t) - p->s->pad, 1, m + 2, pixels);
        k->rows.input(m, images, pixels, NULL,
                      lines_ahead(line, p->c_begin, p->c_end, p->s->w * w->c_lines), w->points,
                      POINT_STEP);
        for (int i = 0; i < m + 2; i++)
            k->tiles.transpose(w->points + (size_t)i * POINT_STEP, images,
                               v + (size_t)winograd_set4.point[m][i] * step, half);
    }
}

static void transform_dy(const struct stage *w, int g, int t, int y)
{
    const struct amx_part *p = w->p;
    const struct pooled_map pooled = {p->dy, p->taken, precision_bytes(PRECISION_BF16), w->k_lines};
    int m = tile_size(&w->tiles, t), images = cpu_block_images(p->n, w->block + g);
    int x = tile_begin(&w->tiles, t);
    size_t half = d_half(w->most), step = d_step(w->most, p->cut);
    char *d = w->d + tile_at(w, g, t, w->y_end - w->y_begin) +
              (size_t)(y - w->y_begin) * TILE_REGISTER;
    for (int line = p->k_begin; line < p->k_end; line++, d += 2 * half) {
        void *points[WINOGRAD_POINTS];
        const void *pixels[WINOGRAD_MOST];
        struct winograd_taken taken;
        if (p->taken)
            list_taken(&pooled, line, w->block + g, y, x, 1, m, pixels, &taken);
        else
            list_pixels(&p->dy, w->k_lines, line, w->block + g, y, x, 1, m, pixels);
        for (int i = 0; i < m + 2; i++)
            points[i] = d + (size_t)winograd_set4.point[m][i] * step;
        p->b->kernels.rows.gradient(
            m, images, pixels, p->taken ? &taken : NULL,
            lines_ahead(line, p->k_begin, p->k_end, p->dy.w * w->k_lines), points, half);
    }
}

/* The tiles of the chunk that have a point: neighbours, since larger ones come first. */
static struct conv_range tiles_with(const struct stage *w, int point)
{
    struct conv_range r = {w->t_begin, w->t_end};
    const unsigned *present = winograd_set4.present;
    while (r.begin < r.end && !(present[tile_size(&w->tiles, r.begin)] >> point & 1))
        r.begin++;
    while (r.begin < r.end && !(present[tile_size(&w->tiles, r.end - 1)] >> point & 1))
        r.end--;
    return r;
}

/* dU of a point: a row of the filter takes the place that a column has elsewhere. */
static void multiply(const struct stage *w, int point)
{
    const struct amx_part *p = w->p;
    int rows = w->y_end - w->y_begin, x_rows = w->x_end - w->x_begin;
    struct conv_range t = tiles_with(w, point);
    struct tile_outer o = {
        .x_block = (size_t)(w->most.tiles * x_rows) * TILE_REGISTER,
        .x_row = (size_t)x_rows * TILE_REGISTER, .x_pixel = TILE_REGISTER,
        .dy_block = (size_t)(w->most.tiles * rows) * TILE_REGISTER,
        .dy_row = (size_t)rows * TILE_REGISTER, .dy_pixel = TILE_REGISTER,
        .blocks = w->blocks, .rows = t.end - t.begin, .pixels = rows,
        .x_width = x_rows, .column = w->y_begin - p->s->pad - w->x_begin, .add = w->add,
    };
    if (o.rows == 0 && w->add)
        return;
    const char *v = w->v + (size_t)point * v_step(p->s, w->most, p->cut) +
                    tile_at(w, 0, t.begin, x_rows);
    const char *d = w->d + (size_t)point * d_step(w->most, p->cut) + tile_at(w, 0, t.begin, rows);
    float *du = w->du + (size_t)point * du_step(p->cut);
    for (int c = 0; c < 2 * (p->c_end - p->c_begin); c++)
        for (int k = 0; k < 2 * (p->k_end - p->k_begin); k++) {
            o.x = v + (size_t)c * v_half(p->s, w->most);
            o.dy = d + (size_t)k * d_half(w->most);
            p->b->kernels.tiles.outer_row(
                &o, du + (size_t)((c * 2 * p->cut.k_lines + k) * OUTER_TAPS) * REGISTER_REALS);
        }
}

static void rows_chunk(struct stage *w)
{
    for (int g = 0; g < w->blocks; g++)
        for (int t = w->t_begin; t < w->t_end; t++) {
            for (int y = w->x_begin; y < w->x_end; y++)
                transform_x(w, g, t, y);
            for (int y = w->y_begin; y < w->y_end; y++)
                transform_dy(w, g, t, y);
        }
    for (int point = 0; point < WINOGRAD_POINTS; point++)
        multiply(w, point);
    w->add = true;
}

/* sum = dW of the lane. */
static void finish(const struct stage *w, float *sum)
{
    const struct amx_part *p = w->p;
    for (int c = 0; c < 2 * (p->c_end - p->c_begin); c++)
        for (int k = 0; k < 2 * (p->k_end - p->k_begin); k++)
            for (int r = 0; r < OUTER_TAPS; r++) {
                int row = (c * 2 * p->cut.k_lines + k) * OUTER_TAPS + r;
                p->b->kernels.rows.weights_gradient(
                    REGISTER_REALS, w->du + (size_t)row * REGISTER_REALS, du_step(p->cut),
                    sum + (size_t)(row * OUTER_TAPS) * REGISTER_REALS, REGISTER_REALS);
            }
}

static void rows_lane(const struct amx_part *p, int lane, float *sum)
{
    const struct conv_shape *s = p->s;
    struct stage w = {.p = p, .most = chunk_extent(p->n, s), .tiles = tiles_of(s),
                      .c_lines = amx_lines(s->c), .k_lines = amx_lines(s->k), .v = p->room};
    w.d = w.v + WINOGRAD_POINTS * v_step(s, w.most, p->cut);
    w.points = w.d + WINOGRAD_POINTS * d_step(w.most, p->cut);
    w.du = (float *)(void *)(w.points + WINOGRAD_POINTS * POINT_STEP);
    int end = cpu_lane_begin(p->n, lane + 1);
    for (w.block = cpu_lane_begin(p->n, lane); w.block < end; w.block += w.blocks) {
        w.blocks = min_int(w.most.blocks, end - w.block);
        for (w.y_begin = 0; w.y_begin < s->p; w.y_begin = w.y_end) {
            w.y_end = min_int(w.y_begin + w.most.rows, s->p);
            w.x_begin = w.y_begin < s->pad ? 0 : min_int(w.y_begin - s->pad, s->h);
            w.x_end = min_int(w.y_end + OUTER_TAPS - 1 - s->pad, s->h);
            for (w.t_begin = 0; w.t_begin < w.tiles.count; w.t_begin = w.t_end) {
                w.t_end = min_int(w.t_begin + w.most.tiles, w.tiles.count);
                rows_chunk(&w);
            }
        }
    }
    finish(&w, sum);
}

const struct amx_way amx_rows_outer = {
    .parity = true,
    .room = rows_room,
    .cycles = rows_cycles,
    .lane = rows_lane,
};
