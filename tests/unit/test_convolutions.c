/* test_convolutions.c - the text that says which algorithm computes which convolution, and runs
 * that obey it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tiny_group.h"
#include "train/train.h"
#include "train/trainer.h"


static int start(void **state)
{
    (void)state;
    tiny_config(&config, scratch.path, tiny_net);
    return 0;
}

/* What the plan took for the tiny network with this text; conv1 has a stride and stays direct. */
static void expect_plan(const char *text, const char *expected)
{
    struct trainer t;
    struct err e = {.text = ""};
    char taken[CONVOLUTIONS_TEXT];
    strcpy(config.convolution, text);
    if (trainer_init(&t, &config, &images, true, &e))
        fail_msg("%s", e.text);
    plan_convolutions(t.plan, taken, sizeof taken);
    assert_string_equal(taken, expected);
    assert_string_equal(t.config.convolutions_recorded, expected);
    trainer_release(&t);
}

static void test_convolutions__text_decides_what_a_plan_takes(void **state)
{
    (void)state;
    expect_plan("winograd4", "conv1:direct, conv2:winograd4, head:direct");
    expect_plan("winograd2, conv2:direct", "conv1:direct, conv2:direct, head:direct");
    expect_plan(" direct ,conv2: winograd4/direct/winograd3 ",
                "conv1:direct, conv2:winograd4/direct/winograd3, head:direct");
    expect_plan("conv2:winograd3, direct", "conv1:direct, conv2:winograd3, head:direct");
}

static void test_convolutions__what_was_recorded_wins(void **state)
{
    (void)state;
    strcpy(config.convolutions_recorded, "conv1:direct, conv2:winograd2, head:direct");
    expect_plan("winograd4", "conv1:direct, conv2:winograd2, head:direct");
}

static void expect_refusal(const char *text, const char *why)
{
    struct trainer t;
    struct err e = {.text = ""};
    strcpy(config.convolution, text);
    assert_int_equal(trainer_init(&t, &config, &images, true, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    if (!strstr(e.text, why))
        fail_msg("'%s' was refused because '%s'", text, e.text);
    trainer_release(&t);
}

static void test_convolutions__refuses_what_it_does_not_know(void **state)
{
    (void)state;
    expect_refusal("fourier", "'fourier' is no algorithm; there are auto, direct, winograd4, ");
    expect_refusal("fourier", ", amx4");
    expect_refusal("conv7:direct", "no layer 'conv7'");
    expect_refusal("conv2:direct/winograd4", "names 2 algorithms");
    expect_refusal("direct,,direct", "'' is no algorithm");
    expect_refusal("", "'' is no algorithm");
}

/* The tiny network in bf16, where tier avx2 has neither Winograd nor tiles. A shape that an
 * available algorithm cannot compute is no reason to refuse: see conv1 above. */
static void test_convolutions__refuses_what_the_tier_lacks(void **state)
{
    (void)state;
    if (!tier_available(TIER_AVX2)) {
        print_message("skipped: this machine has not avx2\n");
        skip();
    }
    config.isa = TIER_AVX2;
    config.precision = PRECISION_FP32;
    expect_refusal("amx", "tier avx2 has no kernels of amx in fp32");
    config.precision = PRECISION_BF16;
    expect_refusal("conv2:direct/winograd4/direct",
                   "tier avx2 has no kernels of winograd4 in bf16");
    strcpy(config.convolutions_recorded, "conv1:direct, conv2:amx, head:direct");
    expect_refusal("auto", "no kernels of amx");
    config.convolutions_recorded[0] = 0;
    expect_plan("direct", "conv1:direct, conv2:direct, head:direct");
}

static void hash_of_run(const char *checkpoints, const char *from, char hash[65])
{
    const struct train_request r = {.config = &config, .images = &images,
                                    .checkpoints = checkpoints, .resume_from = from};
    struct train_result result;
    struct err e = {.text = ""};
    if (train_run(&r, &result, &e))
        fail_msg("%s", e.text);
    strcpy(hash, result.weights_hash);
}

/* Threads and an interruption must not show; the algorithm must, in the last bits. */
static void check_run(enum precision precision)
{
    char first[65], hash[65], checkpoints[512], path[600];
    snprintf(checkpoints, sizeof checkpoints, "%s/%d", scratch.path, (int)precision);
    config.precision = precision;
    config.checkpoint_every = 5;
    config.keep_last = 10;
    strcpy(config.convolution, "winograd4");
    hash_of_run(checkpoints, NULL, first);
    for (int threads = 1; threads <= 8; threads = threads == 3 ? 8 : threads + 1) {
        config.threads = threads;
        hash_of_run(NULL, NULL, hash);
        assert_string_equal(hash, first);
    }
    snprintf(path, sizeof path, "%s/step_%08d.safetensors", checkpoints, 5);
    hash_of_run(NULL, path, hash);
    assert_string_equal(hash, first);
    strcpy(config.convolution, "direct");
    hash_of_run(NULL, NULL, hash);
    assert_string_not_equal(hash, first);
}

static void test_convolutions__threads_and_resume_do_not_show(void **state)
{
    (void)state;
    check_run(PRECISION_FP32);
    if (tier_available(TIER_AVX512BF16))
        check_run(PRECISION_BF16);
    else
        print_message("skipped in bf16: this machine has not %s\n", tier_name(TIER_AVX512BF16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_convolutions__text_decides_what_a_plan_takes, start),
        cmocka_unit_test_setup(test_convolutions__what_was_recorded_wins, start),
        cmocka_unit_test_setup(test_convolutions__refuses_what_it_does_not_know, start),
        cmocka_unit_test_setup(test_convolutions__refuses_what_the_tier_lacks, start),
        cmocka_unit_test_setup(test_convolutions__threads_and_resume_do_not_show, start),
    };
    return cmocka_run_group_tests(tests, tiny_group_start, tiny_group_end);
}
