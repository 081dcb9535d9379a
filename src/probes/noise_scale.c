/* noise_scale.c - the gradient noise scale along training (probes/noise.h has the formulas).
 *
 * When it is due, the step's batch is run once more at the weights before the step, in PARTS parts,
 * by a plan for a part: sub-batches give the small gradients, their mean the large one. Batch norm
 * would couple the examples of a part and make the gradient of a part that of another function; so
 * it uses the running statistics here, and the formulas hold for networks with batch norm too.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "probes/noise.h"
#include "probes/probe.h"
#include "probes/surface.h"

enum { SCALE, LOW, HIGH, TRACE, GRADIENT2, NOW_TRACE, NOW_GRADIENT2, SERIES };
enum { PARTS = 8, GROUPS = 8 };

static const struct probe_series series[] = {
    {"scale", "noise scale: trace / gradient2, in images"},
    {"low", "lower end of its 95 % interval"},
    {"high", "upper end; infinite if the gradient may be zero"},
    {"trace", "trace of the covariance of single images' gradients, averaged"},
    {"gradient2", "squared length of the gradient of the mean loss, unbiased, averaged"},
    {"now_trace", "this measurement's trace alone"},
    {"now_gradient2", "this measurement's gradient2 alone; may be negative"},
    {0},
};

static const double MEMORY = 20; /* measurements */

struct noise_scale {
    struct surface surface;
    struct noise noise;
    double *sum, *part;          /* [surface.count]: gradients */
};

/* Small plans are slower by about a quarter. */
static double cost(const struct trainer *t)
{
    (void)t;
    return 1.25;
}

static int open_noise(void **self, const struct trainer *t, struct err *e)
{
    struct noise_scale *n = *self = xcalloc(1, sizeof *n);
    uint32_t images = (uint32_t)t->config.batch;
    if (images < PARTS)
        return err_set(e, EXIT_USAGE, "noise_scale needs a batch of at least %d images", PARTS);
    if (probe_images(t) > images)
        images = probe_images(t);
    const struct surface_options o = {.precision = t->net.backend->precision,
                                      .mode = PLAN_FROZEN,
                                      .images = images,
                                      .batch = t->config.batch / PARTS};
    if (surface_open(&n->surface, t, &o, e))
        return -1;
    n->noise.memory = MEMORY;
    n->sum = xcalloc(t->net.graph.params_count, sizeof *n->sum);
    n->part = xcalloc(t->net.graph.params_count, sizeof *n->part);
    return 0;
}

static void close_noise(void *self)
{
    struct noise_scale *n = self;
    if (!n)
        return;
    surface_close(&n->surface);
    free(n->sum);
    free(n->part);
    free(n);
}

static double squares(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

/* Runs the batches [first, first + parts) of the surface, all of `images` images. */
static void measure_parts(struct noise_scale *n, uint32_t first, int parts)
{
    size_t count = n->surface.count;
    double small = 0;
    int images = 0;
    memset(n->sum, 0, count * sizeof *n->sum);
    for (int k = 0; k < parts; k++) {
        surface_batch_gradient(&n->surface, first + (uint32_t)k, n->part, &images);
        small += squares(n->part, count) / parts;
        for (size_t i = 0; i < count; i++)
            n->sum[i] += n->part[i] / parts;
    }
    noise_add(&n->noise, (double)parts * images, images, squares(n->sum, count), small);
}

static int before(void *self, const struct probe_moment *m, struct err *e)
{
    (void)e;
    struct noise_scale *n = self;
    surface_take(&n->surface, &m->trainer->net.model);
    return 0;
}

static void emit(const struct noise_scale *n, const struct noise *now, const struct probe_out *out)
{
    const struct noise_estimate all = noise_estimate(&n->noise), one = noise_estimate(now);
    const double values[SERIES] = {
        [SCALE] = all.scale, [LOW] = all.low, [HIGH] = all.high, [TRACE] = all.trace,
        [GRADIENT2] = all.gradient2, [NOW_TRACE] = one.trace, [NOW_GRADIENT2] = one.gradient2};
    probe_emit(out, "", values);
}

/* The batch that was just trained on; a short one at the end of an epoch has fewer parts. */
static void measure_step(struct noise_scale *n, const struct batch *b, struct noise *now)
{
    struct surface *s = &n->surface;
    int parts = b->n / s->batch;
    if (parts < 2)
        return;
    surface_use(s, b->views, b->labels, (uint32_t)(parts * s->batch));
    double g2 = n->noise.g2, sum = n->noise.s;
    measure_parts(n, 0, parts);
    /* An average moved by weight times the difference: solved for the newest. */
    double weight = 1 / fmin(n->noise.count, n->noise.memory);
    now->memory = now->count = 1;
    now->s = sum + (n->noise.s - sum) / weight;
    now->g2 = g2 + (n->noise.g2 - g2) / weight;
}

/* GROUPS groups of fixed images, each cut into parts, all of one weight. */
static int measure_checkpoint(struct noise_scale *n, const struct trainer *t, struct err *e)
{
    uint32_t part = probe_images(t) / (GROUPS * PARTS);
    if (part < 1)
        return err_set(e, EXIT_USAGE, "noise_scale needs probe_images of at least %d",
                       GROUPS * PARTS);
    const struct surface_options o = {.precision = t->net.backend->precision,
                                      .mode = PLAN_FROZEN,
                                      .images = part * GROUPS * PARTS,
                                      .batch = (int)part};
    surface_close(&n->surface);
    if (surface_open(&n->surface, t, &o, e))
        return -1;
    n->noise = (struct noise){.memory = GROUPS};
    for (uint32_t k = 0; k < GROUPS; k++)
        measure_parts(n, k * PARTS, PARTS);
    return 0;
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    struct noise_scale *n = self;
    struct noise now = {0};
    if (m->stepped)
        measure_step(n, &m->trainer->batch, &now);
    else if (measure_checkpoint(n, m->trainer, e))
        return -1;
    emit(n, &now, out);
    return 0;
}

/* The averages, in the order of struct noise. */
static size_t state_count(const void *self)
{
    (void)self;
    return sizeof(struct noise) / sizeof(double);
}

static void keep(const void *self, double *values)
{
    const struct noise_scale *n = self;
    static_assert(sizeof n->noise % sizeof(double) == 0, "numbers are all there is in it");
    memcpy(values, &n->noise, sizeof n->noise);
}

static void recall(void *self, const double *values)
{
    struct noise_scale *n = self;
    memcpy(&n->noise, values, sizeof n->noise);
}

extern const struct probe probe_noise_scale;
const struct probe probe_noise_scale = {
    .name = "noise_scale",
    .summary = "gradient noise scale: the batch size at which noise equals signal",
    .series = series,
    .period = 10,
    .cost = cost,
    .open = open_noise,
    .close = close_noise,
    .before = before,
    .measure = measure,
    .state_count = state_count,
    .keep = keep,
    .recall = recall,
};
