/* test_study.c - the engine of studies: predictions before runs, resumption, verdicts. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch_group.h"
#include "studies/engine.h"
#include "studies/judge.h"
#include "tiny.h"

/* ---- a study of four short runs ---- */

static int measured;         /* how often the measurement was made */
static double predicted_high = 100;

static json_t *measure(const struct study_plan *p, const char *dir, struct err *e)
{
    char prediction[4096];
    (void)p;
    assert_int_equal(file_join(prediction, sizeof prediction, dir, "prediction.json", e), 0);
    assert_true(file_exists(prediction)); /* nothing is measured before it is predicted */
    measured++;
    return json_pack("{sf}", "value", 4.25);
}

static int plan(struct study_plan *p, struct err *e)
{
    if (study_trials(p, "slow", (const char *[]){"lr", "0.01", NULL}, e) ||
        study_trials(p, "fast", (const char *[]){"lr", "0.1", NULL}, e) ||
        study_repeat(p, 1, "slow again", (const char *[]){"lr", "0.01", NULL}, e))
        return -1;
    assert_int_equal(p->sweep->trial_count, 4);
    study_predict(p, &(struct study_claim){
        .id = "loss", .statement = "Losses are finite.", .prediction = "The loss is below it.",
        .low = 0, .high = predicted_high, .unit = "loss", .falsified_by = "A larger loss."});
    study_predict(p, &(struct study_claim){
        .id = "measured", .statement = "It is 4.25.", .formula = "17 / 4",
        .prediction = "Exactly 4.25.", .low = 4.25, .high = 4.25, .unit = "",
        .falsified_by = "Any other.", .aside = true});
    return 0;
}

static int analyse(struct study_results *r, struct err *e)
{
    size_t slow[4], again[4];
    double loss[4];
    struct study_curve curve;
    assert_int_equal(study_group(r, "slow", slow, 4), 2);
    assert_int_equal(study_group(r, "slow again", again, 4), 1);
    assert_int_equal(slow[0], again[0]);
    assert_int_equal(study_group(r, "slower", again, 4), 0);
    assert_true(study_setting(r, slow[1], "lr") == 0.01);
    assert_true(study_setting(r, slow[1], "seed") == 2);
    assert_int_equal(study_metric(r, slow[0], "train", "train/loss", &curve, e), 0);
    assert_true(curve.count > 3 && curve.step[0] == 1 && isfinite(curve.value[0]));
    assert_int_equal(study_probe(r, slow[0], "norms", NULL, "weight_norm", &curve, e), 0);
    assert_int_equal(curve.count, 0);
    size_t n = study_values(r, slow, 2, "test_loss", loss);
    assert_int_equal(n, 2);
    struct study_seen seen = study_mean(loss, 1);
    assert_string_equal(study_error(r, &seen, 1), "no interval; n = 1");
    seen = (struct study_seen){.low = -0.5, .high = 1.25, .n = 3};
    assert_string_equal(study_error(r, &seen, 100), "95 % from -50 to 125; n = 3");
    seen = study_mean(loss, n);
    seen.what = study_text(r, "The mean is %.3f.", seen.value);
    study_conclude(r, "loss", &seen);
    double value = json_number_value(
        json_object_get(json_object_get(r->measured, "value"), "value"));
    seen = study_exact(value, 1);
    study_conclude(r, "measured", &seen);
    json_t *f = study_figure(r, &(struct study_axes){.id = "f", .title = "t", .x_title = "x",
                                                     .y_title = "y", .x_log = true});
    const double x[2] = {1, 2}, y[2] = {loss[0], (double)NAN};
    study_line(f, "losses", &(struct study_points){.x = x, .mean = y, .count = 2});
    study_reference(f, "limit", "y", predicted_high);
    json_t *t = study_table(r, "t", "table", (const char *const[]){"a", "b", "c", NULL});
    study_row(t, "sdn", "text", 0.5, (size_t)3);
    study_caveat(r, "%d runs", 4);
    return 0;
}

static const struct study_measurement measurements[] = {{"value", false, measure}, {0}};

static const struct study made = {
    .name = "made", .title = "Made", .question = "Does it work?", .background = "It is a test.",
    .recipe = {"tiny", "tiny", "tiny"}, .seeds = {2, 2, 2}, .keep = KEEP_NONE, .plan = plan,
    .measurements = measurements, .analyse = analyse,
};

static void base_config(struct config *c)
{
    tiny_config(c, scratch.path, tiny_net);
    strcpy(c->data, "synthetic");
    c->train_count = 80;
    c->epochs = 2;
    strcpy(c->knots, "0:0.2, 1:1, 2:0.1");
    c->isa = TIER_REF;
    c->precision = PRECISION_FP32;
    c->eval_every = 0;
    c->label_smoothing = 0;
}

struct call {
    volatile sig_atomic_t stop;
    int ended, stop_after;       /* stop when so many trials have ended; 0: never */
};

static void on_ended(void *context, const struct sweep_ended *t, const struct sweep_progress *p)
{
    struct call *call = context;
    (void)t, (void)p;
    if (++call->ended == call->stop_after)
        call->stop = SIGTERM;
}

/* Runs the study in a folder; returns the outcome or NULL. */
static json_t *run(const char *dir, struct call *call, struct err *e)
{
    struct config base;
    struct study_plan p;
    struct sweep_report report;
    json_t *build = json_object(), *result = NULL;
    char *argv[] = {"/usr/bin/kiln", "study", "a name"};
    const struct provenance from = {3, argv, build};
    const struct sweep_options o = {.jobs = 1, .threads = 1, .from = &from, .stop = &call->stop,
                                    .ended = on_ended, .context = call};
    base_config(&base);
    *e = (struct err){0};
    assert_int_equal(study_plan_init(&p, &made, STUDY_TINY, 0, &base, NULL, e), 0);
    if (study_run(&p, dir, &o, &result, &report, e))
        assert_null(result);
    study_plan_release(&p);
    json_decref(build);
    return result;
}

static char *read_text(const char *dir, const char *name)
{
    char path[1200], *text;
    size_t bytes;
    struct err e;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(file_read(path, &text, &bytes, EXIT_DATA, &e), 0);
    return text;
}

static const char *text_at(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void test_study__stopped_goes_on_and_gives_the_same_bytes(void **state)
{
    const char *whole = scratch_path(&scratch, "whole"), *cut = scratch_path(&scratch, "cut");
    char path[1200];
    struct err e;
    (void)state;
    measured = 0;
    struct call straight = {0};
    json_t *a = run(whole, &straight, &e);
    assert_string_equal(e.text, "");
    assert_non_null(a);
    assert_int_equal(straight.ended, 4);

    struct call first = {.stop_after = 2}, second = {0}, third = {0};
    assert_null(run(cut, &first, &e));
    assert_string_equal(e.text, "");
    char *prediction = read_text(cut, "prediction.json");
    snprintf(path, sizeof path, "%s/study.json", cut);
    assert_false(file_exists(path)); /* no outcome of half of the runs */
    json_t *b = run(cut, &second, &e);
    assert_non_null(b);
    assert_true(second.ended < 4);
    char *once = read_text(cut, "study.json");
    json_t *c = run(cut, &third, &e);
    assert_int_equal(third.ended, 0);
    assert_int_equal(measured, 2); /* once for each directory */
    char *again = read_text(cut, "study.json"), *after = read_text(cut, "prediction.json");
    assert_string_equal(once, again);
    assert_string_equal(prediction, after);

    /* Where it was run, and when it was predicted, is all that differs. */
    json_object_del(a, "prediction");
    json_object_del(b, "prediction");
    assert_true(json_equal(a, b));
    assert_string_equal(text_at(c, "command"), "kiln study 'a name'");
    json_decref(a), json_decref(b), json_decref(c);
    free(prediction), free(once), free(again), free(after);
}

static void test_study__outcome_has_what_the_report_needs(void **state)
{
    struct err e;
    struct call call = {0};
    (void)state;
    json_t *o = run(scratch_path(&scratch, "whole"), &call, &e);
    assert_non_null(o);
    const json_t *claim = json_array_get(json_object_get(o, "claims"), 0);
    assert_string_equal(text_at(claim, "verdict"), "supported");
    assert_true(json_number_value(json_object_get(json_object_get(claim, "seen"), "n")) == 2);
    assert_string_equal(text_at(json_array_get(json_object_get(o, "claims"), 1), "verdict"),
                        "supported");
    assert_string_equal(text_at(o, "verdict"), "supported");
    const json_t *figure = json_array_get(json_object_get(o, "figures"), 0);
    const json_t *line = json_array_get(json_object_get(figure, "series"), 0);
    assert_true(json_is_null(json_array_get(json_object_get(line, "mean"), 1)));
    assert_int_equal(json_array_size(json_object_get(figure, "references")), 1);
    const json_t *row = json_array_get(
        json_object_get(json_array_get(json_object_get(o, "tables"), 0), "rows"), 0);
    assert_true(json_number_value(json_array_get(row, 2)) == 3);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(o, "caveats"), 0)), "4 runs");
    json_decref(o);
}

/* A program that would now predict something else judges by what was written before the runs. */
static void test_study__prediction_on_record_wins(void **state)
{
    const char *dir = scratch_path(&scratch, "whole");
    struct err e;
    struct call call = {0};
    (void)state;
    char *before = read_text(dir, "prediction.json");
    predicted_high = 1e-9;
    json_t *o = run(dir, &call, &e);
    predicted_high = 100;
    assert_non_null(o);
    char *after = read_text(dir, "prediction.json");
    assert_string_equal(before, after);
    assert_string_equal(text_at(o, "verdict"), "supported");
    assert_true(json_is_true(
        json_object_get(json_object_get(o, "prediction"), "program_differs")));
    json_decref(o);
    free(before), free(after);
}

static void test_study__no_prediction_after_runs(void **state)
{
    const char *dir = scratch_path(&scratch, "whole");
    char path[1200];
    struct err e;
    struct call call = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/prediction.json", dir);
    char *kept = read_text(dir, "prediction.json");
    assert_int_equal(remove(path), 0);
    assert_null(run(dir, &call, &e));
    assert_int_equal(e.code, EXIT_DATA);
    assert_false(file_exists(path));
    assert_int_equal(file_write(path, "{\"claims\": 3}", 13, &e), 0);
    assert_null(run(dir, &call, &e));
    assert_int_equal(e.code, EXIT_DATA);
    assert_int_equal(file_write(path, kept, strlen(kept), &e), 0);
    free(kept);
}

static void test_study__what_a_prediction_lacks_does_not_count(void **state)
{
    const char *dir = scratch_path(&scratch, "lacks");
    char path[1200];
    struct err e;
    struct call call = {0};
    (void)state;
    json_decref(run(dir, &call, &e));
    snprintf(path, sizeof path, "%s/prediction.json", dir);
    json_t *recorded = json_read(path, EXIT_DATA, &e);
    json_array_remove(json_object_get(recorded, "claims"), 0);
    json_object_set_new(recorded, "hash", json_string("another"));
    assert_int_equal(json_write(recorded, path, &e), 0);
    json_decref(recorded);
    json_t *o = run(dir, &call, &e);
    assert_non_null(o);
    const json_t *claim = json_array_get(json_object_get(o, "claims"), 1);
    assert_string_equal(text_at(claim, "id"), "loss");
    assert_true(json_is_true(json_object_get(claim, "added_after_runs")));
    assert_string_equal(text_at(o, "verdict"), "inconclusive"); /* nothing is left that counts */
    json_decref(o);
}

/* ---- the rule ---- */

static enum study_verdict judge(double low, double high, double from, double to)
{
    const struct study_seen seen = {.value = (from + to) / 2, .low = from, .high = to, .n = 3};
    return study_judge(low, high, &seen, NULL);
}

static void test_judge__goes_each_way(void **state)
{
    const char *why;
    (void)state;
    assert_int_equal(judge(0, 1, 0.2, 0.8), STUDY_SUPPORTED);
    assert_int_equal(judge(0, 1, 0, 1), STUDY_SUPPORTED);
    assert_int_equal(judge(0, 1, 1.1, 2), STUDY_NOT_SUPPORTED);
    assert_int_equal(judge(0, 1, -2, -0.1), STUDY_NOT_SUPPORTED);
    assert_int_equal(judge(0, 1, 0.5, 1.5), STUDY_INCONCLUSIVE);
    assert_int_equal(judge(0, 1, -1, 2), STUDY_INCONCLUSIVE);
    assert_int_equal(judge(0, 1, 0.9, 1.5), STUDY_INCONCLUSIVE); /* its middle is outside */
    assert_int_equal(judge(0, 1, -0.4, 0.1), STUDY_INCONCLUSIVE);
    assert_int_equal(judge(0, INFINITY, 5, INFINITY), STUDY_SUPPORTED);
    assert_int_equal(judge(-INFINITY, 1, 5, INFINITY), STUDY_NOT_SUPPORTED);
    struct study_seen seen = study_exact(3, 1);
    assert_int_equal(study_judge(3, 3, &seen, NULL), STUDY_SUPPORTED);
    assert_int_equal(study_judge(3.5, 4, &seen, NULL), STUDY_NOT_SUPPORTED);
    seen.doubt = "the grid was too narrow";
    assert_int_equal(study_judge(3, 3, &seen, &why), STUDY_INCONCLUSIVE);
    assert_string_equal(why, seen.doubt);
    seen = study_mean((const double[]){0.5}, 1); /* a point without its interval */
    assert_int_equal(study_judge(0, 1, &seen, NULL), STUDY_INCONCLUSIVE);
    seen = study_mean(NULL, 0);
    assert_int_equal(study_judge(0, 1, &seen, NULL), STUDY_INCONCLUSIVE);
}

static void test_judge__of_all_claims(void **state)
{
    const enum study_verdict yes = STUDY_SUPPORTED, no = STUDY_NOT_SUPPORTED,
                             open = STUDY_INCONCLUSIVE;
    (void)state;
    assert_int_equal(study_judge_all((const enum study_verdict[]){yes, yes}, 2), yes);
    assert_int_equal(study_judge_all((const enum study_verdict[]){yes, open}, 2), open);
    assert_int_equal(study_judge_all((const enum study_verdict[]){open, no, yes}, 3), no);
    assert_int_equal(study_judge_all(NULL, 0), open);
}

/* Student's t by hand: 1, 2, 3 has mean 2, sd 1, t(2) = 4.3027. */
static void test_seen__intervals_are_students(void **state)
{
    struct study_seen s = study_mean((const double[]){1, 2, 3}, 3);
    (void)state;
    assert_true(fabs(s.value - 2) < 1e-12 && s.n == 3);
    assert_true(fabs(s.high - (2 + 4.302653 / sqrt(3))) < 1e-4);
    assert_true(fabs(s.low - (2 - 4.302653 / sqrt(3))) < 1e-4);
    s = study_geometric_mean((const double[]){exp(1), exp(2), exp(3)}, 3);
    assert_true(fabs(log(s.value) - 2) < 1e-12 && s.n == 3);
    assert_true(fabs(log(s.high) - (2 + 4.302653 / sqrt(3))) < 1e-4);
    assert_true(fabs(log(s.low) - (2 - 4.302653 / sqrt(3))) < 1e-4);
    assert_true(isnan(study_geometric_mean((const double[]){1, 0}, 2).value));
    s = study_difference((const double[]){1, 2, 3}, 3, (const double[]){5}, 1);
    assert_true(fabs(s.value + 3) < 1e-12 && isnan(s.low));
}

/* Every study of the program can be planned at every scale without images. */
static void test_study__all_can_be_planned(void **state)
{
    struct err e = {0};
    (void)state;
    for (size_t i = 0; study_list[i]; i++) {
        const struct study *s = study_list[i];
        assert_ptr_equal(study_find(s->name, &e), s);
        for (int scale = 0; scale < STUDY_SCALES; scale++) {
            char ini[4096];
            struct config base;
            struct study_plan p;
            config_default(&base);
            snprintf(ini, sizeof ini, "%s/recipes/%s.ini", KILN_SOURCE_DIR, s->recipe[scale]);
            assert_int_equal(options_read_ini(config_options, &base, ini, &e), 0);
            for (const char *const *pair = s->settings[scale]; pair && *pair; pair += 2)
                assert_int_equal(
                    options_set(config_options, &base, pair[0], pair[1], "study", &e), 0);
            if (study_plan_init(&p, s, (enum study_scale)scale, 0, &base, NULL, &e))
                fail_msg("%s, %s: %s", s->name, study_scale_name(scale), e.text);
            assert_true(json_array_size(p.claims) > 0);
            study_plan_release(&p);
        }
    }
    assert_null(study_find("no-such-study", &e));
    assert_int_equal(e.code, EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_study__stopped_goes_on_and_gives_the_same_bytes),
        cmocka_unit_test(test_study__outcome_has_what_the_report_needs),
        cmocka_unit_test(test_study__prediction_on_record_wins),
        cmocka_unit_test(test_study__no_prediction_after_runs),
        cmocka_unit_test(test_study__what_a_prediction_lacks_does_not_count),
        cmocka_unit_test(test_judge__goes_each_way),
        cmocka_unit_test(test_judge__of_all_claims),
        cmocka_unit_test(test_seen__intervals_are_students),
        cmocka_unit_test(test_study__all_can_be_planned),
    };
    return cmocka_run_group_tests_name("study", tests, scratch_group_start,
                                       scratch_group_end);
}
