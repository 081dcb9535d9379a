/* test_data_idx.c - MNIST's format, gzipped and not, whole and damaged. The sets are made here. */
#define _GNU_SOURCE /* truncate, ftruncate, flock */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/idx.h"
#include "scratch_group.h"

enum { FILES = 4, TRAIN = 5, TEST = 3, AREA = 28 * 28, ROOM = 8 * 1024 };
enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS };

static const struct idx_layout layout = {
    .folders = (const char *const[]){"own", "Other/raw", NULL},
    .train_count = TRAIN,
    .test_count = TEST,
    .classes = 3,
    .class_names = (const char *const[]){"ant", "bee", "cow"},
};
static const char *const file_names[FILES] = {
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
};

struct set {
    uint8_t data[FILES][ROOM];
    int bytes[FILES]; /* < 0: not there */
};

static uint8_t pixel_at(int file, int image, int k)
{
    return (uint8_t)(1 + (file * 80 + image * 31 + k) % 255); /* never 0, as the rim is */
}

static struct set *make_set(void)
{
    struct set *s = calloc(1, sizeof *s);
    for (int f = 0; f < FILES; f++) {
        int count = f < TEST_IMAGES ? TRAIN : TEST, is_labels = f % 2;
        const uint8_t head[16] = {0, 0, 8, is_labels ? 1 : 3, 0, 0, 0, (uint8_t)count,
                                  0, 0, 0, 28, 0, 0, 0, 28};
        int bytes = is_labels ? 8 : 16;
        memcpy(s->data[f], head, (size_t)bytes);
        for (int i = 0; i < count; i++) {
            if (is_labels)
                s->data[f][bytes++] = (uint8_t)(i % 3);
            for (int k = 0; k < AREA && !is_labels; k++)
                s->data[f][bytes++] = pixel_at(f, i, k);
        }
        s->bytes[f] = bytes;
    }
    return s;
}

static void write_gzip(const char *path, const void *data, size_t bytes)
{
    struct archive *a = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_add_filter_gzip(a);
    archive_write_set_format_raw(a);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    archive_entry_set_filetype(entry, AE_IFREG);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data, bytes), bytes);
    archive_entry_free(entry);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static void write_set(const struct set *s, const struct scratch *at, const char *folder, int zipped)
{
    char name[128];
    mkdir(scratch_path(at, folder), 0777);
    for (int f = 0; f < FILES; f++) {
        if (s->bytes[f] < 0)
            continue;
        snprintf(name, sizeof name, "%s/%s%s", folder, file_names[f], zipped ? ".gz" : "");
        if (zipped)
            write_gzip(scratch_path(at, name), s->data[f], (size_t)s->bytes[f]);
        else
            scratch_write(at, name, s->data[f], (size_t)s->bytes[f]);
    }
}

static void assert_right(const struct images *images)
{
    assert_int_equal(images->channels, 1);
    assert_int_equal(images->train.count, TRAIN);
    assert_int_equal(images->test.count, TEST);
    assert_string_equal(images->class_names[2], "cow");
    for (int f = 0; f < FILES; f += 2) {
        const struct image_split *s = f == TRAIN_IMAGES ? &images->train : &images->test;
        for (uint32_t i = 0; i < s->count; i++) {
            assert_int_equal(s->labels[i], i % 3);
            for (int y = 0; y < 32; y++) {
                for (int x = 0; x < 32; x++) {
                    int inner = y >= 2 && y < 30 && x >= 2 && x < 30;
                    int want = inner ? pixel_at(f, (int)i, (y - 2) * 28 + x - 2) : 0;
                    assert_int_equal(s->pixels[i * IMAGE_AREA + y * 32 + x], want);
                }
            }
        }
    }
}

static void load_right(const char *place)
{
    struct images images = {0};
    struct err e = {0};
    assert_true(idx_present(&layout, place));
    if (idx_load(&layout, &images, place, &e) != 0)
        fail_msg("%s", e.text);
    assert_right(&images);
    images_release(&images);
}

static void load_wrong(const char *place, const char *const *words)
{
    struct images images = {0};
    struct err e = {0};
    assert_int_equal(idx_load(&layout, &images, place, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    for (; *words; words++)
        if (!strstr(e.text, *words))
            fail_msg("no '%s' in: %s", *words, e.text);
    images_release(&images);
}

static void test_idx_load__reads_plain_and_gzipped_files(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set();
    write_set(s, at, "plain", 0);
    write_set(s, at, "zipped", 1);
    load_right(scratch_path(at, "plain"));
    load_right(scratch_path(at, "zipped"));
    free(s);
}

static void test_idx_load__prefers_the_folder_of_its_own_name(void **state)
{
    const struct scratch *at = *state;
    struct set *right = make_set(), *other = make_set();
    other->data[TRAIN_IMAGES][100]++;
    mkdir(scratch_path(at, "both"), 0777);
    write_set(other, at, "both", 0);
    write_set(right, at, "both/own", 0);
    load_right(scratch_path(at, "both"));
    mkdir(scratch_path(at, "nested"), 0777);
    mkdir(scratch_path(at, "nested/Other"), 0777);
    write_set(right, at, "nested/Other/raw", 1);
    load_right(scratch_path(at, "nested"));
    free(right);
    free(other);
}

static const struct fault {
    int file, bytes;       /* new size relative to the right one; INT32_MIN: the file is gone */
    int at, value;         /* at >= 0: this byte becomes value */
    const char *words[4];
} faults[] = {
    {TRAIN_IMAGES, INT32_MIN, -1, 0, {"train-images-idx3-ubyte"}},
    {TEST_LABELS, INT32_MIN, -1, 0, {"t10k-labels-idx1-ubyte"}},
    {TRAIN_IMAGES, -1, -1, 0, {"train-images", "truncated", "image 4", "byte 3935"}},
    {TEST_IMAGES, -784, -1, 0, {"t10k-images", "truncated", "image 2", "byte 1584"}},
    {TRAIN_LABELS, -1, -1, 0, {"train-labels", "truncated", "byte 12"}},
    {TRAIN_LABELS, -8, -1, 0, {"train-labels", "truncated", "head", "byte 5"}},
    {TRAIN_IMAGES, 1, -1, 0, {"train-images", "too long"}},
    {TEST_LABELS, 1, -1, 0, {"t10k-labels", "too long"}},
    {TRAIN_LABELS, 0, 10, 3, {"train-labels", "record 2", "byte 10", "label 3"}},
    {TRAIN_IMAGES, 0, 2, 9, {"train-images", "not an idx file", "00 00 09 03"}},
    {TRAIN_LABELS, 0, 0, 1, {"train-labels", "not an idx file"}},
    {TEST_IMAGES, 0, 7, 4, {"t10k-images", "4 records", "3 belong there"}},
    {TRAIN_LABELS, 0, 4, 1, {"train-labels", "16777221 records"}},
    {TEST_IMAGES, 0, 15, 27, {"t10k-images", "27 columns", "28 belong there"}},
};

static void test_idx_load__tells_every_fault_with_its_place(void **state)
{
    const struct scratch *at = *state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *f = &faults[i];
        const char *words[5] = {f->words[0], f->words[1], f->words[2], f->words[3], NULL};
        struct set *s = make_set();
        if (f->bytes == INT32_MIN)
            s->bytes[f->file] = -1;
        else
            s->bytes[f->file] += f->bytes;
        if (f->at >= 0)
            s->data[f->file][f->at] = (uint8_t)f->value;
        for (int zipped = 0; zipped < 2; zipped++) {
            char folder[32];
            snprintf(folder, sizeof folder, "fault%zu-%d", i, zipped);
            write_set(s, at, folder, zipped);
            load_wrong(scratch_path(at, folder), words);
        }
        free(s);
    }
}

static void test_idx_load__tells_that_gzipped_data_ends_early_wherever_it_does(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set();
    write_set(s, at, "short", 1);
    char path[1200];
    struct stat before;
    snprintf(path, sizeof path, "%s", scratch_path(at, "short/train-images-idx3-ubyte.gz"));
    assert_int_equal(stat(path, &before), 0);
    for (off_t bytes = before.st_size / 2; bytes >= 0; bytes -= bytes > 40 ? 29 : 1) {
        assert_int_equal(truncate(path, bytes), 0);
        load_wrong(scratch_path(at, "short"), (const char *const[]){"train-images-idx3", NULL});
    }
    free(s);
}

/* Gzip's sum tells, wherever the bit is that flipped; only in the head some bits say nothing. */
static void test_idx_load__tells_a_flipped_bit_in_gzipped_data(void **state)
{
    const struct scratch *at = *state;
    enum { HEAD = 10 };
    struct set *s = make_set();
    char path[1200], *data;
    size_t bytes;
    write_set(s, at, "flipped", 1);
    snprintf(path, sizeof path, "%s", scratch_path(at, "flipped/train-images-idx3-ubyte.gz"));
    assert_int_equal(file_read(path, &data, &bytes, EXIT_DATA, NULL), 0);
    for (size_t i = HEAD; i < bytes; i += 1 + bytes / 300) {
        data[i] ^= (char)(1 << i % 8);
        scratch_write(at, "flipped/train-images-idx3-ubyte.gz", data, bytes);
        load_wrong(scratch_path(at, "flipped"), (const char *const[]){"train-images-idx3", NULL});
        data[i] ^= (char)(1 << i % 8);
    }
    free(data);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idx_load__reads_plain_and_gzipped_files),
        cmocka_unit_test(test_idx_load__prefers_the_folder_of_its_own_name),
        cmocka_unit_test(test_idx_load__tells_every_fault_with_its_place),
        cmocka_unit_test(test_idx_load__tells_that_gzipped_data_ends_early_wherever_it_does),
        cmocka_unit_test(test_idx_load__tells_a_flipped_bit_in_gzipped_data),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
