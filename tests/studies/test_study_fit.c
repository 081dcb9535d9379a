/* test_study_fit.c - optima and their slope where the answer is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "studies/fit.h"

/* Noise of standard deviation about 1: a sum of twelve uniforms. */
static double noise(struct rng *r)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += rng_below(r, 1000001) / 1000000.0;
    return sum;
}

/* A valley at `least`, on a grid of whole x from -4 to 4, `seeds` values at each. */
static void make_curve(struct fit_curve *c, double at, double least, double sd, int seeds,
                       uint32_t stream)
{
    struct rng r = rng_at(3, RNG_TEST, stream, 0);
    *c = (struct fit_curve){.at = at};
    for (int x = -4; x <= 4; x++)
        for (int s = 0; s < seeds; s++)
            fit_add(c, x, 0.5 + 0.1 * (x - least) * (x - least) + sd * noise(&r));
    fit_optimum(c, 2, stream + 1);
}

static void test_fit__exact_parabola_is_found(void **state)
{
    struct fit_curve *c = xcalloc(1, sizeof *c);
    (void)state;
    make_curve(c, 6, 0.7, 0, 3, 0);
    assert_null(c->doubt);
    assert_true(fabs(c->optimum.fit.x - 0.7) < 1e-9);
    assert_int_equal(c->used, 5 * 3); /* -1 ... 3, around the lowest mean at 1 */
    free(c);
}

static void test_fit__diverged_runs_are_left_out(void **state)
{
    struct fit_curve *c = xcalloc(1, sizeof *c);
    (void)state;
    fit_add(c, 1, (double)NAN);
    fit_add(c, 1, INFINITY);
    assert_int_equal(c->n, 0);
    fit_optimum(c, 2, 1);
    assert_non_null(c->doubt);
    assert_true(isnan(c->optimum.fit.x));
    free(c);
}

static void test_fit__optimum_at_the_edge_is_doubted(void **state)
{
    struct fit_curve *c = xcalloc(1, sizeof *c);
    (void)state;
    make_curve(c, 6, -4.4, 0, 3, 0);
    assert_non_null(c->doubt);
    make_curve(c, 6, -3.8, 0, 3, 0); /* the parabola's minimum lies within, the best does not */
    assert_true(c->optimum.fit.x > c->from);
    assert_non_null(c->doubt);
    make_curve(c, 6, 3.8, 0, 3, 0);
    assert_non_null(c->doubt);
    make_curve(c, 6, 6, 0, 3, 0);
    assert_non_null(c->doubt);
    free(c);
}

static void test_fit__curve_that_is_all_noise_is_doubted(void **state)
{
    struct fit_curve *c = xcalloc(1, sizeof *c);
    int doubted = 0;
    (void)state;
    for (uint32_t k = 0; k < 20; k++) {
        struct rng r = rng_at(5, RNG_TEST, k, 0);
        *c = (struct fit_curve){0};
        for (int x = -4; x <= 4; x++)
            for (int s = 0; s < 3; s++)
                fit_add(c, x, noise(&r));
        fit_optimum(c, 2, k + 1);
        /* What is not doubted is at least as wide as the window is meant to be narrow. */
        doubted += c->doubt || c->optimum.interval.high - c->optimum.interval.low > 1;
    }
    assert_true(doubted >= 19);
    free(c);
}

/* Optima that move by `slope` an octave: the interval of the slope holds it as often as it says. */
static void test_fit__slope_is_within_its_interval(void **state)
{
    struct fit_curve *curves = xcalloc(3, sizeof *curves);
    int inside = 0, trials = 40;
    const double slope = 0.6;
    (void)state;
    for (int k = 0; k < trials; k++) {
        for (uint32_t i = 0; i < 3; i++)
            make_curve(&curves[i], 6 + 2 * i, -1.2 + slope * 2 * i, 0.03, 3,
                       (uint32_t)k * 3 + i);
        const struct fit_slope s = fit_slope(curves, 3);
        assert_null(s.doubt);
        assert_true(fabs(s.slope - slope) < 0.15);
        assert_true(s.interval.high - s.interval.low < 0.5);
        inside += s.interval.low <= slope && slope <= s.interval.high;
    }
    assert_true(inside >= 34); /* 95 % of 40 is 38; fewer than 34 happens once in a thousand */
    free(curves);
}

static void test_fit__slope_inherits_doubt(void **state)
{
    struct fit_curve *curves = xcalloc(2, sizeof *curves);
    (void)state;
    make_curve(&curves[0], 6, 0, 0, 3, 0);
    make_curve(&curves[1], 8, 9, 0, 3, 1);
    assert_non_null(fit_slope(curves, 2).doubt);
    assert_non_null(fit_slope(curves, 1).doubt);
    make_curve(&curves[1], 8, 1, 0, 3, 1);
    const struct fit_slope s = fit_slope(curves, 2);
    assert_null(s.doubt);
    assert_true(fabs(s.slope - 0.5) < 1e-9);
    free(curves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fit__exact_parabola_is_found),
        cmocka_unit_test(test_fit__diverged_runs_are_left_out),
        cmocka_unit_test(test_fit__optimum_at_the_edge_is_doubted),
        cmocka_unit_test(test_fit__curve_that_is_all_noise_is_doubted),
        cmocka_unit_test(test_fit__slope_is_within_its_interval),
        cmocka_unit_test(test_fit__slope_inherits_doubt),
    };
    return cmocka_run_group_tests_name("study_fit", tests, NULL, NULL);
}
