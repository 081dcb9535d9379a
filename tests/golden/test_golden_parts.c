/* test_golden_parts.c - the optimiser and the loss alone against PyTorch, element by element,
 * within running error bounds (tools/golden/small_cases.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "support/golden.h"

enum { WEIGHTS_STREAM = 100, LOGITS_STREAM = 200 };

static struct backend *open_backend(enum tier tier, enum precision precision)
{
    const struct backend_options o = {.tier = tier, .precision = precision, .threads = 1};
    struct err e;
    struct backend *b = backend_cpu_new(&o, &e);
    assert_non_null(b);
    return b;
}

static void fill(uint32_t stream, uint64_t substream, double low, double high, double *values,
                 size_t count)
{
    struct rng r = rng_at(1, RNG_TEST, stream, substream);
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(float)(low + (high - low) * (double)rng_uniform(&r));
}

static double element(const json_t *object, const char *key, size_t i)
{
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

static void check_sgd(struct backend *b, const json_t *run, size_t count, double factor)
{
    size_t bytes = count * b->real_bytes;
    void *w = b->ops->memory_new(b, bytes, "w", NULL), *g = b->ops->memory_new(b, bytes, "g", NULL);
    void *m = b->ops->memory_new(b, bytes, "m", NULL);
    double *host = xmalloc(count * sizeof *host);
    fill(WEIGHTS_STREAM, 0, -1, 1, host, count);
    b->ops->write_reals(b, w, host, count);
    for (size_t step = 0; step < 10; step++) {
        const struct sgd_step s = {.lr = element(run, "lr", step),
                                   .weight_decay = golden_number(run, "weight_decay"),
                                   .momentum = golden_number(run, "momentum"),
                                   .nesterov = json_is_true(json_object_get(run, "nesterov"))};
        fill((uint32_t)(WEIGHTS_STREAM + 1 + step), 0, -2, 2, host, count);
        b->ops->write_reals(b, g, host, count);
        b->ops->sgd(b, count, w, g, m, &s);
    }
    b->ops->read_reals(b, host, w, count);
    for (size_t i = 0; i < count; i++) {
        double error = fabs(host[i] - element(run, "values", i));
        double bound = element(run, "bounds", i) * factor;
        if (!(error <= bound))
            fail_msg("weight %zu after ten steps: off by %g, bound %g; tier %s", i, error, bound,
                     tier_name(b->tier));
    }
    free(host);
    b->ops->memory_free(b, w, bytes);
    b->ops->memory_free(b, g, bytes);
    b->ops->memory_free(b, m, bytes);
}

static void check_loss(struct backend *b, const json_t *run, int images, double factor)
{
    int classes = (int)golden_number(run, "classes");
    size_t count = (size_t)images * (size_t)classes;
    double size = golden_number(run, "size");
    size_t bytes = layout_bytes(b->precision, images, 1, 1, classes);
    struct map logits = {.data = b->ops->memory_new(b, bytes, "logits", NULL), .c = classes,
                         .h = 1, .w = 1};
    struct map gradient = logits;
    gradient.data = b->ops->memory_new(b, bytes, "gradient", NULL);
    double *host = xmalloc(count * sizeof *host);
    double *losses = xmalloc((size_t)images * sizeof *losses);
    uint8_t *labels = xmalloc((size_t)images), *hits = xmalloc((size_t)images);
    fill(LOGITS_STREAM, (uint64_t)classes, -size, size, host, count);
    b->ops->write_map(b, images, &logits, host);
    for (int i = 0; i < images; i++)
        labels[i] = (uint8_t)element(run, "labels", (size_t)i);
    b->ops->cross_entropy(b, images, classes, golden_number(run, "smoothing"), 1, &logits, labels,
                          losses, hits, &gradient);
    b->ops->read_map(b, images, host, &gradient);
    double bound = golden_number(run, "loss_bound") * factor;
    for (int i = 0; i < images; i++) {
        double error = fabs(losses[i] - element(run, "losses", (size_t)i));
        if (!(error <= bound))
            fail_msg("loss of image %d of %d classes: off by %g, bound %g; tier %s", i, classes,
                     error, bound, tier_name(b->tier));
    }
    bound = golden_number(run, "gradient_bound") * factor;
    for (size_t i = 0; i < count; i++) {
        double error = fabs(host[i] - element(run, "gradient", i));
        if (!(error <= bound))
            fail_msg("gradient %zu of %d classes: off by %g, bound %g; tier %s", i, classes, error,
                     bound, tier_name(b->tier));
    }
    free(host);
    free(losses);
    free(labels);
    free(hits);
    b->ops->memory_free(b, logits.data, bytes);
    b->ops->memory_free(b, gradient.data, bytes);
}

/* Runs all runs of a golden file on one backend. */
static void check_file(const char *name, enum tier tier, enum precision precision)
{
    struct backend *b = open_backend(tier, precision);
    /* The bounds count roundings of 2^-24; in double both programs make such of 2^-53. */
    double factor = precision == PRECISION_FP64 ? 0x1p-28 : 1;
    json_t *golden = golden_read(name), *run;
    bool is_sgd = json_object_get(golden, "count") != NULL;
    size_t index;
    json_array_foreach (json_object_get(golden, "runs"), index, run) {
        if (is_sgd)
            check_sgd(b, run, (size_t)golden_number(golden, "count"), factor);
        else
            check_loss(b, run, (int)golden_number(golden, "images"), factor);
    }
    assert_true(index > 0);
    json_decref(golden);
    b->ops->free(b);
}

static void check_everywhere(const char *name)
{
    check_file(name, TIER_REF, PRECISION_FP64);
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++)
        if (tier_available(t))
            check_file(name, t, PRECISION_FP32);
        else
            print_message("not tested: this machine has no %s\n", tier_name(t));
}

static void test_sgd__ten_steps_agree_with_pytorch(void **state)
{
    (void)state;
    check_everywhere("sgd");
}

static void test_cross_entropy__agrees_with_pytorch(void **state)
{
    (void)state;
    check_everywhere("cross_entropy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd__ten_steps_agree_with_pytorch),
        cmocka_unit_test(test_cross_entropy__agrees_with_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
