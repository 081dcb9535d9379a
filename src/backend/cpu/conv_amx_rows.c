/* conv_amx_rows.c - Winograd along rows, with products in tile registers: forward and
 * backward-data; see struct winograd_row_kernels. Backward-weights is conv_amx_rows_outer.c.
 *
 * Each row of the outputs is cut into tiles of 4, 3 or 2, as in conv_winograd.h. For an item, some
 * rows of some tiles of one block of images and some lines of K:
 *
 *      input      map -> V [row][point of every tile][line of C]      rows that the outputs reach
 *      line of K > some groups, four rows of a tile each:
 *         point > group:
 *            products   M [group][point][row] = V * U, three rows of the filter by all of C
 *         outputs       M -> map, or its 2x2 max pool
 *
 * Backward-data is forward from dy with the taps in reverse. Items are cut so that V stays in the
 * second-level cache, beside the weights U, while the lines of K go by: rather between tiles, where
 * nothing is transformed twice, than between rows, whose next two belong to V as well. Where U is
 * too large to stay, each item reads all of it from further away, so items are larger.
 */
#include "backend/cpu/conv_amx.h"
#include "backend/cpu/conv_winograd.h"

enum {
    V_BYTES = 1 << 19,      /* of an item, at most, unless one tile of some rows has more */
    V_MOST = 1 << 20,       /* likewise, where U does not stay; and of one tile of eight rows */
    U_STAYS = 1 << 20,      /* bytes of U, at most */
    SUM_TILE = 2 * TILE,    /* float [32 images][32 channels] */
    SUM_STEP = ROW_PIXELS * SUM_TILE + LINE, /* from point to point; a line more, lest they all
                                                fall into the same sets of the caches */
    GROUPS_AT_ONCE = 4,     /* for which the weights of a point stay in the first-level cache */
    NEAR_LINES = 3,         /* of C, at most, whose V and weights of both halves of K fit there */
    PACK_STREAM_BYTES = 4 << 20, /* weights of this size leave the second-level caches anyway */
    ITEMS_PER_THREAD = 2    /* at least, where the work can be cut so */
};

/* The tiles, rows and rows of V of an item, at most; and into how many a block is cut by them. */
struct rows_cut {
    int tiles, rows, v_rows;
    int tile_parts, row_parts;
};

struct rows_job {
    struct cpu_backend *b;
    int n;
    struct tile_axis tiles;     /* of a row of outputs */
    struct winograd_maps maps;
    const char *packed;
    struct rows_cut cut;
    int line_parts;             /* into which lines of K are cut */
    char *workspace;
    size_t worker_bytes;
};

/* Up to four rows of a tile, whose points begin at `point`. */
struct rows_group {
    int tile, point;
    int y, count;
};

/* An item in the making, and the worker's memory for it. */
struct rows_stage {
    const struct rows_job *j;
    int block, images;
    int t_begin, t_end;         /* tiles */
    int y_begin, y_end;         /* rows of the outputs */
    int line_begin, line_end;   /* of the outputs */
    int v_begin, v_end;         /* rows of the input, of which there is V */
    char *v, *m;
};

static size_t point_bytes(int in_lines)
{
    return (size_t)in_lines * TILE;
}

static size_t v_row_bytes(int tiles, int in_lines)
{
    return (size_t)(tiles * WINOGRAD_POINTS) * point_bytes(in_lines);
}

/* Packed weights of one point of a line of K. */
static size_t u_point_bytes(int in_lines)
{
    return 2 * conv_tiles_half_bytes(in_lines, 1, ROW_TAPS);
}

static size_t u_bytes(const struct conv_shape *s, enum conv_pass pass)
{
    return (size_t)(amx_lines(conv_to(s, pass)) * WINOGRAD_POINTS) *
           u_point_bytes(amx_lines(conv_from(s, pass)));
}

static void transform_row(const struct rows_stage *g, int y)
{
    const struct rows_job *j = g->j;
    size_t step = point_bytes(j->maps.in_lines);
    char *v = g->v + (size_t)(y - g->v_begin) * v_row_bytes(j->cut.tiles, j->maps.in_lines);
    for (int t = g->t_begin; t < g->t_end; t++) {
        int m = tile_size(&j->tiles, t), x = tile_begin(&j->tiles, t) - j->maps.pad;
        for (int line = 0; line < j->maps.in_lines; line++) {
            const void *pixels[WINOGRAD_POINTS];
            struct winograd_taken room;
            const struct winograd_taken *taken =
                list_inputs(&j->maps, line, g->block, y, x, 1, m + 2, pixels, &room);
            int next = j->maps.taken.argmax ? m / 2 : m;
            ptrdiff_t ahead = lines_ahead(line, 0, j->maps.in_lines, next * j->maps.in_lines);
            j->b->kernels.rows.input(m, g->images, pixels, taken, ahead, v + (size_t)line * TILE,
                                     step);
        }
        v += (size_t)(m + 2) * step;
    }
}

/* M of group i, row by row, of the point that stands at `place` of its tile. */
static char *m_at(const struct rows_stage *g, int i, int place)
{
    return g->m + (size_t)(i * WINOGRAD_POINTS + place) * SUM_STEP;
}

/* Where point f stands among those of a tile of m, or -1. */
static int place_of(int m, int f)
{
    for (int i = 0; i < m + 2; i++)
        if (winograd_set4.point[m][i] == f)
            return i;
    return -1;
}

/* M of the groups at point f, of half of the images and some halves of a line. */
static void multiply(const struct rows_stage *g, int line, const struct rows_group *groups,
                     int count, int f, int half, struct conv_range k)
{
    static const struct conv_hit row = {0, 0};
    const struct rows_job *j = g->j;
    int in_lines = j->maps.in_lines;
    struct tile_pixels p = {
        .x_pixel = v_row_bytes(j->cut.tiles, in_lines), .x_width = g->v_end - g->v_begin,
        .c_lines = in_lines,
        .w = j->packed + (size_t)(line * WINOGRAD_POINTS + f) * u_point_bytes(in_lines),
        .r = 1, .rows = &row, .row_count = 1, .half = half, .k_begin = k.begin, .k_end = k.end,
    };
    for (int i = 0; i < count; i++) {
        const struct rows_group *of = &groups[i];
        int place = place_of(tile_size(&j->tiles, of->tile), f);
        if (place < 0)
            continue;
        p.x = g->v + (size_t)(of->point + place) * point_bytes(in_lines);
        p.column = of->y - j->maps.pad - g->v_begin;
        p.count = of->count;
        j->b->kernels.tiles.sums(&p, m_at(g, i, place), SUM_TILE);
    }
}

static void write_rows(const struct rows_stage *g, int line, const float *bias,
                       const struct rows_group *of, const char *m)
{
    const struct rows_job *j = g->j;
    int size = tile_size(&j->tiles, of->tile), x = tile_begin(&j->tiles, of->tile);
    void *pixels[WINOGRAD_MOST];
    for (int i = 0; i < of->count; i++, m += SUM_TILE) {
        list_outputs(&j->maps, line, g->block, of->y + i, x, 1, size, NULL, g->images, pixels);
        j->b->kernels.rows.output(size, g->images, m, SUM_STEP, bias, j->maps.stream, pixels);
    }
}

static void write_pooled_rows(const struct rows_stage *g, int line, const float *bias,
                              const struct rows_group *of, const char *m)
{
    const struct rows_job *j = g->j;
    int size = tile_size(&j->tiles, of->tile), x = tile_begin(&j->tiles, of->tile);
    void *pooled[WINOGRAD_MOST / 2];
    uint8_t *argmax[WINOGRAD_MOST / 2];
    for (int i = 0; i < of->count; i += 2, m += 2 * SUM_TILE) {
        list_pooled(j->b, &j->maps, line, g->block, of->y + i, x, 2, size, pooled, argmax);
        j->b->kernels.rows.output_pooled(size, g->images, m, SUM_STEP, SUM_TILE, bias, pooled,
                                         argmax[0] ? argmax : NULL);
    }
}

/* The halves of a line share V; where that and their weights do not fit the first-level cache, the
 * groups share the weights of each. */
static void write_groups(const struct rows_stage *g, int line, const float *bias,
                         const struct rows_group *groups, int count)
{
    const struct winograd_maps *maps = &g->j->maps;
    int each = maps->in_lines <= NEAR_LINES ? 2 : 1;
    for (int f = 0; f < WINOGRAD_POINTS; f++)
        for (int k = 0; k < 2; k += each)
            for (int half = 0; half < 2; half++)
                multiply(g, line, groups, count, f, half, (struct conv_range){k, k + each});
    for (int i = 0; i < count; i++)
        if (maps->pooled)
            write_pooled_rows(g, line, bias, &groups[i], m_at(g, i, 0));
        else
            write_rows(g, line, bias, &groups[i], m_at(g, i, 0));
}

/* Fours, but a rest of five or six begins with three: one or two alone would load their weights for
 * little. Pooled, they are even. */
static int next_rows(const struct rows_job *j, int rest)
{
    return !j->maps.pooled && (rest == 5 || rest == 6) ? 3 : min_int(rest, ROW_PIXELS);
}

static struct rows_stage stage_of(const struct rows_job *j, int item, int worker)
{
    const struct rows_cut *c = &j->cut;
    const struct winograd_maps *m = &j->maps;
    struct rows_stage g = {.j = j, .v = j->workspace + (size_t)worker * j->worker_bytes};
    int tile_part = item % c->tile_parts, row_part = item / c->tile_parts % c->row_parts;
    int rest = item / c->tile_parts / c->row_parts, line_part = rest % j->line_parts;
    g.block = rest / j->line_parts;
    g.images = rounded_images(j->n, g.block);
    g.t_begin = tile_part * c->tiles;
    g.t_end = min_int(g.t_begin + c->tiles, j->tiles.count);
    g.y_begin = row_part * c->rows;
    g.y_end = min_int(g.y_begin + c->rows, m->out.h);
    g.line_begin = m->out_lines * line_part / j->line_parts;
    g.line_end = m->out_lines * (line_part + 1) / j->line_parts;
    g.v_begin = g.y_begin < m->pad ? 0 : min_int(g.y_begin - m->pad, m->in.h);
    g.v_end = min_int(g.y_end + 2 - m->pad, m->in.h);
    g.m = g.v + (size_t)c->v_rows * v_row_bytes(c->tiles, m->in_lines);
    return g;
}

static void write_line(const struct rows_stage *g, int line)
{
    const struct rows_job *j = g->j;
    _Alignas(LINE) float bias[CHANNELS];
    struct rows_group groups[GROUPS_AT_ONCE];
    int count = 0;
    copy_bias(j->b, &j->maps, line, bias);
    for (int t = g->t_begin, point = 0; t < g->t_end; point += tile_size(&j->tiles, t) + 2, t++)
        for (int y = g->y_begin; y < g->y_end; y += groups[count++].count) {
            if (count == GROUPS_AT_ONCE) {
                write_groups(g, line, bias, groups, count);
                count = 0;
            }
            groups[count] = (struct rows_group){t, point, y, next_rows(j, g->y_end - y)};
        }
    write_groups(g, line, bias, groups, count);
}

static void rows_item(void *ctx, int item, int worker)
{
    const struct rows_job *j = ctx;
    struct rows_stage g = stage_of(j, item, worker);
    for (int y = g.v_begin; y < g.v_end; y++)
        transform_row(&g, y);
    j->b->kernels.tiles.begin(cpu_scratch(j->b, worker), false);
    for (int line = g.line_begin; line < g.line_end; line++)
        write_line(&g, line);
    j->b->kernels.tiles.end(cpu_scratch(j->b, worker));
}

/* The tiles of a row of the outputs of a pass. */
static struct tile_axis tiles_of(int width)
{
    struct tiling t;
    tiling_init(&t, width, width, WINOGRAD_MOST);
    return t.columns;
}

/* The rows of the input that `rows` rows of outputs reach, at most. */
static int rows_reached(int rows, int in_h)
{
    return min_int(rows + ROW_TAPS - 1, in_h);
}

/* As many tiles with all their rows as fit; or one, and rows in fours: as many as fit, or eight if
 * they are not too many, lest two of six are transformed twice. */
static struct rows_cut cut_rows(const struct conv_shape *s, enum conv_pass pass)
{
    bool backward = pass == CONV_BACKWARD_DATA;
    int h = backward ? s->h : s->p, in_h = backward ? s->p : s->h;
    int tiles = tiles_of(backward ? s->w : s->q).count;
    size_t u = u_bytes(s, pass), row = v_row_bytes(1, amx_lines(conv_from(s, pass)));
    int fit = (int)((u > U_STAYS ? V_MOST : V_BYTES) / row), most = (int)(V_MOST / row);
    struct rows_cut c = {.tiles = 1, .rows = h, .v_rows = rows_reached(h, in_h),
                         .tile_parts = tiles, .row_parts = 1};
    if (fit >= c.v_rows) {
        c.tile_parts = parts_of(tiles, fit / c.v_rows);
        c.tiles = parts_of(tiles, c.tile_parts);
        return c;
    }
    int least = rows_reached(2 * ROW_PIXELS, in_h) <= most ? 2 : 1; /* fours */
    int each = (fit - ROW_TAPS + 1) / ROW_PIXELS, fours = parts_of(h, ROW_PIXELS);
    each = each < least ? least : each;
    c.rows = parts_of(fours, parts_of(fours, each)) * ROW_PIXELS;
    c.v_rows = rows_reached(c.rows, in_h);
    c.row_parts = parts_of(h, c.rows);
    return c;
}

static size_t worker_bytes(const struct rows_cut *c, int in_lines)
{
    return (size_t)c->v_rows * v_row_bytes(c->tiles, in_lines) +
           GROUPS_AT_ONCE * WINOGRAD_POINTS * SUM_STEP;
}

static void rows_run(struct cpu_backend *b, const struct conv_work *w)
{
    if (w->pass == CONV_BACKWARD_WEIGHTS) {
        amx_weights(b, w, &amx_rows_outer);
        return;
    }
    struct rows_job j = {.b = b, .n = w->n, .packed = w->packed, .workspace = w->workspace};
    winograd_maps_init(&j.maps, b, w);
    j.tiles = tiles_of(j.maps.out.w);
    j.cut = cut_rows(w->shape, w->pass);
    j.worker_bytes = worker_bytes(&j.cut, j.maps.in_lines);
    int items = layout_blocks(w->n) * j.cut.tile_parts * j.cut.row_parts;
    j.line_parts = min_int(parts_of(ITEMS_PER_THREAD * b->base.threads, items), j.maps.out_lines);
    cpu_parallel(b, items * j.line_parts, rows_item, &j);
}

/* Packing. */

struct pack_job {
    struct cpu_backend *b;
    const struct conv_shape *s;
    enum conv_pass pass;
    const float *weights;
    char *packed;
};

static size_t rows_packed_bytes(const struct cpu_backend *b, const struct conv_shape *s,
                                enum conv_pass pass)
{
    (void)b;
    return u_bytes(s, pass);
}

static void pack_line(void *ctx, int line, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const struct conv_shape *s = j->s;
    bool backward = j->pass == CONV_BACKWARD_DATA;
    size_t by_k = (size_t)(s->c * conv_taps(s)), by_c = (size_t)conv_taps(s);
    size_t step = u_point_bytes(amx_lines(conv_from(s, j->pass)));
    j->b->kernels.rows.pack(conv_to(s, j->pass), conv_from(s, j->pass), backward, j->weights,
                            backward ? by_c : by_k, backward ? by_k : by_c, line * CHANNELS,
                            u_bytes(s, j->pass) >= PACK_STREAM_BYTES,
                            j->packed + (size_t)(line * WINOGRAD_POINTS) * step, step);
}

static void rows_pack(struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                      const void *weights, void *packed)
{
    struct pack_job j = {.b = b, .s = s, .pass = pass, .weights = weights, .packed = packed};
    cpu_parallel(b, amx_lines(conv_to(s, pass)), pack_line, &j);
}

/* The choice. */

static bool rows_supports(const struct cpu_backend *b, const struct conv_shape *s,
                          enum conv_pass pass)
{
    int width = pass == CONV_BACKWARD_DATA ? s->w : s->q;
    return b->base.precision == PRECISION_BF16 &&
           b->kernels.tiles.begin && b->kernels.rows.input && s->r == 3 && s->s == 3 &&
           s->stride == 1 && s->pad <= 2 && width >= WINOGRAD_LEAST;
}

static bool rows_pools(const struct cpu_backend *b, const struct conv_shape *s,
                       enum conv_pass pass)
{
    (void)b, (void)s, (void)pass;
    return true;
}

static size_t rows_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                             enum conv_pass pass)
{
    if (pass == CONV_BACKWARD_WEIGHTS)
        return amx_weights_workspace(b, n, s, &amx_rows_outer);
    struct rows_cut c = cut_rows(s, pass);
    return (size_t)b->base.threads * worker_bytes(&c, amx_lines(conv_from(s, pass)));
}

/* Products at their rate, which is higher than that of direct sums, where it includes all else;
 * transforms, which also turn x and pair dy; and 27 floats for each pair of channels at the end of
 * a lane. */
static double weights_seconds(const struct cpu_backend *b, int n, const struct conv_shape *s)
{
    static const double FASTER = 1.25, TURNED = 1, PAIRED = 0.7, SUMS = 2.5;
    int unused[LANES];
    double k = amx_lines(s->k), c = amx_lines(s->c), images = layout_blocks(n) * IMAGES;
    struct tile_axis t = tiles_of(s->q);
    double points = tiles_points(&t);
    double products = images * points * conv_row_taps_inside(s) * c * k * CHANNELS * CHANNELS;
    double lines = images * (TURNED * s->h * (points + s->w) * c +
                             PAIRED * s->p * (points + s->q) * k);
    double sums = conv_lanes(n, unused) * 27 * c * k * CHANNELS * CHANNELS * sizeof(float) / LINE;
    return products / (FASTER * b->rates.tiles_outer) + (lines + SUMS * sums) / b->rates.lines;
}

/* Products at the rate of tiles, a little less because the sums are shorter, and every line read
 * and written around them, twice as fast as in two dimensions. */
static double rows_seconds(const struct cpu_backend *b, int n, const struct conv_shape *s,
                           enum conv_pass pass)
{
    static const double SHORT_SUMS = 0.82, SIMPLER = 2;
    bool backward = pass == CONV_BACKWARD_DATA;
    int h = backward ? s->h : s->p, w = backward ? s->w : s->q;
    if (pass == CONV_BACKWARD_WEIGHTS)
        return weights_seconds(b, n, s);
    double to = amx_lines(conv_to(s, pass)), from = amx_lines(conv_from(s, pass));
    struct tile_axis t = tiles_of(w);
    struct rows_cut c = cut_rows(s, pass);
    double points = tiles_points(&t), images = layout_blocks(n) * IMAGES;
    double products = points * conv_row_taps_inside(s) * from * to * CHANNELS * CHANNELS;
    double lines = (h + 2 * (c.row_parts - 1)) * (points + w) * from + h * (2 * points + w) * to;
    return images * (products / (SHORT_SUMS * b->rates.tiles) +
                     lines / (SIMPLER * b->rates.lines));
}

const struct conv_algorithm conv_amx_rows = {
    .name = "amx4",
    .supports = rows_supports,
    .pools = rows_pools,
    .seconds = rows_seconds,
    .packed_bytes = rows_packed_bytes,
    .workspace = rows_workspace,
    .pack = rows_pack,
    .run = rows_run,
};
