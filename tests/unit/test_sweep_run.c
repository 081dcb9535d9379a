/* test_sweep_run.c - sweeps as a study runs them: a list of labelled trials, observers in the
 * workers, results read back; after this process itself has trained with threads. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "scratch_group.h"
#include "store/metrics.h"
#include "sweep/sweep.h"
#include "tiny.h"
#include "train/train.h"

static void base_config(struct config *c)
{
    tiny_config(c, scratch.path, tiny_net);
    strcpy(c->data, "synthetic");
    c->train_count = 80;
    c->epochs = 2;
    c->isa = TIER_REF;
    c->precision = PRECISION_FP32;
    c->eval_every = 0;
    c->label_smoothing = 0;
}

/* Adds a record of its own to each trial's metrics, after the first step. */
static void on_step(void *context, const struct step_event *event)
{
    struct metrics *m = context;
    if (event->step > 1)
        return;
    metrics_begin(m, "custom", event->step, event->epoch);
    metrics_real(m, "probe/twice_loss", 2 * event->loss);
    metrics_end(m, NULL);
}

static int open_observers(void *context, size_t trial, const struct config *c, struct recorder *r,
                          struct observer *observers, struct err *e)
{
    (void)c;
    if (context && trial == *(size_t *)context)
        return err_set(e, EXIT_FAILED, "this trial may not have observers");
    observers[0] = (struct observer){.context = &r->metrics, .step = on_step};
    return 1;
}

static int count_custom(void *context, const json_t *record)
{
    const char *kind = json_string_value(json_object_get(record, "kind"));
    *(int *)context += kind && strcmp(kind, "custom") == 0;
    return 0;
}

struct seen {
    int ended, calls;
    enum trial_state states[8];
    char why[8][128];
};

static void on_ended(void *context, const struct sweep_ended *t, const struct sweep_progress *p)
{
    struct seen *seen = context;
    seen->states[t->trial] = t->state;
    snprintf(seen->why[t->trial], sizeof seen->why[0], "%.127s", t->why);
    seen->ended++;
    assert_true(p->total == 3);
}

static void on_progress(void *context, const struct sweep_progress *p)
{
    ((struct seen *)context)->calls++;
    assert_true(p->done <= p->total);
}

/* Three trials under labels; one is named twice. */
static void make_plan(struct sweep_plan *plan)
{
    struct config base;
    struct err e = {0};
    base_config(&base);
    sweep_plan_init(plan, "my-study", "tiny", &base);
    assert_int_equal(sweep_plan_add(plan, "slow", (const char *[]){"lr", "0.01", NULL}, &e), 0);
    assert_int_equal(
        sweep_plan_add(plan, "fast, small", (const char *[]){"lr", "0.1", "batch", "20", NULL}, &e),
        1);
    assert_int_equal(sweep_plan_add(plan, "again", (const char *[]){"lr", "1e-2", NULL}, &e), 0);
    assert_int_equal(
        sweep_plan_add(plan, "slow", (const char *[]){"lr", "0.01", "seed", "5", NULL}, &e), 2);
    assert_int_equal(sweep_plan_add(plan, "", (const char *[]){"lrr", "1", NULL}, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_int_equal(plan->trial_count, 3);
}

static void run_plan(const struct sweep_plan *plan, const char *dir, int jobs, void *refused,
                     struct seen *seen, struct sweep_report *report)
{
    struct err e = {0};
    json_t *build = json_object();
    char *argv[] = {"test"};
    const struct provenance from = {1, argv, build};
    const struct sweep_options o = {
        .jobs = jobs,
        .threads = 4,
        .keep = KEEP_NONE,
        .from = &from,
        .progress = on_progress,
        .ended = on_ended,
        .context = seen,
        .open = open_observers,
        .observer_context = refused,
    };
    *seen = (struct seen){0};
    int rc = sweep_plan_save(plan, dir, &from, NULL, &e) || sweep_run(plan, dir, &o, report, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
    json_decref(build);
}

/* Trains a trial in this process, on two threads, and returns its loss. */
static double train_here(const struct sweep_plan *plan, size_t trial)
{
    struct config c;
    struct images images;
    struct train_result result;
    struct err e;
    sweep_plan_config(plan, trial, &c);
    c.threads = 2;
    assert_int_equal(images_load(&images, c.data, NULL, false, c.data_seed, &e), 0);
    const struct train_request request = {.config = &c, .images = &images};
    assert_int_equal(train_run(&request, &result, &e), 0);
    images_release(&images);
    return result.test_loss;
}

static void test_sweep_run__is_a_library_for_studies(void **state)
{
    (void)state;
    struct sweep_plan plan;
    struct sweep_report report;
    struct sweepdir s;
    struct seen seen;
    struct err e;
    const char *dir = scratch_path(&scratch, "study");
    make_plan(&plan);
    double loss = train_here(&plan, 1); /* the workers are forked after threads were used */
    run_plan(&plan, dir, 2, NULL, &seen, &report);
    assert_int_equal(report.finished, 3);
    assert_int_equal(report.left + report.failed + report.before, 0);
    assert_int_equal(seen.ended, 3);
    assert_true(seen.calls > 0);
    assert_true(train_here(&plan, 1) == loss); /* and this process can go on with them */

    assert_int_equal(sweepdir_read(&s, dir, &e), 0);
    assert_string_equal(s.kind, "my-study");
    assert_string_equal(s.sampler, "list");
    assert_int_equal(s.axis_count, 2);
    assert_int_equal(s.trial_count, 3);
    assert_string_equal(s.trials[1].label, "fast, small");
    assert_string_equal(sweepdir_value(&s, 1, "batch"), "20");
    assert_string_equal(sweepdir_value(&s, 0, "batch"), "40"); /* of the base */
    assert_string_equal(s.trials[2].seed, "5");
    for (size_t i = 0; i < 3; i++) {
        struct run_summary run;
        char path[4096];
        int custom = 0;
        assert_int_equal(sweepdir_trial(&s, i, &run), TRIAL_FINISHED);
        assert_true(i != 1 || fabs(run.test_loss - loss) < 1e-8 * loss); /* 9 digits in the file */
        summary_release(&run);
        assert_int_equal(file_join(path, sizeof path, s.trials[i].path, "metrics.jsonl", &e), 0);
        assert_int_equal(metrics_each(path, count_custom, &custom, &e), 0);
        assert_int_equal(custom, 1);
    }
    sweepdir_release(&s);

    run_plan(&plan, dir, 1, NULL, &seen, &report);
    assert_int_equal(report.before, 3);
    assert_int_equal(seen.ended, 0);
    sweep_plan_release(&plan);
}

static void test_sweep_run__tells_of_a_failure_and_tries_again(void **state)
{
    (void)state;
    struct sweep_plan plan;
    struct sweep_report report;
    struct seen seen;
    size_t refused = 1;
    const char *dir = scratch_path(&scratch, "failing");
    make_plan(&plan);
    run_plan(&plan, dir, 1, &refused, &seen, &report);
    assert_int_equal(report.finished, 2);
    assert_int_equal(report.failed, 1);
    assert_int_equal(report.left, 1);
    assert_int_equal(seen.states[1], TRIAL_FAILED);
    assert_string_equal(seen.why[1], "this trial may not have observers");
    assert_string_equal(report.first_failure, "trial lr=0.1 batch=20 seed=1: this trial may not "
                                              "have observers");
    run_plan(&plan, dir, 1, NULL, &seen, &report);
    assert_int_equal(report.before, 2);
    assert_int_equal(report.finished, 1);
    sweep_plan_release(&plan);
}

static void test_sweep_plan__ids_know_what_can_change_a_result(void **state)
{
    (void)state;
    struct config base;
    struct err e;
    char first[TRIAL_ID + 1] = "";
    base_config(&base);
    for (int i = 0; i < 5; i++) {
        struct config c = base;
        struct sweep_plan plan;
        if (i == 1)
            c.threads = 7, strcpy(c.name, "other"), c.checkpoint_every = 3, c.seed = 9;
        if (i == 2)
            c.tta = TTA_FLIP;
        if (i == 3)
            c.weight_decay = 0.25;
        sweep_plan_init(&plan, "sweep", "tiny", &c);
        const char *pairs[] = {"seed", "1", i == 4 ? "threads" : NULL, "2", NULL};
        assert_int_equal(sweep_plan_add(&plan, "", pairs, &e), 0);
        if (i == 0)
            strcpy(first, plan.trials[0].id);
        /* Threads count where they are what varies. */
        assert_int_equal(strcmp(plan.trials[0].id, first) == 0, i < 2);
        sweep_plan_release(&plan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_run__is_a_library_for_studies),
        cmocka_unit_test(test_sweep_run__tells_of_a_failure_and_tries_again),
        cmocka_unit_test(test_sweep_plan__ids_know_what_can_change_a_result),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
