/* test_train.c - whole runs on a tiny data set: they learn, they do not depend on threads, they go
 * on exactly where they stopped, and they refuse what would spoil them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "tiny_group.h"
#include "train/checkpoint.h"
#include "train/step.h"
#include "train/train.h"

enum { STEPS = 12 }; /* 4 epochs of 3 */


static int start(void **state)
{
    (void)state;
    tiny_config(&config, scratch.path, tiny_net);
    return 0;
}

static struct train_result run(const char *checkpoints, const char *resume_from)
{
    const struct train_request r = {.config = &config, .images = &images,
                                    .checkpoints = checkpoints, .resume_from = resume_from};
    struct train_result result;
    struct err e = {0};
    if (train_run(&r, &result, &e))
        fail_msg("%s", e.text);
    return result;
}

static void test_train__learns(void **state)
{
    (void)state;
    config.epochs = 15;
    config.cutout = 0;
    config.label_smoothing = 0;
    config.eval_every = 0;
    config.tta = TTA_SIX;
    strcpy(config.knots, "0:1, 15:0");
    struct train_result r = run(NULL, NULL);
    assert_int_equal(r.reason, TRAIN_FINISHED);
    assert_int_equal(r.steps, 45);
    assert_true(r.train_loss < 0.3);
    assert_true(r.train_accuracy > 0.9);
    assert_true(r.test_accuracy > 0.9 && r.tta_accuracy > 0.9);
    assert_true(r.test_loss < 0.5);
    assert_int_equal(strlen(r.weights_hash), 64);
    config.target = 0.99999;
    config.label_noise = 1;
    assert_true(run(NULL, NULL).target_missed);
}

static void test_train__threads_do_not_show(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    char first[65] = "";
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        config.threads = threads[i];
        struct train_result r = run(NULL, NULL);
        if (i == 0)
            memcpy(first, r.weights_hash, sizeof first);
        assert_string_equal(r.weights_hash, first);
    }
    config.seed = 2;
    assert_string_not_equal(run(NULL, NULL).weights_hash, first);
}

static void test_train__bf16_learns_whatever_the_threads(void **state)
{
    config.precision = PRECISION_BF16;
    test_train__learns(state);
    start(state);
    config.precision = PRECISION_BF16;
    test_train__threads_do_not_show(state);
    start(state);
    char hash[65];
    memcpy(hash, run(NULL, NULL).weights_hash, sizeof hash);
    config.precision = PRECISION_BF16;
    assert_string_not_equal(run(NULL, NULL).weights_hash, hash);
}

static void check_resume(enum average_kind average)
{
    char checkpoints[512], path[4096];
    snprintf(checkpoints, sizeof checkpoints, "%s/resume-%d", scratch.path, average);
    config.average = average;
    config.average_every = 2;
    config.eval_every = -1;
    config.checkpoint_every = 1;
    config.keep_last = 2 * STEPS;
    struct train_result whole = run(checkpoints, NULL);
    assert_int_equal(whole.steps, STEPS);
    for (int step = 1; step <= STEPS; step++) {
        snprintf(path, sizeof path, "%s/step_%08d.safetensors", checkpoints, step);
        struct train_result r = run(NULL, path);
        assert_string_equal(r.weights_hash, whole.weights_hash);
        assert_int_equal(r.steps, STEPS);
        assert_true(r.train_loss == whole.train_loss);
    }
    assert_int_equal(checkpoint_latest(checkpoints, path, NULL), 0);
    assert_string_equal(path, whole.checkpoint);
}

static void test_train__resumes_at_any_step(void **state)
{
    (void)state;
    check_resume(AVERAGE_NONE);
}

static void test_train__resumes_in_bf16(void **state)
{
    (void)state;
    config.precision = PRECISION_BF16;
    check_resume(AVERAGE_NONE);
}

static void test_train__resumes_with_an_ema(void **state)
{
    (void)state;
    config.average_power = 0;
    check_resume(AVERAGE_EMA);
}

static void test_train__resumes_with_lookahead(void **state)
{
    (void)state;
    check_resume(AVERAGE_LOOKAHEAD);
}

static void stop_at_five(void *context, const struct step_event *event)
{
    if (event->step == 5)
        *(volatile sig_atomic_t *)context = SIGTERM;
}

static void test_train__stops_on_request_and_by_limit(void **state)
{
    (void)state;
    char checkpoints[512], hash[65];
    volatile sig_atomic_t stop = 0;
    snprintf(checkpoints, sizeof checkpoints, "%s/stop", scratch.path);
    memcpy(hash, run(NULL, NULL).weights_hash, sizeof hash);
    const struct observer o = {.context = (void *)(uintptr_t)&stop, .step = stop_at_five};
    const struct train_request request = {.config = &config, .images = &images, .observers = &o,
                                          .observer_count = 1, .checkpoints = checkpoints,
                                          .stop = &stop};
    struct train_result r;
    assert_int_equal(train_run(&request, &r, &(struct err){0}), 0);
    assert_int_equal(r.reason, TRAIN_STOPPED);
    assert_int_equal(r.stop_signal, SIGTERM);
    assert_int_equal(r.steps, 5);
    assert_true(isnan(r.test_accuracy));
    config.steps = 8;
    r = run(checkpoints, r.checkpoint);
    assert_int_equal(r.reason, TRAIN_STEPS);
    assert_int_equal(r.steps, 8);
    assert_false(isnan(r.test_accuracy));
    config.steps = 0;
    r = run(checkpoints, r.checkpoint);
    assert_int_equal(r.reason, TRAIN_FINISHED);
    assert_string_equal(r.weights_hash, hash);
}

static void test_train__keeps_the_newest_and_the_best(void **state)
{
    (void)state;
    char checkpoints[512], path[600];
    snprintf(checkpoints, sizeof checkpoints, "%s/keep", scratch.path);
    config.checkpoint_every = 2;
    run(checkpoints, NULL);
    for (int step = 1; step <= STEPS; step++) {
        for (int s = 0; s < 2; s++) {
            snprintf(path, sizeof path, "%s/step_%08d%s.safetensors", checkpoints, step,
                     s ? ".state" : "");
            assert_int_equal(file_exists(path), step == 10 || step == 12);
        }
    }
    snprintf(path, sizeof path, "%s/best.safetensors", checkpoints);
    assert_true(file_exists(path));
    struct eval_result plain, tta;
    char hash[65];
    assert_int_equal(eval_checkpoint(&config, &images, path, &plain, &tta, NULL, hash, NULL), 0);
    assert_int_equal(plain.count, TINY_TEST);
    assert_true(plain.accuracy == tta.accuracy);
}

/* What was told, one letter an event, capitals for epochs with an evaluation. */
struct story {
    char letters[64];
    struct epoch_event last_epoch;
    double loss_sum;
};

static void add_letter(struct story *s, char letter)
{
    size_t n = strlen(s->letters);
    assert_true(n + 1 < sizeof s->letters);
    s->letters[n] = letter;
}

static void hear_run(void *context, const struct run_event *event)
{
    add_letter(context, 'r');
    assert_int_equal(event->first_step, 0);
    assert_int_equal(event->last_step, STEPS);
    assert_int_equal(event->steps_per_epoch, 3);
    assert_int_equal(event->train_images, TINY_TRAIN - 8);
    assert_int_equal(event->validation_images, 8);
    assert_int_equal(event->parameters, 8 * 27 + 16 + 16 * 72 + 32 + 4 * 16 + 4);
}

static void hear_step(void *context, const struct step_event *event)
{
    struct story *s = context;
    add_letter(s, 's');
    assert_true(event->epoch == (double)event->step / 3);
    if (event->step > STEPS - 3)
        s->loss_sum += event->loss * event->images;
}

static void hear_hash(void *context, const struct hash_event *event)
{
    add_letter(context, 'h');
    assert_int_equal(strlen(event->weights_hash), 64);
}

static void hear_epoch(void *context, const struct epoch_event *event)
{
    struct story *s = context;
    add_letter(s, event->evaluated ? 'E' : 'e');
    assert_true(event->validated == event->evaluated);
    assert_true(isnan(event->test_accuracy) == !event->evaluated);
    s->last_epoch = *event;
}

static void hear_end(void *context, const struct train_result *result)
{
    add_letter(context, 'x');
    assert_int_equal(result->reason, TRAIN_FINISHED);
}

static void test_train__tells_its_story_in_order(void **state)
{
    (void)state;
    struct story story = {0};
    const struct observer o = {.context = &story, .run = hear_run, .step = hear_step,
                               .hash = hear_hash, .epoch = hear_epoch, .end = hear_end};
    const struct train_request request = {
        .config = &config, .images = &images, .observers = &o, .observer_count = 1};
    struct train_result r;
    config.eval_every = 3;
    config.hash_steps = 1;
    config.validation = 8;
    assert_int_equal(train_run(&request, &r, &(struct err){0}), 0);
    assert_string_equal(story.letters, "rshss" "he" "sss" "he" "sss" "hE" "sss" "hE" "x");
    const struct epoch_event *last = &story.last_epoch;
    assert_true(last->epoch == 4);
    assert_true(fabs(last->train_loss - story.loss_sum / (TINY_TRAIN - 8)) < 1e-12);
    assert_true(r.test_accuracy == last->test_accuracy && r.test_loss == last->test_loss);
    assert_true(r.validation_accuracy == last->validation_accuracy);
    assert_true(isnan(r.tta_accuracy));
}

/* One step at an absurd rate makes weights whose loss overflows: the next step must not update. */
static void test_train__stops_before_an_update_that_is_not_finite(void **state)
{
    (void)state;
    char checkpoints[512], hash[65];
    struct train_result r;
    struct err e = {0};
    snprintf(checkpoints, sizeof checkpoints, "%s/diverge", scratch.path);
    config.lr = 1e30;
    config.steps = 1;
    config.eval_every = -1;
    memcpy(hash, run(NULL, NULL).weights_hash, sizeof hash);
    config.steps = 0;
    const struct train_request request = {
        .config = &config, .images = &images, .checkpoints = checkpoints};
    config.keep_last = 100;
    assert_int_equal(train_run(&request, &r, &e), -1);
    assert_int_equal(e.code, EXIT_DIVERGED);
    assert_int_equal(r.reason, TRAIN_DIVERGED);
    assert_non_null(strstr(e.text, "in step 2"));
    assert_non_null(strstr(e.text, "learning rate"));
    assert_non_null(strstr(e.text, "first bad tensor: the gradient of conv1.weight"));
    assert_non_null(strstr(e.text, "step_00000001.safetensors"));
    assert_string_equal(r.weights_hash, hash);
    struct trainer t;
    assert_int_equal(trainer_init(&t, &config, &images, false, NULL), 0);
    assert_int_equal(checkpoint_load(&t, r.checkpoint, &e), 0);
    char again[65];
    model_hash(&t.net.model, again);
    assert_string_equal(again, hash);
    trainer_release(&t);
}

static void test_train_step__allocates_nothing(void **state)
{
    (void)state;
    struct trainer t;
    struct step_report report;
    config.average = AVERAGE_LOOKAHEAD;
    config.average_every = 1;
    assert_int_equal(trainer_init(&t, &config, &images, true, NULL), 0);
    assert_int_equal(train_step(&t, &report, NULL), 0);
    size_t before = alloc_count();
    for (int i = 1; i < STEPS; i++)
        assert_int_equal(train_step(&t, &report, NULL), 0);
    assert_int_equal(alloc_count(), before);
    assert_int_equal(report.images, TINY_TRAIN - 2 * 40);
    trainer_release(&t);
}

static void assert_rejected(enum exit_code code, const char *cause)
{
    const struct train_request r = {.config = &config, .images = &images};
    struct train_result result;
    struct err e = {0};
    assert_int_equal(train_run(&r, &result, &e), -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.text, cause))
        print_error("wanted '%s', got: %s\n", cause, e.text);
    assert_non_null(strstr(e.text, cause));
}

static void test_train__refuses_what_does_not_fit(void **state)
{
    config.batch = TINY_TRAIN + 1;
    assert_rejected(EXIT_USAGE, "batch (97 images) is larger than the training set (96 images)");
    start(state);
    config.knots[0] = '\0';
    assert_rejected(EXIT_USAGE, "needs knots");
    start(state);
    strcpy(config.knots, "0:1, 2");
    assert_rejected(EXIT_USAGE, "knots");
    start(state);
    config.momentum = 0;
    assert_rejected(EXIT_USAGE, "nesterov");
    start(state);
    config.validation = TINY_TRAIN;
    assert_rejected(EXIT_USAGE, "validation");
    start(state);
    config.epochs = 1e6;
    config.batch = 1;
    config.epochs = 1e9;
    assert_rejected(EXIT_USAGE, "too long");
    start(state);
    strcpy(config.net, "no-such-net");
    assert_rejected(EXIT_USAGE, "no-such-net");
}

/* A checkpoint that cannot be used must leave the trainer as it was. */
static void check_refusal(struct trainer *t, const char *path, enum exit_code code)
{
    char before[65], after[65];
    struct err e = {0};
    model_hash(&t->net.model, before);
    assert_int_equal(checkpoint_load(t, path, &e), -1);
    assert_int_equal(e.code, code);
    assert_non_null(strstr(e.text, scratch.path));
    model_hash(&t->net.model, after);
    assert_string_equal(after, before);
    assert_int_equal(t->step, 0);
}

static void damage(const char *path, size_t from_end)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(path, &text, &bytes, EXIT_DATA, NULL), 0);
    text[bytes - from_end] ^= 4;
    assert_int_equal(file_write(path, text, bytes, NULL), 0);
    free(text);
}

static void test_checkpoint__a_bad_one_changes_nothing(void **state)
{
    (void)state;
    char checkpoints[512], path[4096], beside[4096];
    snprintf(checkpoints, sizeof checkpoints, "%s/bad", scratch.path);
    config.steps = 3;
    struct train_result r = run(checkpoints, NULL);
    memcpy(path, r.checkpoint, sizeof path);
    snprintf(beside, sizeof beside, "%s/step_00000003.state.safetensors", checkpoints);

    struct trainer t;
    assert_int_equal(trainer_init(&t, &config, &images, true, NULL), 0);
    t.config.lr *= 2;
    check_refusal(&t, path, EXIT_USAGE);
    t.config.lr /= 2;
    images.hash[0] = 'b';
    check_refusal(&t, path, EXIT_USAGE);
    images.hash[0] = 'a';
    damage(path, 10);
    check_refusal(&t, path, EXIT_DATA);
    damage(path, 10);
    damage(beside, 10);
    check_refusal(&t, path, EXIT_DATA);
    assert_int_equal(remove(beside), 0);
    check_refusal(&t, path, EXIT_DATA);
    assert_int_equal(checkpoint_latest(checkpoints, path, NULL), -1);
    trainer_release(&t);
}

static void test_checkpoint__weights_of_another_net_are_refused(void **state)
{
    (void)state;
    char checkpoints[512], hash[65];
    struct eval_result plain, tta;
    struct err e = {0};
    snprintf(checkpoints, sizeof checkpoints, "%s/other", scratch.path);
    config.steps = 1;
    struct train_result r = run(checkpoints, NULL);
    tiny_config(&config, scratch.path, "pool maxpool 8\nhead linear classes\n");
    assert_int_equal(
        eval_checkpoint(&config, &images, r.checkpoint, &plain, &tta, NULL, hash, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "head.weight"));
}

static void test_train_replay__repeats_the_recorded_hashes(void **state)
{
    (void)state;
    char hashes[3][65], again[3][65];
    config.steps = 0;
    assert_int_equal(train_replay(&config, &images, 3, hashes, NULL), 0);
    config.threads = 3;
    assert_int_equal(train_replay(&config, &images, 3, again, NULL), 0);
    assert_memory_equal(hashes, again, sizeof hashes);
    config.steps = 3;
    assert_string_equal(run(NULL, NULL).weights_hash, hashes[2]);
    assert_string_not_equal(hashes[1], hashes[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_train__learns, start),
        cmocka_unit_test_setup(test_train__threads_do_not_show, start),
        cmocka_unit_test_setup(test_train__bf16_learns_whatever_the_threads, start),
        cmocka_unit_test_setup(test_train__resumes_at_any_step, start),
        cmocka_unit_test_setup(test_train__resumes_in_bf16, start),
        cmocka_unit_test_setup(test_train__resumes_with_an_ema, start),
        cmocka_unit_test_setup(test_train__resumes_with_lookahead, start),
        cmocka_unit_test_setup(test_train__stops_on_request_and_by_limit, start),
        cmocka_unit_test_setup(test_train__keeps_the_newest_and_the_best, start),
        cmocka_unit_test_setup(test_train__tells_its_story_in_order, start),
        cmocka_unit_test_setup(test_train__stops_before_an_update_that_is_not_finite, start),
        cmocka_unit_test_setup(test_train_step__allocates_nothing, start),
        cmocka_unit_test_setup(test_train__refuses_what_does_not_fit, start),
        cmocka_unit_test_setup(test_checkpoint__a_bad_one_changes_nothing, start),
        cmocka_unit_test_setup(test_checkpoint__weights_of_another_net_are_refused, start),
        cmocka_unit_test_setup(test_train_replay__repeats_the_recorded_hashes, start),
    };
    return cmocka_run_group_tests(tests, tiny_group_start, tiny_group_end);
}
