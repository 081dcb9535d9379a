/* conv_amx_weights.c - convolution in tile registers: the sums of the gradient of the weights.
 *
 * The gradient is cut into parts of some lines of C by some of K. An item is a part and some lanes:
 * it sums up each lane, in the way of its algorithm, and adds the lanes up as a tree. Last, what is
 * left of the tree is done and unpacked into PyTorch's order. A part is
 *
 *   float [half a line of C][half a line of K][r][s][16 of C][16 of K]
 */
#include "backend/cpu/conv_amx.h"

struct weights_job {
    struct cpu_backend *b;
    const struct amx_way *way;
    struct amx_part part;       /* of all items; lines and room are an item's */
    int c_lines, k_lines;       /* of one pixel of x, of dy */
    int c_parts, k_parts;
    float *sum[LANES];          /* [c_parts][k_parts] parts: the sum of the cut.lanes lanes from
                                   this one on; NULL for others, and if these have no images */
    int lanes[LANES];           /* whose sums there are */
    char *room;                 /* worker_bytes for each worker */
    size_t worker_bytes;
    float *dw;
};

/* The cut that takes the least time, when threads wait for each other for a part of an item. The
 * result of the pass does not depend on it. */
static struct amx_cut choose_cut(const struct cpu_backend *b, int n, const struct conv_shape *s,
                                 const struct amx_way *way)
{
    static const double UNEVEN = 0.5;
    struct amx_cut best = {0};
    double least = 0;
    int all_c = amx_lines(s->c), all_k = amx_lines(s->k), unused[LANES];
    int lanes = conv_lanes(n, unused);
    for (int each = 1; each <= LANES; each *= 2)
        for (int c = 1; c < 2 * all_c; c *= 2)
            for (int k = 1; k < 2 * all_k; k *= 2) {
                struct amx_cut cut = {min_int(c, all_c), min_int(k, all_k), each};
                int items = parts_of(all_c, cut.c_lines) * parts_of(all_k, cut.k_lines) *
                            parts_of(lanes, each);
                double time = (parts_of(items, b->base.threads) + UNEVEN) *
                              way->cycles(n, s, cut);
                if (best.lanes == 0 || time < least) {
                    least = time;
                    best = cut;
                }
            }
    return best;
}

static size_t part_bytes(const struct conv_shape *s, struct amx_cut c)
{
    return amx_part_reals(s, c) * sizeof(float);
}

/* The way's room, and the sums of all but one of the lanes that are being added up. */
static size_t worker_bytes(int n, const struct conv_shape *s, const struct amx_way *way,
                           struct amx_cut c)
{
    size_t spare = 0;
    for (int lanes = c.lanes; lanes > 1; lanes /= 2)
        spare += part_bytes(s, c);
    return way->room(n, s, c) + spare;
}

/* sum = the tree over the lanes [first, first + lanes), with room for more sums in `spare`; false
 * if they have no images. */
static bool sum_lanes(const struct weights_job *j, const struct amx_part *p, int first, int lanes,
                      float *sum, float *spare)
{
    size_t reals = amx_part_reals(p->s, p->cut);
    if (lanes == 1) {
        bool any = cpu_lane_begin(p->n, first) < cpu_lane_begin(p->n, first + 1);
        if (any)
            j->way->lane(p, first, sum);
        return any;
    }
    bool left = sum_lanes(j, p, first, lanes / 2, sum, spare);
    bool right = sum_lanes(j, p, first + lanes / 2, lanes / 2, left ? spare : sum,
                           left ? spare + reals : spare);
    if (left && right)
        j->b->kernels.tiles.add(reals, sum, spare);
    return left || right;
}

static void weights_item(void *ctx, int item, int worker)
{
    const struct weights_job *j = ctx;
    struct amx_part p = j->part;
    int parts = j->c_parts * j->k_parts, part = item % parts, lane = j->lanes[item / parts];
    p.c_begin = part / j->k_parts * p.cut.c_lines;
    p.c_end = min_int(p.c_begin + p.cut.c_lines, j->c_lines);
    p.k_begin = part % j->k_parts * p.cut.k_lines;
    p.k_end = min_int(p.k_begin + p.cut.k_lines, j->k_lines);
    p.room = j->room + (size_t)worker * j->worker_bytes;
    char *spare = p.room + j->way->room(p.n, p.s, p.cut);
    j->b->kernels.tiles.outer_begin();
    sum_lanes(j, &p, lane, p.cut.lanes, j->sum[lane] + (size_t)part * amx_part_reals(p.s, p.cut),
              (float *)(void *)spare);
    j->b->kernels.tiles.outer_end();
}

/* Adds up what is left and unpacks half a line of C and of K. */
static void unpack_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct weights_job *j = ctx;
    const struct conv_shape *s = j->part.s;
    struct amx_cut cut = j->part.cut;
    int k = item % (2 * j->k_lines), c = item / (2 * j->k_lines);
    int part = c / 2 / cut.c_lines * j->k_parts + k / 2 / cut.k_lines;
    int in_part = c % (2 * cut.c_lines) * 2 * cut.k_lines + k % (2 * cut.k_lines);
    size_t at = (size_t)part * amx_part_reals(s, cut) +
                (size_t)(in_part * conv_taps(s)) * REGISTER_REALS;
    const float *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = j->sum[l] ? j->sum[l] + at : NULL;
    j->b->kernels.tiles.unpack(lane, s->k, s->c, conv_taps(s), k, c, j->way->parity, j->dw);
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

static size_t sum_bytes(const struct conv_shape *s, struct amx_cut c)
{
    return (size_t)(parts_of(amx_lines(s->c), c.c_lines) * parts_of(amx_lines(s->k), c.k_lines)) *
           part_bytes(s, c);
}

/* A smaller batch may be cut in another way, and want more. */
size_t amx_weights_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                             const struct amx_way *way)
{
    size_t most = 0;
    for (int images = IMAGES; images < n + IMAGES; images += IMAGES) {
        int lanes[LANES];
        struct amx_cut c = choose_cut(b, images, s, way);
        size_t bytes = (size_t)first_lanes(images, c.lanes, lanes) * sum_bytes(s, c) +
                       (size_t)b->base.threads * worker_bytes(images, s, way, c);
        most = bytes > most ? bytes : most;
    }
    return most;
}

void amx_weights(struct cpu_backend *b, const struct conv_work *w, const struct amx_way *way)
{
    const struct conv_shape *s = w->shape;
    struct weights_job j = {
        .b = b, .way = way,
        .part = {.b = b, .n = w->n, .s = s, .x = w->x, .dy = w->y,
                 .taken = w->pooled ? w->taken : NULL, .cut = choose_cut(b, w->n, s, way)},
        .c_lines = amx_lines(s->c), .k_lines = amx_lines(s->k), .dw = w->dw,
    };
    struct amx_cut cut = j.part.cut;
    j.c_parts = parts_of(j.c_lines, cut.c_lines);
    j.k_parts = parts_of(j.k_lines, cut.k_lines);
    j.worker_bytes = worker_bytes(w->n, s, way, cut);
    int sums = first_lanes(w->n, cut.lanes, j.lanes);
    char *at = w->workspace;
    for (int i = 0; i < sums; i++, at += sum_bytes(s, cut))
        j.sum[j.lanes[i]] = (float *)(void *)at;
    j.room = at;
    cpu_parallel(b, sums * j.c_parts * j.k_parts, weights_item, &j);
    cpu_parallel(b, 4 * j.c_lines * j.k_lines, unpack_item, &j);
}
