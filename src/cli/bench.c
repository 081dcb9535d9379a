/* bench.c - see bench.h. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "train/batch.h"
#include "train/step.h"

enum { IMAGES_LEAST = 5000, TEST_IMAGES = 512 };

const char *const bench_group_names[GROUP_COUNT] = {"convolution", "elementwise", "images",
                                                    "update"};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int make_split(struct image_split *split, uint32_t count, uint64_t stream, struct err *e)
{
    size_t bytes = (size_t)count * 3 * IMAGE_AREA;
    split->pixels = big_new(bytes, "images", e);
    if (!split->pixels)
        return -1;
    split->labels = xcalloc(count, 1);
    split->count = count;
    struct rng r = rng_at(1, RNG_SYNTHETIC, (uint32_t)stream, 0);
    for (size_t i = 0; i < bytes; i += 4) {
        uint32_t random = rng_u32(&r);
        memcpy(split->pixels + i, &random, 4);
    }
    for (uint32_t i = 0; i < count; i++)
        split->labels[i] = (uint8_t)(i % 10);
    return 0;
}

/* Random bytes with the mean and deviation of uniform ones, as many as a few batches. */
static int make_images(struct images *images, int batch, struct err *e)
{
    *images = (struct images){.kind = dataset_find("synthetic"), .channels = 3, .classes = 10};
    for (int c = 0; c < 3; c++) {
        images->mean[c] = 127.5f;
        images->std[c] = 73.9f;
    }
    uint32_t count = batch > IMAGES_LEAST ? (uint32_t)batch : IMAGES_LEAST;
    return make_split(&images->train, count, 0, e) || make_split(&images->test, TEST_IMAGES, 1, e)
               ? -1 : 0;
}

int bench_init(struct bench *b, const struct config *c, int passes, struct err *e)
{
    *b = (struct bench){.passes = passes};
    b->seconds = arena_alloc(&b->arena, (size_t)passes, sizeof *b->seconds);
    if (make_images(&b->images, c->batch, e) || trainer_init(&b->trainer, c, &b->images, true, e))
        return -1;
    const struct backend *backend = b->trainer.net.backend;
    return machine_peak_measure(&b->peak, backend->tier, backend->threads, e);
}

void bench_release(struct bench *b)
{
    trainer_release(&b->trainer);
    images_release(&b->images);
    arena_release(&b->arena);
}

int bench_steps(struct bench *b, int warmup, struct err *e)
{
    struct step_report report;
    for (int i = -warmup; i < b->passes; i++) {
        double start = clock_seconds();
        if (train_step(&b->trainer, &report, e))
            return -1;
        if (i >= 0)
            b->seconds[i] = clock_seconds() - start;
    }
    bench_median(b->seconds, b->passes);
    return 0;
}

double bench_step_seconds(const struct bench *b)
{
    int n = b->passes;
    return n % 2 ? b->seconds[n / 2] : (b->seconds[n / 2 - 1] + b->seconds[n / 2]) / 2;
}

/* Packing weights is part of the convolutions; what else has no multiply-adds is elementwise. */
static enum bench_group group_of(const struct plan_step_info *info)
{
    return info->flops > 0 || strcmp(info->phase, "pack") == 0 ? GROUP_CONVOLUTION
                                                               : GROUP_ELEMENTWISE;
}

/* Rows of the plan's steps, with one before (the images) and one after (the update). */
static void make_rows(struct bench *b)
{
    struct plan *plan = b->trainer.plan;
    int steps = plan_step_count(plan);
    b->row_count = steps + 2;
    b->rows = arena_alloc(&b->arena, (size_t)b->row_count, sizeof *b->rows);
    for (int i = 0; i < b->row_count; i++)
        b->rows[i].seconds = arena_alloc(&b->arena, (size_t)b->passes, sizeof(double));
    for (int i = 0; i < steps; i++) {
        plan_step_describe(plan, i, &b->rows[i + 1].info);
        b->rows[i + 1].group = group_of(&b->rows[i + 1].info);
    }
    b->rows[0].info = (struct plan_step_info){.name = "images", .phase = "augment", .needed = true};
    b->rows[0].group = GROUP_IMAGES;
    b->rows[steps + 1].info =
        (struct plan_step_info){.name = "weights", .phase = "update", .needed = true};
    b->rows[steps + 1].group = GROUP_UPDATE;
}

static void run_loss(struct trainer *t)
{
    struct backend *b = t->net.backend;
    double scale = t->config.reduction == REDUCTION_MEAN ? 1.0 / t->batch.n : 1.0;
    b->ops->cross_entropy(b, t->batch.n, t->net.graph.classes, t->config.label_smoothing, scale,
                          plan_logits(t->plan), t->batch.labels, t->batch.losses, t->batch.hits,
                          plan_dlogits(t->plan));
}

/* What the step does with the gradients: keep the running statistics for a step that fails, look
 * for what is not finite, update. */
static void run_update(struct trainer *t)
{
    struct backend *b = t->net.backend;
    const struct graph *g = &t->net.graph;
    b->ops->copy(b, t->state_before, t->net.model.state, g->state_count * b->real_bytes);
    b->ops->first_nonfinite(b, g->params_count, t->net.model.grads);
    sgd_update(&t->sgd, t->net.model.params, t->net.model.grads, t->net.model.trainable,
               trainer_lr(t));
}

/* One training step with the clock after each part; what train_step does, taken apart. */
static void time_pass(struct bench *b, int pass)
{
    struct trainer *t = &b->trainer;
    struct backend *backend = t->net.backend;
    int steps = plan_step_count(t->plan);
    double last = clock_seconds();
    batch_fill(t);
    backend->ops->load_images(backend, t->batch.n, &t->train_store, t->batch.views,
                              plan_input(t->plan));
    for (int i = 0; i < b->row_count; i++) {
        if (i > 0 && i <= steps && strcmp(b->rows[i].info.phase, "loss") == 0)
            run_loss(t);
        else if (i > 0 && i <= steps)
            plan_step_run(t->plan, i - 1, t->batch.n);
        else if (i > steps)
            run_update(t);
        double now = clock_seconds();
        b->rows[i].seconds[pass] = now - last;
        last = now;
    }
}

void bench_rows(struct bench *b)
{
    make_rows(b);
    for (int pass = 0; pass < b->passes; pass++)
        time_pass(b, pass);
    for (int i = 0; i < b->row_count; i++)
        b->rows[i].median = bench_median(b->rows[i].seconds, b->passes);
}

struct bench_total bench_total(const struct bench *b, enum bench_group group)
{
    struct bench_total total = {0};
    for (int i = 0; i < b->row_count; i++) {
        const struct bench_row *row = &b->rows[i];
        if (!row->info.needed || (group != GROUP_COUNT && row->group != group))
            continue;
        total.seconds += row->median;
        total.flops += row->info.flops * b->trainer.batch.n;
        total.bytes += row->info.bytes * b->trainer.batch.n;
    }
    return total;
}

double bench_roof(const struct bench *b)
{
    const struct backend *backend = b->trainer.net.backend;
    return machine_peak_roof(&b->peak, precision_bytes(backend->precision) == 2);
}

bool bench_has_whitening(const struct bench *b)
{
    const struct graph *g = &b->trainer.net.graph;
    for (int i = 0; i < g->tensor_count; i++) {
        if (g->tensors[i].role == ROLE_WHITEN)
            return true;
    }
    return false;
}
