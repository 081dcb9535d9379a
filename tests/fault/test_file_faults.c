/* test_file_faults.c - every call of an atomic write fails once; the old file survives, nothing is
 * left beside it, and the sentence names the file. */
#define _GNU_SOURCE /* mkdtemp */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "fault/fault.h"

static char folder[64], path[80];

static int write_in_pieces(struct err *e)
{
    struct file_writer w;
    if (file_writer_open(&w, path, e))
        return -1;
    if (file_writer_append(&w, "new ", 4, e) || file_writer_append(&w, "text", 4, e)) {
        file_writer_abandon(&w);
        return -1;
    }
    return file_writer_commit(&w, e);
}

static int entries(void)
{
    char command[160];
    snprintf(command, sizeof command, "exit $(ls -A '%s' | wc -l)", folder);
    return system(command) >> 8;
}

static void assert_content(const char *wanted)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(path, &text, &bytes, EXIT_DATA, NULL), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_file_writer__survives_a_failure_of_any_call(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/kiln-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    int failures = 0;
    for (int n = 1;; n++) {
        struct err e = {0};
        assert_int_equal(file_write(path, "old", 3, &e), 0);
        fault_arm(n, folder, ENOSPC, 0);
        int rc = write_in_pieces(&e), hit = fault_hit();
        fault_arm(0, "", 0, 0);
        assert_int_equal(entries(), 1);
        if (!hit) {
            assert_int_equal(rc, 0);
            assert_content("new text");
            break;
        }
        failures++;
        /* Closing the folder's descriptor has nothing to lose. */
        if (rc == 0)
            continue;
        assert_non_null(strstr(e.text, folder));
        assert_non_null(strstr(e.text, "no space left on device"));
        assert_int_equal(e.code, EXIT_FAILED);
        /* After the rename only the folder's sync is left to fail. */
        assert_content(strstr(e.text, "sync folder") ? "new text" : "old");
    }
    assert_int_equal(failures, 8); /* open write write fsync close rename, folder's fsync close */
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_writer__survives_a_failure_of_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
