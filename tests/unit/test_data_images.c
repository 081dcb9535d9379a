/* test_data_images.c - the hash that knows a set whatever the order of its records, and the mean
 * and deviation of its channels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "data/dataset.h"

enum { TRAIN = 40, TEST = 10, CHANNELS = 3, BYTES = CHANNELS * IMAGE_AREA };

static void fill(struct image_split *s, uint32_t split)
{
    for (uint32_t i = 0; i < s->count; i++) {
        struct rng r = rng_at(1, RNG_TEST, split, i);
        s->labels[i] = (uint8_t)rng_below(&r, 10);
        for (int k = 0; k < BYTES; k++)
            s->pixels[(size_t)i * BYTES + k] =
                (uint8_t)(rng_below(&r, 100) + 50 * (k / IMAGE_AREA));
    }
}

static struct images make(uint32_t train, uint32_t test)
{
    struct images images = {.channels = CHANNELS, .classes = 10};
    assert_int_equal(image_split_init(&images.train, train, CHANNELS, NULL), 0);
    assert_int_equal(image_split_init(&images.test, test, CHANNELS, NULL), 0);
    fill(&images.train, 0);
    fill(&images.test, 1);
    return images;
}

static void copy_record(struct image_split *to, uint32_t i, const struct image_split *from,
                        uint32_t k)
{
    memmove(to->pixels + (size_t)i * BYTES, from->pixels + (size_t)k * BYTES, BYTES);
    to->labels[i] = from->labels[k];
}

static void swap_records(struct image_split *a, uint32_t i, struct image_split *b, uint32_t k)
{
    uint8_t pixels[BYTES], label = a->labels[i];
    memcpy(pixels, a->pixels + (size_t)i * BYTES, BYTES);
    copy_record(a, i, b, k);
    memcpy(b->pixels + (size_t)k * BYTES, pixels, BYTES);
    b->labels[k] = label;
}

static void assert_same_hash(struct images *a, const char *hash, int same)
{
    images_finish(a);
    assert_int_equal(strlen(a->hash), 64);
    assert_int_equal(strcmp(a->hash, hash) == 0, same);
}

static void test_images_finish__hash_does_not_depend_on_the_order(void **state)
{
    (void)state;
    struct images images = make(TRAIN, TEST);
    images_finish(&images);
    char hash[65];
    strcpy(hash, images.hash);
    for (uint32_t i = 0; i < TRAIN; i++)
        swap_records(&images.train, i, &images.train, (i * 7 + 3) % TRAIN);
    for (uint32_t i = 0; i < TEST; i++)
        swap_records(&images.test, i, &images.test, (i * 3 + 1) % TEST);
    assert_same_hash(&images, hash, 1);
    images_release(&images);
}

static void test_images_finish__hash_sees_every_change_of_a_record(void **state)
{
    (void)state;
    struct images images = make(TRAIN, TEST);
    images_finish(&images);
    char hash[65];
    strcpy(hash, images.hash);

    images.train.pixels[17 * BYTES + 1000] ^= 1;
    assert_same_hash(&images, hash, 0);
    images.train.pixels[17 * BYTES + 1000] ^= 1;
    images.test.labels[3] ^= 1;
    assert_same_hash(&images, hash, 0);
    images.test.labels[3] ^= 1;
    assert_same_hash(&images, hash, 1);

    swap_records(&images.train, 5, &images.test, 6); /* an image of the test split trained on */
    assert_same_hash(&images, hash, 0);
    swap_records(&images.train, 5, &images.test, 6);
    assert_same_hash(&images, hash, 1);

    uint8_t label = images.train.labels[4]; /* labels of two images exchanged */
    uint32_t other = 5;
    while (images.train.labels[other] == label)
        other++;
    images.train.labels[4] = images.train.labels[other];
    images.train.labels[other] = label;
    assert_same_hash(&images, hash, 0);
    images_release(&images);
}

/* With an XOR of digests two pairs of twins would cancel; with a hash of the set of digests twins
 * would count once. */
static void test_images_finish__hash_counts_doubled_records(void **state)
{
    (void)state;
    struct images images = make(TRAIN, TEST);
    copy_record(&images.train, 0, &images.train, 2);
    copy_record(&images.train, 1, &images.train, 3);
    images_finish(&images);
    char hash[65];
    strcpy(hash, images.hash);
    copy_record(&images.train, 0, &images.train, 4);
    copy_record(&images.train, 1, &images.train, 5);
    assert_same_hash(&images, hash, 0);
    copy_record(&images.train, 0, &images.train, 2);
    copy_record(&images.train, 1, &images.train, 2);
    assert_same_hash(&images, hash, 0);
    images_release(&images);
}

/* The split is part of the hash: the same records cut elsewhere are another set. Of two records
 * either order is tried, so that in one of them the digests are in the same order before and after
 * and only the counts differ. */
static void test_images_finish__hash_knows_where_the_splits_meet(void **state)
{
    (void)state;
    for (int swap = 0; swap < 2; swap++) {
        struct images a = make(1, 1), b = make(2, 0);
        if (swap)
            swap_records(&a.train, 0, &a.test, 0);
        copy_record(&b.train, 0, &a.train, 0);
        copy_record(&b.train, 1, &a.test, 0);
        images_finish(&a);
        assert_same_hash(&b, a.hash, 0);
        images_release(&a);
        images_release(&b);
    }
}

static void test_images_finish__recognises_the_published_hash(void **state)
{
    (void)state;
    struct images images = make(TRAIN, TEST);
    images_finish(&images);
    assert_false(images.published);
    char hash[65];
    strcpy(hash, images.hash);
    const struct dataset kind = {.published_hash = hash};
    images.kind = &kind;
    images_finish(&images);
    assert_true(images.published);
    images.test.pixels[9] ^= 128;
    images_finish(&images);
    assert_false(images.published);
    images_release(&images);
}

static void test_images_finish__measures_the_training_split(void **state)
{
    (void)state;
    struct images images = make(TRAIN, TEST);
    images_finish(&images);
    for (int c = 0; c < CHANNELS; c++) {
        double sum = 0, squares = 0, n = (double)TRAIN * IMAGE_AREA;
        const uint8_t *plane = images.train.pixels + c * IMAGE_AREA;
        for (uint32_t i = 0; i < TRAIN; i++)
            for (int k = 0; k < IMAGE_AREA; k++)
                sum += plane[(size_t)i * BYTES + k];
        for (uint32_t i = 0; i < TRAIN; i++)
            for (int k = 0; k < IMAGE_AREA; k++)
                squares += pow(plane[(size_t)i * BYTES + k] - sum / n, 2);
        /* One rounding to float; 2^-24 relative. */
        assert_true(fabs(images.mean[c] - sum / n) <= 1e-7 * sum / n);
        assert_true(fabs(images.std[c] - sqrt(squares / n)) <= 1e-7 * sqrt(squares / n));
    }
    memset(images.train.pixels, 7, (size_t)TRAIN * BYTES);
    images_finish(&images);
    assert_true(images.mean[1] == 7 && images.std[1] == 1);
    images_release(&images);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_finish__hash_does_not_depend_on_the_order),
        cmocka_unit_test(test_images_finish__hash_sees_every_change_of_a_record),
        cmocka_unit_test(test_images_finish__hash_counts_doubled_records),
        cmocka_unit_test(test_images_finish__hash_knows_where_the_splits_meet),
        cmocka_unit_test(test_images_finish__recognises_the_published_hash),
        cmocka_unit_test(test_images_finish__measures_the_training_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
