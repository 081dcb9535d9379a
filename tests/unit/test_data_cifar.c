/* test_data_cifar.c - the CIFAR layout from a folder and from a tar.gz, whole and damaged. The sets
 * are made here: like the official ones, but of a few records. */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "data/cifar.h"
#include "scratch_group.h"

enum { FILES = 4, RECORDS = 4, TEST_RECORDS = 3, PIXELS = 3 * IMAGE_AREA, ROOM = 16 * 1024 };
enum { TRAIN_1, TRAIN_2, TEST, NAMES };

static const struct cifar_layout one_label = {
    .folder = "tiny-bin", .archive = "tiny.tar.gz", .files = {"b1.bin", "b2.bin"},
    .test_file = "t.bin", .records = RECORDS, .test_records = TEST_RECORDS,
    .names_file = "names.txt", .classes = 3, .label_bytes = 1,
};
static const struct cifar_layout two_labels = {
    .folder = "tiny-bin", .archive = "tiny.tar.gz", .files = {"b1.bin", "b2.bin"},
    .test_file = "t.bin", .records = RECORDS, .test_records = TEST_RECORDS,
    .names_file = "names.txt", .classes = 3, .label_bytes = 2, .coarse_classes = 2,
};
static const char *const file_names[FILES] = {"b1.bin", "b2.bin", "t.bin", "names.txt"};

/* The files of a set; bytes[i] < 0: not there. */
struct set {
    const struct cifar_layout *layout;
    uint8_t data[FILES][ROOM];
    int bytes[FILES];
};

static uint8_t label_at(int file, int record)
{
    return (uint8_t)((file + 2 * record) % 3);
}

static uint8_t pixel_at(int file, int record, int k)
{
    return (uint8_t)(file * 91 + record * 37 + k % 251 + k / IMAGE_AREA);
}

static struct set *make_set(const struct cifar_layout *layout)
{
    struct set *s = calloc(1, sizeof *s);
    s->layout = layout;
    for (int f = TRAIN_1; f <= TEST; f++) {
        uint8_t *p = s->data[f];
        for (int r = 0; r < (f == TEST ? TEST_RECORDS : RECORDS); r++) {
            if (layout->label_bytes == 2)
                *p++ = (uint8_t)(r % 2);
            *p++ = label_at(f, r);
            for (int k = 0; k < PIXELS; k++)
                *p++ = pixel_at(f, r, k);
        }
        s->bytes[f] = (int)(p - s->data[f]);
    }
    static const char names[] = "ant\nbee\ncow\n\n";
    memcpy(s->data[NAMES], names, sizeof names - 1);
    s->bytes[NAMES] = sizeof names - 1;
    return s;
}

static void write_folder(const struct set *s, const struct scratch *at, const char *folder)
{
    char name[512];
    mkdir(scratch_path(at, folder), 0777);
    for (int f = 0; f < FILES; f++) {
        snprintf(name, sizeof name, "%s/%s", folder, file_names[f]);
        if (s->bytes[f] >= 0)
            scratch_write(at, name, s->data[f], (size_t)s->bytes[f]);
    }
}

static void add_member(struct archive *a, const char *prefix, const char *name, const void *data,
                       size_t bytes)
{
    char path[512];
    struct archive_entry *entry = archive_entry_new();
    snprintf(path, sizeof path, "%s%s", prefix, name);
    archive_entry_set_pathname(entry, path);
    archive_entry_set_size(entry, (la_int64_t)bytes);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, data, bytes), bytes);
    archive_entry_free(entry);
}

/* Writes the members in reverse, some of no interest among them, and member `twice` twice. */
static void write_archive(const struct set *s, const char *path, const char *prefix, int twice)
{
    struct archive *a = archive_write_new();
    archive_write_add_filter_gzip(a);
    archive_write_set_format_ustar(a);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    add_member(a, prefix, "readme.html", "hello", 5);
    for (int f = FILES - 1; f >= 0; f--)
        for (int n = 0; n < (f == twice ? 2 : 1); n++)
            if (s->bytes[f] >= 0)
                add_member(a, prefix, file_names[f], s->data[f], (size_t)s->bytes[f]);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static void assert_right(const struct images *images)
{
    static const char *const names[] = {"ant", "bee", "cow"};
    assert_int_equal(images->channels, 3);
    assert_int_equal(images->classes, 3);
    assert_int_equal(images->train.count, 2 * RECORDS);
    assert_int_equal(images->test.count, TEST_RECORDS);
    for (int c = 0; c < 3; c++)
        assert_string_equal(images->class_names[c], names[c]);
    for (int f = TRAIN_1; f <= TEST; f++) {
        const struct image_split *s = f == TEST ? &images->test : &images->train;
        for (int r = 0; r < (f == TEST ? TEST_RECORDS : RECORDS); r++) {
            int i = f == TRAIN_2 ? RECORDS + r : r;
            assert_int_equal(s->labels[i], label_at(f, r));
            for (int k = 0; k < PIXELS; k++)
                if (s->pixels[i * PIXELS + k] != pixel_at(f, r, k))
                    fail_msg("file %d record %d byte %d", f, r, k);
        }
    }
}

static void load_right(const struct cifar_layout *layout, const char *place)
{
    struct images images = {0};
    struct err e = {0};
    assert_true(cifar_present(layout, place));
    if (cifar_load(layout, &images, place, &e) != 0)
        fail_msg("%s", e.text);
    assert_right(&images);
    images_release(&images);
}

static void load_wrong(const struct cifar_layout *layout, const char *place,
                       const char *const *words)
{
    struct images images = {0};
    struct err e = {0};
    assert_int_equal(cifar_load(layout, &images, place, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    for (; *words; words++)
        if (!strstr(e.text, *words))
            fail_msg("no '%s' in: %s", *words, e.text);
    images_release(&images);
}

static void test_cifar_load__reads_every_official_form(void **state)
{
    const struct scratch *at = *state;
    const struct cifar_layout *layouts[] = {&one_label, &two_labels};
    for (int i = 0; i < 2; i++) {
        struct set *s = make_set(layouts[i]);
        char dir[16], folder[32], file[32];
        snprintf(dir, sizeof dir, "forms%d", i);
        mkdir(scratch_path(at, dir), 0777);
        snprintf(folder, sizeof folder, "%s/tiny-bin", dir);
        write_folder(s, at, folder);
        load_right(layouts[i], scratch_path(at, folder)); /* the folder */
        load_right(layouts[i], scratch_path(at, dir));    /* a folder that has it */

        snprintf(dir, sizeof dir, "archive%d", i);
        mkdir(scratch_path(at, dir), 0777);
        snprintf(file, sizeof file, "%s/tiny.tar.gz", dir);
        write_archive(s, scratch_path(at, file), "any/where/", -1);
        load_right(layouts[i], scratch_path(at, file)); /* the archive */
        load_right(layouts[i], scratch_path(at, dir));  /* a folder that has it */
        write_archive(s, scratch_path(at, file), "", -1);
        load_right(layouts[i], scratch_path(at, file));
        free(s);
    }
    assert_false(cifar_present(&one_label, at->path));
    load_wrong(&one_label, at->path, (const char *const[]){"tiny-bin", "tiny.tar.gz", NULL});
    load_wrong(&one_label, "/no/such/place", (const char *const[]){"/no/such/place", NULL});
}

/* One way to damage a set, and what must be said about it in both forms. */
struct fault {
    int file, bytes;       /* new size relative to the right one; INT32_MIN: the file is gone */
    int at, value;         /* at >= 0: this byte becomes value */
    const char *words[4];
};

static const struct fault faults[] = {
    {TRAIN_1, INT32_MIN, -1, 0, {"b1.bin"}},
    {TEST, INT32_MIN, -1, 0, {"t.bin"}},
    {NAMES, INT32_MIN, -1, 0, {"names.txt"}},
    {TRAIN_2, -1, -1, 0, {"b2.bin", "truncated", "record 3", "byte 12291"}},
    {TRAIN_2, -3073, -1, 0, {"b2.bin", "truncated", "record 3", "byte 9219"}}, /* a whole one */
    {TEST, -3 * 3073, -1, 0, {"t.bin", "truncated", "record 0", "byte 0"}},
    {TRAIN_1, 1, -1, 0, {"b1.bin", "too long"}},
    {TRAIN_1, 3073, -1, 0, {"b1.bin", "too long"}},
    {TRAIN_2, 0, 2 * 3073, 3, {"b2.bin", "record 2", "byte 6146", "label 3"}},
    {TEST, 0, 0, 255, {"t.bin", "record 0", "label 255"}},
    {NAMES, -5, -1, 0, {"names.txt", "2 class names", "not 3"}},
    {NAMES, 0, 1, '\n', {"names.txt", "4 class names", "not 3"}}, /* a\nt bee cow */
};

static void test_cifar_load__tells_every_fault_with_its_place(void **state)
{
    const struct scratch *at = *state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const struct fault *f = &faults[i];
        struct set *s = make_set(&one_label);
        if (f->bytes == INT32_MIN)
            s->bytes[f->file] = -1;
        else
            s->bytes[f->file] += f->bytes;
        if (f->at >= 0)
            s->data[f->file][f->at] = (uint8_t)f->value;
        const char *words[5] = {f->words[0], f->words[1], f->words[2], f->words[3], NULL};
        char folder[32], file[32];
        snprintf(folder, sizeof folder, "fault%zu", i);
        snprintf(file, sizeof file, "fault%zu.tar.gz", i);
        write_folder(s, at, folder);
        write_archive(s, scratch_path(at, file), "d/", -1);
        load_wrong(&one_label, scratch_path(at, file), words);
        if (f->file != TRAIN_1 || f->bytes != INT32_MIN) /* without it, no set is seen there */
            load_wrong(&one_label, scratch_path(at, folder), words);
        free(s);
    }
}

static void test_cifar_load__checks_both_labels(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set(&two_labels);
    s->data[TRAIN_1][3074] = 2; /* coarse label of record 1 */
    write_folder(s, at, "coarse");
    load_wrong(&two_labels, scratch_path(at, "coarse"),
               (const char *const[]){"b1.bin", "record 1", "byte 3074", "label 2", NULL});
    s->data[TRAIN_1][3074] = 1;
    s->data[TRAIN_1][3075] = 3; /* fine label */
    write_folder(s, at, "coarse");
    load_wrong(&two_labels, scratch_path(at, "coarse"),
               (const char *const[]){"b1.bin", "record 1", "byte 3075", "label 3", NULL});
    free(s);
}

static void test_cifar_load__refuses_a_member_that_comes_twice(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set(&one_label);
    write_archive(s, scratch_path(at, "twice.tar.gz"), "d/", TRAIN_2);
    load_wrong(&one_label, scratch_path(at, "twice.tar.gz"),
               (const char *const[]){"two members", "b2.bin", NULL});
    free(s);
}

static void test_cifar_load__tells_what_is_no_file_or_no_archive(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set(&one_label);
    s->bytes[TRAIN_2] = -1;
    write_folder(s, at, "nested");
    mkdir(scratch_path(at, "nested/b2.bin"), 0777);
    load_wrong(&one_label, scratch_path(at, "nested"), (const char *const[]){"b2.bin", NULL});
    scratch_write(at, "text.tar.gz", "not a tar", 9);
    load_wrong(&one_label, scratch_path(at, "text.tar.gz"),
               (const char *const[]){"cannot read", "text.tar.gz", NULL});
    scratch_write(at, "nothing.tar.gz", "", 0);
    load_wrong(&one_label, scratch_path(at, "nothing.tar.gz"),
               (const char *const[]){"nothing.tar.gz", NULL});
    free(s);
}

/* A damaged archive is refused, or what was damaged were not the images: their date, for one. */
static void assert_never_fooled(const char *path)
{
    struct images images = {0};
    struct err e = {0};
    if (cifar_load(&one_label, &images, path, &e) != 0) {
        assert_int_equal(e.code, EXIT_DATA);
        assert_non_null(strstr(e.text, "broken.tar.gz"));
    } else {
        assert_right(&images);
    }
    images_release(&images);
}

static void test_cifar_load__survives_an_archive_cut_or_flipped_anywhere(void **state)
{
    const struct scratch *at = *state;
    struct set *s = make_set(&one_label);
    char *data;
    size_t bytes;
    write_archive(s, scratch_path(at, "whole.tar.gz"), "d/", -1);
    assert_int_equal(file_read(scratch_path(at, "whole.tar.gz"), &data, &bytes, EXIT_DATA, NULL),
                     0);
    for (size_t i = 0; i < bytes; i += 1 + bytes / 400) {
        data[i] ^= (char)(1 << i % 8);
        scratch_write(at, "broken.tar.gz", data, bytes);
        assert_never_fooled(scratch_path(at, "broken.tar.gz"));
        data[i] ^= (char)(1 << i % 8);
    }
    for (size_t cut = 1; cut <= bytes; cut += cut < 20 ? 1 : 1 + bytes / 100) {
        scratch_write(at, "broken.tar.gz", data, bytes - cut);
        load_wrong(&one_label, scratch_path(at, "broken.tar.gz"),
                   (const char *const[]){"broken.tar.gz", NULL});
    }
    free(data);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cifar_load__reads_every_official_form),
        cmocka_unit_test(test_cifar_load__tells_every_fault_with_its_place),
        cmocka_unit_test(test_cifar_load__checks_both_labels),
        cmocka_unit_test(test_cifar_load__refuses_a_member_that_comes_twice),
        cmocka_unit_test(test_cifar_load__tells_what_is_no_file_or_no_archive),
        cmocka_unit_test(test_cifar_load__survives_an_archive_cut_or_flipped_anywhere),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
