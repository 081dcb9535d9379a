/* test_stats.c - statistics against values worked out elsewhere (R 4.2, by hand), and against the
 * truth of made data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/rng.h"
#include "base/stats.h"

static void assert_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("%.12g is not within %g of %.12g", got, tolerance, expected);
}

static void test_moments__match_hand_computation(void **state)
{
    (void)state;
    const double x[] = {2, 4, 4, 4, 5, 5, 7, 9};
    assert_near(stats_mean(x, 8), 5, 1e-15);
    assert_near(stats_sd(x, 8), sqrt(32.0 / 7), 1e-15); /* sum of squares 32 */
    assert_true(isnan(stats_mean(x, 0)));
    assert_true(isnan(stats_sd(x, 1)));
}

static void test_quantile__interpolates_as_numpy(void **state)
{
    (void)state;
    const double x[] = {9, 1, 5, 3};
    assert_near(stats_quantile(x, 4, 0), 1, 0);
    assert_near(stats_quantile(x, 4, 1), 9, 0);
    assert_near(stats_quantile(x, 4, 0.5), 4, 1e-15);
    assert_near(stats_quantile(x, 4, 0.25), 2.5, 1e-15);
    assert_true(isnan(stats_quantile(x, 0, 0.5)));
}

/* qt(0.975, dof) of R. */
static void test_t95__matches_tables_and_goes_on_smoothly(void **state)
{
    (void)state;
    assert_near(stats_t95(1), 12.7062, 1e-4);
    assert_near(stats_t95(4), 2.7764, 1e-4);
    assert_near(stats_t95(31), 2.039513, 1e-4);
    assert_near(stats_t95(100), 1.983972, 1e-4);
    assert_near(stats_t95(100000), 1.959988, 1e-4);
    assert_true(isnan(stats_t95(0)));
}

/* Equal variances and sizes: Welch's degrees of freedom are na + nb - 2 = 4, t = 2.7764; each
 * variance is 1, so the standard error is sqrt(2/3). */
static void test_difference95__is_welchs(void **state)
{
    (void)state;
    const double a[] = {4, 5, 6}, b[] = {1, 2, 3};
    struct stats_interval d = stats_difference95(a, 3, b, 3);
    assert_near(d.low, 3 - 2.7764 * sqrt(2.0 / 3), 1e-4);
    assert_near(d.high, 3 + 2.7764 * sqrt(2.0 / 3), 1e-4);
    assert_true(isnan(stats_difference95(a, 1, b, 3).low));
}

/* A divisor that never varies leaves Student's interval of a, divided by it. In general a - q b has
 * a mean that Student's t just allows at both ends of the interval. */
static void test_quotient95__is_fiellers(void **state)
{
    (void)state;
    const double a[] = {4, 5, 6, 5.5}, b[] = {2, 2.3, 2.1, 2.6}, two[] = {2, 2, 2};
    struct stats_interval d = stats_quotient95(a, two, 3);
    assert_near(d.low, (5 - 4.302653 / sqrt(3)) / 2, 1e-4);
    assert_near(d.high, (5 + 4.302653 / sqrt(3)) / 2, 1e-4);
    d = stats_quotient95(a, b, 4);
    assert_true(d.low < 20.5 / 9 && 20.5 / 9 < d.high);
    for (int end = 0; end < 2; end++) {
        double x[4];
        for (int i = 0; i < 4; i++)
            x[i] = a[i] - (end ? d.high : d.low) * b[i];
        assert_near(fabs(stats_mean(x, 4)) / (stats_sd(x, 4) / 2), 3.182446, 1e-3);
    }
    assert_true(isnan(stats_quotient95(a, two, 1).low));
    assert_true(isnan(stats_quotient95(a, (const double[]){-1, 1, 0.5}, 3).low));
}

/* Points (1,2) (2,3) (3,5) (4,4): slope 0.8, intercept 1.5, residual sum of squares 1.8. */
static void test_line_fit__matches_hand_computation(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3, 4}, y[] = {2, 3, 5, 4};
    struct stats_line l = stats_line_fit(x, y, 4);
    assert_near(l.slope, 0.8, 1e-12);
    assert_near(l.intercept, 1.5, 1e-12);
    assert_near(l.slope_se, sqrt(1.8 / 2 / 5), 1e-12);
    const double same[] = {1, 1, 1, 1};
    assert_true(isnan(stats_line_fit(same, y, 4).slope));
}

static void test_parabola__recovers_an_exact_one_far_from_zero(void **state)
{
    (void)state;
    double x[6], y[6];
    for (int i = 0; i < 6; i++) {
        x[i] = 1000 + i;
        y[i] = 0.25 * (x[i] - 1002.3) * (x[i] - 1002.3) + 7;
    }
    struct stats_parabola p;
    assert_true(stats_parabola_fit(x, y, 6, &p));
    assert_true(p.has_minimum);
    assert_near(p.x, 1002.3, 1e-8);
    assert_near(p.y, 7, 1e-8);
    assert_near(p.residual_sd, 0, 1e-8);
    assert_near(stats_parabola_at(&p, 1004), 0.25 * 1.7 * 1.7 + 7, 1e-8);
}

static void test_parabola__needs_three_places_and_an_upward_curve(void **state)
{
    (void)state;
    const double x[] = {1, 1, 2, 2}, y[] = {1, 2, 3, 4};
    struct stats_parabola p;
    assert_false(stats_parabola_fit(x, y, 4, &p));
    const double hill_x[] = {-1, 0, 1}, hill_y[] = {0, 1, 0};
    assert_true(stats_parabola_fit(hill_x, hill_y, 3, &p));
    assert_false(p.has_minimum);
    assert_true(isnan(p.x));
}

/* How many of 200 made experiments have the true optimum within the interval; 5 x, `seeds` values
 * each, noise of deviation 0.05 on a curve that rises by 1 at the ends. */
static int covered(int seeds, int *repetitions)
{
    int hits = 0;
    *repetitions = 0;
    for (uint32_t trial = 0; trial < 200; trial++) {
        struct rng r = rng_at(1, RNG_TEST, trial, (uint64_t)seeds);
        double x[50], y[50];
        size_t n = 0;
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < seeds; k++, n++) {
                x[n] = i - 2;
                y[n] = 0.25 * (x[n] - 0.4) * (x[n] - 0.4) + 0.05 * rng_normal(&r);
            }
        }
        struct stats_optimum o;
        assert_true(stats_optimum_fit(x, y, n, 400, 7, &o));
        hits += o.interval.low <= 0.4 && 0.4 <= o.interval.high;
        *repetitions += o.resampled_repetitions;
    }
    return hits;
}

/* 95 % of 200 is 190; three standard errors of that count are 9.2. With two degrees of freedom the
 * residuals hardly tell their own spread, and the interval errs on the wide side. */
static void test_optimum__interval_covers_the_truth(void **state)
{
    (void)state;
    int repetitions;
    int hits = covered(1, &repetitions);
    assert_int_equal(repetitions, 0);
    assert_in_range(hits, 181, 200);
    hits = covered(10, &repetitions);
    assert_int_equal(repetitions, 200);
    assert_in_range(hits, 181, 199);
    hits = covered(3, &repetitions);
    assert_in_range(hits, 181, 199);
}

static void test_optimum__same_seed_same_interval(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 4}, y[] = {4.1, 1.2, 0.1, 0.9, 4.2};
    struct stats_optimum a, b, c;
    stats_optimum_fit(x, y, 5, 500, 1, &a);
    stats_optimum_fit(x, y, 5, 500, 1, &b);
    stats_optimum_fit(x, y, 5, 500, 2, &c);
    assert_true(a.interval.low == b.interval.low && a.interval.high == b.interval.high);
    assert_true(a.interval.low != c.interval.low);
    assert_true(a.interval.low < a.fit.x && a.fit.x < a.interval.high);
}

static void test_optimum__three_points_have_no_interval(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2}, y[] = {1, 0, 1};
    struct stats_optimum o;
    assert_true(stats_optimum_fit(x, y, 3, 500, 1, &o));
    assert_near(o.fit.x, 1, 1e-12);
    assert_true(isnan(o.interval.low));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments__match_hand_computation),
        cmocka_unit_test(test_quantile__interpolates_as_numpy),
        cmocka_unit_test(test_t95__matches_tables_and_goes_on_smoothly),
        cmocka_unit_test(test_difference95__is_welchs),
        cmocka_unit_test(test_quotient95__is_fiellers),
        cmocka_unit_test(test_line_fit__matches_hand_computation),
        cmocka_unit_test(test_parabola__recovers_an_exact_one_far_from_zero),
        cmocka_unit_test(test_parabola__needs_three_places_and_an_upward_curve),
        cmocka_unit_test(test_optimum__interval_covers_the_truth),
        cmocka_unit_test(test_optimum__same_seed_same_interval),
        cmocka_unit_test(test_optimum__three_points_have_no_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
