/* test_store.c - run directories, metrics and tables: made, resumed, torn, and locked. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch.h"
#include "store/metrics.h"
#include "store/rundir.h"
#include "store/table.h"

static char start[4096];
static struct scratch scratch;

static int enter_folder(void **state)
{
    (void)state;
    scratch_init(&scratch);
    return getcwd(start, sizeof start) ? chdir(scratch.path) : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    int back = chdir(start);
    scratch_release(&scratch);
    return back;
}

static void assert_content(const char *path, const char *wanted)
{
    char *text;
    size_t bytes;
    assert_int_equal(file_read(path, &text, &bytes, EXIT_DATA, NULL), 0);
    assert_string_equal(text, wanted);
    free(text);
}

static void test_rundir_create__names_by_time_recipe_and_hash(void **state)
{
    (void)state;
    struct rundir a, b;
    struct err e;
    assert_int_equal(rundir_create(&a, NULL, "dawn", "0123456789abcdef", &e), 0);
    assert_int_equal(rundir_create(&b, NULL, "dawn", "0123456789abcdef", &e), 0);
    assert_string_not_equal(a.path, b.path);
    unsigned day, time;
    char rest[64];
    assert_int_equal(sscanf(a.path, "runs/%8u-%6u-%63s", &day, &time, rest), 3);
    assert_string_equal(rest, "dawn-01234567");
    rundir_close(&a);
    rundir_close(&b);
}

static void test_rundir_create__never_touches_what_is_there(void **state)
{
    (void)state;
    struct rundir r;
    struct err e;
    assert_int_equal(rundir_create(&r, "out/a", "x", "00000000", &e), 0);
    assert_int_equal(rundir_write(&r, "config.ini", "lr = 1\n", &e), 0);
    rundir_close(&r);
    assert_int_equal(rundir_create(&r, "out/a", "x", "00000000", &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_string_equal(e.text, "'out/a' already holds a run: 'kiln resume out/a' goes on with it");
    assert_content("out/a/config.ini", "lr = 1\n");
    assert_int_equal(rundir_create(&r, "out", "x", "00000000", &e), -1);
    assert_string_equal(e.text, "'out' exists and is not an empty folder");
}

static void test_rundir_open__wants_a_run_that_nobody_writes(void **state)
{
    (void)state;
    struct rundir r, other;
    struct err e;
    assert_int_equal(rundir_open(&r, "nowhere", &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_string_equal(e.text, "there is no run directory 'nowhere'");
    assert_int_equal(file_make_folders("plain", &e), 0);
    assert_int_equal(rundir_open(&r, "plain", &e), -1);
    assert_string_equal(e.text, "'plain' is not a run directory: it has no config.ini");

    assert_int_equal(rundir_create(&r, "busy", "x", "00000000", &e), 0);
    assert_int_equal(rundir_write(&r, "config.ini", "", &e), 0);
    assert_int_equal(rundir_open(&other, "busy/", &e), -1);
    assert_int_equal(e.code, EXIT_FAILED);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "'busy' is being written by another process (process %d on ",
             (int)getpid());
    assert_memory_equal(e.text, wanted, strlen(wanted));
    rundir_close(&r);
    assert_int_equal(rundir_open(&other, "busy/", &e), 0);
    assert_string_equal(other.path, "busy");
    rundir_close(&other);
}

static void test_rundir_open__a_killed_writer_leaves_no_lock(void **state)
{
    (void)state;
    struct rundir r;
    struct err e;
    pid_t child = fork();
    if (child == 0) {
        rundir_create(&r, "killed", "x", "00000000", &e);
        rundir_write(&r, "config.ini", "", &e);
        _exit(0); /* without letting go */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(file_make_folders("killed/checkpoints", &e), 0);
    assert_int_equal(file_write("killed/status.json.12.tmp", "", 0, &e), 0);
    assert_int_equal(file_write("killed/checkpoints/a.safetensors.345.tmp", "", 0, &e), 0);
    assert_int_equal(file_write("killed/mine.tmp", "", 0, &e), 0);
    assert_int_equal(rundir_open(&r, "killed", &e), 0);
    assert_false(file_exists("killed/status.json.12.tmp"));
    assert_false(file_exists("killed/checkpoints/a.safetensors.345.tmp"));
    assert_true(file_exists("killed/mine.tmp"));
    rundir_close(&r);
}

static void write_steps(struct metrics *m, int from, int to)
{
    for (int step = from; step <= to; step++) {
        metrics_begin(m, "train", (uint64_t)step, step / 4.0);
        metrics_real(m, "train/loss", (double)(1.0f / (float)step));
        assert_int_equal(metrics_end(m, NULL), 0);
    }
}

/* Checks that records are steps 1, 2 ... with their losses to the bit; counts them. */
static int check_record(void *context, const json_t *record)
{
    int step = ++*(int *)context;
    assert_int_equal(json_integer_value(json_object_get(record, "step")), step);
    float loss = (float)json_real_value(json_object_get(record, "train/loss"));
    if (step > 1) /* 1 is written as an integer */
        assert_true(loss == 1.0f / (float)step);
    return 0;
}

static void test_metrics__resume_cuts_to_the_checkpoint(void **state)
{
    (void)state;
    struct metrics m;
    struct err e;
    int count = 0;
    assert_int_equal(metrics_open(&m, "m.jsonl", 0, &e), 0);
    write_steps(&m, 1, 10);
    metrics_close(&m);
    assert_int_equal(metrics_open(&m, "m.jsonl", 6, &e), 0);
    write_steps(&m, 7, 8);
    metrics_close(&m);
    assert_int_equal(metrics_each("m.jsonl", check_record, &count, &e), 0);
    assert_int_equal(count, 8);
}

static void test_metrics__tolerates_a_torn_last_line_only(void **state)
{
    (void)state;
    struct metrics m;
    struct err e;
    int count = 0;
    assert_int_equal(metrics_open(&m, "torn.jsonl", 0, &e), 0);
    write_steps(&m, 1, 3);
    metrics_close(&m);
    assert_int_equal(system("printf '{\"v\":1,\"kind\":\"tr' >>torn.jsonl"), 0);
    assert_int_equal(metrics_each("torn.jsonl", check_record, &count, &e), 0);
    assert_int_equal(count, 3);
    assert_int_equal(metrics_open(&m, "torn.jsonl", 3, &e), 0);
    write_steps(&m, 4, 4);
    metrics_close(&m);
    count = 0;
    assert_int_equal(metrics_each("torn.jsonl", check_record, &count, &e), 0);
    assert_int_equal(count, 4);
    assert_int_equal(system("sed -i '2s/.*/half/' torn.jsonl"), 0);
    count = 0;
    assert_int_equal(metrics_each("torn.jsonl", check_record, &count, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_memory_equal(e.text, "torn.jsonl:2: not a metrics record: ", 36);
}

static int check_special(void *context, const json_t *record)
{
    ++*(int *)context;
    assert_true(json_is_null(json_object_get(record, "train/loss")));
    assert_true(json_is_null(json_object_get(record, "opt/lr")));
    const json_t *bad = json_object_get(record, "nonfinite");
    assert_string_equal(json_string_value(json_object_get(bad, "train/loss")), "nan");
    assert_string_equal(json_string_value(json_object_get(bad, "opt/lr")), "-inf");
    assert_string_equal(json_string_value(json_object_get(record, "path")), "a\"b\\c\nd");
    return 0;
}

static void test_metrics__writes_what_json_has_no_word_for(void **state)
{
    (void)state;
    struct metrics m;
    struct err e;
    int count = 0;
    assert_int_equal(metrics_open(&m, "special.jsonl", 0, &e), 0);
    metrics_begin(&m, "train", 1, 0.5);
    metrics_real(&m, "train/loss", NAN);
    metrics_real(&m, "opt/lr", -INFINITY);
    metrics_text(&m, "path", "a\"b\\c\nd");
    assert_int_equal(metrics_end(&m, &e), 0);
    metrics_close(&m);
    assert_int_equal(metrics_each("special.jsonl", check_special, &count, &e), 0);
    assert_int_equal(count, 1);
}

static void test_table__keeps_the_rows_up_to_the_checkpoint(void **state)
{
    (void)state;
    static const char *const columns[] = {"epoch", "step", "loss", NULL};
    struct table t;
    struct err e;
    assert_int_equal(table_open(&t, "t.csv", columns, 0, &e), 0);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(table_add(&t, (double[]){i, 10 * i, i == 2 ? NAN : 0.5}, &e), 0);
    table_close(&t);
    assert_content("t.csv", "epoch,step,loss\r\n1,10,0.5\r\n2,20,\r\n3,30,0.5\r\n");
    assert_int_equal(system("printf 4,4 >>t.csv"), 0);
    assert_int_equal(table_open(&t, "t.csv", columns, 25, &e), 0);
    table_close(&t);
    assert_content("t.csv", "epoch,step,loss\r\n1,10,0.5\r\n2,20,\r\n");
    static const char *const others[] = {"epoch", "step", NULL};
    assert_int_equal(table_open(&t, "t.csv", others, 25, &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rundir_create__names_by_time_recipe_and_hash),
        cmocka_unit_test(test_rundir_create__never_touches_what_is_there),
        cmocka_unit_test(test_rundir_open__wants_a_run_that_nobody_writes),
        cmocka_unit_test(test_rundir_open__a_killed_writer_leaves_no_lock),
        cmocka_unit_test(test_metrics__resume_cuts_to_the_checkpoint),
        cmocka_unit_test(test_metrics__tolerates_a_torn_last_line_only),
        cmocka_unit_test(test_metrics__writes_what_json_has_no_word_for),
        cmocka_unit_test(test_table__keeps_the_rows_up_to_the_checkpoint),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
