/* test_summary.c - what a run directory says about its run: whole, in the making, torn, killed. */
#define _GNU_SOURCE /* gethostname, gmtime_r */
#include <math.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch_group.h"
#include "store/rundir.h"
#include "store/summary.h"

static const char *const config = "[training]\nnet = nets/tiny.net\ndata = cifar10\nlr = 0.1\n"
                                  "seed = 18446744073709551615\nbatch = 32\n"
                                  "name = <b>\"a\" & 'b'\xf0\x9f\x94\xa5, 1\n";
static const char *const manifest =
    "{\"recipe\":\"recipes/tiny.ini\",\"config_hash\":\"abc\",\"total_steps\":30,"
    "\"data\":{\"name\":\"synthetic\",\"hash\":\"dd\",\"steps_down\":\"no cifar10\"},"
    "\"network\":{\"name\":\"tiny\",\"sha256\":\"nn\",\"parameters\":1522},"
    "\"sessions\":[{\"start\":\"2026-11-23T21:35:32Z\",\"end\":\"2026-11-23T21:35:42Z\"},"
    "{\"start\":\"2026-11-23T22:00:00Z\",\"end\":\"2026-11-23T22:00:05Z\",\"reason\":\"finished\","
    "\"exit_status\":0,\"tier\":\"avx2\",\"threads\":2,\"machine\":{\"cpu\":\"Zen\"},"
    "\"build\":{\"version\":\"0.1.0\",\"program_sha256\":\"pp\"}}],"
    "\"result\":{\"reason\":\"finished\",\"epochs\":3.0,\"weights_hash\":\"ww\","
    "\"train_loss\":2.2,\"test_loss\":2.4,\"test_accuracy\":0.1,\"tta_loss\":null,"
    "\"train_seconds\":1.5,\"seconds\":4.0,\"checkpoint\":\"runs/a/checkpoints/s.safetensors\"}}";
static const char *const epochs =
    "epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,train_seconds\r\n"
    "1,10,2.5,0.25,2.75,0.5,1.25\r\n2,20,2.25,0.5,,,1.5\r\n3,30,9";

static void write_text(const char *name, const char *text)
{
    scratch_write(&scratch, name, text, strlen(text));
}

/* A run directory scratch/run; NULL leaves a file out. */
static void make_run(const char *ini, const char *man, const char *status, const char *csv)
{
    char command[1024];
    snprintf(command, sizeof command, "rm -rf '%s/run' && mkdir -p '%s/run'", scratch.path,
             scratch.path);
    assert_int_equal(system(command), 0);
    const char *const names[] = {"run/config.ini", "run/manifest.json", "run/status.json",
                                 "run/epochs.csv"};
    const char *const texts[] = {ini, man, status, csv};
    for (int i = 0; i < 4; i++)
        if (texts[i])
            write_text(names[i], texts[i]);
}

static void read_run(struct run_summary *s)
{
    struct err e = {0};
    int rc = summary_read(s, scratch_path(&scratch, "run/"), &e);
    assert_string_equal(e.text, "");
    assert_int_equal(rc, 0);
}

static void test_summary__of_a_finished_run_has_everything(void **state)
{
    (void)state;
    struct run_summary s;
    make_run(config, manifest, "{\"state\":\"finished\",\"step\":30,\"heartbeat\":\"h\"}", epochs);
    read_run(&s);
    assert_string_equal(s.id, "run");
    assert_string_equal(s.path, scratch_path(&scratch, "run"));
    assert_string_equal(s.state_name, "finished");
    assert_string_equal(s.recipe, "tiny");
    assert_string_equal(s.net, "tiny");
    assert_string_equal(s.data, "synthetic");
    assert_string_equal(s.steps_down, "no cifar10");
    assert_string_equal(s.name, "<b>\"a\" & 'b'\xf0\x9f\x94\xa5, 1");
    assert_string_equal(summary_setting(&s, "lr"), "0.1");
    assert_null(summary_setting(&s, "momentum"));
    assert_int_equal(s.step, 30);
    assert_int_equal(s.sessions, 2);
    assert_string_equal(s.start, "2026-11-23T21:35:32Z");
    assert_string_equal(s.end, "2026-11-23T22:00:05Z");
    assert_true(s.test_loss == 2.4 && s.test_accuracy == 0.1 && isnan(s.tta_loss));
    /* The result is of the last session; times are of both. */
    assert_true(s.seconds == 15 && s.train_seconds == 2.75);
    assert_string_equal(s.checkpoint, "s.safetensors");
    assert_string_equal(s.cpu, "Zen");
    assert_string_equal(s.problem, "");
    summary_release(&s);
}

static void test_summary__shows_the_last_whole_epoch_of_a_run_without_result(void **state)
{
    (void)state;
    struct run_summary s;
    make_run(config, NULL, NULL, epochs);
    read_run(&s);
    assert_int_equal(s.state, RUN_DEAD);
    assert_true(s.train_loss == 2.25 && s.test_loss == 2.75 && s.train_seconds == 2.75);
    assert_true(isnan(s.validation_loss) && s.parameters == -1 && s.total_steps == -1);
    assert_string_equal(s.net, "tiny");
    assert_string_equal(s.weights_hash, "");
    summary_release(&s);
}

static void test_summary__does_not_take_an_earlier_session_for_the_result(void **state)
{
    (void)state;
    struct run_summary s;
    make_run(config, manifest, "{\"state\":\"running\",\"step\":20}", epochs);
    read_run(&s);
    assert_int_equal(s.state, RUN_DEAD);
    assert_true(s.test_loss == 2.75);
    assert_string_equal(s.weights_hash, "");
    summary_release(&s);
}

/* Killed after the manifest had the session's end and before status.json had it. */
static void test_summary__a_session_killed_at_its_end_has_ended(void **state)
{
    (void)state;
    static const char ended[] =
        "{\"sessions\":[{\"pid\":7,\"reason\":\"stopped\"},{\"pid\":8,\"reason\":\"finished\"}],"
        "\"result\":{\"test_loss\":0.5}}";
    struct run_summary s;
    make_run(config, ended, "{\"state\":\"running\",\"step\":30,\"pid\":8}", epochs);
    read_run(&s);
    assert_int_equal(s.state, RUN_FINISHED);
    assert_string_equal(s.state_name, "finished");
    assert_true(s.test_loss == 0.5);
    summary_release(&s);
    /* The last session to end was another than the one that died. */
    make_run(config, ended, "{\"state\":\"running\",\"step\":30,\"pid\":9}", epochs);
    read_run(&s);
    assert_int_equal(s.state, RUN_DEAD);
    summary_release(&s);
}

static void test_summary__is_running_while_the_lock_is_held(void **state)
{
    (void)state;
    struct run_summary s;
    struct rundir r;
    struct err e;
    make_run(config, NULL, "{\"state\":\"running\",\"step\":3}", NULL);
    assert_int_equal(rundir_open(&r, scratch_path(&scratch, "run"), &e), 0);
    read_run(&s);
    assert_int_equal(s.state, RUN_RUNNING);
    assert_int_equal(s.step, 3);
    summary_release(&s);
    rundir_close(&r);
    read_run(&s);
    assert_int_equal(s.state, RUN_DEAD);
    summary_release(&s);
}

/* On another machine's run, where the lock may not reach, the heartbeat decides. */
static void assert_elsewhere(int seconds_ago, enum run_state wanted)
{
    struct run_summary s;
    char text[256], when[32];
    time_t then = time(NULL) - seconds_ago;
    struct tm utc;
    gmtime_r(&then, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(text, sizeof text,
             "{\"state\":\"running\",\"host\":\"not this one\",\"heartbeat\":\"%s\"}", when);
    make_run(config, NULL, text, NULL);
    write_text("run/LOCK", "");
    read_run(&s);
    assert_int_equal(s.state, wanted);
    summary_release(&s);
}

static void test_summary__believes_the_heartbeat_of_another_machine(void **state)
{
    (void)state;
    assert_elsewhere(5, RUN_RUNNING);
    assert_elsewhere(RUN_HEARTBEAT_OLD + 60, RUN_DEAD);
}

static void test_summary__tells_what_is_damaged_and_reads_the_rest(void **state)
{
    (void)state;
    struct run_summary s;
    make_run(config, "{\"recipe\":", "{\"state\":\"finished\"}", "epoch,step\r\n");
    read_run(&s);
    assert_non_null(strstr(s.problem, "run/manifest.json:1:"));
    assert_int_equal(s.state, RUN_FINISHED);
    assert_string_equal(summary_setting(&s, "batch"), "32");
    summary_release(&s);
    make_run("lr = 1\nnot a pair\n", "[]", NULL, "");
    read_run(&s);
    assert_non_null(strstr(s.problem, "run/config.ini:2: neither 'key = value' nor a [heading]"));
    assert_string_equal(summary_setting(&s, "lr"), "1");
    summary_release(&s);
}

static void test_summary__wants_a_run_directory(void **state)
{
    (void)state;
    struct run_summary s;
    struct err e;
    make_run(NULL, manifest, NULL, NULL);
    assert_int_equal(summary_read(&s, scratch_path(&scratch, "run"), &e), -1);
    assert_int_equal(e.code, EXIT_DATA);
    assert_non_null(strstr(e.text, "is not a run directory: it has no config.ini"));
    assert_int_equal(summary_read(&s, "", &e), -1);
}

static void test_summary__of_a_directory_called_dot_has_its_name(void **state)
{
    (void)state;
    struct run_summary s;
    struct err e;
    char start[4096];
    make_run(config, NULL, NULL, NULL);
    assert_non_null(getcwd(start, sizeof start));
    assert_int_equal(chdir(scratch_path(&scratch, "run")), 0);
    assert_int_equal(summary_read(&s, ".", &e), 0);
    assert_int_equal(chdir(start), 0);
    assert_string_equal(s.id, "run");
    summary_release(&s);
}

static void test_summary_json__has_numbers_texts_and_nulls(void **state)
{
    (void)state;
    struct run_summary s;
    make_run(config, manifest, "{\"state\":\"finished\",\"step\":30}", epochs);
    read_run(&s);
    json_t *o = summary_json(&s), *c = json_object_get(o, "config");
    assert_true(json_is_null(json_object_get(o, "tta_loss")));
    assert_true(json_is_null(json_object_get(o, "pid")));
    assert_true(json_real_value(json_object_get(o, "test_accuracy")) == 0.1);
    assert_true(json_real_value(json_object_get(c, "lr")) == 0.1);
    assert_int_equal(json_integer_value(json_object_get(c, "batch")), 32);
    /* More than 63 bits would not come back from a number. */
    assert_string_equal(json_string_value(json_object_get(c, "seed")), "18446744073709551615");
    assert_string_equal(json_string_value(json_object_get(c, "name")), s.name);
    json_decref(o);
    summary_release(&s);
}

static void test_summary_value__takes_numbers_for_numbers_only(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text;
        json_type type;
    } cases[] = {
        {"lr", "1e-05", JSON_REAL},     {"batch", "-3", JSON_INTEGER},  {"x", "007", JSON_STRING},
        {"x", "0x10", JSON_STRING},     {"x", "inf", JSON_STRING},      {"x", "", JSON_STRING},
        {"x", "1, 2", JSON_STRING},     {"x", "-", JSON_STRING},        {"x", "0", JSON_INTEGER},
        {"name", "12", JSON_STRING},    {"name", "1.5", JSON_STRING},   {"x", "1e999", JSON_STRING},
        {"x", "\xff/a", JSON_STRING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *value = summary_value(cases[i].key, cases[i].text);
        assert_int_equal(json_typeof(value), cases[i].type);
        json_decref(value);
    }
}

static void test_rundir_is_locked__never_makes_a_writer_wait(void **state)
{
    (void)state;
    struct rundir r;
    struct err e;
    make_run(config, NULL, NULL, NULL);
    write_text("run/LOCK", "");
    pid_t reader = fork();
    if (reader == 0) {
        for (;;)
            rundir_is_locked(scratch_path(&scratch, "run"));
    }
    int opened = 0;
    for (int i = 0; i < 200; i++) {
        opened += rundir_open(&r, scratch_path(&scratch, "run"), &e) == 0;
        rundir_close(&r);
    }
    kill(reader, 9);
    waitpid(reader, NULL, 0);
    assert_int_equal(opened, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summary__of_a_finished_run_has_everything),
        cmocka_unit_test(test_summary__shows_the_last_whole_epoch_of_a_run_without_result),
        cmocka_unit_test(test_summary__does_not_take_an_earlier_session_for_the_result),
        cmocka_unit_test(test_summary__a_session_killed_at_its_end_has_ended),
        cmocka_unit_test(test_summary__is_running_while_the_lock_is_held),
        cmocka_unit_test(test_summary__believes_the_heartbeat_of_another_machine),
        cmocka_unit_test(test_summary__tells_what_is_damaged_and_reads_the_rest),
        cmocka_unit_test(test_summary__wants_a_run_directory),
        cmocka_unit_test(test_summary__of_a_directory_called_dot_has_its_name),
        cmocka_unit_test(test_summary_json__has_numbers_texts_and_nulls),
        cmocka_unit_test(test_summary_value__takes_numbers_for_numbers_only),
        cmocka_unit_test(test_rundir_is_locked__never_makes_a_writer_wait),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
