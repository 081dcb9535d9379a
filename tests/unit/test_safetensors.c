/* test_safetensors.c - the format is written as the reference reads it, read back to the bit, and
 * every damage is refused with its cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch.h"
#include "train/safetensors.h"

static struct scratch scratch;
static char path[512];

static int make_folder(void **state)
{
    (void)state;
    scratch_init(&scratch);
    snprintf(path, sizeof path, "%s/file.safetensors", scratch.path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    scratch_release(&scratch);
    return 0;
}

/* Writes N, the header and `size` bytes of data, the bytes counting up. */
static void write_raw(const char *header, size_t size)
{
    char file[2048];
    uint64_t n = strlen(header);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < size; i++)
        file[8 + n + i] = (char)i;
    assert_int_equal(file_write(path, file, 8 + n + size, NULL), 0);
}

static void assert_refused(const char *cause)
{
    struct safetensors s;
    struct err e = {0};
    assert_int_equal(safetensors_read(&s, path, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    if (!strstr(e.text, cause))
        print_error("wanted '%s', got: %s\n", cause, e.text);
    assert_non_null(strstr(e.text, cause));
    assert_non_null(strstr(e.text, path));
    safetensors_release(&s);
}

static const float weights[6] = {1.5f, -2, 3e-40f, 4, 5, 6};
static const int64_t tracked = 1234567890123;

static void write_sample(void)
{
    const struct safetensor tensors[] = {
        {"conv.weight", SAFETENSOR_F32, {2, 3}, 2, weights, sizeof weights},
        {"bn.num_batches_tracked", SAFETENSOR_I64, {0}, 0, &tracked, sizeof tracked},
        {"empty", SAFETENSOR_F32, {0, 4}, 2, weights, 0},
    };
    const struct safetensors_pair pairs[] = {{"format", "pt"}, {"note", "a \"quoted\" \\ text"}};
    struct err e = {0};
    assert_int_equal(safetensors_write(path, tensors, 3, pairs, 2, &e), 0);
}

static void test_safetensors__come_back_to_the_bit(void **state)
{
    (void)state;
    struct safetensors s;
    write_sample();
    assert_int_equal(safetensors_read(&s, path, NULL), 0);
    assert_true(s.sealed);
    assert_int_equal(s.count, 3);
    const struct safetensor *w = safetensors_find(&s, "conv.weight");
    assert_non_null(w);
    assert_int_equal(w->type, SAFETENSOR_F32);
    assert_int_equal(w->ndim, 2);
    assert_int_equal(w->dims[0], 2);
    assert_int_equal(w->dims[1], 3);
    assert_memory_equal(w->data, weights, sizeof weights);
    const struct safetensor *t = safetensors_find(&s, "bn.num_batches_tracked");
    assert_int_equal(t->ndim, 0);
    assert_memory_equal(t->data, &tracked, sizeof tracked);
    /* Wide elements first: torch cannot view an int64 at an odd place. */
    assert_int_equal(((uintptr_t)t->data - (uintptr_t)s.file) % 8, 0);
    assert_int_equal(safetensors_find(&s, "empty")->bytes, 0);
    assert_string_equal(safetensors_metadata(&s, "note"), "a \"quoted\" \\ text");
    assert_null(safetensors_metadata(&s, "absent"));
    assert_null(safetensors_find(&s, "__metadata__"));
    safetensors_release(&s);
}

static void test_safetensors__any_flipped_bit_or_cut_is_noticed(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    write_sample();
    assert_int_equal(file_read(path, &text, &bytes, EXIT_DATA, NULL), 0);
    int refused = 0, unsealed = 0;
    for (size_t i = 0; i < bytes; i++) {
        struct safetensors s;
        text[i] ^= 0x01;
        assert_int_equal(file_write(path, text, bytes, NULL), 0);
        text[i] ^= 0x01;
        if (safetensors_read(&s, path, NULL))
            refused++;
        else if (!s.sealed)
            unsealed++; /* the flip hit the seal's own name: a checkpoint would be refused for it */
        else
            fail_msg("a flipped bit in byte %zu was not noticed", i);
        safetensors_release(&s);
    }
    assert_in_range(unsealed, 1, 11);
    assert_int_equal(refused + unsealed, bytes);
    for (size_t length = 0; length < bytes; length++) {
        struct safetensors s;
        assert_int_equal(file_write(path, text, length, NULL), 0);
        assert_int_equal(safetensors_read(&s, path, NULL), -1);
        safetensors_release(&s);
    }
    free(text);
}

/* Headers that parse as far as they can and lie about one thing. */
static void test_safetensors__a_lying_header_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t size;
        const char *cause;
    } cases[] = {
        {"[]", 0, "does not start with '{'"},
        {"{", 0, "does not parse"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "duplicate"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type"},
        {"{\"a\":7}", 0, "unknown type"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":\"x\",\"data_offsets\":[0,4]}}", 4, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
         "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905],\"data_offsets\":[0,4]}}", 4,
         "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "its shape needs"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "outside"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6, "overlaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", 12, "hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 8, "no tensor"},
        {"{\"__metadata__\":{\"a\":7}}", 0, "not text"},
        {"{\"__metadata__\":7}", 0, "not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_raw(cases[i].header, cases[i].size);
        assert_refused(cases[i].cause);
    }
    write_raw("{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}   ", 4);
    struct safetensors s;
    assert_int_equal(safetensors_read(&s, path, NULL), 0); /* the frame of all these is sound */
    assert_int_equal(s.tensors[0].type, SAFETENSOR_OTHER);
    assert_false(s.sealed);
    safetensors_release(&s);
}

static void test_safetensors__a_header_length_beyond_the_file_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {9, 100000000, 100000001, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char file[16] = "........{}      ";
        memcpy(file, &lengths[i], 8);
        assert_int_equal(file_write(path, file, sizeof file, NULL), 0);
        assert_refused("within its header");
    }
    remove(path);
    assert_refused("no such file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_safetensors__come_back_to_the_bit),
        cmocka_unit_test(test_safetensors__any_flipped_bit_or_cut_is_noticed),
        cmocka_unit_test(test_safetensors__a_lying_header_is_refused),
        cmocka_unit_test(test_safetensors__a_header_length_beyond_the_file_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
