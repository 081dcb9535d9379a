/* test_schedule.c - learning-rate schedules against their closed forms, against PyTorch's
 * schedulers, and against the step counts of the recipes they were written for. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "optim/schedule.h"


static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12))
        print_error("%.17g is not %.17g\n", a, b);
    assert_true(fabs(a - b) <= 1e-12);
}

static struct schedule linear(const char *knots)
{
    struct schedule s = {.kind = SCHEDULE_LINEAR};
    struct err e = {0};
    assert_int_equal(schedule_parse_knots(&s, knots, 1, &e), 0);
    return s;
}

static void test_schedule__linear_goes_straight_between_knots(void **state)
{
    (void)state;
    struct schedule s = linear("0:0, 15:1, 30:0.05, 35:0"); /* Page's baseline, lr 0.1 */
    const uint64_t per = 391, total = 35 * 391;
    assert_near(schedule_factor(&s, 0, total, per), 0);
    assert_near(schedule_factor(&s, 1, total, per), 1.0 / (15 * 391));
    assert_near(schedule_factor(&s, 15 * 391, total, per), 1);
    assert_near(schedule_factor(&s, 20 * 391, total, per), 1 - 0.95 / 3);
    assert_near(schedule_factor(&s, 30 * 391, total, per), 0.05);
    assert_near(schedule_factor(&s, total - 1, total, per), 0.05 / (5 * 391));
    assert_near(schedule_factor(&s, total + 99, total, per), 0);
    s.origin = 1; /* Page's code counts steps from one */
    assert_near(schedule_factor(&s, 0, total, per), 1.0 / (15 * 391));
}

/* airbench94: 476 steps, int(0.23 * 476) = 109 of them up from 0.2, the rest down to 0.07. */
static void test_schedule__percent_knots_are_whole_steps(void **state)
{
    (void)state;
    struct schedule s = linear("0:0.2, 23%:1, 100%:0.07");
    for (uint64_t step = 0; step < 476; step++) {
        double x = (double)step;
        double wanted = step < 109 ? 0.2 * (1 - x / 109) + x / 109
                                   : (1 - (x - 109) / 367) + 0.07 * (x - 109) / 367;
        assert_near(schedule_factor(&s, step, 476, 48), wanted);
    }
    s = linear("29%:1, 100%:0");
    assert_near(schedule_factor(&s, 29, 100, 10), 1);
    assert_near(schedule_factor(&s, 30, 100, 10), 70.0 / 71);
}

static void test_schedule__knots_in_steps_and_fractions(void **state)
{
    (void)state;
    struct schedule s = linear(" 10s : 1/88 ,20s:3/4");
    assert_near(schedule_factor(&s, 0, 100, 7), 1.0 / 88);
    assert_near(schedule_factor(&s, 15, 100, 7), (1.0 / 88 + 0.75) / 2);
    assert_near(schedule_factor(&s, 99, 100, 7), 0.75);
}

static void test_schedule__step_falls_at_each_position(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_STEP, .step_factor = 0.1};
    assert_int_equal(schedule_parse_knots(&s, "2, 4", 0, NULL), 0);
    assert_near(schedule_factor(&s, 19, 60, 10), 1);
    assert_near(schedule_factor(&s, 20, 60, 10), 0.1);
    assert_near(schedule_factor(&s, 39, 60, 10), 0.1);
    assert_near(schedule_factor(&s, 40, 60, 10), 0.01);
}

/* Numbers printed by PyTorch 2.15.0: CosineAnnealingLR(lr 1, T_max 20, eta_min 0.1). */
static void test_schedule__cosine_is_pytorchs(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_COSINE, .final_factor = 0.1};
    assert_near(schedule_factor(&s, 0, 20, 5), 1);
    assert_near(schedule_factor(&s, 1, 20, 5), 0.994459753267812);
    assert_near(schedule_factor(&s, 10, 20, 5), 0.55);
    assert_near(schedule_factor(&s, 19, 20, 5), 0.10554024673218806);
    s.warmup = 2; /* 10 steps up, then the whole cosine over the other 10 */
    assert_near(schedule_factor(&s, 5, 20, 5), 0.5);
    assert_near(schedule_factor(&s, 10, 20, 5), 1);
    assert_near(schedule_factor(&s, 15, 20, 5), 0.55);
}

/* PyTorch 2.15.0: OneCycleLR(max_lr 1, total_steps 20, pct_start 0.3, div 25, final_div 400). */
static void test_schedule__onecycle_is_pytorchs(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_ONECYCLE,
                         .cycle_start = 0.04,
                         .cycle_peak = 0.3,
                         .final_factor = 1e-4};
    assert_near(schedule_factor(&s, 0, 20, 5), 0.04);
    assert_near(schedule_factor(&s, 2, 20, 5), 0.3716718427000253);
    assert_near(schedule_factor(&s, 5, 20, 5), 1);
    assert_near(schedule_factor(&s, 6, 20, 5), 0.9874652096953027);
    assert_near(schedule_factor(&s, 12, 20, 5), 0.50005);
    assert_near(schedule_factor(&s, 19, 20, 5), 1e-4);
}

/* Equal factors from step to step, from 1 to the last step's: sqrt(2) an epoch here. */
static void test_schedule__exponential_goes_straight_on_the_log(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_EXPONENTIAL, .final_factor = 8};
    assert_near(schedule_factor(&s, 0, 61, 10), 1);
    assert_near(schedule_factor(&s, 10, 61, 10), 1.4142135623730951);
    assert_near(schedule_factor(&s, 40, 61, 10), 4);
    assert_near(schedule_factor(&s, 60, 61, 10), 8);
    assert_near(schedule_factor(&s, 0, 1, 10), 1);
}

static void test_schedule__warmup_multiplies_any_shape(void **state)
{
    (void)state;
    struct schedule s = {.kind = SCHEDULE_CONSTANT, .warmup = 1.5, .warmup_factor = 0.25};
    assert_near(schedule_factor(&s, 0, 100, 10), 0.25);
    assert_near(schedule_factor(&s, 5, 100, 10), 0.5);
    assert_near(schedule_factor(&s, 15, 100, 10), 1);
    s = linear("0:1, 10:0");
    s.warmup = 1;
    assert_near(schedule_factor(&s, 5, 100, 10), 0.5 * 0.95);
}

static void test_schedule_parse__says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *cause;
    } bad[] = {
        {"", "no position"},          {"0:1,", "no position"},     {"0 1", "no ':'"},
        {"0:x", "no factor"},         {"0:1, 0:2", "ascend"},      {"5:1, 3:1", "ascend"},
        {"0:1; 2:1", "expected ','"}, {"-1:1", "no position"},     {"0:-1", "no factor"},
        {"0:1/0", "no factor"},       {"0:1e999", "no factor"},    {"0:nan", "no factor"},
    };
    struct schedule s = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = {0};
        assert_int_equal(schedule_parse_knots(&s, bad[i].text, 1, &e), -1);
        assert_int_equal(e.code, EXIT_USAGE);
        if (!strstr(e.text, bad[i].cause))
            print_error("'%s': %s\n", bad[i].text, e.text);
        assert_non_null(strstr(e.text, bad[i].cause));
    }
    char many[33 * 8 + 1] = "";
    for (int i = 0; i < 33; i++)
        snprintf(many + strlen(many), 9, "%s%d:1", i ? ", " : "", i + 10);
    assert_int_equal(schedule_parse_knots(&s, many, 1, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule__linear_goes_straight_between_knots),
        cmocka_unit_test(test_schedule__percent_knots_are_whole_steps),
        cmocka_unit_test(test_schedule__knots_in_steps_and_fractions),
        cmocka_unit_test(test_schedule__step_falls_at_each_position),
        cmocka_unit_test(test_schedule__cosine_is_pytorchs),
        cmocka_unit_test(test_schedule__onecycle_is_pytorchs),
        cmocka_unit_test(test_schedule__exponential_goes_straight_on_the_log),
        cmocka_unit_test(test_schedule__warmup_multiplies_any_shape),
        cmocka_unit_test(test_schedule_parse__says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
