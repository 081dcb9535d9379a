/* conv_winograd_weights.c - Winograd's convolution on the CPU: the gradient of the weights.
 *
 *      dU [frequency][c][k] += sum over positions and images of V [..][c] * D [..][k]
 *      dW of a lane          = G^T dU G, at the lane's end
 *
 * The positions of a lane pass in chunks: V is made of x and D of dy, then their products are added
 * to dU. Threads share the work in one of two ways, by the size of dU:
 *
 *   apart     A small dU. An item is a lane, or part of K of a lane where there are few lanes; its
 *             worker has V, D and dU of its own, near it, and waits for nobody.
 *   together  A large dU, of which there is one. All threads transform a chunk into memory that
 *             they share, then multiply. An item is a panel of K by a group of lines of C, and owns
 *             its part of dU, at all frequencies; the item that finishes a lane goes on to dW while
 *             its part is near. Where every lane fits one chunk, that is all there is of dU.
 *             Where it does not, dU has to come and go with every chunk in any case, and an item is
 *             a panel of one frequency by all of C: a worker's next item is the next panel, which
 *             finds V of the frequency near, where the other order fetches all of V anew for each
 *             panel, and D for each group. Not so if `outer` asks for the next frequency's.
 *
 * Chunks are cut by the shape and the batch alone, because where they end decides the order of
 * additions. dW of a lane is in the packed form of conv.h; unpacking adds the lanes up as a tree.
 */
#include <assert.h>
#include <string.h>

#include "backend/cpu/conv_winograd.h"

enum {
    APART_BYTES = 3 << 20,      /* of dU, at most, where lanes are worked on apart */
    NEAR_BYTES = 7 << 17,       /* of V, D and dU then, if possible: the second-level cache */
    APART_POSITIONS = 3,        /* of a chunk then, at least */
    CHUNK_BYTES = 20 << 20,     /* of V and D together: what the last-level cache holds */
    STREAM_APART_BYTES = 3 << 20, /* of V and D apart: too much to stay near */
    STREAM_BYTES = 16 << 20,    /* lanes' dW of this size would not stay there beside them */
    GROUP_CHANNELS = 64         /* of C in an item: its dU stays in the second-level cache */
};

/* Lines of C in a group. */
static int group_lines(enum precision p)
{
    return GROUP_CHANNELS / layout_cb(p);
}

/* How work and memory are divided for n images. */
struct division {
    int frequencies;
    bool apart, whole;          /* whole: together, and every lane is one chunk */
    bool by_frequency;          /* neither, and items are of one frequency */
    bool stream;                /* V and D go past the caches */
    int splits;                 /* parts of K that items are cut by */
    int positions;              /* of a chunk, at most */
    size_t v_step, d_step, du_step; /* bytes between frequencies */
    size_t slot;                /* of dU together, a panel by a group */
    size_t slot_step;           /* bytes between slots, which interleave by_frequency */
    size_t worker;              /* apart: V, D and dU; whole: a slot */
    size_t shared;              /* together: V, D, and a slot for each item if not whole */
    size_t lane;                /* dW */
};

struct weights_job {
    struct cpu_backend *b;
    const struct winograd_kernels *transforms;
    int n;
    const struct conv_shape *s;
    struct tiling tiling;
    struct division division;
    struct map x, dy;
    struct pooled_map taken;    /* instead of dy, if it has argmax */
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    int panels, groups;         /* of K, of lines of C */
    int lanes[LANES], lane_count; /* those that have images */
    void *lane[LANES];          /* dW of each lane, packed; NULL if it has no images */
    void *dw;
    char *workspace;
};

/* A chunk in work, by one worker or by all. */
struct stage {
    const struct weights_job *j;
    int lane;
    int panel_first, panel_end; /* of K */
    char *v, *d, *du;
    struct chunk chunk;
    bool first, last;           /* of the lane's chunks: sets dU, finishes it */
};

static int lane_positions(int n, int lane, int tiles)
{
    return (cpu_lane_begin(n, lane + 1) - cpu_lane_begin(n, lane)) * tiles;
}

static int splits_apart(int lanes, int threads, int panels)
{
    int splits = 1;
    while (splits < panels && lanes * splits % threads && lanes * splits < 4 * threads)
        splits++;
    return splits;
}

/* Bytes of dU between frequencies: of some lines of K by some channels. */
static size_t gradient_step(enum precision p, int lines, int channels)
{
    return conv_gradient_bytes(p, lines, winograd_depth(p, channels), 1) + LINE;
}

/* Positions that a chunk may have: apart, few enough to stay near dU, but enough to be worth the
 * way of dU through the registers. */
static int fitting_positions(const struct division *d, size_t du, size_t position)
{
    size_t room = d->apart ? (du < NEAR_BYTES ? NEAR_BYTES - du : 0) : CHUNK_BYTES;
    int fit = (int)(room / position), least = d->apart ? APART_POSITIONS : 1;
    return min_int(fit < least ? least : fit, CHUNK_POSITIONS);
}

static struct division divide(const struct cpu_backend *b, int n, const struct conv_shape *s,
                              int tiles)
{
    enum precision p = b->base.precision;
    int c_lines = layout_cblocks(p, s->c), k_lines = layout_cblocks(p, s->k);
    int panels = winograd_panels(p, s->k), most = 0, lanes[LANES];
    for (int l = 0; l < LANES; l++)
        most = lane_positions(n, l, tiles) > most ? lane_positions(n, l, tiles) : most;
    const struct winograd_kernels *transforms = winograd_transforms(b, s, CONV_BACKWARD_WEIGHTS);
    size_t frequencies = (size_t)winograd_frequencies(transforms);
    size_t du = frequencies * gradient_step(p, k_lines, s->c);
    struct division d = {.frequencies = (int)frequencies, .apart = du <= APART_BYTES, .splits = 1};
    if (d.apart)
        d.splits = splits_apart(conv_lanes(n, lanes), b->base.threads, panels);
    int fit = fitting_positions(&d, du, frequencies * (size_t)(c_lines + k_lines) * TILE);
    int chunks = (most + fit - 1) / fit;
    d.positions = (most + chunks - 1) / chunks;
    d.whole = !d.apart && chunks == 1;
    int lines = min_int((panels + d.splits - 1) / d.splits * winograd_panel(p), k_lines);
    d.v_step = (size_t)(d.positions * c_lines) * TILE + LINE;
    d.d_step = (size_t)(d.positions * lines) * TILE + LINE;
    d.du_step = d.apart ? gradient_step(p, lines, s->c)
                        : gradient_step(p, winograd_panel(p), min_int(s->c, GROUP_CHANNELS));
    d.slot = d.slot_step = frequencies * d.du_step;
    size_t maps = frequencies * (d.v_step + d.d_step);
    size_t items = (size_t)(panels * ((s->c + GROUP_CHANNELS - 1) / GROUP_CHANNELS));
    d.by_frequency = !d.apart && !d.whole && !transforms->outer;
    d.stream = !d.apart || maps >= STREAM_APART_BYTES;
    if (d.by_frequency) {
        d.slot_step = d.du_step;
        d.du_step *= items;
    }
    d.worker = d.apart ? maps + d.slot : d.whole ? d.slot : 0;
    d.shared = d.apart ? 0 : d.whole ? maps : maps + items * d.slot;
    d.lane = conv_gradient_size(&b->base, s->k, s->c, WINOGRAD_TAPS);
    return d;
}

static size_t division_bytes(const struct cpu_backend *b, int n, const struct division *d)
{
    int lanes[LANES];
    return d->shared + (size_t)b->base.threads * d->worker +
           (size_t)conv_lanes(n, lanes) * d->lane;
}

/* Fewer images may take more: their lanes may be of one chunk, or fill their chunks. */
size_t conv_winograd_weights_workspace(const struct cpu_backend *b, int n,
                                       const struct conv_shape *s)
{
    int most = conv_algorithms[s->algorithm[CONV_BACKWARD_WEIGHTS]]->tile;
    struct tiling t;
    tiling_init(&t, s->p, s->q, most);
    size_t bytes = 0;
    for (int blocks = 1; blocks <= layout_blocks(n); blocks++) {
        struct division d = divide(b, min_int(blocks * IMAGES, n), s, tiling_count(&t));
        size_t wanted = division_bytes(b, min_int(blocks * IMAGES, n), &d);
        bytes = wanted > bytes ? wanted : bytes;
    }
    return bytes;
}

/* V is [frequency][line][position], D [frequency][panel][position][lines of the panel]: what one
 * product reads follows on each other. Bytes from a frequency's beginning to a position. */
static size_t v_at(const struct weights_job *j, int position, int line)
{
    return (size_t)(line * j->division.positions + position) * TILE;
}

static size_t d_at(const struct stage *g, int position, int panel)
{
    enum precision p = g->j->b->base.precision;
    int before = (panel - g->panel_first) * winograd_panel(p) * g->j->division.positions;
    return (size_t)(before + position * winograd_panel_lines(p, g->j->s->k, panel)) * TILE;
}

/* One line of one position of x. */
static void transform_x(const struct stage *g, int i, int line)
{
    const struct weights_job *j = g->j;
    const struct winograd_kernels *k = j->transforms;
    const struct position *p = &g->chunk.at[i];
    int my = tile_size(&j->tiling.rows, p->row), mx = tile_size(&j->tiling.columns, p->column);
    const void *pixels[WINOGRAD6_FREQUENCIES];
    list_pixels(&j->x, j->c_lines, line, p->block, tile_begin(&j->tiling.rows, p->row) - j->s->pad,
                tile_begin(&j->tiling.columns, p->column) - j->s->pad, my + 2, mx + 2, pixels);
    (k->input_rows ? k->input_rows : k->input)(my, mx, cpu_block_images(j->n, p->block), pixels,
                                               NULL, j->division.stream, g->v + v_at(j, i, line),
                                               j->division.v_step);
}

/* One line of one position of dy. */
static void transform_dy(const struct stage *g, int i, int line)
{
    const struct weights_job *j = g->j;
    const struct position *p = &g->chunk.at[i];
    int my = tile_size(&j->tiling.rows, p->row), mx = tile_size(&j->tiling.columns, p->column);
    int width = winograd_panel(j->b->base.precision);
    int y = tile_begin(&j->tiling.rows, p->row), x = tile_begin(&j->tiling.columns, p->column);
    char *d = g->d + d_at(g, i, line / width) + (size_t)(line % width) * TILE;
    const void *pixels[WINOGRAD6_FREQUENCIES];
    struct winograd_taken taken;
    if (j->taken.argmax)
        list_taken(&j->taken, line, p->block, y, x, my, mx, pixels, &taken);
    else
        list_pixels(&j->dy, j->k_lines, line, p->block, y, x, my, mx, pixels);
    j->transforms->gradient(my, mx, cpu_block_images(j->n, p->block), pixels,
                                    j->taken.argmax ? &taken : NULL, j->division.stream, d,
                                    j->division.d_step);
}

/* A panel of K by some lines of C, and its part of dU, [frequency][c][lines * CB]. */
struct weights_part {
    const struct stage *g;
    int panel, lines;           /* of K */
    int line_first, line_end;   /* of C */
    char *du;
};

/* Channels of C in the first `lines` lines of the part. */
static int part_channels(const struct weights_part *w, int lines)
{
    int cb = layout_cb(w->g->j->b->base.precision);
    return min_int((w->line_first + lines) * cb, w->g->j->s->c) - w->line_first * cb;
}

static void multiply_run(const struct weights_part *w, int f, const struct run *run, bool add)
{
    const struct weights_job *j = w->g->j;
    const struct division *d = &j->division;
    const struct kernels *k = &j->b->kernels;
    enum precision p = j->b->base.precision;
    int cb = layout_cb(p);
    size_t tile = (size_t)(IMAGES * cb);
    for (int line = w->line_first; line < w->line_end; line++) {
        int channels = min_int(cb, j->s->c - line * cb);
        char *du = w->du + (size_t)f * d->du_step +
                   conv_gradient_bytes(p, w->lines, (line - w->line_first) * cb, 1);
        const struct conv_rect rect = {
            .rows = 1,
            .pixels = run->end - run->begin,
            .x = w->g->v + (size_t)f * d->v_step + v_at(j, run->begin, line),
            .dy = w->g->d + (size_t)f * d->d_step + d_at(w->g, run->begin, w->panel),
            .x_pixel = tile,
            .dy_pixel = (size_t)w->lines * tile,
        };
        if (j->transforms->outer)
            j->transforms->outer(rect.pixels, run->images, channels, add, rect.x, d->v_step,
                                 rect.dy, d->d_step, du);
        else
            k->conv.outer(&rect, run->images, channels, w->lines, du);
    }
}

/* One frequency of the chunk. */
static void multiply(const struct weights_part *w, int f)
{
    const struct weights_job *j = w->g->j;
    enum precision p = j->b->base.precision;
    struct run runs[RUNS];
    int count = chunk_runs(&w->g->chunk, f, runs);
    bool add = !w->g->first;
    if (!add && (count == 0 || !j->transforms->outer)) {
        int depth = winograd_depth(p, part_channels(w, w->line_end - w->line_first));
        memset(w->du + (size_t)f * j->division.du_step, 0,
               conv_gradient_bytes(p, w->lines, depth, 1));
        add = true;
    }
    for (int r = 0; r < count; r++, add = true)
        multiply_run(w, f, &runs[r], add);
}

/* dU of a lane's images is complete: makes the part of the lane's dW. */
static void finish(const struct weights_part *w)
{
    const struct weights_job *j = w->g->j;
    enum precision p = j->b->base.precision;
    int line = w->panel * winograd_panel(p), panel = line / PANEL_LINES;
    size_t row = conv_gradient_bytes(p, conv_panel_lines(p, j->s->k, panel), 1, 1);
    char *dw = (char *)j->lane[w->g->lane] +
               conv_gradient_at(&j->b->base, panel, j->s->c, WINOGRAD_TAPS) +
               (size_t)(w->line_first * layout_cb(p)) * row +
               conv_gradient_bytes(p, line % PANEL_LINES, 1, 1);
    bool stream = (size_t)j->lane_count * j->division.lane >= STREAM_BYTES;
    j->transforms->weights_gradient(part_channels(w, w->line_end - w->line_first), w->lines, w->du,
                                    j->division.du_step, stream, dw, (size_t)j->s->c * row, row);
}

/* A group of lines of C of one panel; du as it lies apart. */
static struct weights_part part_of(const struct stage *g, int panel, int group)
{
    const struct weights_job *j = g->j;
    enum precision p = j->b->base.precision;
    struct weights_part w = {.g = g, .panel = panel, .line_first = group * group_lines(p),
                             .lines = winograd_panel_lines(p, j->s->k, panel)};
    w.line_end = min_int(w.line_first + group_lines(p), j->c_lines);
    w.du = g->du +
           conv_gradient_bytes(p, (panel - g->panel_first) * winograd_panel(p),
                               winograd_depth(p, j->s->c), 1) +
           conv_gradient_bytes(p, w.lines, w.line_first * layout_cb(p), 1);
    return w;
}

static void next_chunk(struct stage *g, int begin, int at, int end)
{
    const struct weights_job *j = g->j;
    chunk_init(&g->chunk, &j->tiling, j->n, at, min_int(at + j->division.positions, end));
    g->first = at == begin;
    g->last = at + j->division.positions >= end;
}

/* Apart. */

static void multiply_apart(const struct stage *g)
{
    for (int f = 0; f < g->j->division.frequencies; f++)
        for (int panel = g->panel_first; panel < g->panel_end; panel++)
            for (int group = 0; group < g->j->groups; group++) {
                const struct weights_part w = part_of(g, panel, group);
                multiply(&w, f);
            }
}

static void transform_apart(const struct stage *g)
{
    const struct weights_job *j = g->j;
    int width = winograd_panel(j->b->base.precision);
    int end = min_int(g->panel_end * width, j->k_lines);
    for (int i = 0; i < g->chunk.count; i++) {
        for (int line = 0; line < j->c_lines; line++)
            transform_x(g, i, line);
        for (int line = g->panel_first * width; line < end; line++)
            transform_dy(g, i, line);
    }
}

static void apart_item(void *ctx, int item, int worker)
{
    const struct weights_job *j = ctx;
    const struct division *d = &j->division;
    int tiles = tiling_count(&j->tiling), split = item % d->splits;
    struct stage g = {.j = j, .lane = j->lanes[item / d->splits],
                      .panel_first = j->panels * split / d->splits,
                      .panel_end = j->panels * (split + 1) / d->splits,
                      .v = j->workspace + (size_t)worker * d->worker};
    g.d = g.v + (size_t)d->frequencies * d->v_step;
    g.du = g.d + (size_t)d->frequencies * d->d_step;
    int begin = cpu_lane_begin(j->n, g.lane) * tiles;
    int end = cpu_lane_begin(j->n, g.lane + 1) * tiles;
    for (int at = begin; at < end; at += d->positions) {
        next_chunk(&g, begin, at, end);
        transform_apart(&g);
        multiply_apart(&g);
    }
    for (int panel = g.panel_first; panel < g.panel_end; panel++)
        for (int group = 0; group < j->groups; group++) {
            const struct weights_part w = part_of(&g, panel, group);
            finish(&w);
        }
}

/* Together. */

/* One line of one position, of x or of dy. */
static void transform_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct stage *g = ctx;
    int lines = g->j->c_lines + g->j->k_lines, i = item / lines, line = item % lines;
    if (line < g->j->c_lines)
        transform_x(g, i, line);
    else
        transform_dy(g, i, line - g->j->c_lines);
}

/* The so many-th part, with the so many-th slot. */
static struct weights_part slotted_part(const struct stage *g, int part, int slot)
{
    struct weights_part w = part_of(g, part / g->j->groups, part % g->j->groups);
    w.du = g->du + (size_t)slot * g->j->division.slot_step;
    return w;
}

static void part_item(void *ctx, int item, int worker)
{
    const struct stage *g = ctx;
    const struct weights_part w = slotted_part(g, item, g->j->division.whole ? worker : item);
    for (int f = 0; f < g->j->division.frequencies; f++)
        multiply(&w, f);
    if (g->last)
        finish(&w);
}

static void frequency_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct stage *g = ctx;
    int panel = item % g->j->panels, groups = g->j->groups;
    for (int part = panel * groups; part < (panel + 1) * groups; part++) {
        const struct weights_part w = slotted_part(g, part, part);
        multiply(&w, item / g->j->panels);
    }
}

static void finish_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_part w = slotted_part(ctx, item, item);
    finish(&w);
}

static void multiply_together(struct stage *g)
{
    const struct weights_job *j = g->j;
    int parts = j->panels * j->groups;
    if (!j->division.by_frequency) {
        cpu_parallel(j->b, parts, part_item, g);
        return;
    }
    cpu_parallel(j->b, j->division.frequencies * j->panels, frequency_item, g);
    if (g->last)
        cpu_parallel(j->b, parts, finish_item, g);
}

static void run_lane(struct weights_job *j, int lane)
{
    struct stage g = {.j = j, .lane = lane, .panel_end = j->panels, .v = j->workspace};
    const struct division *d = &j->division;
    int tiles = tiling_count(&j->tiling), begin = cpu_lane_begin(j->n, lane) * tiles;
    int end = cpu_lane_begin(j->n, lane + 1) * tiles;
    g.d = g.v + (size_t)d->frequencies * d->v_step;
    g.du = g.d + (size_t)d->frequencies * d->d_step;
    for (int at = begin; at < end; at += d->positions) {
        next_chunk(&g, begin, at, end);
        cpu_parallel(j->b, g.chunk.count * (j->c_lines + j->k_lines), transform_item, &g);
        multiply_together(&g);
    }
}

/* Adds the lanes up and unpacks some lines of C of one panel. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    int group = item % j->groups;
    conv_unpack(j->b, j->s, j->lane, item / j->groups, group * GROUP_CHANNELS,
                min_int((group + 1) * GROUP_CHANNELS, j->s->c), j->dw);
}

void conv_winograd_weights(struct cpu_backend *b, const struct conv_work *w, int most)
{
    const struct conv_shape *s = w->shape;
    enum precision p = b->base.precision;
    struct weights_job j = {.b = b, .transforms = winograd_transforms(b, s, CONV_BACKWARD_WEIGHTS),
                            .n = w->n, .s = s, .x = w->x, .dy = w->y,
                            .c_lines = layout_cblocks(p, s->c), .k_lines = layout_cblocks(p, s->k),
                            .panels = winograd_panels(p, s->k), .dw = w->dw};
    if (w->pooled)
        j.taken = (struct pooled_map){w->y, w->taken, precision_bytes(p), j.k_lines};
    j.groups = (s->c + GROUP_CHANNELS - 1) / GROUP_CHANNELS;
    j.lane_count = conv_lanes(w->n, j.lanes);
    tiling_init(&j.tiling, s->p, s->q, most);
    j.division = divide(b, w->n, s, tiling_count(&j.tiling));
    j.workspace = (char *)w->workspace + (size_t)j.lane_count * j.division.lane;
    for (int i = 0; i < j.lane_count; i++)
        j.lane[j.lanes[i]] = (char *)w->workspace + (size_t)i * j.division.lane;
    if (j.division.apart)
        cpu_parallel(b, j.lane_count * j.division.splits, apart_item, &j);
    else
        for (int i = 0; i < j.lane_count; i++)
            run_lane(&j, j.lanes[i]);
    cpu_parallel(b, conv_panels(p, s->k) * j.groups, unpack_item, &j);
}
