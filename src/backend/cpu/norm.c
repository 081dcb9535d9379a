/* norm.c - batch normalisation.
 *
 * A pass over a map is cut into items: a block of 32 images times one of `parts` ranges of pixels
 * (forward with a pool behind: of the pool's rows). Inside an item every group of images (ghost
 * batch norm; one group is the ordinary kind) that meets the block is a *segment*, and is summed
 * into a slot of its own:
 *
 *      images      0        32        64        96
 *      blocks      |    0    |    1    |    2    |
 *      groups      |  0   |   1   |   2    |  3  |
 *      slots       0: 0   1:1 2:1 3:2  4:2    5:3        slot = block + group
 *
 * Block + group names a segment because from one segment to the next the block or the group moves
 * on. The slots of a group are then added in the order that backend.h fixes: part after part and
 * block after block within a lane, the lanes as a tree.
 */
#include <assert.h>
#include <math.h>

#include "backend/cpu/cpu.h"

enum { PARTS = 8, CB_MAX = LINE / 2 };

struct place;

struct norm_pass {
    struct cpu_backend *b;
    int n;
    const struct norm_shape *s;
    const struct norm_tensors *t;
    int parts, lines, padded; /* of pixels; lines of channels, and their channels */
    size_t run_pixels, runs;  /* what lies in one part: pixels, or rows of the pool's outputs */
    size_t pixel_bytes, element_bytes;
    const char *x, *dy;
    char *out;                /* y, dz or dx; may be NULL for dz */
    const uint8_t *taken;     /* by the pool behind, whose dy is; NULL: there is none */
    uint8_t *argmax;          /* where to leave that; NULL: nowhere */
    bool stream;              /* y is too large for the caches */
    double *sums;             /* [blocks + groups - 1][parts][2][padded] */
    char *slope, *offset;     /* P [groups][c] each, NULL for a frozen norm */
    void *dscale, *dbias;
    enum activation act;      /* of this pass: none once dz is made */
    void (*segment)(const struct norm_pass *p, const struct tiles *t, const struct place *at,
                    double *sums); /* what is done to one segment */
};

/* Where the tiles of a segment begin, and the group of their images. */
struct place {
    int block, group;
    size_t pixel; /* of the block: of the outputs forward with a pool, of x else */
};

static double real_at(const struct norm_pass *p, const void *reals, size_t i)
{
    return p->b->base.precision == PRECISION_FP64 ? ((const double *)reals)[i]
                                                  : (double)((const float *)reals)[i];
}

static void real_put(const struct norm_pass *p, void *reals, size_t i, double v)
{
    if (p->b->base.precision == PRECISION_FP64)
        ((double *)reals)[i] = v;
    else
        ((float *)reals)[i] = (float)v;
}

/* Group g owns the images [group_begin(p, g), group_begin(p, g + 1)). */
static int group_begin(const struct norm_pass *p, int group)
{
    return (int)((long)group * p->n / p->s->groups);
}

/* The group of an image: the last that begins at or before it. */
static int group_of(const struct norm_pass *p, int image)
{
    return (int)((((long)image + 1) * p->s->groups - 1) / p->n);
}

static double *slot_sums(const struct norm_pass *p, int block, int group, int part)
{
    size_t slot = (size_t)(block + group) * (size_t)p->parts + (size_t)part;
    return p->sums + slot * 2 * (size_t)p->padded;
}

static void norm_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct norm_pass *p = ctx;
    int block = item / p->parts, part = item % p->parts;
    size_t begin = cpu_part_begin(p->runs, part, p->parts) * p->run_pixels;
    size_t end = cpu_part_begin(p->runs, part + 1, p->parts) * p->run_pixels;
    int zero = block * IMAGES, stop = zero + cpu_block_images(p->n, block);
    for (int image = zero; image < stop;) {
        int group = group_of(p, image), last = group_begin(p, group + 1);
        last = last < stop ? last : stop;
        struct tiles t = {(int)(end - begin), p->s->c, image - zero, last - zero};
        struct place at = {block, group, begin};
        p->segment(p, &t, &at, p->sums ? slot_sums(p, block, group, part) : NULL);
        image = last;
    }
}

/* The byte where the segment begins in a map like x, and the pixel of all windows of the pool
 * where its block begins. */
static size_t byte_of(const struct norm_pass *p, const struct place *at)
{
    size_t pixels = (size_t)p->s->h * (size_t)p->s->w;
    return ((size_t)at->block * pixels + at->pixel) * p->pixel_bytes;
}

static size_t first_window(const struct norm_pass *p, const struct place *at)
{
    return (size_t)at->block * (size_t)(p->s->h / 2) * (size_t)(p->s->w / 2);
}

static void run(struct norm_pass *p)
{
    cpu_parallel(p->b, layout_blocks(p->n) * p->parts, norm_item, p);
}

/* The pass that follows one over the same maps, whose end is still in the caches. */
static void run_back(struct norm_pass *p)
{
    cpu_parallel_back(p->b, layout_blocks(p->n) * p->parts, norm_item, p);
}

static struct norm_pass pass_of(struct backend *base, int n, const struct norm_shape *s,
                                const struct norm_tensors *t)
{
    assert(s->groups >= 1 && s->c > 0 && n > 0);
    int pixels = s->h * s->w, lines = layout_cblocks(base->precision, s->c);
    return (struct norm_pass){
        .b = cpu_of(base),
        .n = n,
        .s = s,
        .t = t,
        .parts = pixels < PARTS ? pixels : PARTS,
        .run_pixels = 1,
        .runs = (size_t)pixels,
        .lines = lines,
        .padded = lines * layout_cb(base->precision),
        .pixel_bytes = layout_bytes(base->precision, 1, 1, 1, s->c),
        .element_bytes = precision_bytes(base->precision),
        .act = s->act,
    };
}

static struct norm_fold fold_of(const struct norm_pass *p, int group)
{
    size_t at = (size_t)group * (size_t)p->s->c * p->b->base.real_bytes;
    return (struct norm_fold){(const char *)p->t->mean + at, (const char *)p->t->rstd + at,
                              p->t->scale, p->t->bias, p->act, p->s->act_param};
}

static size_t sums_count(const struct norm_pass *p)
{
    size_t slots = (size_t)(layout_blocks(p->n) + p->s->groups - 1);
    return slots * (size_t)p->parts * 2 * (size_t)p->padded;
}

static size_t norm_workspace(struct backend *base, int n, const struct norm_shape *s)
{
    struct norm_pass p = pass_of(base, n, s, NULL);
    size_t coefficients = 2 * (size_t)s->groups * (size_t)p.padded;
    return sums_count(&p) * sizeof(double) + coefficients * base->real_bytes;
}

/* Adds up a group's slots for one line of channels: sums[2][CB]. */
static void group_sums(const struct norm_pass *p, int group, int line, double sums[2][CB_MAX])
{
    int cb = p->padded / p->lines;
    int first = group_begin(p, group) / IMAGES, last = (group_begin(p, group + 1) - 1) / IMAGES;
    double lane[LANES][2][CB_MAX] = {0};
    for (int l = 0; l < LANES; l++) {
        int begin = cpu_lane_begin(p->n, l), end = cpu_lane_begin(p->n, l + 1);
        for (int block = begin > first ? begin : first; block < end && block <= last; block++) {
            for (int part = 0; part < p->parts; part++) {
                const double *slot = slot_sums(p, block, group, part) + line * cb;
                for (int j = 0; j < cb; j++) {
                    lane[l][0][j] += slot[j];
                    lane[l][1][j] += slot[p->padded + j];
                }
            }
        }
    }
    for (int step = 1; step < LANES; step *= 2)
        for (int l = 0; l < LANES; l += 2 * step)
            for (int k = 0; k < 2; k++)
                for (int j = 0; j < cb; j++)
                    lane[l][k][j] += lane[l + step][k][j];
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < cb; j++)
            sums[k][j] = lane[0][k][j];
}

/* Values of one channel in a group. */
static double group_count(const struct norm_pass *p, int group)
{
    int images = group_begin(p, group + 1) - group_begin(p, group);
    return (double)images * p->s->h * p->s->w;
}

static void statistics_segment(const struct norm_pass *p, const struct tiles *t,
                               const struct place *at, double *sums)
{
    p->b->kernels.pointwise.norm_sums(t, p->x + byte_of(p, at), sums);
}

/* Means and deviations of one line of channels, of every group. */
static void statistics_line(void *ctx, int line, int worker)
{
    (void)worker;
    const struct norm_pass *p = ctx;
    int cb = p->padded / p->lines, counted = 0;
    double means[CB_MAX] = {0}, variances[CB_MAX] = {0};
    for (int g = 0; g < p->s->groups; g++) {
        double count = group_count(p, g), sums[2][CB_MAX] = {0};
        if (count > 0)
            group_sums(p, g, line, sums);
        counted += count > 0;
        for (int j = 0; j < cb && line * cb + j < p->s->c; j++) {
            double mean = count > 0 ? sums[0][j] / count : 0;
            double variance = count > 0 ? sums[1][j] / count - mean * mean : 0;
            variance = 0 > variance ? 0 : variance; /* rounding; a NaN stays */
            double rstd = count > 0 ? 1 / sqrt(variance + p->s->eps) : 0;
            size_t at = (size_t)g * (size_t)p->s->c + (size_t)(line * cb + j);
            real_put(p, p->t->mean, at, mean);
            real_put(p, p->t->rstd, at, rstd);
            means[j] += mean;
            variances[j] += count > 1 ? variance * count / (count - 1) : 0;
        }
    }
    double keep = 1 - p->s->momentum, take = p->s->momentum / counted;
    for (int j = 0; j < cb && line * cb + j < p->s->c; j++) {
        size_t c = (size_t)(line * cb + j);
        void *mean = p->t->running_mean, *var = p->t->running_var;
        real_put(p, mean, c, keep * real_at(p, mean, c) + take * means[j]);
        real_put(p, var, c, keep * real_at(p, var, c) + take * variances[j]);
    }
}

static void norm_use_running(struct backend *base, const struct norm_shape *s,
                             const struct norm_tensors *t)
{
    struct norm_pass p = pass_of(base, 1, s, t);
    for (int g = 0; g < s->groups; g++) {
        for (int c = 0; c < s->c; c++) {
            size_t at = (size_t)g * (size_t)s->c + (size_t)c;
            real_put(&p, t->mean, at, real_at(&p, t->running_mean, (size_t)c));
            double variance = real_at(&p, t->running_var, (size_t)c);
            real_put(&p, t->rstd, at, 1 / sqrt(variance + s->eps));
        }
    }
}

static void norm_statistics(struct backend *base, int n, const struct norm_shape *s,
                            const struct map *x, const struct norm_tensors *t, void *workspace)
{
    if (s->frozen) {
        norm_use_running(base, s, t);
        return;
    }
    assert(x->c == s->c && x->h == s->h && x->w == s->w);
    struct norm_pass p = pass_of(base, n, s, t);
    p.x = x->data;
    p.sums = workspace;
    p.segment = statistics_segment;
    run(&p);
    cpu_parallel(p.b, p.lines, statistics_line, &p);
}

static void forward_segment(const struct norm_pass *p, const struct tiles *t,
                            const struct place *at, double *sums)
{
    (void)sums;
    struct norm_fold f = fold_of(p, at->group);
    size_t byte = byte_of(p, at);
    p->b->kernels.pointwise.norm_forward(t, &f, p->x + byte, p->stream, p->out + byte);
}

static void norm_forward(struct backend *base, int n, const struct norm_shape *s,
                         const struct map *x, const struct norm_tensors *t, const struct map *y)
{
    assert(x->c == s->c && x->h == s->h && x->w == s->w);
    assert(y->c == s->c && y->h == s->h && y->w == s->w);
    struct norm_pass p = pass_of(base, n, s, t);
    p.x = x->data;
    p.out = y->data;
    p.stream = cpu_streams(p.b, n, y);
    p.segment = forward_segment;
    run_back(&p);
}

static void pool_forward_segment(const struct norm_pass *p, const struct tiles *t,
                                 const struct place *at, double *sums)
{
    (void)sums;
    struct norm_fold f = fold_of(p, at->group);
    size_t window = first_window(p, at) + at->pixel, y = window * p->pixel_bytes;
    struct place corner = {at->block, at->group, (size_t)pooled_corner((int)at->pixel, p->s->w)};
    p->b->kernels.pointwise.norm_pool_forward(
        t, &f, p->s->w, p->x + byte_of(p, &corner), p->out + y,
        p->argmax ? p->argmax + y / p->element_bytes : NULL);
}

static void norm_pool_forward(struct backend *base, int n, const struct norm_shape *s,
                              const struct map *x, const struct norm_tensors *t,
                              const struct map *y, uint8_t *argmax)
{
    assert(x->c == s->c && x->h == s->h && x->w == s->w);
    assert(y->c == s->c && 2 * y->h == s->h && 2 * y->w == s->w);
    struct norm_pass p = pass_of(base, n, s, t);
    p.run_pixels = (size_t)y->w;
    p.runs = (size_t)y->h;
    p.parts = y->h < PARTS ? y->h : PARTS;
    p.x = x->data;
    p.out = y->data;
    p.argmax = argmax;
    p.segment = pool_forward_segment;
    run_back(&p);
}

/* The gradient of one segment: where it begins, and what a pool behind took of it. */
struct segment_gradient {
    const char *dy;
    struct pooled pool;
    const struct pooled *pooled; /* NULL: there is none */
};

static void gradient_of(const struct norm_pass *p, const struct place *at,
                        struct segment_gradient *g)
{
    size_t first = first_window(p, at) * p->pixel_bytes;
    *g = (struct segment_gradient){.dy = p->dy + (p->taken ? first : byte_of(p, at))};
    if (p->taken) {
        g->pool = (struct pooled){p->taken + first / p->element_bytes, p->s->w, (int)at->pixel};
        g->pooled = &g->pool;
    }
}

static void backward_sums_segment(const struct norm_pass *p, const struct tiles *t,
                                  const struct place *at, double *sums)
{
    struct norm_fold f = fold_of(p, at->group);
    struct segment_gradient g;
    gradient_of(p, at, &g);
    size_t byte = byte_of(p, at);
    p->b->kernels.pointwise.norm_backward_sums(t, &f, g.pooled, p->x + byte, g.dy,
                                               p->out ? p->out + byte : NULL, sums);
}

/* dscale and dbias of one line of channels, and every group's slope and offset: with r = rstd and
 * m = the mean over the group (Ioffe and Szegedy 2015),
 *      dx = scale * r * (dz - m(dz) - (x - mean) * r^2 * m(dz * (x - mean))). */
static void backward_line(void *ctx, int line, int worker)
{
    (void)worker;
    const struct norm_pass *p = ctx;
    int cb = p->padded / p->lines;
    double dscale[CB_MAX] = {0}, dbias[CB_MAX] = {0};
    for (int g = 0; g < p->s->groups; g++) {
        double count = group_count(p, g), sums[2][CB_MAX];
        if (count == 0)
            continue;
        group_sums(p, g, line, sums);
        for (int j = 0; j < cb && line * cb + j < p->s->c; j++) {
            size_t c = (size_t)(line * cb + j), at = (size_t)g * (size_t)p->s->c + c;
            double rstd = real_at(p, p->t->rstd, at);
            double gain = rstd * (p->t->scale ? real_at(p, p->t->scale, c) : 1);
            dbias[j] += sums[0][j];
            dscale[j] += sums[1][j] * rstd;
            if (p->slope) {
                real_put(p, p->slope, at, -gain * rstd * rstd * sums[1][j] / count);
                real_put(p, p->offset, at, -gain * sums[0][j] / count);
            }
        }
    }
    for (int j = 0; j < cb && line * cb + j < p->s->c; j++) {
        if (p->dscale)
            real_put(p, p->dscale, (size_t)(line * cb + j), dscale[j]);
        if (p->dbias)
            real_put(p, p->dbias, (size_t)(line * cb + j), dbias[j]);
    }
}

static void backward_segment(const struct norm_pass *p, const struct tiles *t,
                             const struct place *at, double *sums)
{
    (void)sums;
    struct norm_fold f = fold_of(p, at->group);
    struct segment_gradient g;
    gradient_of(p, at, &g);
    size_t byte = byte_of(p, at);
    size_t c = (size_t)at->group * (size_t)p->s->c * p->b->base.real_bytes;
    p->b->kernels.pointwise.norm_backward(t, &f, g.pooled, p->slope ? p->slope + c : NULL,
                                          p->offset ? p->offset + c : NULL, p->x + byte, g.dy,
                                          p->out + byte);
}

/* Two passes, because dx needs the sums over dz. The first leaves dz where dx will be when act' is
 * dear; relu's is cheaper to do again than to store. A frozen norm may go without the first, so it
 * always does it again: what is wanted besides must not show in dx. Behind a pool three quarters
 * of dz are zero, and dx may be x, so it is never stored. */
static void norm_backward(struct backend *base, int n, const struct norm_shape *s,
                          const struct map *x, const struct norm_tensors *t, const struct map *dy,
                          const uint8_t *argmax, void *dscale, void *dbias, const struct map *dx,
                          void *workspace)
{
    assert(x->c == s->c && x->h == s->h && x->w == s->w);
    assert(dy->c == s->c && dy->h * (argmax ? 2 : 1) == s->h);
    assert(dy->w * (argmax ? 2 : 1) == s->w);
    char *to = dx ? dx->data : NULL;
    struct norm_pass p = pass_of(base, n, s, t);
    p.x = x->data;
    p.dy = dy->data;
    p.taken = argmax;
    p.sums = workspace;
    p.dscale = dscale;
    p.dbias = dbias;
    if (!s->frozen) {
        p.slope = (char *)(p.sums + sums_count(&p));
        p.offset = p.slope + (size_t)s->groups * (size_t)p.padded * base->real_bytes;
    }
    if (dscale || dbias || (to && !s->frozen)) {
        bool keep = to && !s->frozen && s->act != ACT_NONE && s->act != ACT_RELU && !argmax;
        p.out = keep ? to : NULL;
        p.segment = backward_sums_segment;
        run(&p);
        cpu_parallel(p.b, p.lines, backward_line, &p);
        if (keep) {
            p.dy = to;
            p.act = ACT_NONE;
        }
    }
    if (to) {
        p.out = to;
        p.segment = backward_segment;
        run_back(&p);
    }
}

void cpu_norm_ops(struct backend_ops *ops)
{
    ops->norm_workspace = norm_workspace;
    ops->norm_statistics = norm_statistics;
    ops->norm_use_running = norm_use_running;
    ops->norm_forward = norm_forward;
    ops->norm_pool_forward = norm_pool_forward;
    ops->norm_backward = norm_backward;
}
