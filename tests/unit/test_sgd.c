/* test_sgd.c - the optimiser over groups of tensors, and averaging, against the updates written
 * out in double precision. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "optim/average.h"
#include "optim/sgd.h"

enum { COUNT = 48, STEPS = 6 };

static struct backend *new_backend(void)
{
    const struct backend_options o = {.precision = PRECISION_FP64, .threads = 2};
    struct backend *b = backend_cpu_new(&o, NULL);
    assert_non_null(b);
    return b;
}

static void *new_reals(struct backend *b, const double *values, size_t count)
{
    void *p = b->ops->memory_new(b, count * b->real_bytes, "test", NULL);
    assert_non_null(p);
    b->ops->write_reals(b, p, values, count);
    return p;
}

static void random_reals(double *x, int count, uint32_t stream)
{
    struct rng r = rng_at(3, RNG_TEST, stream, 0);
    for (int i = 0; i < count; i++)
        x[i] = rng_normal(&r);
}

/* Two tensors with factors of their own, one of them idle in one step; a changing learning rate
 * shows that the rate stands outside the buffer. */
static void check_updates(bool nesterov, double mu)
{
    struct backend *b = new_backend();
    struct sgd_tensor tensors[2] = {{.offset = 0, .count = 13, .lr_factor = 1, .decay_factor = 1},
                                    {.offset = 16, .count = 32, .lr_factor = 64,
                                     .decay_factor = 0.015625}};
    struct sgd o = {.backend = b, .tensors = tensors, .tensor_count = 2, .momentum = mu,
                    .weight_decay = 0.01, .nesterov = nesterov, .count = COUNT};
    assert_int_equal(sgd_init(&o, NULL), 0);
    double w[COUNT], g[COUNT], m[COUNT] = {0}, got[COUNT];
    random_reals(w, COUNT, 0);
    void *params = new_reals(b, w, COUNT), *grads = new_reals(b, w, COUNT);
    for (int step = 0; step < STEPS; step++) {
        const bool active[2] = {true, step != 3};
        double lr = 0.1 / (step + 1);
        random_reals(g, COUNT, (uint32_t)step + 1);
        b->ops->write_reals(b, grads, g, COUNT);
        sgd_update(&o, params, grads, active, lr);
        for (int i = 0; i < 2; i++) {
            const struct sgd_tensor *t = &tensors[i];
            for (size_t j = t->offset; active[i] && j < t->offset + t->count; j++) {
                double d = g[j] + 0.01 * t->decay_factor * w[j];
                m[j] = mu * m[j] + d;
                w[j] -= lr * t->lr_factor * (nesterov ? d + mu * m[j] : m[j]);
            }
        }
    }
    b->ops->read_reals(b, got, params, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_true(fabs(got[i] - w[i]) <= 1e-12 * (1 + fabs(w[i])));
    b->ops->memory_free(b, params, COUNT * b->real_bytes);
    b->ops->memory_free(b, grads, COUNT * b->real_bytes);
    sgd_release(&o);
    b->ops->free(b);
}

static void test_sgd__heavy_ball_with_groups(void **state)
{
    (void)state;
    check_updates(false, 0.9);
}

static void test_sgd__nesterov_with_groups(void **state)
{
    (void)state;
    check_updates(true, 0.85);
}

static void test_sgd__without_momentum(void **state)
{
    (void)state;
    check_updates(false, 0);
}

/* airbench94: every 5 steps 0.95 ^ 5 (s / T) ^ 3, and after step 476 = T the slow
 * weights are taken. */
static void test_average__decay_follows_the_recipe(void **state)
{
    (void)state;
    const struct average_rule r = {AVERAGE_LOOKAHEAD, 5, 0.95, 3};
    assert_false(average_due(&r, 4, 476));
    assert_true(average_due(&r, 5, 476));
    assert_true(average_due(&r, 476, 476));
    assert_true(fabs(average_decay_at(&r, 5, 476) - 0.7737809375 * pow(5.0 / 476, 3)) < 1e-15);
    assert_true(fabs(average_decay_at(&r, 475, 475) - 0.7737809375) < 1e-15);
    assert_true(average_decay_at(&r, 476, 476) == 1);
    const struct average_rule ema = {AVERAGE_EMA, 5, 0.99, 0};
    assert_false(average_due(&ema, 476, 476));
    assert_true(fabs(average_decay_at(&ema, 5, 476) - 0.9509900499) < 1e-15);
    const struct average_rule none = {.kind = AVERAGE_NONE, .every = 1};
    assert_false(average_due(&none, 5, 5));
}

static void check_average(enum average_kind kind, double d, double slow_wanted, double fast_wanted)
{
    struct backend *b = new_backend();
    const struct average_rule r = {.kind = kind, .every = 1};
    double two[3] = {2, 2, 2}, ten[3] = {10, 10, 10};
    void *slow = new_reals(b, two, 3), *fast = new_reals(b, ten, 3);
    average_update(&r, b, d, slow, fast, 3);
    b->ops->read_reals(b, two, slow, 3);
    b->ops->read_reals(b, ten, fast, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(two[i] - slow_wanted) < 1e-14);
        assert_true(fabs(ten[i] - fast_wanted) < 1e-14);
    }
    b->ops->memory_free(b, slow, 3 * b->real_bytes);
    b->ops->memory_free(b, fast, 3 * b->real_bytes);
    b->ops->free(b);
}

static void test_average__ema_moves_slow_lookahead_moves_both(void **state)
{
    (void)state;
    check_average(AVERAGE_EMA, 0.75, 4, 10);
    check_average(AVERAGE_LOOKAHEAD, 0.75, 4, 4);
    check_average(AVERAGE_LOOKAHEAD, 1, 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd__heavy_ball_with_groups),
        cmocka_unit_test(test_sgd__nesterov_with_groups),
        cmocka_unit_test(test_sgd__without_momentum),
        cmocka_unit_test(test_average__decay_follows_the_recipe),
        cmocka_unit_test(test_average__ema_moves_slow_lookahead_moves_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
