/* test_range_test.c - points of learning rate range tests whose answers are known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sweep/range_test.h"

enum { STEPS = 400 };

/* A ramp from 0.001 to 100 by equal factors, and what is found on it. */
struct ramp {
    double lr[STEPS], x[STEPS], loss[STEPS], smooth[STEPS], slope[STEPS];
    struct range_points points;
};

static void ramp_init(struct ramp *r)
{
    for (int i = 0; i < STEPS; i++) {
        r->x[i] = log(1e-3) + log(1e5) * i / (STEPS - 1);
        r->lr[i] = exp(r->x[i]);
    }
}

static void analyse(struct ramp *r, size_t n, double next)
{
    range_smooth(r->x, r->loss, n, r->smooth, r->slope);
    range_find(r->lr, r->smooth, r->slope, n, n < STEPS, next, &r->points);
}

/* Two logistic steps: from 2.3 down to 1.3 around 0.1, and up to 3.3 around 10. Half of the gain is
 * lost, 1.8, where the second is a quarter up: at ln 10 - h ln 3. */
static double two_steps(double x)
{
    const double h = 0.3;
    return 2.3 - 1 / (1 + exp(-(x - log(0.1)) / h)) + 2 / (1 + exp(-(x - log(10)) / h));
}

static void assert_rate(double found, double wanted, double factor)
{
    assert_true(found > wanted / factor && found < wanted * factor);
}

/* Neighbouring rates differ by 2.9 %; smoothing by a symmetric kernel moves no symmetric edge. */
static void test_range_find__finds_known_points(void **state)
{
    (void)state;
    static struct ramp r;
    ramp_init(&r);
    for (int i = 0; i < STEPS; i++)
        r.loss[i] = two_steps(r.x[i]);
    analyse(&r, STEPS, NAN);
    assert_rate(r.points.steepest, 0.1, 1.05);
    assert_true(r.points.begin > 0.1 && r.points.begin < r.points.minimum);
    assert_true(r.points.end > r.points.minimum && r.points.end < 10);
    assert_rate(r.points.blow_up, exp(log(10) - 0.3 * log(3)), 1.15);
    assert_rate(r.points.tenth, r.points.minimum / 10, 1.0001);
}

/* The same under the noise of batches: the points that the range is made of stay. */
static void test_range_find__noise_moves_little(void **state)
{
    (void)state;
    static struct ramp r;
    ramp_init(&r);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng rng = rng_at(seed, RNG_TEST, 0, 0);
        for (int i = 0; i < STEPS; i++)
            r.loss[i] = two_steps(r.x[i]) + 0.05 * rng_normal(&rng);
        analyse(&r, STEPS, NAN);
        assert_rate(r.points.steepest, 0.1, 1.5);
        assert_rate(r.points.blow_up, exp(log(10) - 0.3 * log(3)), 1.25);
    }
}

/* Losses of thousands at the end must not make a false minimum beside them. */
static void test_range_find__a_huge_loss_hides_nothing(void **state)
{
    (void)state;
    static struct ramp r;
    ramp_init(&r);
    for (int i = 0; i < STEPS; i++)
        r.loss[i] = two_steps(r.x[i]) + (r.lr[i] > 20 ? exp(r.x[i] * 10) : 0);
    analyse(&r, STEPS, NAN);
    assert_rate(r.points.steepest, 0.1, 1.05);
    assert_rate(r.points.blow_up, exp(log(10) - 0.3 * log(3)), 1.15);
    for (int i = 0; i < STEPS; i++)
        assert_true(r.smooth[i] > 0);
}

static void test_range_find__a_ramp_that_diverged_ends_there(void **state)
{
    (void)state;
    static struct ramp r;
    size_t n = 0;
    ramp_init(&r);
    while (r.lr[n] < 2)
        n++;
    for (size_t i = 0; i < n; i++)
        r.loss[i] = two_steps(r.x[i]);
    analyse(&r, n, r.lr[n]);
    assert_true(r.points.blow_up == r.lr[n]);
    assert_true(r.points.end < 2);
}

static void test_range_find__nothing_learnt_is_no_range(void **state)
{
    (void)state;
    static struct ramp r;
    ramp_init(&r);
    for (int i = 0; i < STEPS; i++)
        r.loss[i] = 2.3 - 0.1 * i / STEPS;
    analyse(&r, STEPS, NAN);
    assert_true(isnan(r.points.steepest) && isnan(r.points.minimum) && isnan(r.points.blow_up));
}

/* On a straight line both are exact, at the ends too. */
static void test_range_smooth__keeps_lines(void **state)
{
    (void)state;
    static struct ramp r;
    ramp_init(&r);
    for (int i = 0; i < STEPS; i++)
        r.loss[i] = 2 - 0.1 * r.x[i];
    range_smooth(r.x, r.loss, STEPS, r.smooth, r.slope);
    for (int i = 0; i < STEPS; i++) {
        assert_true(fabs(r.smooth[i] - r.loss[i]) < 1e-12);
        assert_true(fabs(r.slope[i] + 0.1) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_find__finds_known_points),
        cmocka_unit_test(test_range_find__noise_moves_little),
        cmocka_unit_test(test_range_find__a_huge_loss_hides_nothing),
        cmocka_unit_test(test_range_find__a_ramp_that_diverged_ends_there),
        cmocka_unit_test(test_range_find__nothing_learnt_is_no_range),
        cmocka_unit_test(test_range_smooth__keeps_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
