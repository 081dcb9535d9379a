/* test_golden_lars.c - LARS per layer and per filter against PyTorch, element by element, within
 * running error bounds (tools/golden/small_cases.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "optim/lars.h"
#include "optim/sgd.h"
#include "support/golden.h"

enum { STREAM = 300, MOST = 64 };

static void fill(uint32_t stream, double low, double high, double *values, size_t count)
{
    struct rng r = rng_at(1, RNG_TEST, stream, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (double)(float)(low + (high - low) * (double)rng_uniform(&r));
}

static double element(const json_t *object, const char *key, size_t i)
{
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

/* Two tensors with the same numbers: a matrix that LARS scales, and a vector that it must not. */
struct plant {
    struct lars_tensor scaled[2];
    struct sgd_tensor plain[2];
    struct lars lars;
    struct sgd sgd;
    void *w, *g;
    size_t count;        /* of one tensor */
};

static void plant_open(struct plant *p, struct backend *b, const json_t *run, size_t rows,
                       size_t columns)
{
    const char *scope = json_string_value(json_object_get(run, "scope"));
    p->count = rows * columns;
    for (size_t i = 0; i < 2; i++) {
        p->scaled[i] = (struct lars_tensor){i * MOST, p->count, i ? 0 : rows, 1};
        p->plain[i] = (struct sgd_tensor){i * MOST, p->count, 1, 1};
    }
    p->lars = (struct lars){.backend = b, .tensors = p->scaled, .tensor_count = 2,
                            .scope = strcmp(scope, "layer") == 0 ? LARS_LAYER : LARS_FILTER,
                            .trust = golden_number(run, "trust"),
                            .eps = golden_number(run, "eps"),
                            .weight_decay = golden_number(run, "weight_decay"),
                            .count = 2 * MOST};
    p->sgd = (struct sgd){.backend = b, .tensors = p->plain, .tensor_count = 2,
                          .momentum = golden_number(run, "momentum"),
                          .nesterov = json_is_true(json_object_get(run, "nesterov")),
                          .count = 2 * MOST};
    p->w = b->ops->memory_new(b, 2 * MOST * b->real_bytes, "w", NULL);
    p->g = b->ops->memory_new(b, 2 * MOST * b->real_bytes, "g", NULL);
    assert_int_equal(lars_init(&p->lars, NULL) | sgd_init(&p->sgd, NULL), 0);
}

static void plant_close(struct plant *p, struct backend *b)
{
    lars_release(&p->lars);
    sgd_release(&p->sgd);
    b->ops->memory_free(b, p->w, 2 * MOST * b->real_bytes);
    b->ops->memory_free(b, p->g, 2 * MOST * b->real_bytes);
}

static void write_both(struct backend *b, const struct plant *p, void *device, const double *host)
{
    b->ops->write_reals(b, device, host, p->count);
    b->ops->write_reals(b, (char *)device + MOST * b->real_bytes, host, p->count);
}

static void check_run(struct backend *b, const json_t *run, size_t rows, size_t columns,
                      double factor)
{
    struct plant p;
    double host[MOST], vector[MOST], kept[MOST];
    const bool active[2] = {true, true};
    plant_open(&p, b, run, rows, columns);
    fill(STREAM, -1, 1, host, p.count);
    write_both(b, &p, p.w, host);
    for (size_t step = 0; step < 10; step++) {
        fill((uint32_t)(STREAM + 1 + step), -2, 2, host, p.count);
        write_both(b, &p, p.g, host);
        const void *d = lars_directions(&p.lars, p.w, p.g, active);
        b->ops->read_reals(b, kept, p.g, p.count);
        assert_memory_equal(kept, host, p.count * sizeof *host);
        sgd_update(&p.sgd, p.w, d, active, element(run, "lr", step));
    }
    b->ops->read_reals(b, host, p.w, p.count);
    b->ops->read_reals(b, vector, (char *)p.w + MOST * b->real_bytes, p.count);
    for (size_t i = 0; i < p.count; i++) {
        double error = fabs(host[i] - element(run, "values", i));
        double bound = element(run, "bounds", i) * factor;
        if (!(error <= bound))
            fail_msg("weight %zu after ten steps: off by %g, bound %g; tier %s", i, error, bound,
                     tier_name(b->tier));
        assert_true(fabs(vector[i] - element(run, "values", i)) > 1e-3);
    }
    plant_close(&p, b);
}

static void check_file(enum tier tier, enum precision precision)
{
    const struct backend_options o = {.tier = tier, .precision = precision, .threads = 1};
    struct backend *b = backend_cpu_new(&o, NULL);
    assert_non_null(b);
    json_t *golden = golden_read("lars"), *run;
    size_t index;
    json_array_foreach (json_object_get(golden, "runs"), index, run)
        check_run(b, run, (size_t)golden_number(golden, "rows"),
                  (size_t)golden_number(golden, "columns"),
                  precision == PRECISION_FP64 ? 0x1p-28 : 1);
    assert_int_equal(index, 12);
    json_decref(golden);
    b->ops->free(b);
}

static void test_lars__ten_steps_agree_with_pytorch(void **state)
{
    (void)state;
    check_file(TIER_REF, PRECISION_FP64);
    check_file(TIER_REF, PRECISION_FP32);
    check_file(TIER_AUTO, PRECISION_FP32);
}

/* Weights or gradients of zero have no ratio: they take plain steps. */
static void test_lars__zero_is_left_alone(void **state)
{
    (void)state;
    const struct backend_options o = {.precision = PRECISION_FP64, .threads = 1};
    struct backend *b = backend_cpu_new(&o, NULL);
    struct lars_tensor t = {.count = 6, .rows = 3, .decay_factor = 1};
    struct lars l = {.backend = b, .tensors = &t, .tensor_count = 1, .scope = LARS_FILTER,
                     .trust = 0.5, .count = 6};
    double w[6] = {0, 0, 3, 4, 3, 4}, g[6] = {1, 2, 0, 0, 6, 8}, d[6];
    const bool active = true;
    assert_int_equal(lars_init(&l, NULL), 0);
    const double *got = lars_directions(&l, w, g, &active);
    memcpy(d, got, sizeof d);
    const double want[6] = {1, 2, 0, 0, 1.5, 2};
    for (int i = 0; i < 6; i++)
        assert_true(fabs(d[i] - want[i]) < 1e-15);
    lars_release(&l);
    b->ops->free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lars__ten_steps_agree_with_pytorch),
        cmocka_unit_test(test_lars__zero_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
