/* test_series.c - what is read off curves (studies/series.h), on curves with known answers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "studies/series.h"

enum { POINTS = 400 };

static double steps[POINTS], values[POINTS], others[POINTS];

static struct study_curve curve(double *value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        steps[i] = 10.0 * (double)(i + 1);
    return (struct study_curve){.step = steps, .epoch = steps, .value = value, .count = count};
}

static void test_series__means(void **state)
{
    (void)state;
    double v[] = {100, 3, -5, (double)NAN, 4, 100};
    const struct study_curve c = curve(v, 6);
    assert_true(fabs(series_mean(&c, 20, 50) - 2.0 / 3) < 1e-12);
    assert_true(fabs(series_rms(&c, 20, 50) - sqrt(50.0 / 3)) < 1e-12);
    assert_true(isnan(series_mean(&c, 21, 29)));
    assert_true(series_end(&c) == 60);
}

static void test_series__distance(void **state)
{
    (void)state;
    double a[] = {1, 2, 3}, b[] = {1.1, 1.9, 3.1};
    const struct study_curve p = curve(a, 3), q = curve(b, 3), shorter = curve(b, 2);
    assert_true(fabs(series_distance(&p, &q, 30) - 0.05) < 1e-12);
    assert_true(fabs(series_distance(&p, &q, 20) - 0.1 / 1.5) < 1e-12);
    assert_true(isnan(series_distance(&p, &shorter, 30)));
    b[1] = (double)INFINITY;
    assert_true(isnan(series_distance(&p, &q, 30)));
}

/* To limit 2 within 70 steps; fluctuations about the limit afterwards do not matter. */
static void test_series__decay_time(void **state)
{
    (void)state;
    struct rng r = rng_at(5, RNG_TEST, 90, 0);
    for (int i = 0; i < POINTS; i++)
        values[i] = 2 + 500 * exp(-10.0 * (i + 1) / 70) + 0.1 * rng_normal(&r);
    const struct study_curve c = curve(values, POINTS);
    double time = series_decay_time(&c, 2, 1);
    if (!(fabs(time / 70 - 1) < 0.02))
        fail_msg("%g steps", time);
    assert_true(isnan(series_decay_time(&c, 400, 1)));
}

static void test_series__exponent(void **state)
{
    (void)state;
    for (int i = 0; i < POINTS; i++)
        values[i] = i < 50 ? 7 : 3 * pow(10.0 * (i + 1), -0.5);
    const struct study_curve c = curve(values, POINTS);
    assert_true(fabs(series_exponent(&c, 600) + 0.5) < 1e-9);
    assert_true(isnan(series_exponent(&c, 1e9)));
}

/* Memory of 60 steps, seen at ages like those of the probe; with noise the interval holds the truth
 * in 95 % of the draws. */
static void test_series__memory(void **state)
{
    (void)state;
    enum { AGES = 9, DRAWS = 200 };
    static const double age[AGES] = {0, 1, 2.5, 5.5, 11.5, 23.5, 47.5, 95.5, 191.5};
    double y[AGES], error[AGES];
    int covered = 0;
    for (int i = 0; i < AGES; i++) {
        y[i] = 1.5 - 0.4 * exp(-age[i] / 60);
        error[i] = 0.02;
    }
    struct series_memory m = series_memory_fit(age, y, error, AGES);
    assert_true(fabs(m.scale / 60 - 1) < 0.02 && fabs(m.depth - 0.4) < 0.01);
    assert_true(fabs(m.level - 1.5) < 0.01 && m.gain > 100);
    assert_true(m.low < 60 && m.high > 60);
    for (int draw = 0; draw < DRAWS; draw++) {
        struct rng r = rng_at(5, RNG_TEST, 91, (uint64_t)draw);
        for (int i = 0; i < AGES; i++)
            others[i] = y[i] + error[i] * rng_normal(&r);
        m = series_memory_fit(age, others, error, AGES);
        covered += m.low <= 60 && 60 <= m.high;
    }
    /* 190 expected, with a deviation of 3. */
    if (covered < 180 || covered > 199)
        fail_msg("%d of %d intervals hold the truth", covered, DRAWS);
}

/* Without a dip the fit gains little over a constant, and knows no scale. */
static void test_series__memory_of_nothing(void **state)
{
    (void)state;
    enum { AGES = 9, DRAWS = 100 };
    static const double age[AGES] = {0, 1, 2.5, 5.5, 11.5, 23.5, 47.5, 95.5, 191.5};
    double y[AGES], error[AGES];
    int false_alarms = 0;
    for (int draw = 0; draw < DRAWS; draw++) {
        struct rng r = rng_at(5, RNG_TEST, 92, (uint64_t)draw);
        for (int i = 0; i < AGES; i++) {
            error[i] = 0.02;
            y[i] = 1.5 + error[i] * rng_normal(&r);
        }
        false_alarms += series_memory_fit(age, y, error, AGES).gain >= 9;
    }
    assert_true(false_alarms <= 5);
    assert_true(isnan(series_memory_fit(age, y, error, 3).scale));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series__means),         cmocka_unit_test(test_series__distance),
        cmocka_unit_test(test_series__decay_time),    cmocka_unit_test(test_series__exponent),
        cmocka_unit_test(test_series__memory),
        cmocka_unit_test(test_series__memory_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
