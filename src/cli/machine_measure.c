/* machine_measure.c - the same convolutions with every tier and precision, in turn.
 *
 * Two shapes of airbench94, one with much memory traffic for each product and one with little, in
 * all three passes, on 64 images of dense random numbers. The algorithm of each pass is what a plan
 * would take. The first turn warms up caches and threads; whoever takes twice as long as the
 * fastest is stopped there, and out of the race from the second turn on. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "cli/machine.h"

enum { IMAGES_TIMED = 64, TURNS = 3, SHAPES = 2 };
static const double HOPELESS = 2; /* times the fastest */

static const struct conv_shape shapes[SHAPES] = {
    {.c = 64, .h = 15, .w = 15, .k = 64, .p = 15, .q = 15, .r = 3, .s = 3, .stride = 1, .pad = 1},
    {.c = 256, .h = 7, .w = 7, .k = 128, .p = 7, .q = 7, .r = 3, .s = 3, .stride = 1, .pad = 1},
};

/* One convolution with everything that it reads and writes. */
struct subject {
    struct conv_shape shape;
    struct map x, y, dx, dy;
    void *weights, *dw, *packed, *workspace;
};

enum { BLOCKS = 8 };

struct contender {
    struct backend *b;
    struct subject subjects[SHAPES];
    struct { void *data; size_t bytes; } blocks[SHAPES * BLOCKS];
    int block_count;
};

static void *block(struct contender *t, size_t bytes, struct err *e)
{
    void *p = t->b->ops->memory_new(t->b, bytes, "measuring", e);
    if (p) {
        t->blocks[t->block_count].data = p;
        t->blocks[t->block_count++].bytes = bytes;
    }
    return p;
}

/* Dense random numbers in (-1, 1), a pattern of 4096 of them over and over: `bytes` of floats, or
 * of the upper halves of floats. */
static void fill(struct backend *b, void *device, size_t bytes, size_t element)
{
    enum { PATTERN = 4096 };
    _Alignas(4) unsigned char pattern[PATTERN * 4];
    struct rng r = rng_at(1, RNG_PROBE, 1, 0);
    for (size_t i = 0; i < PATTERN; i++) {
        float v = 2 * rng_uniform(&r) - 1;
        const unsigned char *upper = (const unsigned char *)&v + sizeof v - element;
        memcpy(pattern + i * element, upper, element);
    }
    size_t size = PATTERN * element;
    for (size_t at = 0; at < bytes; at += size)
        b->ops->write_bytes(b, (char *)device + at, pattern, bytes - at < size ? bytes - at : size);
}

static int map_new(struct contender *t, struct map *m, int c, int h, int w, bool filled,
                   struct err *e)
{
    size_t bytes = layout_bytes(t->b->precision, IMAGES_TIMED, h, w, c);
    *m = (struct map){.data = block(t, bytes, e), .c = c, .h = h, .w = w};
    if (!m->data)
        return -1;
    if (filled)
        fill(t->b, m->data, bytes, precision_bytes(t->b->precision));
    return 0;
}

static int subject_init(struct contender *t, struct subject *s, struct err *e)
{
    struct backend *b = t->b;
    struct conv_shape *c = &s->shape;
    size_t room = 0, count = (size_t)c->k * (size_t)c->c * (size_t)(c->r * c->s) * b->real_bytes;
    for (enum conv_pass p = 0; p < CONV_PASSES; p++) {
        c->algorithm[p] = b->ops->conv_choose(b, IMAGES_TIMED, c, p, -1);
        size_t wanted = b->ops->conv_workspace(b, IMAGES_TIMED, c, p);
        room = wanted > room ? wanted : room;
    }
    s->weights = block(t, count, e);
    s->dw = block(t, count, e);
    s->packed = block(t, b->ops->conv_packed_bytes(b, c, true), e);
    s->workspace = block(t, room ? room : 1, e);
    if (!s->weights || !s->dw || !s->packed || !s->workspace ||
        map_new(t, &s->x, c->c, c->h, c->w, true, e) ||
        map_new(t, &s->dy, c->k, c->p, c->q, true, e) ||
        map_new(t, &s->y, c->k, c->p, c->q, false, e) ||
        map_new(t, &s->dx, c->c, c->h, c->w, false, e))
        return -1;
    fill(b, s->weights, count, sizeof(float));
    return 0;
}

static int contender_init(struct contender *t, const struct machine_speed *s, int threads,
                          struct err *e)
{
    const struct backend_options o = {
        .tier = s->tier, .precision = s->precision, .threads = threads};
    t->b = backend_cpu_new(&o, e);
    if (!t->b)
        return -1;
    for (int i = 0; i < SHAPES; i++) {
        t->subjects[i].shape = shapes[i];
        if (subject_init(t, &t->subjects[i], e))
            return -1;
    }
    return 0;
}

static void contender_release(struct contender *t)
{
    for (int i = 0; i < t->block_count; i++)
        t->b->ops->memory_free(t->b, t->blocks[i].data, t->blocks[i].bytes);
    if (t->b)
        t->b->ops->free(t->b);
}

static void run_pass(struct contender *t, const struct subject *s, enum conv_pass pass)
{
    struct backend *b = t->b;
    const struct backend_ops *ops = b->ops;
    const struct conv_shape *c = &s->shape;
    if (pass == CONV_FORWARD) {
        ops->conv_pack(b, c, s->weights, true, s->packed);
        ops->conv_forward(b, IMAGES_TIMED, c, &s->x, s->packed, NULL, &s->y, s->workspace);
    } else if (pass == CONV_BACKWARD_DATA) {
        ops->conv_backward_data(b, IMAGES_TIMED, c, &s->dy, s->packed, &s->dx, s->workspace);
    } else {
        ops->conv_backward_weights(b, IMAGES_TIMED, c, &s->x, &s->dy, s->dw, NULL, s->workspace);
    }
}

/* Seconds to pack the weights and run the three passes, as a step does; *stopped, and the seconds
 * so far, if that took longer than the limit. */
static double time_turn(struct contender *t, double limit, bool *stopped)
{
    double start = clock_seconds(), seconds = 0;
    for (int i = 0; i < SHAPES * CONV_PASSES; i++) {
        run_pass(t, &t->subjects[i / CONV_PASSES], (enum conv_pass)(i % CONV_PASSES));
        seconds = clock_seconds() - start;
        *stopped = seconds > limit && i + 1 < SHAPES * CONV_PASSES;
        if (*stopped)
            break;
    }
    return seconds;
}

static void add_choice(struct machine *m, enum tier tier, enum precision precision)
{
    if (tier_available(tier))
        m->speeds[m->count++] = (struct machine_speed){.tier = tier, .precision = precision};
}

/* What could be worth taking: in fp32 the tiers up to avx512 (those above have the same kernels),
 * in bf16 all; without any, the reference. */
static void list_choices(struct machine *m)
{
    m->count = 0;
    for (enum tier t = TIER_AVX2; t <= TIER_AVX512; t++)
        add_choice(m, t, PRECISION_FP32);
    for (enum tier t = TIER_AVX2; t < TIER_COUNT; t++)
        add_choice(m, t, PRECISION_BF16);
    if (m->count == 0)
        add_choice(m, TIER_REF, PRECISION_FP32);
}

int machine_measure(struct machine *m, int threads, struct err *e)
{
    list_choices(m);
    struct contender *all = xcalloc((size_t)m->count, sizeof *all);
    int status = 0;
    for (int i = 0; i < m->count && !status; i++)
        status = contender_init(&all[i], &m->speeds[i], threads, e);
    double fastest = 1e9;
    for (int turn = 0; turn < TURNS && !status; turn++) {
        for (int i = 0; i < m->count; i++) {
            struct machine_speed *s = &m->speeds[i];
            bool stopped;
            if (s->stopped)
                continue;
            double seconds = time_turn(&all[i], HOPELESS * fastest, &stopped);
            s->stopped = stopped && turn > 0;
            s->seconds = turn == 0 || seconds < s->seconds || s->stopped ? seconds : s->seconds;
            if (!stopped && seconds < fastest)
                fastest = seconds;
        }
    }
    for (int i = 0; i < m->count; i++)
        contender_release(&all[i]);
    free(all);
    return status;
}
