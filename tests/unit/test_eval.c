/* test_eval.c - evaluation against a linear classifier worked out by hand: the views of test-time
 * augmentation, loss, accuracy, classes and confusion. */
#define _GNU_SOURCE /* mkdtemp */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tiny.h"
#include "train/eval.h"
#include "train/network.h"

enum { SIDE = IMAGE_SIDE, PIXELS = 3 * SIDE * SIDE, COUNT = 300 }; /* more than one batch */

static struct images images;
static struct config config;
static struct network net;
static struct evaluator evaluator;
static struct image_store store;
static double weights[TINY_CLASSES * PIXELS], bias[TINY_CLASSES];

static int group_start(void **state)
{
    (void)state;
    char folder[64] = "/tmp/kiln-eval-XXXXXX";
    if (!mkdtemp(folder))
        return -1;
    tiny_images(&images);
    free(images.test.pixels);
    free(images.test.labels);
    tiny_split(&images.test, COUNT, 2);
    tiny_config(&config, folder, "head linear classes\n");
    config.precision = PRECISION_FP64;
    if (network_init(&net, &config, &images, NULL) ||
        network_upload(&net, &store, &images, &images.test, "test images", NULL) ||
        evaluator_init(&evaluator, &net.model, NULL))
        return -1;
    struct rng r = rng_at(5, RNG_TEST, 0, 0);
    for (int i = 0; i < TINY_CLASSES * PIXELS; i++)
        weights[i] = 0.02 * rng_normal(&r);
    for (int i = 0; i < TINY_CLASSES; i++)
        bias[i] = rng_normal(&r);
    struct backend *b = net.backend;
    int w = graph_find_tensor(&net.graph, "head.weight");
    b->ops->write_reals(b, model_tensor(&net.model, w), weights, TINY_CLASSES * PIXELS);
    int at = graph_find_tensor(&net.graph, "head.bias");
    b->ops->write_reals(b, model_tensor(&net.model, at), bias, TINY_CLASSES);
    remove(config.net);
    return remove(folder);
}

static int group_end(void **state)
{
    (void)state;
    evaluator_release(&evaluator);
    network_free_images(&net, &store, COUNT);
    network_release(&net);
    tiny_images_free(&images);
    return 0;
}

/* Reflection without repeating the border: -1 is 1, SIDE is SIDE - 2. */
static int reflect(int i)
{
    return i < 0 ? -i : i >= SIDE ? 2 * (SIDE - 1) - i : i;
}

/* Adds factor * logits of image i, cut at `top` and `left` of the image padded by 1 (1, 1 is the
 * image itself), mirrored or not. */
static void add_view(double *logits, int i, int top, int left, int mirror, double factor)
{
    for (int k = 0; k < TINY_CLASSES; k++) {
        double sum = bias[k];
        for (int j = 0; j < PIXELS; j++) {
            int c = j / (SIDE * SIDE), y = j / SIDE % SIDE, x = j % SIDE;
            int column = mirror ? SIDE - 1 - x : x;
            int from = (c * SIDE + reflect(y + top - 1)) * SIDE + reflect(column + left - 1);
            double pixel = images.test.pixels[(size_t)i * PIXELS + from];
            double mean = (double)images.mean[c], std = (double)images.std[c];
            sum += weights[k * PIXELS + j] * (pixel - mean) / std;
        }
        logits[k] += factor * sum;
    }
}

static void expected_logits(double *logits, int i, enum tta tta)
{
    for (int k = 0; k < TINY_CLASSES; k++)
        logits[k] = 0;
    for (int mirror = 0; mirror < (tta == TTA_NONE ? 1 : 2); mirror++) {
        double share = tta == TTA_NONE ? 1 : 0.5;
        if (tta != TTA_SIX) {
            add_view(logits, i, 1, 1, mirror, share);
            continue;
        }
        add_view(logits, i, 1, 1, mirror, 0.5 * share);
        add_view(logits, i, 0, 0, mirror, 0.25 * share);
        add_view(logits, i, 2, 2, mirror, 0.25 * share);
    }
}

static void check(enum tta tta)
{
    struct eval_result got;
    struct eval_outcome outcomes[COUNT];
    uint32_t confusion[TINY_CLASSES * TINY_CLASSES], wanted[TINY_CLASSES * TINY_CLASSES] = {0};
    const struct eval_set set = {.store = &store, .labels = images.test.labels, .count = COUNT};
    evaluate(&evaluator, &set, tta, &got, confusion, outcomes);
    double loss = 0;
    int hits = 0;
    for (int i = 0; i < COUNT; i++) {
        double logits[TINY_CLASSES], sum = 0;
        int label = images.test.labels[i], best = 0;
        expected_logits(logits, i, tta);
        for (int k = 0; k < TINY_CLASSES; k++) {
            sum += exp(logits[k]);
            best = logits[k] > logits[best] ? k : best;
        }
        loss += log(sum) - logits[label];
        assert_int_equal(outcomes[i].predicted, best);
        assert_true(fabs((double)outcomes[i].loss - (log(sum) - logits[label])) < 1e-5);
        assert_true(fabs((double)outcomes[i].probability - exp(logits[best]) / sum) < 1e-5);
        hits += best == label;
        wanted[label * TINY_CLASSES + best]++;
    }
    assert_int_equal(got.count, COUNT);
    /* image_store keeps mean and 1 / std as floats: 2^-24 relative, over 3072 weights of 0.02. */
    assert_true(fabs(got.loss - loss / COUNT) < 1e-5);
    assert_true(got.accuracy == (double)hits / COUNT);
    assert_in_range(hits, 1, COUNT - 1);
    for (int i = 0; i < TINY_CLASSES * TINY_CLASSES; i++)
        assert_int_equal(confusion[i], wanted[i]);
    for (int k = 0; k < TINY_CLASSES; k++) {
        assert_int_equal(got.class_hits[k], wanted[k * TINY_CLASSES + k]);
        assert_int_equal(got.class_count[k], COUNT / TINY_CLASSES);
    }
}

static void test_evaluate__one_view(void **state)
{
    (void)state;
    check(TTA_NONE);
}

static void test_evaluate__mirror_images(void **state)
{
    (void)state;
    check(TTA_FLIP);
}

static void test_evaluate__six_views(void **state)
{
    (void)state;
    check(TTA_SIX);
}

/* A selection of images gives the same as those images alone would. */
static void test_evaluate__chosen_images(void **state)
{
    (void)state;
    uint32_t chosen[COUNT / 2];
    double loss = 0;
    struct eval_result some, one;
    for (uint32_t i = 0; i < COUNT / 2; i++)
        chosen[i] = 2 * i + 1;
    struct eval_set set = {.store = &store, .indices = chosen, .labels = images.test.labels,
                           .count = COUNT / 2};
    evaluate(&evaluator, &set, TTA_NONE, &some, NULL, NULL);
    for (uint32_t i = 0; i < COUNT / 2; i++) {
        set.indices = &chosen[i];
        set.count = 1;
        evaluate(&evaluator, &set, TTA_NONE, &one, NULL, NULL);
        loss += one.loss;
    }
    assert_true(fabs(some.loss - loss / (COUNT / 2)) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluate__one_view),
        cmocka_unit_test(test_evaluate__mirror_images),
        cmocka_unit_test(test_evaluate__six_views),
        cmocka_unit_test(test_evaluate__chosen_images),
    };
    return cmocka_run_group_tests(tests, group_start, group_end);
}
