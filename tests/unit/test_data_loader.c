/* test_data_loader.c - subsets, held-out images, label noise, and the order of an epoch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "data/loader.h"

enum { COUNT = 10000, CLASSES = 10 };

/* Images without pixels: `sizes[c]` of each class, in turn while they last. */
static struct images make_images(const uint32_t *sizes)
{
    struct images images = {.classes = CLASSES, .channels = 3};
    uint32_t left[CLASSES];
    for (int c = 0; c < CLASSES; c++) {
        left[c] = sizes ? sizes[c] : COUNT / CLASSES;
        images.train.count += left[c];
    }
    images.train.labels = malloc(images.train.count);
    for (uint32_t i = 0; i < images.train.count;)
        for (int c = 0; c < CLASSES; c++)
            if (left[c] && left[c]--)
                images.train.labels[i++] = (uint8_t)c;
    return images;
}

static void count_classes(const struct images *images, const uint32_t *chosen, uint32_t count,
                          uint32_t counts[CLASSES])
{
    memset(counts, 0, CLASSES * sizeof *counts);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(chosen[i] < images->train.count);
        if (i > 0)
            assert_true(chosen[i] > chosen[i - 1]);
        counts[images->train.labels[chosen[i]]]++;
    }
}

static struct selection select_or_fail(const struct images *images, struct subset_options o)
{
    struct selection s;
    struct err e = {0};
    if (selection_init(&s, images, &o, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

static void test_selection__subsets_are_balanced(void **state)
{
    (void)state;
    struct images images = make_images(NULL);
    uint32_t counts[CLASSES];
    struct selection s = select_or_fail(&images, (struct subset_options){
        .train_count = 503, .validation = 1000, .seed = 4});
    assert_int_equal(s.train_count, 503);
    count_classes(&images, s.train, s.train_count, counts);
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(counts[c], c < 3 ? 51 : 50);
    assert_int_equal(s.validation_count, 1000);
    count_classes(&images, s.validation, s.validation_count, counts);
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(counts[c], 100);
    selection_release(&s);

    s = select_or_fail(&images, (struct subset_options){.train_fraction = 0.1, .seed = 4});
    assert_int_equal(s.train_count, 1000);
    count_classes(&images, s.train, s.train_count, counts);
    for (int c = 0; c < CLASSES; c++)
        assert_int_equal(counts[c], 100);
    selection_release(&s);
    free(images.train.labels);
}

static void test_selection__small_classes_give_all_they_have(void **state)
{
    (void)state;
    const uint32_t sizes[CLASSES] = {5, 100, 100, 100, 100, 100, 100, 100, 100, 100};
    struct images images = make_images(sizes);
    uint32_t counts[CLASSES];
    struct selection s = select_or_fail(&images, (struct subset_options){.train_count = 95});
    count_classes(&images, s.train, s.train_count, counts);
    assert_int_equal(counts[0], 5);
    for (int c = 1; c < CLASSES; c++)
        assert_int_equal(counts[c], 10);
    selection_release(&s);

    s = select_or_fail(&images, (struct subset_options){.train_fraction = 1});
    assert_int_equal(s.train_count, images.train.count);
    count_classes(&images, s.train, s.train_count, counts);
    assert_memory_equal(counts, sizes, sizeof counts);
    selection_release(&s);
    free(images.train.labels);
}

/* How many of a[na] are in b[nb]; both ascending. */
static uint32_t common(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
    uint32_t n = 0;
    for (uint32_t i = 0, j = 0; i < na && j < nb;) {
        n += a[i] == b[j];
        if (a[i] <= b[j])
            i++;
        else
            j++;
    }
    return n;
}

static void test_selection__held_out_images_are_apart_and_stay_the_same(void **state)
{
    (void)state;
    struct images images = make_images(NULL);
    struct selection small = select_or_fail(&images, (struct subset_options){
        .train_count = 1000, .validation = 500, .seed = 1});
    struct selection large = select_or_fail(&images, (struct subset_options){
        .train_fraction = 1, .validation = 500, .seed = 1});
    struct selection other = select_or_fail(&images, (struct subset_options){
        .train_count = 1000, .validation = 500, .seed = 2});
    assert_int_equal(large.train_count, COUNT - 500);
    assert_int_equal(common(large.train, large.train_count, large.validation, 500), 0);
    assert_memory_equal(small.validation, large.validation, 500 * sizeof(uint32_t));
    assert_int_equal(common(small.train, 1000, large.train, large.train_count), 1000);
    assert_in_range(common(small.train, 1000, other.train, 1000), 50, 150); /* 100 expected */
    selection_release(&small);
    selection_release(&large);
    selection_release(&other);
    free(images.train.labels);
}

static void test_selection__label_noise_has_its_share_and_spares_the_rest(void **state)
{
    (void)state;
    struct images images = make_images(NULL);
    const uint8_t *truth = images.train.labels;
    struct selection s = select_or_fail(&images, (struct subset_options){
        .train_fraction = 0.5, .validation = 1000, .label_noise = 0.2, .seed = 5});
    uint32_t wrong = 0, offsets[CLASSES] = {0};
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(s.labels[i] < CLASSES);
        wrong += s.labels[i] != truth[i];
        offsets[(s.labels[i] - truth[i] + CLASSES) % CLASSES]++;
    }
    assert_int_equal(s.train_count, 4500);
    assert_in_range(wrong, 790, 1010); /* 900 expected, sd 27 */
    for (int d = 1; d < CLASSES; d++)
        assert_in_range(offsets[d], 60, 145); /* 100 expected, sd 10 */
    for (uint32_t i = 0; i < s.validation_count; i++)
        assert_int_equal(s.labels[s.validation[i]], truth[s.validation[i]]);
    selection_release(&s);

    s = select_or_fail(&images, (struct subset_options){.train_fraction = 1, .label_noise = 1});
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_not_equal(s.labels[i], truth[i]);
    selection_release(&s);
    free(images.train.labels);
}

static void test_selection__refuses_more_than_there_is(void **state)
{
    (void)state;
    struct images images = make_images(NULL);
    const struct subset_options cases[] = {
        {.train_count = COUNT + 1},
        {.train_count = COUNT - 99, .validation = 100},
        {.train_fraction = 1, .validation = COUNT},
        {.train_fraction = 1e-9},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct selection s;
        struct err e = {0};
        assert_int_equal(selection_init(&s, &images, &cases[i], &e), -1);
        assert_int_equal(e.code, EXIT_USAGE);
        assert_string_not_equal(e.text, "");
        selection_release(&s);
    }
    free(images.train.labels);
}

static void test_loader_order__is_a_permutation_of_its_own_for_each_epoch(void **state)
{
    (void)state;
    static uint32_t first[COUNT], second[COUNT], again[COUNT];
    static uint8_t seen[COUNT];
    loader_order(1, 0, first, COUNT);
    loader_order(1, 1, second, COUNT);
    loader_order(1, 0, again, COUNT);
    assert_memory_equal(first, again, sizeof first);
    uint32_t same = 0, fixed = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_true(first[i] < COUNT);
        assert_false(seen[first[i]]++);
        same += first[i] == second[i];
        fixed += first[i] == i;
    }
    assert_in_range(same, 0, 8); /* 1 expected */
    assert_in_range(fixed, 0, 8);
}

static void test_loader_steps__counts_the_last_batch_or_not(void **state)
{
    (void)state;
    assert_int_equal(loader_steps(50000, 512, false), 98);
    assert_int_equal(loader_steps(50000, 512, true), 97);
    assert_int_equal(loader_steps(1024, 512, false), 2);
    assert_int_equal(loader_steps(1024, 512, true), 2);
    assert_int_equal(loader_steps(100, 512, true), 0);
    assert_int_equal(loader_steps(UINT32_MAX, 2, false), 0x80000000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection__subsets_are_balanced),
        cmocka_unit_test(test_selection__small_classes_give_all_they_have),
        cmocka_unit_test(test_selection__held_out_images_are_apart_and_stay_the_same),
        cmocka_unit_test(test_selection__label_noise_has_its_share_and_spares_the_rest),
        cmocka_unit_test(test_selection__refuses_more_than_there_is),
        cmocka_unit_test(test_loader_order__is_a_permutation_of_its_own_for_each_epoch),
        cmocka_unit_test(test_loader_steps__counts_the_last_batch_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
