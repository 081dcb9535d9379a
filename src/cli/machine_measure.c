/* machine_measure.c - the same convolutions with every tier and precision, in turn.
 *
 * Two shapes of airbench94, one with much memory traffic for each product and one with little, in
 * all three passes, on 64 images of dense random numbers. The algorithm of each pass is what a plan
 * would take. A turn that takes twice as long as the fastest so far is cut short, but nobody is out
 * of the race for it: the first turn warms up caches and threads, and in any other something else
 * may have had the processor. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "cli/conv_subject.h"
#include "cli/machine.h"

enum { IMAGES_TIMED = 64, TURNS = 5, SHAPES = 2 };
static const double HOPELESS = 2; /* times the fastest */

static const struct conv_shape shapes[SHAPES] = {
    {.c = 64, .h = 15, .w = 15, .k = 64, .p = 15, .q = 15, .r = 3, .s = 3, .stride = 1, .pad = 1},
    {.c = 256, .h = 7, .w = 7, .k = 128, .p = 7, .q = 7, .r = 3, .s = 3, .stride = 1, .pad = 1},
};

struct contender {
    struct backend *b;
    struct conv_subject subjects[SHAPES];
};

static int contender_init(struct contender *t, const struct machine_speed *s, int threads,
                          struct err *e)
{
    const struct backend_options o = {
        .tier = s->tier, .precision = s->precision, .threads = threads};
    t->b = backend_cpu_new(&o, e);
    if (!t->b)
        return -1;
    for (int i = 0; i < SHAPES; i++) {
        struct conv_shape shape = shapes[i];
        for (enum conv_pass p = 0; p < CONV_PASSES; p++)
            shape.algorithm[p] = t->b->ops->conv_choose(t->b, IMAGES_TIMED, &shape, p, -1);
        if (conv_subject_init(&t->subjects[i], t->b, IMAGES_TIMED, &shape, e))
            return -1;
    }
    return 0;
}

static void contender_release(struct contender *t)
{
    for (int i = 0; i < SHAPES; i++)
        conv_subject_release(&t->subjects[i]);
    if (t->b)
        t->b->ops->free(t->b);
}

/* Seconds to pack the weights and run the three passes, as a step does; *cut, and the seconds so
 * far, if that took longer than the limit. */
static double time_turn(struct contender *t, double limit, bool *cut)
{
    double start = clock_seconds(), seconds = 0;
    for (int i = 0; i < SHAPES * CONV_PASSES; i++) {
        struct conv_subject *s = &t->subjects[i / CONV_PASSES];
        enum conv_pass pass = (enum conv_pass)(i % CONV_PASSES);
        if (pass == CONV_FORWARD)
            conv_subject_pack(s);
        conv_subject_run(s, pass);
        seconds = clock_seconds() - start;
        *cut = seconds > limit && i + 1 < SHAPES * CONV_PASSES;
        if (*cut)
            break;
    }
    return seconds;
}

static void add_choice(struct machine *m, enum tier tier, enum precision precision)
{
    if (tier_available(tier))
        m->speeds[m->count++] = (struct machine_speed){
            .tier = tier, .precision = precision, .stopped = true};
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

void machine_speed_turn(struct machine_speed *s, double seconds, bool cut)
{
    if (cut && s->stopped && seconds > s->seconds)
        s->seconds = seconds;
    if (!cut && (s->stopped || seconds < s->seconds))
        s->seconds = seconds;
    s->stopped = s->stopped && cut;
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
            bool cut;
            double seconds = time_turn(&all[i], HOPELESS * fastest, &cut);
            machine_speed_turn(s, seconds, cut);
            if (!cut && seconds < fastest)
                fastest = seconds;
        }
    }
    for (int i = 0; i < m->count; i++)
        contender_release(&all[i]);
    free(all);
    return status;
}
