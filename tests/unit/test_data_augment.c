/* test_data_augment.c - the draws of crop, flip and cutout. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/augment.h"

static void test_augment__alternating_flips_each_image_in_one_of_two_epochs(void **state)
{
    (void)state;
    const struct augment a = {.pad = 2, .flip = FLIP_ALTERNATING};
    int flipped[6] = {0};
    for (uint32_t image = 0; image < 10000; image++) {
        uint8_t flips[6];
        for (uint32_t epoch = 0; epoch < 6; epoch++) {
            flips[epoch] = augment_view(&a, 3, epoch, image).flip;
            flipped[epoch] += flips[epoch];
        }
        for (int epoch = 0; epoch + 1 < 6; epoch++)
            assert_int_equal(flips[epoch] + flips[epoch + 1], 1);
    }
    assert_in_range(flipped[0], 4700, 5300); /* 5000 expected, sd 50 */
    assert_int_equal(flipped[0] + flipped[1], 10000);
}

static void test_augment__random_flip_is_fair_and_independent_of_the_epoch_before(void **state)
{
    (void)state;
    const struct augment a = {.flip = FLIP_RANDOM};
    int pairs[4] = {0};
    for (uint32_t image = 0; image < 10000; image++)
        pairs[2 * augment_view(&a, 3, 0, image).flip + augment_view(&a, 3, 1, image).flip]++;
    for (int i = 0; i < 4; i++)
        assert_in_range(pairs[i], 2240, 2760); /* 2500 expected, sd 43 */
}

static void test_augment__moves_and_cuts_reach_every_place_and_no_further(void **state)
{
    (void)state;
    const struct augment a = {.pad = 4, .flip = FLIP_NONE, .cutout = 8};
    int shifts[9][9] = {{0}}, rows[32] = {0}, columns[32] = {0};
    for (uint32_t image = 0; image < 16200; image++) {
        struct view v = augment_view(&a, 1, 7, image);
        assert_int_equal(v.index, image);
        assert_int_equal(v.flip, 0);
        assert_int_equal(v.cut, 8);
        assert_true(v.dy >= -4 && v.dy <= 4 && v.dx >= -4 && v.dx <= 4);
        assert_true(v.cut_y + v.cut <= 32 && v.cut_x + v.cut <= 32);
        shifts[v.dy + 4][v.dx + 4]++;
        rows[v.cut_y]++;
        columns[v.cut_x]++;
    }
    for (int i = 0; i < 81; i++)
        assert_in_range(shifts[i / 9][i % 9], 120, 280); /* 200 expected, sd 14 */
    for (int i = 0; i <= 24; i++) {
        assert_in_range(rows[i], 520, 780); /* 648 expected, sd 25 */
        assert_in_range(columns[i], 520, 780);
    }
}

static void test_augment__nothing_asked_changes_nothing(void **state)
{
    (void)state;
    const struct augment none = {0};
    struct view v = augment_view(&none, 9, 5, 77);
    assert_int_equal(v.index, 77);
    assert_true(v.dy == 0 && v.dx == 0 && v.flip == 0 && v.cut == 0);
}

static void test_augment__settings_do_not_disturb_each_other(void **state)
{
    (void)state;
    const struct augment crop = {.pad = 2, .flip = FLIP_RANDOM};
    const struct augment both = {.pad = 2, .flip = FLIP_RANDOM, .cutout = 12};
    for (uint32_t image = 0; image < 100; image++) {
        struct view a = augment_view(&crop, 1, 0, image), b = augment_view(&both, 1, 0, image);
        assert_true(a.dy == b.dy && a.dx == b.dx && a.flip == b.flip);
    }
}

static void test_augment__views_depend_on_seed_epoch_and_image(void **state)
{
    (void)state;
    const struct augment a = {.pad = 4, .flip = FLIP_RANDOM, .cutout = 12};
    int same_seed = 0, same_epoch = 0, same_image = 0;
    for (uint32_t image = 0; image < 1000; image++) {
        struct view v = augment_view(&a, 1, 0, image), w = augment_view(&a, 1, 0, image);
        assert_memory_equal(&v, &w, sizeof v);
        w = augment_view(&a, 2, 0, image);
        same_seed += v.dy == w.dy && v.dx == w.dx;
        w = augment_view(&a, 1, 1, image);
        same_epoch += v.dy == w.dy && v.dx == w.dx;
        w = augment_view(&a, 1, 0, image + 1);
        same_image += v.dy == w.dy && v.dx == w.dx;
    }
    assert_in_range(same_seed, 0, 40); /* 12 expected */
    assert_in_range(same_epoch, 0, 40);
    assert_in_range(same_image, 0, 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_augment__alternating_flips_each_image_in_one_of_two_epochs),
        cmocka_unit_test(test_augment__random_flip_is_fair_and_independent_of_the_epoch_before),
        cmocka_unit_test(test_augment__moves_and_cuts_reach_every_place_and_no_further),
        cmocka_unit_test(test_augment__nothing_asked_changes_nothing),
        cmocka_unit_test(test_augment__settings_do_not_disturb_each_other),
        cmocka_unit_test(test_augment__views_depend_on_seed_epoch_and_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
