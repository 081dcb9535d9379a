/* test_checkpoint_faults.c - every call of writing a checkpoint fails once, on a disk that is full
 * from then on: the checkpoints written before stay usable and the newest complete one is found. */
#define _GNU_SOURCE /* mkdtemp */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fault/fault.h"
#include "tiny.h"
#include "train/checkpoint.h"
#include "train/step.h"

static char folder[64], first[4096], first_hash[65], second_hash[65];
static struct images images;
static struct config config;
static struct trainer trainer, reader;

/* A trainer after two steps, whose checkpoint of the first lies in the folder. */
static int group_start(void **state)
{
    (void)state;
    struct step_report report;
    snprintf(folder, sizeof folder, "/tmp/kiln-faults-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    tiny_images(&images);
    tiny_config(&config, folder, tiny_net);
    if (trainer_init(&trainer, &config, &images, true, NULL) ||
        trainer_init(&reader, &config, &images, false, NULL) ||
        train_step(&trainer, &report, NULL) || checkpoint_save(&trainer, folder, first, NULL))
        return -1;
    model_hash(&trainer.net.model, first_hash);
    if (train_step(&trainer, &report, NULL))
        return -1;
    model_hash(&trainer.net.model, second_hash);
    return 0;
}

static int group_end(void **state)
{
    (void)state;
    char command[128];
    trainer_release(&trainer);
    trainer_release(&reader);
    tiny_images_free(&images);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Writes the second checkpoint with the Nth call failing. Returns 0 if that call never came, 1 if
 * it made the writing fail, 2 if not. */
static int attempt(int n, int sticky, struct err *e)
{
    char second[4096], state[4096], latest[4096], hash[65];
    fault_arm(n, folder, ENOSPC, sticky);
    int rc = checkpoint_save(&trainer, folder, second, e), hit = fault_hit();
    fault_arm(0, "", 0, 0);

    /* Whatever happened, the newest complete checkpoint is a whole one, and the first is there. */
    struct err trouble = {0};
    assert_int_equal(checkpoint_latest(folder, latest, NULL), 0);
    if (checkpoint_load(&reader, latest, &trouble))
        fail_msg("call %d: %s", n, trouble.text);
    model_hash(&reader.net.model, hash);
    assert_string_equal(hash, reader.step == 2 ? second_hash : first_hash);
    assert_true(reader.step == 2 || rc != 0);
    assert_int_equal(checkpoint_load(&reader, first, NULL), 0);
    assert_int_equal(reader.step, 1);

    snprintf(state, sizeof state, "%s/step_00000002.state.safetensors", folder);
    remove(second);
    remove(state);
    assert_true(rc == 0 || hit);
    return !hit ? 0 : rc ? 1 : 2;
}

static void check_every_call(int sticky)
{
    int failures = 0;
    for (int n = 1; n < 200; n++) {
        struct err e = {0};
        int outcome = attempt(n, sticky, &e);
        if (outcome == 0) {
            assert_true(failures >= 8); /* two files: open, write, fsync, rename at least */
            return;
        }
        if (outcome == 1) {
            failures++;
            assert_int_equal(e.code, EXIT_FAILED);
            assert_non_null(strstr(e.text, "cannot write the checkpoint of step 2"));
            assert_non_null(strstr(e.text, "no space left"));
        }
    }
    fail_msg("writing a checkpoint never ended");
}

static void test_checkpoint__survives_a_failure_of_any_call(void **state)
{
    (void)state;
    check_every_call(0);
}

static void test_checkpoint__survives_a_full_disk(void **state)
{
    (void)state;
    check_every_call(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint__survives_a_failure_of_any_call),
        cmocka_unit_test(test_checkpoint__survives_a_full_disk),
    };
    return cmocka_run_group_tests(tests, group_start, group_end);
}
