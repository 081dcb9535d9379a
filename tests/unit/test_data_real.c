/* test_data_real.c - the published CIFAR-10 is recognised. Skipped where there is no copy: one is
 * looked for in KILN_DATA and in ../shared/data beside the source tree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "data/dataset.h"

static const char *folder;

static void test_images_load__recognises_the_published_cifar10(void **state)
{
    (void)state;
    struct images images;
    struct err e = {0};
    uint32_t train[10] = {0}, test[10] = {0};
    if (images_load(&images, "cifar10", folder, false, 1, &e) != 0)
        fail_msg("%s", e.text);
    assert_true(images.published);
    for (uint32_t i = 0; i < images.train.count; i++)
        train[images.train.labels[i]]++;
    for (uint32_t i = 0; i < images.test.count; i++)
        test[images.test.labels[i]]++;
    for (int c = 0; c < 10; c++) {
        assert_int_equal(train[c], 5000);
        assert_int_equal(test[c], 1000);
    }
    assert_string_equal(images.class_names[0], "airplane");
    assert_string_equal(images.class_names[9], "truck");
    /* The figures that the recipes of the literature use: 0.4914 0.4822 0.4465 and 0.2470 0.2435
     * 0.2616, times 255. */
    const float mean[] = {0.4914f, 0.4822f, 0.4465f}, std[] = {0.2470f, 0.2435f, 0.2616f};
    for (int c = 0; c < 3; c++) {
        assert_true(fabsf(images.mean[c] / 255 - mean[c]) < 1e-4f);
        assert_true(fabsf(images.std[c] / 255 - std[c]) < 1e-4f);
    }
    images_release(&images);
}

int main(void)
{
    const char *places[] = {getenv("KILN_DATA"), KILN_SOURCE_DIR "/../shared/data"};
    for (int i = 0; i < 2 && !folder; i++)
        if (places[i] && places[i][0] && dataset_find("cifar10")->present(places[i]))
            folder = places[i];
    if (!folder) {
        printf("skipped: no CIFAR-10 in KILN_DATA or ../shared/data\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_load__recognises_the_published_cifar10),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
