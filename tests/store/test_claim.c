/* test_claim.c - claims: exclusive among processes, taken over when the owner is gone, once. */
#define _GNU_SOURCE /* utimensat */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "scratch_group.h"
#include "store/claim.h"

static int take(struct claim *c, const char *name)
{
    struct err e;
    return claim_take(c, scratch.path, name, CLAIM_LEASE, NULL, &e);
}

/* A claim of a process that is gone, killed with it in its hands. */
static void claim_and_die(const char *name)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct claim c;
        _exit(take(&c, name) == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_claim_take__is_exclusive_until_dropped(void **state)
{
    (void)state;
    struct claim a, b;
    assert_false(claim_is_held(scratch.path, "one", CLAIM_LEASE));
    assert_int_equal(take(&a, "one"), 1);
    assert_true(claim_is_held(scratch.path, "one", CLAIM_LEASE));
    assert_int_equal(take(&b, "one"), 0);
    claim_drop(&a);
    assert_false(claim_is_held(scratch.path, "one", CLAIM_LEASE));
    assert_int_equal(take(&b, "one"), 1);
    assert_int_equal(take(&a, "one"), 0);
    claim_finish(&b);
    assert_false(file_exists(scratch_path(&scratch, "one.1")));
    assert_false(file_exists(scratch_path(&scratch, "one.2")));
}

static void test_claim_take__takes_over_from_the_dead(void **state)
{
    (void)state;
    struct claim c;
    claim_and_die("dead");
    assert_true(file_exists(scratch_path(&scratch, "dead.1")));
    assert_false(claim_is_held(scratch.path, "dead", CLAIM_LEASE));
    assert_int_equal(take(&c, "dead"), 1);
    assert_string_equal(c.path, scratch_path(&scratch, "dead.2"));
    claim_drop(&c);
}

enum { RESCUERS = 16, ROUNDS = 20 };

/* A process that tries when `start` closes, says so on `tried`, and lives until `finish` closes: a
 * winner that ended early would leave a claim that may be taken over. */
static void rescue(const char *name, const int start[2], const int tried[2], const int finish[2])
{
    struct claim c;
    char byte = 0;
    close(start[1]);
    close(finish[1]);
    (void)!read(start[0], &byte, 1);
    byte = (char)take(&c, name);
    (void)!write(tried[1], &byte, 1);
    (void)!read(finish[0], &byte, 1);
    _exit(0);
}

/* Many processes find the same dead owner at the same time. */
static void test_claim_take__one_of_many_rescuers_wins(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char name[32], won;
        int start[2], tried[2], finish[2], winners = 0;
        snprintf(name, sizeof name, "many%d", round);
        claim_and_die(name);
        assert_int_equal(pipe(start) | pipe(tried) | pipe(finish), 0);
        for (int i = 0; i < RESCUERS; i++)
            if (fork() == 0)
                rescue(name, start, tried, finish);
        close(start[1]);
        for (int i = 0; i < RESCUERS; i++) {
            assert_int_equal(read(tried[0], &won, 1), 1);
            assert_in_range(won, 0, 1);
            winners += won;
        }
        close(finish[1]);
        while (wait(NULL) > 0)
            continue;
        assert_int_equal(winners, 1);
        close(start[0]);
        close(tried[0]);
        close(tried[1]);
        close(finish[0]);
    }
}

/* An owner on another machine: alive while its stamp is fresh, gone when it is old. */
static void test_claim_take__judges_other_machines_by_their_stamp(void **state)
{
    (void)state;
    static const char text[] = "{\"host\": \"elsewhere\", \"place\": \"other boot\", \"pid\": 1, "
                               "\"pid_start\": 1, \"released\": false}";
    struct claim c;
    struct err e;
    assert_int_equal(file_write(scratch_path(&scratch, "far.1"), text, sizeof text - 1, &e), 0);
    assert_int_equal(take(&c, "far"), 0);
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 119}, {.tv_sec = time(NULL) - 119}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(&scratch, "far.1"), old, 0), 0);
    assert_int_equal(take(&c, "far"), 0);
    assert_int_equal(claim_take(&c, scratch.path, "far", 100, NULL, &e), 1);
    claim_finish(&c);
}

static void test_claim_take__a_used_pid_is_not_the_owner(void **state)
{
    (void)state;
    struct claim c;
    struct err e;
    char *text;
    size_t bytes;
    assert_int_equal(take(&c, "reused"), 1);
    claim_drop(&c);
    /* What we wrote, but by a process of our pid that began at another time. */
    const char *first = scratch_path(&scratch, "reused.1");
    assert_int_equal(file_read(first, &text, &bytes, EXIT_DATA, &e), 0);
    char *released = strstr(text, "true"), *start = strstr(text, "\"pid_start\": ");
    assert_non_null(released);
    assert_non_null(start);
    memcpy(released, "null", 4);
    char *digit = start + strlen("\"pid_start\": ");
    *digit = *digit == '9' ? '8' : '9';
    assert_int_equal(file_write(scratch_path(&scratch, "reused.1"), text, bytes, &e), 0);
    free(text);
    assert_false(claim_is_held(scratch.path, "reused", CLAIM_LEASE));
    assert_int_equal(take(&c, "reused"), 1);
    claim_finish(&c);
}

static void test_claim_clean__removes_old_litter_only(void **state)
{
    (void)state;
    struct claim c;
    struct err e;
    const struct timespec old[2] = {{.tv_sec = time(NULL) - 200}, {.tv_sec = time(NULL) - 200}};
    assert_int_equal(take(&c, "kept"), 1);
    assert_int_equal(file_write(scratch_path(&scratch, ".claim.1"), "", 0, &e), 0);
    assert_int_equal(file_write(scratch_path(&scratch, ".claim.2"), "", 0, &e), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(&scratch, ".claim.1"), old, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(&scratch, "kept.1"), old, 0), 0);
    claim_clean(scratch.path, CLAIM_LEASE);
    assert_false(file_exists(scratch_path(&scratch, ".claim.1")));
    assert_true(file_exists(scratch_path(&scratch, ".claim.2")));
    assert_true(file_exists(scratch_path(&scratch, "kept.1")));
    claim_finish(&c);
}

static void test_claim_take__names_a_folder_that_is_not_there(void **state)
{
    (void)state;
    struct claim c;
    struct err e;
    assert_int_equal(claim_take(&c, "/nonexistent/claims", "x", CLAIM_LEASE, NULL, &e), -1);
    assert_int_equal(e.code, EXIT_FAILED);
    assert_non_null(strstr(e.text, "/nonexistent/claims/"));
    claim_drop(&c);
    claim_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim_take__is_exclusive_until_dropped),
        cmocka_unit_test(test_claim_take__takes_over_from_the_dead),
        cmocka_unit_test(test_claim_take__one_of_many_rescuers_wins),
        cmocka_unit_test(test_claim_take__judges_other_machines_by_their_stamp),
        cmocka_unit_test(test_claim_take__a_used_pid_is_not_the_owner),
        cmocka_unit_test(test_claim_clean__removes_old_litter_only),
        cmocka_unit_test(test_claim_take__names_a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
