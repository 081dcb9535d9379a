/* test_noise.c - the noise scale: its interval holds the truth as often as it says, on a quadratic
 * and on a real network whose truth is known from the gradients of single images. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "probes/lab.h"
#include "probes/noise.h"
#include "probes/surface.h"

enum { SIZE = 40, PARTS = 8, PART = 8, TRIALS = 1000 };

static double squares(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

/* Examples x of the loss (w - x)' A (w - x) / 2, A diagonal, x normal around 0 with deviations s_i:
 * the gradient of one is A (w - x), so G = A w and Sigma = (A s)^2. */
struct quadratic {
    double curvature[SIZE], spread[SIZE], w[SIZE];
};

static struct quadratic quadratic(double distance)
{
    struct quadratic q;
    for (int i = 0; i < SIZE; i++) {
        q.curvature[i] = 0.1 + 2.0 * i / SIZE;
        q.spread[i] = 1 + 0.5 * sin(i);
        q.w[i] = distance * cos(3.0 * i);
    }
    return q;
}

static double true_scale(const struct quadratic *q)
{
    double trace = 0, g2 = 0;
    for (int i = 0; i < SIZE; i++) {
        trace += pow(q->curvature[i] * q->spread[i], 2);
        g2 += pow(q->curvature[i] * q->w[i], 2);
    }
    return trace / g2;
}

/* One batch of PARTS * PART examples, its parts drawn as the normal means that they are. */
static void measure(struct noise *e, const struct quadratic *q, struct rng *r)
{
    double whole[SIZE] = {0}, part[SIZE], small = 0;
    for (int p = 0; p < PARTS; p++) {
        for (int i = 0; i < SIZE; i++) {
            double x = q->spread[i] * rng_normal(r) / sqrt(PART);
            part[i] = q->curvature[i] * (q->w[i] - x);
            whole[i] += part[i] / PARTS;
        }
        small += squares(part, SIZE) / PARTS;
    }
    noise_add(e, PARTS * PART, PART, squares(whole, SIZE), small);
}

/* Trials whose interval holds the truth; *width is its mean width over the truth. */
static int covered(double distance, int measurements, double memory, double *width)
{
    const struct quadratic q = quadratic(distance);
    double truth = true_scale(&q);
    int inside = 0;
    *width = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        struct rng r = rng_at(5, RNG_TEST, 60, (uint64_t)trial);
        struct noise e = {.memory = memory};
        for (int i = 0; i < measurements; i++)
            measure(&e, &q, &r);
        const struct noise_estimate got = noise_estimate(&e);
        inside += got.low <= truth && truth <= got.high;
        *width += (got.high - got.low) / truth / TRIALS;
    }
    return inside;
}

static void check_coverage(double distance, int measurements, double memory)
{
    double width;
    int inside = covered(distance, measurements, memory, &width);
    print_message("%d of %d intervals hold the truth; mean width %.2f of it\n", inside, TRIALS,
                  width);
    /* 950 +- 6.9 are expected. */
    assert_in_range(inside, 930, 970);
    assert_true(width < 1);
}

static void test_noise__interval_holds_the_truth(void **state)
{
    (void)state;
    check_coverage(0.5, 60, 60);
    check_coverage(0.5, 100, 20);
    check_coverage(1, 30, 30);
}

/* Without a gradient, the upper end is infinite nearly always, and the lower end far out. */
static void test_noise__no_gradient_is_no_scale(void **state)
{
    (void)state;
    const struct quadratic q = quadratic(0);
    int open = 0;
    for (int trial = 0; trial < 40; trial++) {
        struct rng r = rng_at(5, RNG_TEST, 61, (uint64_t)trial);
        struct noise e = {.memory = 30};
        for (int i = 0; i < 30; i++)
            measure(&e, &q, &r);
        open += isinf(noise_estimate(&e).high);
    }
    assert_true(open >= 36);
}

static void test_noise__needs_measurements(void **state)
{
    (void)state;
    struct noise e = {.memory = 10};
    assert_true(isnan(noise_estimate(&e).scale));
    noise_add(&e, 64, 8, 2.0, 3.0);
    const struct noise_estimate one = noise_estimate(&e);
    /* (64 * 2 - 8 * 3) / 56 and (3 - 2) / (1/8 - 1/64). */
    assert_true(fabs(one.gradient2 - 104.0 / 56) < 1e-12);
    assert_true(fabs(one.trace - 64.0 / 7) < 1e-12);
    assert_true(isnan(one.low) && isnan(one.high));
}

/* A network with batch norm on its running statistics: all single gradients give the truth, random
 * batches the estimate. */
static void test_noise__of_a_network(void **state)
{
    (void)state;
    enum { IMAGES_USED = 60, MEASUREMENTS = 60 };
    struct lab l;
    struct surface s;
    struct err err = {0};
    lab_begin(&l, "p avgpool 4\na conv 3x3 4\nn batchnorm\ng gelu\nq avgpool 2\n"
                  "l linear classes\n");
    lab_open(&l, 3);
    const struct surface_options o = {PRECISION_FP64, PLAN_FROZEN, IMAGES_USED, 1};
    assert_int_equal(surface_open(&s, &l.trainer, &o, &err), 0);
    double *g = xcalloc(IMAGES_USED * s.count, sizeof *g), *mean = xcalloc(2 * s.count, sizeof *g);
    double *part = mean + s.count, trace = 0;
    int n;
    for (uint32_t i = 0; i < IMAGES_USED; i++) {
        surface_batch_gradient(&s, i, g + i * s.count, &n);
        trace += squares(g + i * s.count, s.count) / IMAGES_USED;
        for (size_t k = 0; k < s.count; k++)
            mean[k] += g[i * s.count + k] / IMAGES_USED;
    }
    double g2 = squares(mean, s.count), truth = (trace - g2) / g2;
    struct noise e = {.memory = MEASUREMENTS};
    struct rng r = rng_at(5, RNG_TEST, 62, 0);
    for (int m = 0; m < MEASUREMENTS; m++) {
        double small = 0;
        memset(mean, 0, s.count * sizeof *mean);
        for (int p = 0; p < PARTS; p++) {
            memset(part, 0, s.count * sizeof *part);
            for (int i = 0; i < PART; i++) {
                const double *one = g + rng_below(&r, IMAGES_USED) * s.count;
                for (size_t k = 0; k < s.count; k++)
                    part[k] += one[k] / PART;
            }
            small += squares(part, s.count) / PARTS;
            for (size_t k = 0; k < s.count; k++)
                mean[k] += part[k] / PARTS;
        }
        noise_add(&e, PARTS * PART, PART, squares(mean, s.count), small);
    }
    const struct noise_estimate got = noise_estimate(&e);
    if (!(got.low <= truth && truth <= got.high) || got.high > 3 * got.low)
        fail_msg("%g (%g ... %g), truth %g", got.scale, got.low, got.high, truth);
    free(g);
    free(mean);
    surface_close(&s);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise__interval_holds_the_truth),
        cmocka_unit_test(test_noise__no_gradient_is_no_scale),
        cmocka_unit_test(test_noise__needs_measurements),
        cmocka_unit_test(test_noise__of_a_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
