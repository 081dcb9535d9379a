/* test_file.c - files whole and atomic, hashes, JSON, and what the cgroup grants. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "scratch_group.h"

static const char *at(const char *name)
{
    static char path[4096];
    assert_int_equal(file_join(path, sizeof path, scratch.path, name, NULL), 0);
    return path;
}

static void test_file_write__reads_back(void **state)
{
    (void)state;
    struct err e;
    char *text;
    size_t bytes;
    assert_int_equal(file_write(at("a"), "one\0two", 7, &e), 0);
    assert_int_equal(file_write(at("a"), "three\0four", 10, &e), 0);
    assert_int_equal(file_read(at("a"), &text, &bytes, EXIT_DATA, &e), 0);
    assert_int_equal(bytes, 10);
    assert_memory_equal(text, "three\0four", 11);
    free(text);
}

static void test_file_read__names_path_and_cause(void **state)
{
    (void)state;
    struct err e;
    char *text, wanted[512];
    size_t bytes;
    assert_int_equal(file_read(scratch.path, &text, &bytes, EXIT_DATA, &e), -1);
    snprintf(wanted, sizeof wanted, "cannot read '%s': is a directory", scratch.path);
    assert_string_equal(e.text, wanted);
    assert_int_equal(e.code, EXIT_DATA);
    assert_int_equal(file_read("/proc/self/status", &text, &bytes, EXIT_DATA, &e), 0);
    assert_true(bytes > 0); /* though its size is said to be 0 */
    free(text);
}

static void test_file_make_folders__makes_all_and_keeps_those_there(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(file_make_folders(at("x/y/z"), &e), 0);
    assert_int_equal(file_make_folders(at("x/y/z"), &e), 0);
    assert_true(file_exists(at("x/y/z")));
    assert_int_equal(file_write(at("x/f"), "", 0, &e), 0);
    assert_int_equal(file_make_folders(at("x/f/g"), &e), -1);
    assert_non_null(strstr(e.text, "/x/f': not a directory"));
}

static void test_hash__matches_published_answers(void **state)
{
    (void)state;
    char hex[HASH_HEX];
    hash_of(HASH_SHA256, "abc", 3, hex); /* FIPS 180-2, B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_of(HASH_MD5, "message digest", 14, hex); /* RFC 1321, A.5 */
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
    struct hash h;
    hash_init(&h, HASH_SHA256);
    hash_add(&h, "a", 1);
    hash_add(&h, "bc", 2);
    hash_hex(&h, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_json__members_that_are_not_there_are_nothing(void **state)
{
    (void)state;
    json_t *o = json_pack("{s:s, s:i, s:[{s:s}, {s:i}, {s:s}]}", "name", "a", "count", 3, "list",
                          "id", "one", "id", 2, "id", "two");
    assert_string_equal(json_text_at(o, "name"), "a");
    assert_string_equal(json_text_at(o, "count"), "");
    assert_string_equal(json_text_at(NULL, "name"), "");
    assert_true(json_real_at(o, "count") == 3);
    assert_true(isnan(json_real_at(o, "name")) && isnan(json_real_at(o, "none")));
    assert_true(isnan(json_real_of(NULL)));
    const json_t *list = json_object_get(o, "list");
    assert_ptr_equal(json_find(list, "id", "two"), json_array_get(list, 2));
    assert_null(json_find(list, "id", "2"));
    json_decref(o);
}

static void test_json__floats_read_back_and_nan_is_null(void **state)
{
    (void)state;
    json_t *o = json_object();
    json_object_set_new(o, "loss", json_number((double)0.1f));
    json_object_set_new(o, "bad", json_number(0.0 / 0.0));
    char *text = json_line(o);
    assert_string_equal(text, "{\"loss\":0.100000001,\"bad\":null}");
    free(text);
    struct err e;
    assert_int_equal(json_write(o, at("o.json"), &e), 0);
    json_decref(o);
    o = json_read(at("o.json"), EXIT_DATA, &e);
    assert_non_null(o);
    assert_true((float)json_real_value(json_object_get(o, "loss")) == 0.1f);
    json_decref(o);
    assert_int_equal(file_write(at("o.json"), "{\n \"a\": }", 9, &e), 0);
    assert_null(json_read(at("o.json"), EXIT_DATA, &e));
    assert_non_null(strstr(e.text, "o.json:2:"));
}

static void write_group(const char *name, const char *file, const char *text)
{
    char path[4200];
    assert_int_equal(file_make_folders(at(name), NULL), 0);
    snprintf(path, sizeof path, "%s/%s", at(name), file);
    assert_int_equal(file_write(path, text, strlen(text), NULL), 0);
}

static void test_cpu_quota__takes_the_smallest_on_the_way_up(void **state)
{
    (void)state;
    write_group("cg/a/b", "cpu.max", "max 100000\n");
    write_group("cg/a", "cpu.max", "150000 100000\n");
    write_group("cg/c", "cpu.max", "400000 100000\n");
    const char *root = at("cg");
    assert_true(cpu_quota("0::/a/b\n", root) == 1.5);
    assert_true(cpu_quota("0::/c\n", root) == 4.0);
    assert_true(cpu_quota("0::/\n", root) == 0.0);
    assert_true(cpu_quota("", root) == 0.0);
    write_group("cg/cpu/d", "cpu.cfs_quota_us", "-1\n");
    write_group("cg/cpu/d", "cpu.cfs_period_us", "100000\n");
    write_group("cg/cpu/e", "cpu.cfs_quota_us", "50000\n");
    write_group("cg/cpu/e", "cpu.cfs_period_us", "100000\n");
    root = at("cg");
    assert_true(cpu_quota("3:cpuset:/e\n2:cpu,cpuacct:/d\n", root) == 0.0);
    assert_true(cpu_quota("3:cpuset:/d\n2:cpuacct,cpu:/e\n", root) == 0.5);
}

static void test_cpu_detect__stays_within_the_machine(void **state)
{
    (void)state;
    struct cpu cpu;
    cpu_detect(&cpu);
    assert_true(cpu.threads >= 1 && cpu.threads <= cpu.online);
    assert_true(cpu.affinity >= 1 && cpu.threads <= cpu.affinity);
    assert_true(!cpu.avx512 || cpu.avx2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_write__reads_back),
        cmocka_unit_test(test_file_read__names_path_and_cause),
        cmocka_unit_test(test_file_make_folders__makes_all_and_keeps_those_there),
        cmocka_unit_test(test_hash__matches_published_answers),
        cmocka_unit_test(test_json__members_that_are_not_there_are_nothing),
        cmocka_unit_test(test_json__floats_read_back_and_nan_is_null),
        cmocka_unit_test(test_cpu_quota__takes_the_smallest_on_the_way_up),
        cmocka_unit_test(test_cpu_detect__stays_within_the_machine),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
