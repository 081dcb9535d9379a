/* test_data_search.c - where images are looked for, and what happens when they are not there. The
 * sets are of the official sizes but all zeros, and sparse on the disk. */
#define _GNU_SOURCE /* truncate, ftruncate, flock */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/log.h"
#include "data/dataset.h"
#include "scratch_group.h"

static const char debian[] = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";

static void write_zeros(const char *folder, const char *name, off_t bytes)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && ftruncate(fd, bytes) == 0);
    close(fd);
}

/* Makes place/cifar-10-batches-bin with black images of aeroplanes. */
static void make_black_cifar(const struct scratch *at, const char *place)
{
    static const char names[] = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n";
    char folder[1200], name[64];
    snprintf(folder, sizeof folder, "%s", scratch_path(at, place));
    mkdir(folder, 0777);
    strcat(folder, "/cifar-10-batches-bin");
    mkdir(folder, 0777);
    for (int i = 1; i <= 5; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        write_zeros(folder, name, 30730000);
    }
    write_zeros(folder, "test_batch.bin", 30730000);
    snprintf(name, sizeof name, "%s/cifar-10-batches-bin/batches.meta.txt", place);
    scratch_write(at, name, names, sizeof names - 1);
}

/* Where the images that are found come from; "" and the error when there are none. */
static const char *find(const char *name, const char *data_dir, struct err *e)
{
    static char source[4096];
    struct images images;
    source[0] = '\0';
    if (images_load(&images, name, data_dir, false, 1, e) == 0)
        strcpy(source, images.source);
    images_release(&images);
    return source;
}

static void test_images_load__searches_in_order_and_a_given_folder_only(void **state)
{
    const struct scratch *at = *state;
    struct err e = {0};
    make_black_cifar(at, "env");
    mkdir(scratch_path(at, "xdg"), 0777);
    make_black_cifar(at, "xdg/kiln");
    make_black_cifar(at, "given");
    mkdir(scratch_path(at, "empty"), 0777);
    setenv("KILN_DATA", scratch_path(at, "env"), 1);
    setenv("XDG_DATA_HOME", scratch_path(at, "xdg"), 1);

    assert_non_null(strstr(find("cifar10", NULL, &e), "/env/cifar-10-batches-bin"));
    assert_non_null(strstr(find("cifar10", "", &e), "/env/cifar-10-batches-bin"));
    assert_non_null(strstr(find("cifar10", scratch_path(at, "given"), &e), "/given/cifar-10-"));
    assert_string_equal(find("cifar10", scratch_path(at, "empty"), &e), "");
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "/empty'"));
    assert_null(strstr(e.text, "/env'"));
    setenv("KILN_DATA", scratch_path(at, "empty"), 1);
    assert_non_null(strstr(find("cifar10", NULL, &e), "/xdg/kiln/cifar-10-batches-bin"));
    /* A folder of the set's name below a place. */
    mkdir(scratch_path(at, "named"), 0777);
    make_black_cifar(at, "named/cifar10");
    assert_non_null(strstr(find("cifar10", scratch_path(at, "named"), &e), "/named/cifar10/"));
}

static void test_images_load__says_where_it_looked(void **state)
{
    const struct scratch *at = *state;
    struct err e = {0};
    setenv("KILN_DATA", scratch_path(at, "nowhere"), 1);
    setenv("XDG_DATA_HOME", "relative", 1); /* to be ignored */
    setenv("HOME", scratch_path(at, "home"), 1);
    assert_string_equal(find("cifar100", NULL, &e), "");
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "CIFAR-100"));
    assert_non_null(strstr(e.text, "/nowhere'"));
    assert_non_null(strstr(e.text, "/home/.local/share/kiln'"));
    assert_null(strstr(e.text, "relative"));
    assert_non_null(strstr(e.text, "kiln data fetch cifar100"));
}

static void test_images_load__tells_a_set_that_is_not_the_published_one(void **state)
{
    const struct scratch *at = *state;
    struct images images;
    make_black_cifar(at, "black");
    assert_int_equal(images_load(&images, "cifar10", scratch_path(at, "black"), false, 1, NULL), 0);
    assert_false(images.published);
    images_release(&images);
}

static void test_images_load__does_not_pass_over_a_damaged_set(void **state)
{
    const struct scratch *at = *state;
    struct err e = {0};
    char steps[1024];
    struct images images;
    make_black_cifar(at, "damaged");
    mkdir(scratch_path(at, "xdg2"), 0777);
    make_black_cifar(at, "xdg2/kiln");
    write_zeros(scratch_path(at, "damaged/cifar-10-batches-bin"), "data_batch_3.bin", 30729999);
    setenv("KILN_DATA", scratch_path(at, "damaged"), 1);
    setenv("XDG_DATA_HOME", scratch_path(at, "xdg2"), 1);
    assert_string_equal(find("cifar10", NULL, &e), "");
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "data_batch_3.bin"));
    assert_int_equal(images_load_or_step_down(&images, "cifar10", NULL, false, 1, steps,
                                              sizeof steps, &e), -1);
    assert_string_equal(steps, "");
    assert_non_null(strstr(e.text, "data_batch_3.bin"));
    images_release(&images);
}

static void test_images_load__steps_down_aloud(void **state)
{
    const struct scratch *at = *state;
    struct err e = {0};
    char steps[1024];
    struct images images;
    setenv("KILN_DATA", scratch_path(at, "nowhere"), 1);
    setenv("XDG_DATA_HOME", scratch_path(at, "nowhere"), 1);
    if (images_load_or_step_down(&images, "cifar10", NULL, false, 7, steps, sizeof steps, &e) != 0)
        fail_msg("%s", e.text);
    assert_non_null(strstr(steps, "CIFAR-10 is not there"));
    assert_non_null(strstr(steps, "stepped down to Fashion-MNIST"));
    if (access(debian, R_OK) == 0) {
        assert_string_equal(images.kind->name, "fashion-mnist");
        assert_null(strstr(steps, "synthetic"));
    } else {
        assert_string_equal(images.kind->name, "synthetic");
        assert_non_null(strstr(steps, "stepped down to synthetic images"));
        assert_string_equal(images.source, "seed 7");
    }
    images_release(&images);
    /* What is there is taken as it is. */
    assert_int_equal(images_load_or_step_down(&images, "synthetic", NULL, false, 7, steps,
                                              sizeof steps, &e), 0);
    assert_string_equal(images.kind->name, "synthetic");
    assert_string_equal(steps, "");
    images_release(&images);
}

static void test_images_load__suggests_the_nearest_name(void **state)
{
    (void)state;
    struct err e = {0};
    char steps[64];
    struct images images;
    assert_string_equal(find("cifar-10", NULL, &e), "");
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "'cifar-10'"));
    assert_non_null(strstr(e.text, "'cifar10'"));
    assert_int_equal(images_load_or_step_down(&images, "nonsense", NULL, false, 1, steps,
                                              sizeof steps, &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    images_release(&images);
}

static void test_images_load__refuses_another_sets_images(void **state)
{
    (void)state;
    struct err e = {0};
    if (access(debian, R_OK) != 0) {
        print_message("skipped: Debian's dataset-fashion-mnist is not installed\n");
        skip();
    }
    assert_string_equal(find("mnist", "/usr/share/datasets/fashion-mnist", &e), "");
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "Fashion-MNIST"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_load__searches_in_order_and_a_given_folder_only),
        cmocka_unit_test(test_images_load__says_where_it_looked),
        cmocka_unit_test(test_images_load__tells_a_set_that_is_not_the_published_one),
        cmocka_unit_test(test_images_load__does_not_pass_over_a_damaged_set),
        cmocka_unit_test(test_images_load__steps_down_aloud),
        cmocka_unit_test(test_images_load__suggests_the_nearest_name),
        cmocka_unit_test(test_images_load__refuses_another_sets_images),
    };
    log_set_level(LOG_QUIET);
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
