/* cmd_bench.c - kiln bench: how long a training step takes, whole and layer by layer.
 *
 * The images are random bytes made on the spot, so that no data set is needed: the time of a step
 * does not depend on what is in them. The whole step is train_step itself; the table comes from
 * running the same steps one by one with the clock between them, in passes of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/machine_peak.h"
#include "base/clock.h"
#include "base/rng.h"
#include "cli/cli.h"
#include "cli/resolve.h"
#include "train/batch.h"
#include "train/step.h"

enum { IMAGES_LEAST = 5000, TEST_IMAGES = 64, STEPS_DEFAULT = 10 };

struct args {
    int warmup;
    bool table;
};

static const struct option_def options[] = {
    {"warmup_steps", OPTION_INT, offsetof(struct args, warmup), "2", 0, 1000, NULL, "steps",
     "measuring", "steps before the clock starts", NULL},
    {"table", OPTION_FLAG, offsetof(struct args, table), "yes", 0, 0, NULL, NULL, "measuring",
     "measure layer by layer too", NULL},
    {0},
};

/* One line of the table: a step of the plan, or one of what stands around it. */
struct row {
    struct plan_step_info info;
    double *seconds;     /* [passes] */
    double median;
};

struct bench {
    struct trainer trainer;
    struct images images;
    int passes;          /* timed steps, and timed passes of the table */
    double *seconds;     /* [passes] of whole steps */
    struct row *rows;
    int row_count;
    struct machine_peak peak;
    struct arena arena;
};

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
}

static double median_of_sorted(const double *values, int n)
{
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

static int time_steps(struct bench *b, int warmup, struct err *e)
{
    struct step_report report;
    for (int i = -warmup; i < b->passes; i++) {
        double start = clock_seconds();
        if (train_step(&b->trainer, &report, e))
            return -1;
        if (i >= 0)
            b->seconds[i] = clock_seconds() - start;
    }
    return 0;
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
    for (int i = 0; i < steps; i++)
        plan_step_describe(plan, i, &b->rows[i + 1].info);
    b->rows[0].info = (struct plan_step_info){.name = "images", .phase = "augment", .needed = true};
    b->rows[steps + 1].info =
        (struct plan_step_info){.name = "weights", .phase = "update", .needed = true};
}

static void run_loss(struct trainer *t)
{
    struct backend *b = t->net.backend;
    double scale = t->config.reduction == REDUCTION_MEAN ? 1.0 / t->batch.n : 1.0;
    b->ops->cross_entropy(b, t->batch.n, t->net.graph.classes, t->config.label_smoothing, scale,
                          plan_logits(t->plan), t->batch.labels, t->batch.losses, t->batch.hits,
                          plan_dlogits(t->plan));
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
            sgd_update(&t->sgd, t->net.model.params, t->net.model.grads, t->net.model.trainable,
                       trainer_lr(t));
        double now = clock_seconds();
        b->rows[i].seconds[pass] = now - last;
        last = now;
    }
}

static void time_rows(struct bench *b)
{
    make_rows(b);
    for (int pass = 0; pass < b->passes; pass++)
        time_pass(b, pass);
    for (int i = 0; i < b->row_count; i++) {
        sort(b->rows[i].seconds, b->passes);
        b->rows[i].median = median_of_sorted(b->rows[i].seconds, b->passes);
    }
}

static double rows_total(const struct bench *b)
{
    double total = 0;
    for (int i = 0; i < b->row_count; i++)
        total += b->rows[i].median;
    return total;
}

/* Operations of a row in a second, and bytes; 0 when the row is not about such. */
static double row_rate(const struct bench *b, const struct row *row, double amount)
{
    return row->median > 0 ? amount * b->trainer.batch.n / row->median : 0;
}

static double flops_per_image(const struct bench *b)
{
    return 2 * graph_training_macs(&b->trainer.net.graph);
}

static void print_header(const struct bench *b)
{
    const struct trainer *t = &b->trainer;
    const struct backend *backend = t->net.backend;
    int n = b->passes;
    double median = median_of_sorted(b->seconds, n);
    double batch = t->config.batch, rate = flops_per_image(b) * batch / median;
    printf("%s, batch %d, %s, tier %s, %d thread%s\n", t->net.graph.name, t->config.batch,
           backend->precision == PRECISION_FP64 ? "fp64" : "fp32", tier_name(backend->tier),
           backend->threads, backend->threads == 1 ? "" : "s");
    printf("machine     %.0f GFLOP/s (fp32 multiply-adds, dense random data), "
           "%.1f GB/s (copying memory)\n", b->peak.flops / 1e9, b->peak.bytes / 1e9);
    printf("whole step  %.1f images/s; median of %d steps %.1f ms, from %.1f to %.1f\n",
           batch / median, n, 1e3 * median, 1e3 * b->seconds[0], 1e3 * b->seconds[n - 1]);
    printf("            %.1f GFLOP/s nominal, %.0f %% of the machine's\n", rate / 1e9,
           100 * rate / b->peak.flops);
}

static void print_table(const struct bench *b)
{
    double total = rows_total(b);
    printf("\n%-22s %-18s %9s %6s %9s %6s %7s\n", "layer", "phase", "ms", "%", "GFLOP/s",
           "% peak", "GB/s");
    for (int i = 0; i < b->row_count; i++) {
        const struct row *row = &b->rows[i];
        if (!row->info.needed)
            continue;
        printf("%-22s %-18s %9.3f %6.1f", row->info.name, row->info.phase, 1e3 * row->median,
               100 * row->median / total);
        double flops = row_rate(b, row, row->info.flops);
        if (flops > 0)
            printf(" %9.1f %6.0f", flops / 1e9, 100 * flops / b->peak.flops);
        else
            printf(" %9s %6s", "", "");
        if (row->info.bytes > 0)
            printf(" %7.1f", row_rate(b, row, row->info.bytes) / 1e9);
        putchar('\n');
    }
    printf("%-22s %-18s %9.3f %6.1f\n", "sum", "", 1e3 * total, 100.0);
}

static json_t *numbers(const double *values, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_number(values[i]));
    return list;
}

static json_t *rows_json(const struct bench *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->row_count; i++) {
        const struct row *row = &b->rows[i];
        if (!row->info.needed)
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "layer", json_string(row->info.name));
        json_object_set_new(o, "phase", json_string(row->info.phase));
        json_object_set_new(o, "seconds", json_number(row->median));
        json_object_set_new(o, "flops_per_second",
                            json_number(row_rate(b, row, row->info.flops)));
        json_object_set_new(o, "bytes_per_second",
                            json_number(row_rate(b, row, row->info.bytes)));
        json_array_append_new(list, o);
    }
    return list;
}

static int print_json(const struct bench *b, struct err *e)
{
    const struct trainer *t = &b->trainer;
    const struct backend *backend = t->net.backend;
    int n = b->passes;
    double median = median_of_sorted(b->seconds, n);
    json_t *o = json_object();
    json_object_set_new(o, "program", json_string("kiln"));
    json_object_set_new(o, "version", json_string(KILN_VERSION));
    json_object_set_new(o, "net", json_string(t->net.graph.name));
    json_object_set_new(o, "batch", json_integer(t->config.batch));
    json_object_set_new(o, "threads", json_integer(backend->threads));
    json_object_set_new(o, "precision",
                        json_string(backend->precision == PRECISION_FP64 ? "fp64" : "fp32"));
    json_object_set_new(o, "isa", json_string(tier_name(backend->tier)));
    json_object_set_new(o, "peak_flops", json_number(b->peak.flops));
    json_object_set_new(o, "peak_bytes", json_number(b->peak.bytes));
    json_object_set_new(o, "seconds", numbers(b->seconds, n));
    json_object_set_new(o, "images_per_second", json_number(t->config.batch / median));
    json_object_set_new(o, "flops_per_second",
                        json_number(flops_per_image(b) * t->config.batch / median));
    json_object_set_new(o, "rows", rows_json(b));
    return cli_print_json(o, e);
}

/* The recipe with what a benchmark needs: full batches of random images, whole steps only, and a
 * whitening bias that trains throughout, so that every step is the same and the longest one. */
static int resolve(const struct invocation *inv, struct config *c, struct err *e)
{
    const char *recipe = inv->operand_count ? inv->operands[0] : "airbench94";
    if (resolve_config(inv, recipe, c, e))
        return -1;
    c->train_count = 0;
    c->train_fraction = 1;
    c->validation = 0;
    c->label_noise = 0;
    c->drop_last = true;
    c->whiten_bias_epochs = -1;
    return 0;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct config c;
    if (resolve(inv, &c, e))
        return -1;
    struct bench b = {.passes = c.steps > 0 ? c.steps : STEPS_DEFAULT};
    b.seconds = arena_alloc(&b.arena, (size_t)b.passes, sizeof *b.seconds);
    int status = -1;
    if (make_images(&b.images, c.batch, e) || trainer_init(&b.trainer, &c, &b.images, true, e))
        goto out;
    const struct backend *backend = b.trainer.net.backend;
    if (machine_peak_measure(&b.peak, backend->tier, backend->threads, e) ||
        time_steps(&b, args->warmup, e))
        goto out;
    sort(b.seconds, b.passes);
    if (args->table)
        time_rows(&b);
    status = 0;
    if (inv->common.json) {
        status = print_json(&b, e);
    } else {
        print_header(&b);
        if (args->table)
            print_table(&b);
    }
out:
    trainer_release(&b.trainer);
    images_release(&b.images);
    arena_release(&b.arena);
    return status;
}

static const char *const examples[] = {
    "kiln bench", "the step of the recipe airbench94, whole and layer by layer",
    "kiln bench resnet9-24 --batch 512 --threads 1", "another recipe, on one thread",
    "kiln bench --net resnet18 --batch 128 --steps 3 --no-table", "another network, only the whole",
    NULL,
};

const struct command command_bench = {
    .name = "bench",
    .summary = "Time a training step, whole and layer by layer",
    .usage = "[RECIPE] [options]",
    .description =
        "Runs full training steps (load and augment, forward, loss, backward, update) of the\n"
        "recipe on random images, 10 or --steps of them, and prints images per second as their\n"
        "median with the fastest and the slowest; then the parts of the step one by one.\n"
        "GFLOP/s are nominal: padding counts. The machine's own figures are measured first.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
