/* test_study_analyses.c - the analyses of lr-batch, schedules and scaling in worlds where the
 * answer is known: they must find it, its opposite, and that it cannot be told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "scratch_group.h"
#include "support/made_study.h"

/* ---- lr-batch: a valley whose floor moves by `slope` octaves an octave of batch ---- */

static double slope, first_optimum, valley_noise, valley_width, noise_scale;

static void valleys(const struct config *c, const char *label, struct made_result *m)
{
    double octaves = log2(c->lr / first_optimum) - slope * log2(c->batch / 16.0);
    (void)label;
    m->validation_loss = 1 + 0.1 * octaves * octaves / (1 + valley_width * log2(c->batch / 16.0)) +
                         valley_noise * made_noise(c);
    m->noise_scale = noise_scale;
}

static void set_valleys(double s, double optimum, double noise, double bn)
{
    slope = s;
    first_optimum = optimum;
    valley_noise = noise;
    noise_scale = bn;
    valley_width = 0.5;
}

/* With Bn = 224 images the law gives a growth of 8 from batch 16 to 256: a slope of 3/4. */
static void test_lr_batch__finds_a_slope_and_its_law(void **state)
{
    (void)state;
    set_valleys(0.75, 0.1, 0.001, 224);
    json_t *o = made_study("lr-batch", scratch_path(&scratch, "lr1"), valleys, NULL);
    assert_true(fabs(made_seen(o, "slope", "value") - 0.75) < 0.02);
    assert_true(fabs(made_seen(o, "noise-scale", "value") - 1) < 0.02);
    made_check(o, "grows", "supported");
    made_check(o, "slope", "supported");
    made_check(o, "noise-scale", "supported");
    made_check(o, "iso", "supported");
    made_check(o, "flatter", "supported");
    assert_string_equal(json_string_value(json_object_get(o, "verdict")), "supported");
    json_decref(o);
}

static void test_lr_batch__contradicts_where_nothing_grows(void **state)
{
    (void)state;
    set_valleys(0, 0.15, 0.001, 224);
    valley_width = 0;
    json_t *o = made_study("lr-batch", scratch_path(&scratch, "lr2"), valleys, NULL);
    made_check(o, "slope", "not supported");
    made_check(o, "noise-scale", "not supported");
    made_check(o, "iso", "not supported");
    made_check(o, "flatter", "inconclusive");
    json_decref(o);
    set_valleys(-0.4, 0.2, 0.001, 224);
    o = made_study("lr-batch", scratch_path(&scratch, "lr3"), valleys, NULL);
    made_check(o, "grows", "not supported");
    json_decref(o);
}

static void test_lr_batch__cannot_tell_from_noise_or_an_edge(void **state)
{
    (void)state;
    set_valleys(0.75, 0.1, 0.5, 224);
    json_t *o = made_study("lr-batch", scratch_path(&scratch, "lr4"), valleys, NULL);
    made_check(o, "slope", "inconclusive");
    json_decref(o);
    set_valleys(0.75, 1e-5, 0.001, 224); /* far below the grid */
    o = made_study("lr-batch", scratch_path(&scratch, "lr5"), valleys, NULL);
    made_check(o, "grows", "inconclusive");
    made_check(o, "slope", "inconclusive");
    json_decref(o);
    set_valleys(0.75, 0.1, 0.001, 0); /* no probe */
    o = made_study("lr-batch", scratch_path(&scratch, "lr6"), valleys, NULL);
    made_check(o, "slope", "supported");
    made_check(o, "noise-scale", "inconclusive");
    json_decref(o);
}

/* ---- schedules ---- */

static double constant_costs, no_warm_up_costs, schedule_noise;
static int bare_breaks_at, frozen_breaks_at; /* epoch of the ramp; 0: never */
static bool norm_diverges, frozen_keeps_its_loss;

/* From the epoch `breaks_at` on the loss is high or, if it keeps that, the accuracy low. */
static void ramp(const struct config *c, int breaks_at, bool diverges, bool keeps_loss,
                 struct made_result *m)
{
    m->epochs = (int)c->epochs;
    for (int i = 0; i < m->epochs; i++) {
        bool broken = breaks_at && i + 1 >= breaks_at;
        m->lr[i] = 0.005 * exp2((i + 1) / 2.0);
        m->train_loss[i] = broken && !keeps_loss ? 9 : 2 - 0.08 * i;
        m->train_accuracy[i] = broken && keeps_loss ? 0.1 : 0.3 + 0.02 * i;
    }
    if (diverges && breaks_at) {
        m->diverged = true;
        m->epochs = breaks_at - 1;
    }
}

static void schedules(const struct config *c, const char *label, struct made_result *m)
{
    if (strcmp(label, "no batch norm") == 0)
        ramp(c, bare_breaks_at, true, false, m);
    else if (strcmp(label, "frozen batch norm") == 0)
        ramp(c, frozen_breaks_at, false, frozen_keeps_its_loss, m);
    else if (strcmp(label, "batch norm") == 0)
        ramp(c, norm_diverges ? 20 : 0, true, false, m);
    m->test_loss = 1 + schedule_noise * made_noise(c);
    if (strncmp(label, "constant", 8) == 0)
        m->test_loss += constant_costs;
    if (strncmp(label, "piecewise, no warm-up", 21) == 0)
        m->test_loss += no_warm_up_costs;
}

static void set_schedules(double constant, double no_warm_up, double noise)
{
    constant_costs = constant;
    no_warm_up_costs = no_warm_up;
    schedule_noise = noise;
    bare_breaks_at = 12; /* rate 0.32 */
    frozen_breaks_at = 13;
    norm_diverges = frozen_keeps_its_loss = false;
}

static void test_schedules__goes_each_way(void **state)
{
    (void)state;
    set_schedules(0.3, 0.3, 0.001);
    json_t *o = made_study("schedules", scratch_path(&scratch, "s1"), schedules, NULL);
    static const char *const claims[] = {"anneal", "warm-up", "shape", "bare-breaks",
                                         "norm-survives", "norm-tolerates", "smooth",
                                         "frozen-breaks"};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        made_check(o, claims[i], "supported");
    /* Diverged in epoch 12: the last rate on record is that of epoch 11. */
    assert_true(fabs(made_seen(o, "bare-breaks", "value") - 0.005 * exp2(5.5)) < 1e-3);
    assert_true(fabs(made_seen(o, "frozen-breaks", "value") - 2) < 1e-6);
    json_decref(o);

    set_schedules(-0.3, -0.3, 0.001);
    bare_breaks_at = 0;
    norm_diverges = true;
    o = made_study("schedules", scratch_path(&scratch, "s2"), schedules, NULL);
    made_check(o, "anneal", "not supported");
    made_check(o, "warm-up", "not supported");
    made_check(o, "bare-breaks", "not supported");
    made_check(o, "norm-survives", "not supported");
    made_check(o, "norm-tolerates", "inconclusive");
    made_check(o, "frozen-breaks", "inconclusive");
    json_decref(o);

    set_schedules(0.1, 0.1, 0.5);
    frozen_breaks_at = 20;
    frozen_keeps_its_loss = true;
    o = made_study("schedules", scratch_path(&scratch, "s3"), schedules, NULL);
    made_check(o, "anneal", "inconclusive");
    made_check(o, "warm-up", "inconclusive");
    made_check(o, "frozen-breaks", "not supported");
    json_decref(o);
}

/* ---- scaling ---- */

static double lost_by_two, lost_at_most, lost_abrupt, lost_in_steps, accuracy_noise;

static void scaling(const struct config *c, const char *label, struct made_result *m)
{
    double k = c->batch / 32.0;
    m->test_accuracy = 0.9 + accuracy_noise * made_noise(c);
    if (strstr(label, "no warm-up"))
        m->test_accuracy -= lost_abrupt * (k > 1);
    else if (strstr(label, "equal steps"))
        m->test_accuracy -= lost_in_steps;
    else
        m->test_accuracy -= k == 2 ? lost_by_two : k == 16 ? lost_at_most : 0;
    m->epochs = 4;
    for (int i = 0; i < 4; i++)
        m->epoch_accuracy[i] = m->test_accuracy - 0.1 * (3 - i);
}

static json_t *made_workers(double efficiency, const char *second_hash)
{
    double two = 2 * efficiency * 1000;
    json_t *mode = json_pack("[{s:i,s:i,s:[f,f,f]},{s:i,s:i,s:[f,f,f]}]", "workers", 1, "batch", 32,
                             "images_per_second", 1000.0, 1010.0, 990.0, "workers", 2, "batch", 64,
                             "images_per_second", two, 1.01 * two, 0.99 * two);
    return json_pack("{s:{s:s,s:i,s:O,s:o,s:{s:i,s:i,s:[s,s]}}}", "workers", "kind", "threads",
                     "batch_per_worker", 32, "weak", mode, "strong", mode, "bits", "batch", 64,
                     "steps", 5, "hashes", "abc", second_hash);
}

static void test_scaling__goes_each_way(void **state)
{
    (void)state;
    lost_by_two = 0, lost_at_most = 0.2, lost_abrupt = 0.1, lost_in_steps = 0;
    accuracy_noise = 0.0005;
    json_t *workers = made_workers(0.9, "abc");
    json_t *o = made_study("scaling", scratch_path(&scratch, "k1"), scaling, workers);
    made_check(o, "linear", "supported");
    made_check(o, "breaks", "supported");
    made_check(o, "warm-up", "supported");
    made_check(o, "equal-steps", "supported");
    made_check(o, "same-bits", "supported");
    made_check(o, "efficiency", "supported");
    assert_true(fabs(made_seen(o, "efficiency", "value") - 0.9) < 1e-6);
    json_decref(o);
    json_decref(workers);

    lost_by_two = 0.1, lost_at_most = 0, lost_abrupt = -0.1, lost_in_steps = 0.1;
    workers = made_workers(0.5, "abd");
    o = made_study("scaling", scratch_path(&scratch, "k2"), scaling, workers);
    made_check(o, "linear", "not supported");
    made_check(o, "breaks", "not supported");
    made_check(o, "warm-up", "not supported");
    made_check(o, "equal-steps", "not supported");
    made_check(o, "same-bits", "not supported");
    made_check(o, "efficiency", "not supported");
    json_decref(o);

    accuracy_noise = 0.2;
    o = made_study("scaling", scratch_path(&scratch, "k3"), scaling, workers);
    made_check(o, "linear", "inconclusive");
    made_check(o, "warm-up", "inconclusive");
    json_decref(o);
    json_decref(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lr_batch__finds_a_slope_and_its_law),
        cmocka_unit_test(test_lr_batch__contradicts_where_nothing_grows),
        cmocka_unit_test(test_lr_batch__cannot_tell_from_noise_or_an_edge),
        cmocka_unit_test(test_schedules__goes_each_way),
        cmocka_unit_test(test_scaling__goes_each_way),
    };
    return cmocka_run_group_tests_name("study_analyses", tests, scratch_group_start,
                                       scratch_group_end);
}
