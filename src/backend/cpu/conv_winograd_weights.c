/* conv_winograd_weights.c - Winograd's convolution on the CPU: the gradient of the weights.
 *
 *      dU [frequency][c][k] += sum over positions and images of V [..][c] * D [..][k]
 *      dW of a lane          = G^T dU G, at the lane's end
 *
 * The positions of a lane pass in chunks. All threads transform a chunk, V from x and D from dy,
 * into memory that they share; then they multiply, an item being a panel of K by a group of lines
 * of C, which owns its part of dU: so no thread has a dU of its own. The item that finishes a lane
 * goes on to dW while its part of dU is near. Lanes whose positions all fit one chunk need no dU in
 * memory at all, only a worker's room for one item. Chunks are cut by the shape and the batch
 * alone, because where they end decides the order of additions.
 *
 * dW of a lane is in the packed form of conv.h; unpacking adds the lanes up as a tree.
 */
#include <assert.h>
#include <string.h>

#include "backend/cpu/conv_winograd.h"

enum {
    CHUNK_BYTES = 12 << 20,     /* of V and D, about: what the last-level cache holds */
    GROUP_CHANNELS = 32         /* of C in an item: its dU stays in the second-level cache */
};

/* Lines of C in an item. */
static int group_lines(enum precision p)
{
    return GROUP_CHANNELS / layout_cb(p);
}

struct weights_job {
    struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    struct tiling tiling;
    struct map x, dy;
    struct pooled_map taken;    /* instead of dy, if it has argmax */
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    int panels, groups;         /* of K, of lines of C */
    int positions;              /* of a chunk, at most */
    char *v, *d, *du;           /* of all threads */
    size_t v_step, d_step, slot_bytes;
    bool whole;                 /* every lane is one chunk: du has a slot for each worker */
    void *lane[LANES];          /* dW of each lane, packed; NULL if it has no images */
    void *dw;

    struct chunk chunk;         /* the one in work */
    int current;                /* its lane */
    bool first, last;           /* of the lane's chunks */
};

/* How the memory is divided for n images. */
struct sizes {
    int fit;                    /* positions that a chunk may have */
    int positions, chunks;      /* of a chunk; of the largest lane */
    size_t v_step, d_step, slot, slots, lane;
};

static int lane_positions(int n, int lane, int tiles)
{
    return (cpu_lane_begin(n, lane + 1) - cpu_lane_begin(n, lane)) * tiles;
}

static struct sizes sizes_of(const struct cpu_backend *b, int n, const struct conv_shape *s,
                             int tiles)
{
    enum precision p = b->base.precision;
    int c_lines = layout_cblocks(p, s->c), k_lines = layout_cblocks(p, s->k), most = 0;
    for (int l = 0; l < LANES; l++)
        most = lane_positions(n, l, tiles) > most ? lane_positions(n, l, tiles) : most;
    struct sizes z = {.fit = CHUNK_BYTES / (WINOGRAD_FREQUENCIES * TILE * (c_lines + k_lines))};
    z.fit = z.fit < 1 ? 1 : min_int(min_int(z.fit, CHUNK_POSITIONS), most);
    z.chunks = (most + z.fit - 1) / z.fit;
    z.positions = (most + z.chunks - 1) / z.chunks;
    z.v_step = (size_t)(z.positions * c_lines) * TILE + LINE;
    z.d_step = (size_t)(z.positions * k_lines) * TILE + LINE;
    int groups = (c_lines + group_lines(p) - 1) / group_lines(p);
    z.slot = WINOGRAD_FREQUENCIES *
             conv_gradient_bytes(p, winograd_panel(p),
                                 min_int(c_lines, group_lines(p)) * layout_cb(p), 1);
    z.slots = z.chunks == 1 ? (size_t)b->base.threads
                            : (size_t)(winograd_panels(p, s->k) * groups);
    z.lane = conv_gradient_size(&b->base, s->k, s->c, WINOGRAD_TAPS);
    return z;
}

size_t conv_winograd_weights_workspace(const struct cpu_backend *b, int n,
                                       const struct conv_shape *s)
{
    int most = conv_algorithms[s->algorithm[CONV_BACKWARD_WEIGHTS]]->tile, lanes[LANES];
    struct tiling t;
    tiling_init(&t, s->p, s->q, most);
    struct sizes z = sizes_of(b, n, s, tiling_count(&t));
    int lines = layout_cblocks(b->base.precision, s->c) + layout_cblocks(b->base.precision, s->k);
    size_t steps = (size_t)(z.fit * lines) * TILE + 2 * LINE; /* a smaller n may have them */
    size_t slots = z.slots < (size_t)b->base.threads ? (size_t)b->base.threads : z.slots;
    return WINOGRAD_FREQUENCIES * steps + slots * z.slot + (size_t)conv_lanes(n, lanes) * z.lane;
}

/* V is [frequency][line][position], D [frequency][panel][position][lines of the panel]: what one
 * product reads follows on each other. Bytes from a frequency's beginning to a position. */
static size_t v_at(const struct weights_job *j, int position, int line)
{
    return (size_t)(line * j->positions + position) * TILE;
}

static size_t d_at(const struct weights_job *j, int position, int line)
{
    enum precision p = j->b->base.precision;
    int width = winograd_panel(p), panel = line / width;
    return (size_t)(panel * width * j->positions +
                    position * winograd_panel_lines(p, j->s->k, panel) + line % width) * TILE;
}

/* One line of one position: of x, then of dy. */
static void transform_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    int lines = j->c_lines + j->k_lines, i = item / lines, line = item % lines;
    const struct position *p = &j->chunk.at[i];
    const struct winograd_kernels *k = &j->b->kernels.winograd;
    int my = tile_size(&j->tiling.rows, p->row), mx = tile_size(&j->tiling.columns, p->column);
    int y = tile_begin(&j->tiling.rows, p->row), x = tile_begin(&j->tiling.columns, p->column);
    int images = cpu_block_images(j->n, p->block), pad = j->s->pad;
    const void *pixels[WINOGRAD_FREQUENCIES];
    if (line < j->c_lines) {
        list_pixels(&j->x, j->c_lines, line, p->block, y - pad, x - pad, my + 2, mx + 2, pixels);
        (k->input_rows ? k->input_rows : k->input)(my, mx, images, pixels, NULL,
                                                   j->v + v_at(j, i, line), j->v_step);
    } else {
        struct winograd_taken taken;
        line -= j->c_lines;
        if (j->taken.argmax)
            list_taken(&j->taken, line, p->block, y, x, my, mx, pixels, &taken);
        else
            list_pixels(&j->dy, j->k_lines, line, p->block, y, x, my, mx, pixels);
        k->gradient(my, mx, images, pixels, j->taken.argmax ? &taken : NULL,
                    j->d + d_at(j, i, line), j->d_step);
    }
}

/* A panel of K by a group of lines of C, and its part of dU, [frequency][c][lines * CB]. */
struct weights_part {
    const struct weights_job *j;
    int panel, lines;           /* of K */
    int line_first, line_end;   /* of C */
    int channels;               /* in these lines */
    int depth;                  /* channels that dU has room for: whole lines in bf16 */
    char *du;
};

static size_t du_step(const struct weights_part *w)
{
    return conv_gradient_bytes(w->j->b->base.precision, w->lines, w->depth, 1);
}

static void multiply_run(const struct weights_part *w, int f, const struct run *run)
{
    const struct weights_job *j = w->j;
    const struct kernels *k = &j->b->kernels;
    enum precision p = j->b->base.precision;
    int cb = layout_cb(p);
    size_t tile = (size_t)(IMAGES * cb);
    for (int line = w->line_first; line < w->line_end; line++) {
        int channels = min_int(cb, j->s->c - line * cb);
        char *du = w->du + (size_t)f * du_step(w) +
                   conv_gradient_bytes(p, w->lines, (line - w->line_first) * cb, 1);
        const struct conv_rect rect = {
            .rows = 1,
            .pixels = run->end - run->begin,
            .x = j->v + (size_t)f * j->v_step + v_at(j, run->begin, line),
            .dy = j->d + (size_t)f * j->d_step + d_at(j, run->begin, w->panel * winograd_panel(p)),
            .x_pixel = tile,
            .dy_pixel = (size_t)w->lines * tile,
        };
        if (k->winograd.outer)
            k->winograd.outer(rect.pixels, run->images, channels, rect.x, j->v_step, rect.dy,
                              j->d_step, du);
        else
            k->conv.outer(&rect, run->images, channels, w->lines, du);
    }
}

/* dU of a lane's images is complete: makes the part of the lane's dW. */
static void finish_part(const struct weights_part *w)
{
    const struct weights_job *j = w->j;
    enum precision p = j->b->base.precision;
    int line = w->panel * winograd_panel(p), panel = line / PANEL_LINES;
    size_t row = conv_gradient_bytes(p, conv_panel_lines(p, j->s->k, panel), 1, 1);
    char *dw = (char *)j->lane[j->current] +
               conv_gradient_at(&j->b->base, panel, j->s->c, WINOGRAD_TAPS) +
               (size_t)(w->line_first * layout_cb(p)) * row +
               conv_gradient_bytes(p, line % PANEL_LINES, 1, 1);
    j->b->kernels.winograd.weights_gradient(w->channels, w->lines, w->du, du_step(w), dw,
                                            (size_t)j->s->c * row, row);
}

static void multiply_item(void *ctx, int item, int worker)
{
    const struct weights_job *j = ctx;
    enum precision p = j->b->base.precision;
    int cb = layout_cb(p), first = item % j->groups * group_lines(p);
    struct weights_part w = {.j = j, .panel = item / j->groups, .line_first = first};
    w.line_end = min_int(w.line_first + group_lines(p), j->c_lines);
    w.channels = min_int(w.line_end * cb, j->s->c) - w.line_first * cb;
    w.depth = winograd_depth(p, w.channels);
    w.lines = winograd_panel_lines(p, j->s->k, w.panel);
    w.du = j->du + (size_t)(j->whole ? worker : item) * j->slot_bytes;
    if (j->first)
        memset(w.du, 0, WINOGRAD_FREQUENCIES * du_step(&w));
    for (int f = 0; f < WINOGRAD_FREQUENCIES; f++) {
        struct run runs[RUNS];
        int count = chunk_runs(&j->chunk, &j->tiling, f, j->n, runs);
        for (int r = 0; r < count; r++)
            multiply_run(&w, f, &runs[r]);
    }
    if (j->last)
        finish_part(&w);
}

static void run_lane(struct weights_job *j, int lane)
{
    int tiles = tiling_count(&j->tiling), begin = cpu_lane_begin(j->n, lane) * tiles;
    int end = cpu_lane_begin(j->n, lane + 1) * tiles;
    j->current = lane;
    for (int at = begin; at < end; at += j->positions) {
        chunk_init(&j->chunk, &j->tiling, at, min_int(at + j->positions, end));
        j->first = at == begin;
        j->last = at + j->positions >= end;
        cpu_parallel(j->b, j->chunk.count * (j->c_lines + j->k_lines), transform_item, j);
        cpu_parallel(j->b, j->panels * j->groups, multiply_item, j);
    }
}

/* Adds the lanes up and unpacks some lines of C of one panel. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->s;
    enum precision p = j->b->base.precision;
    int cb = layout_cb(p), group = item % j->groups, panel = item / j->groups;
    size_t offset = conv_gradient_at(&j->b->base, panel, s->c, WINOGRAD_TAPS);
    const void *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = j->lane[l] ? (const char *)j->lane[l] + offset : NULL;
    j->b->kernels.conv.unpack(LANES, lane, s->k, s->c, WINOGRAD_TAPS, panel * PANEL_LINES * cb,
                              conv_panel_lines(p, s->k, panel), group * GROUP_CHANNELS,
                              min_int((group + 1) * GROUP_CHANNELS, s->c), j->dw);
}

void conv_winograd_weights(struct cpu_backend *b, const struct conv_work *w, int most)
{
    const struct conv_shape *s = w->shape;
    enum precision p = b->base.precision;
    struct weights_job j = {.b = b, .n = w->n, .s = s, .x = w->x, .dy = w->y,
                            .c_lines = layout_cblocks(p, s->c), .k_lines = layout_cblocks(p, s->k),
                            .panels = winograd_panels(p, s->k), .dw = w->dw, .v = w->workspace};
    if (w->pooled)
        j.taken = (struct pooled_map){w->y, w->taken, precision_bytes(p), j.k_lines};
    int lanes[LANES], count = conv_lanes(w->n, lanes);
    tiling_init(&j.tiling, s->p, s->q, most);
    struct sizes z = sizes_of(b, w->n, s, tiling_count(&j.tiling));
    j.groups = (s->c + GROUP_CHANNELS - 1) / GROUP_CHANNELS;
    j.positions = z.positions;
    j.whole = z.chunks == 1;
    j.v_step = z.v_step;
    j.d_step = z.d_step;
    j.slot_bytes = z.slot;
    j.d = j.v + WINOGRAD_FREQUENCIES * z.v_step;
    j.du = j.d + WINOGRAD_FREQUENCIES * z.d_step;
    for (int i = 0; i < count; i++)
        j.lane[lanes[i]] = j.du + z.slots * z.slot + (size_t)i * z.lane;
    for (int i = 0; i < count; i++)
        run_lane(&j, lanes[i]);
    cpu_parallel(b, conv_panels(p, s->k) * j.groups, unpack_item, &j);
}
