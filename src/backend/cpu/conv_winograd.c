/* conv_winograd.c - Winograd's convolution on the CPU: packing, forward and backward-data.
 *
 * Backward-data is forward from dy with the taps in reverse. For a chunk of positions
 *
 *      input transform    map -> V [frequency][position][line of C][32 images]
 *      for each panel of K:
 *          products       M [frequency][position][lines][32 images] = V * U
 *          output         M -> map
 *
 * U, the transformed weights, lies as [panel][frequency][c][lines * CB]: the packed form of conv.h
 * with a tap for each frequency. The products are the gather kernel with one tap; V and M are tiles
 * of layout.h. V and M of a chunk, private to a worker, stay in its second-level cache or near it;
 * the panel of U is read once for all rows of the chunk.
 */
#include <assert.h>
#include <string.h>

#include "backend/cpu/conv_winograd.h"

enum {
    CHUNK_BYTES = 1 << 20,      /* of V and M, about: the second-level cache */
    PACK_STREAM_BYTES = 2 << 20, /* weights of this size leave the second-level caches anyway */
    TILES_MOST = 64,            /* of a dimension, so that everything can be counted in ints */
    ITEMS_PER_THREAD = 4        /* at least, where the work can be cut that finely */
};

/* Bytes between frequencies; a line more than they hold, lest they all fall into the same sets of
 * the caches. */
static size_t v_step(int positions, int lines)
{
    return (size_t)(positions * lines) * TILE + LINE;
}

/* A tile of M, in P. */
static size_t m_tile(enum precision p)
{
    return (size_t)(IMAGES * layout_cb(p)) * precision_real_bytes(p);
}

/* Positions of a chunk for `lines` lines of channels. */
static int chunk_positions(enum precision p, int frequencies, int lines)
{
    size_t position = (size_t)frequencies *
                      ((size_t)lines * TILE + (size_t)winograd_panel(p) * m_tile(p));
    int count = (int)(CHUNK_BYTES / position);
    return count < 1 ? 1 : min_int(count, CHUNK_POSITIONS);
}

static size_t m_step(enum precision p, int positions)
{
    return (size_t)(positions * winograd_panel(p)) * m_tile(p) + LINE;
}

/* Packed weights of one frequency of a panel; in bf16 with a line between frequencies, too. (In
 * fp32 they are transformed in place and must follow on each other.) */
static size_t u_step(enum precision p, int lines, int from)
{
    return conv_packed_bytes(p, lines, winograd_depth(p, from), 1) +
           (p == PRECISION_BF16 ? LINE : 0);
}

/* Where a panel begins in the packed weights. */
static size_t u_at(enum precision p, int frequencies, int panel, int from)
{
    return (size_t)(panel * frequencies) * u_step(p, winograd_panel(p), from);
}

/* Packing. */

struct pack_job {
    struct cpu_backend *b;
    const struct winograd_kernels *transforms;
    const struct conv_shape *s;
    enum conv_pass pass;
    const void *weights;
    char *packed;
    bool stream;                /* what is written is too large for the caches of one core */
};

/* The plain packing goes where the last nine frequencies will be, and is transformed in place. */
static void pack_panel(void *ctx, int panel, int worker)
{
    (void)worker;
    const struct pack_job *j = ctx;
    const struct conv_shape *s = j->s;
    const struct winograd_kernels *transforms = j->transforms;
    const struct conv_kernels *conv = &j->b->kernels.conv;
    enum precision p = j->b->base.precision;
    int from = conv_from(s, j->pass), to = conv_to(s, j->pass);
    int first = panel * winograd_panel(p) * layout_cb(p);
    int lines = winograd_panel_lines(p, to, panel);
    int frequencies = winograd_frequencies(transforms);
    char *u = j->packed + u_at(p, frequencies, panel, from);
    if (transforms->pack) {
        transforms->pack(to, from, j->pass == CONV_BACKWARD_DATA, j->weights, panel, j->stream, u,
                         u_step(p, lines, from));
        return;
    }
    char *w = u + (size_t)((frequencies - WINOGRAD_TAPS) * from * lines) * LINE;
    if (j->pass == CONV_BACKWARD_DATA)
        conv->pack_transposed(s->k, s->c, WINOGRAD_TAPS, j->weights, first, lines, w);
    else
        conv->pack(s->k, s->c, WINOGRAD_TAPS, j->weights, first, lines, w);
    transforms->weights(from, lines, j->pass == CONV_BACKWARD_DATA, u);
}

static size_t winograd_packed_bytes(const struct cpu_backend *b, const struct conv_shape *s,
                                    enum conv_pass pass)
{
    enum precision p = b->base.precision;
    int frequencies = winograd_frequencies(winograd_transforms(b, s, pass));
    return u_at(p, frequencies, winograd_panels(p, conv_to(s, pass)), conv_from(s, pass));
}

static void winograd_pack(struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                          const void *weights, void *packed)
{
    struct pack_job j = {.b = b, .transforms = winograd_transforms(b, s, pass), .s = s,
                         .pass = pass, .weights = weights, .packed = packed};
    j.stream = winograd_packed_bytes(b, s, pass) >= PACK_STREAM_BYTES;
    cpu_parallel(b, winograd_panels(b->base.precision, conv_to(s, pass)), pack_panel, &j);
}

/* Forward and backward-data. */

struct winograd_job {
    struct cpu_backend *b;
    const struct winograd_kernels *transforms;
    int frequencies;
    int n;
    struct tiling tiling;
    struct winograd_maps maps;
    const char *packed;
    int panels, splits;         /* an item takes panels/splits panels */
    int positions;              /* of a chunk */
    char *workspace;
    size_t worker_bytes;
};

/* A chunk in the making, and the worker's memory for it. */
struct stage {
    const struct winograd_job *j;
    struct chunk chunk;
    char *v, *m, *windows;      /* of a tile that will be pooled: its windows one by one */
};

static size_t worker_bytes(enum precision p, int frequencies, int positions, int lines)
{
    return (size_t)frequencies * (v_step(positions, lines) + m_step(p, positions)) +
           WINOGRAD6_MOST * WINOGRAD6_MOST * TILE;
}

static void transform_input(const struct stage *g)
{
    const struct winograd_job *j = g->j;
    size_t step = v_step(j->positions, j->maps.in_lines);
    for (int i = 0; i < g->chunk.count; i++) {
        const struct position *p = &g->chunk.at[i];
        int my = tile_size(&j->tiling.rows, p->row), mx = tile_size(&j->tiling.columns, p->column);
        int y = tile_begin(&j->tiling.rows, p->row) - j->maps.pad;
        int x = tile_begin(&j->tiling.columns, p->column) - j->maps.pad;
        for (int line = 0; line < j->maps.in_lines; line++) {
            const void *pixels[WINOGRAD6_FREQUENCIES];
            struct winograd_taken room;
            const struct winograd_taken *taken = list_inputs(&j->maps, line, p->block, y, x, my + 2,
                                                             mx + 2, pixels, &room);
            j->transforms->input(my, mx, rounded_images(j->n, p->block), pixels, taken, false,
                                 g->v + (size_t)(i * j->maps.in_lines + line) * TILE, step);
        }
    }
}

/* The product of one frequency for one position. */
static void multiply_tile(const struct winograd_job *j, int images, int lines, const void *v,
                          const void *u, size_t u_step, void *m)
{
    const struct conv_tap tap = {v, u, (const char *)u + u_step};
    int c = j->maps.in.c;
    if (j->transforms->product)
        j->transforms->product(c, images, v, u, u_step, m);
    else
        j->b->kernels.conv.gather(1, &tap, c, images, lines, NULL, false, m);
}

static void multiply(const struct stage *g, int panel, int lines)
{
    const struct winograd_job *j = g->j;
    enum precision p = j->b->base.precision;
    size_t v = v_step(j->positions, j->maps.in_lines), m = m_step(p, j->positions);
    const char *u = j->packed + u_at(p, j->frequencies, panel, j->maps.in.c);
    size_t u_bytes = u_step(p, lines, j->maps.in.c), tile = m_tile(p);
    for (int f = 0; f < j->frequencies; f++) {
        struct run runs[RUNS];
        int count = chunk_runs(&g->chunk, f, runs);
        for (int r = 0; r < count; r++) {
            int images = min_int((runs[r].images + 7) / 8 * 8, IMAGES);
            for (int i = runs[r].begin; i < runs[r].end; i++)
                multiply_tile(j, images, lines,
                              g->v + (size_t)f * v + (size_t)(i * j->maps.in_lines) * TILE,
                              u + (size_t)f * u_bytes, u_bytes,
                              g->m + (size_t)f * m + (size_t)(i * lines) * tile);
        }
    }
}

static void transform_output(const struct stage *g, int panel, int lines)
{
    const struct winograd_job *j = g->j;
    enum precision precision = j->b->base.precision;
    size_t step = m_step(precision, j->positions), tile = m_tile(precision);
    for (int line = 0; line < lines; line++) {
        int out_line = panel * winograd_panel(precision) + line;
        _Alignas(LINE) char bias[2 * LINE];
        copy_bias(j->b, &j->maps, out_line, bias);
        for (int i = 0; i < g->chunk.count; i++) {
            const struct position *p = &g->chunk.at[i];
            int my = tile_size(&j->tiling.rows, p->row);
            int mx = tile_size(&j->tiling.columns, p->column);
            int y = tile_begin(&j->tiling.rows, p->row);
            int x = tile_begin(&j->tiling.columns, p->column);
            int images = rounded_images(j->n, p->block);
            void *pixels[WINOGRAD6_MOST * WINOGRAD6_MOST];
            list_outputs(&j->maps, out_line, p->block, y, x, my, mx, g->windows, images, pixels);
            j->transforms->output(my, mx, images, g->m + (size_t)(i * lines + line) * tile, step,
                                  bias, j->maps.stream, pixels);
            if (j->maps.pooled)
                pool_windows(j->b, &j->maps, out_line, p->block, y, x, my, mx, g->windows);
        }
    }
}

static void winograd_item(void *ctx, int item, int worker)
{
    const struct winograd_job *j = ctx;
    int split = item % j->splits, begin = item / j->splits * j->positions;
    int all = layout_blocks(j->n) * tiling_count(&j->tiling);
    struct stage g = {.j = j, .v = j->workspace + (size_t)worker * j->worker_bytes};
    g.m = g.v + (size_t)j->frequencies * v_step(j->positions, j->maps.in_lines);
    g.windows = g.m + (size_t)j->frequencies * m_step(j->b->base.precision, j->positions);
    chunk_init(&g.chunk, &j->tiling, j->n, begin, min_int(begin + j->positions, all));
    transform_input(&g);
    int end = j->panels * (split + 1) / j->splits;
    for (int panel = j->panels * split / j->splits; panel < end; panel++) {
        int lines = winograd_panel_lines(j->b->base.precision, j->maps.out.c, panel);
        multiply(&g, panel, lines);
        transform_output(&g, panel, lines);
    }
}

static void run_map(struct winograd_job *j)
{
    enum precision p = j->b->base.precision;
    j->panels = winograd_panels(p, j->maps.out.c);
    j->positions = chunk_positions(p, j->frequencies, j->maps.in_lines);
    j->worker_bytes = worker_bytes(p, j->frequencies, j->positions, j->maps.in_lines);
    int all = layout_blocks(j->n) * tiling_count(&j->tiling);
    int chunks = (all + j->positions - 1) / j->positions;
    int wanted = ITEMS_PER_THREAD * j->b->base.threads;
    j->splits = min_int((wanted + chunks - 1) / chunks, j->panels);
    cpu_parallel(j->b, chunks * j->splits, winograd_item, j);
}

static void winograd_run(struct cpu_backend *b, const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    int most = conv_algorithms[s->algorithm[w->pass]]->tile;
    if (w->pass == CONV_BACKWARD_WEIGHTS) {
        conv_winograd_weights(b, w, most);
        return;
    }
    struct winograd_job j = {.b = b, .transforms = winograd_transforms(b, s, w->pass), .n = w->n,
                             .packed = w->packed, .workspace = w->workspace};
    j.frequencies = winograd_frequencies(j.transforms);
    winograd_maps_init(&j.maps, b, w);
    tiling_init(&j.tiling, j.maps.out.h, j.maps.out.w, most);
    run_map(&j);
}

static size_t winograd_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                                 enum conv_pass pass)
{
    if (pass == CONV_BACKWARD_WEIGHTS)
        return conv_winograd_weights_workspace(b, n, s);
    enum precision p = b->base.precision;
    int lines = layout_cblocks(p, conv_from(s, pass));
    int frequencies = winograd_frequencies(winograd_transforms(b, s, pass));
    int positions = chunk_positions(p, frequencies, lines);
    return (size_t)b->base.threads * worker_bytes(p, frequencies, positions, lines);
}

/* The choice. */

static bool supports(const struct cpu_backend *b, const struct conv_shape *s, enum conv_pass pass,
                     int most)
{
    const struct kernels *k = &b->kernels;
    bool backward = pass == CONV_BACKWARD_DATA;
    int h = backward ? s->h : s->p, w = backward ? s->w : s->q;
    return (most > WINOGRAD_MOST ? k->winograd6.input : k->winograd.input) && s->r == 3 &&
           s->s == 3 && s->stride == 1 && s->pad <= 2 && tiles_cut(h, most) &&
           tiles_cut(w, most) && h <= TILES_MOST * WINOGRAD_LEAST &&
           w <= TILES_MOST * WINOGRAD_LEAST;
}

/* Forward, windows must not cross tiles. */
static bool winograd_pools(const struct cpu_backend *b, const struct conv_shape *s,
                           enum conv_pass pass)
{
    (void)b;
    return pass != CONV_FORWARD || conv_algorithms[s->algorithm[pass]]->tile != 3;
}

/* Products at the rate of the products; and every line that is written or read between and around
 * them, those of dU and of a lane's dW once for every 32 images: so a batch of any size takes the
 * same algorithm. */
static double predict(const struct cpu_backend *b, int n, const struct conv_shape *s,
                      enum conv_pass pass, int most)
{
    enum precision p = b->base.precision;
    bool backward = pass == CONV_BACKWARD_DATA, weights = pass == CONV_BACKWARD_WEIGHTS;
    int h = backward ? s->h : s->p, w = backward ? s->w : s->q;
    struct tiling t;
    tiling_init(&t, h, w, most);
    double points = (double)tiles_points(&t.rows) * tiles_points(&t.columns);
    double to = layout_cblocks(p, conv_to(s, pass)), from = layout_cblocks(p, conv_from(s, pass));
    double products = n * points * to * layout_cb(p) * conv_from(s, pass);
    double lines = n * (2 * points * from + (points + h * w) * to);
    double sums = weights ? 2.0 * n / IMAGES * from * to * layout_cb(p) *
                                (t.set->points * t.set->points + WINOGRAD_TAPS)
                          : 0;
    double rate = most > WINOGRAD_MOST ? b->rates.product6
                  : weights            ? b->rates.product_outer
                                       : b->rates.product;
    return products / rate + (lines + sums) / b->rates.lines;
}

#define WINOGRAD(most)                                                                             \
    static bool supports##most(const struct cpu_backend *b, const struct conv_shape *s,            \
                               enum conv_pass pass)                                                \
    {                                                                                              \
        return supports(b, s, pass, most);                                                         \
    }                                                                                              \
    static double seconds##most(const struct cpu_backend *b, int n, const struct conv_shape *s,    \
                                enum conv_pass pass)                                               \
    {                                                                                              \
        return predict(b, n, s, pass, most);                                                       \
    }                                                                                              \
    const struct conv_algorithm conv_winograd##most = {                                            \
        .name = "winograd" #most,                                                                  \
        .tile = most,                                                                              \
        .supports = supports##most,                                                                \
        .pools = winograd_pools,                                                                   \
        .seconds = seconds##most,                                                                  \
        .packed_bytes = winograd_packed_bytes,                                                     \
        .workspace = winograd_workspace,                                                           \
        .pack = winograd_pack,                                                                     \
        .run = winograd_run,                                                                       \
    };

WINOGRAD(2)
WINOGRAD(3)
WINOGRAD(4)
WINOGRAD(6)
