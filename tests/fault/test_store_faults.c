/* test_store_faults.c - every call that a run directory makes fails once, alone and as on a full
 * disk: one sentence, and what was written before stays readable. */
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
#include "store/metrics.h"
#include "store/rundir.h"
#include "store/table.h"

static char folder[64];

static int lines(const struct append *file)
{
    int n = 0;
    for (size_t i = 0; i < file->waiting_bytes; i++)
        n += file->waiting[i] == '\n';
    return n;
}

/* A short life of a run; returns how many records it believes to have written, -1 if none could
 * be. */
static int live(struct err *e)
{
    static const char *const columns[] = {"epoch", "step", NULL};
    struct rundir r;
    struct metrics m = {.file.fd = -1};
    struct table t = {.file.fd = -1};
    char out[128], path[4096];
    int written = -1;
    snprintf(out, sizeof out, "%s/run", folder);
    if (rundir_create(&r, out, "x", "00000000", e) ||
        rundir_write(&r, "config.ini", "lr = 1\n", e) || rundir_path(&r, "metrics.jsonl", path, e))
        goto out;
    if (metrics_open(&m, path, 0, e) || rundir_path(&r, "epochs.csv", path, e) ||
        table_open(&t, path, columns, 0, e))
        goto out;
    for (int step = 1; step <= 3; step++) {
        metrics_begin(&m, "train", (uint64_t)step, step);
        metrics_real(&m, "train/loss", 0.5);
        assert_true(metrics_end(&m, e) >= 0); /* without room they wait */
        table_add(&t, (double[]){step, step}, e);
    }
    metrics_sync(&m, e);
    written = 3 - lines(&m.file);
out:
    table_close(&t);
    metrics_close(&m);
    rundir_close(&r);
    return written;
}

static int count_record(void *context, const json_t *record)
{
    (void)record;
    ++*(int *)context;
    return 0;
}

static void clean(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'/*", folder);
    assert_int_equal(system(command), 0);
}

static void fail_each_call(int sticky)
{
    snprintf(folder, sizeof folder, "/tmp/kiln-fault-XXXXXX");
    assert_non_null(mkdtemp(folder));
    int n = 1;
    for (;; n++) {
        struct err e = {0};
        fault_arm(n, folder, ENOSPC, sticky);
        int written = live(&e), hit = fault_hit(), count = 0;
        fault_arm(0, "", 0, 0);
        if (!hit) {
            assert_int_equal(written, 3);
            break;
        }
        if (e.code)
            assert_non_null(strstr(e.text, "no space left on device"));
        char path[128];
        snprintf(path, sizeof path, "%s/run/metrics.jsonl", folder);
        if (written > 0)
            assert_int_equal(metrics_each(path, count_record, &count, &e), 0);
        assert_int_equal(count, written > 0 ? written : 0);
        if (!sticky && written >= 0)
            assert_int_equal(written, 3); /* there was room again: nothing is lost */
        clean();
    }
    assert_true(n > 20);
    clean();
    rmdir(folder);
}

static void test_run_directory__survives_a_failure_of_any_call(void **state)
{
    (void)state;
    fail_each_call(0);
}

static void test_run_directory__survives_a_disk_that_is_full_from_then_on(void **state)
{
    (void)state;
    fail_each_call(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_directory__survives_a_failure_of_any_call),
        cmocka_unit_test(test_run_directory__survives_a_disk_that_is_full_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
