/* test_data_synthetic.c - the made images: the same for a seed, balanced, and learnable at a
 * glance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/dataset.h"

/* Seed 1, made once for all tests. */
static struct images images;

static struct images load(uint64_t seed)
{
    struct images made;
    struct err e = {0};
    if (images_load(&made, "synthetic", NULL, false, seed, &e) != 0)
        fail_msg("%s", e.text);
    return made;
}

static void test_synthetic__is_balanced_in_both_splits(void **state)
{
    (void)state;
    assert_int_equal(images.train.count, 10000);
    assert_int_equal(images.test.count, 2000);
    const struct image_split *splits[] = {&images.train, &images.test};
    for (int s = 0; s < 2; s++) {
        uint32_t counts[10] = {0};
        for (uint32_t i = 0; i < splits[s]->count; i++) {
            assert_true(splits[s]->labels[i] < 10);
            counts[splits[s]->labels[i]]++;
        }
        for (int c = 0; c < 10; c++)
            assert_int_equal(counts[c], splits[s]->count / 10);
    }
    for (int c = 0; c < 10; c++)
        assert_true(images.class_names[c] && images.class_names[c][0]);
    assert_string_equal(images.source, "seed 1");
}

static void test_synthetic__a_seed_names_one_set(void **state)
{
    (void)state;
    struct images again = load(1), other = load(2);
    size_t bytes = (size_t)images.train.count * 3 * IMAGE_AREA;
    assert_memory_equal(images.train.pixels, again.train.pixels, bytes);
    assert_string_equal(images.hash, again.hash);
    assert_string_not_equal(images.hash, other.hash);
    images_release(&again);
    images_release(&other);
}

static int compare_images(const void *a, const void *b)
{
    return memcmp(*(uint8_t *const *)a, *(uint8_t *const *)b, 3 * IMAGE_AREA);
}

static void test_synthetic__no_two_images_are_alike(void **state)
{
    (void)state;
    uint32_t count = images.train.count + images.test.count;
    uint8_t **all = malloc(count * sizeof *all);
    for (uint32_t i = 0; i < images.train.count; i++)
        all[i] = images.train.pixels + (size_t)i * 3 * IMAGE_AREA;
    for (uint32_t i = 0; i < images.test.count; i++)
        all[images.train.count + i] = images.test.pixels + (size_t)i * 3 * IMAGE_AREA;
    qsort(all, count, sizeof *all, compare_images);
    for (uint32_t i = 1; i < count; i++)
        assert_memory_not_equal(all[i - 1], all[i], 3 * IMAGE_AREA);
    free(all);
}

/* Nothing as simple as the mean colour gives the class away: the classes' mean images must be
 * nearly one. Sd of a pixel is below 80, of the mean of 1000 below 2.6; the largest of 10 x 3
 * channel means of 1024 correlated pixels stays far below 12. */
static void test_synthetic__colour_says_nothing_about_the_class(void **state)
{
    (void)state;
    double sums[10][3] = {{0}};
    for (uint32_t i = 0; i < images.train.count; i++)
        for (int k = 0; k < 3 * IMAGE_AREA; k++)
            sums[images.train.labels[i]][k / IMAGE_AREA] +=
                images.train.pixels[(size_t)i * 3 * IMAGE_AREA + k];
    for (int c = 0; c < 10; c++) {
        for (int channel = 0; channel < 3; channel++) {
            double mean = sums[c][channel] / (1000.0 * IMAGE_AREA);
            assert_true(mean > (double)images.mean[channel] - 12 &&
                        mean < (double)images.mean[channel] + 12);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    images = load(1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    images_release(&images);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synthetic__is_balanced_in_both_splits),
        cmocka_unit_test(test_synthetic__a_seed_names_one_set),
        cmocka_unit_test(test_synthetic__no_two_images_are_alike),
        cmocka_unit_test(test_synthetic__colour_says_nothing_about_the_class),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
