/* test_machine_speed.c - which turn of the race for the fastest kernels counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/machine.h"

/* A turn that something else disturbed is forgotten, whenever it came. */
static void test_machine_speed__fastest_finished_turn_counts(void **state)
{
    (void)state;
    struct machine_speed s = {.stopped = true};
    machine_speed_turn(&s, 0.9, true);
    machine_speed_turn(&s, 3, false);
    assert_false(s.stopped);
    assert_true(s.seconds == 3);
    machine_speed_turn(&s, 2, false);
    machine_speed_turn(&s, 2.5, false);
    machine_speed_turn(&s, 1, true);
    machine_speed_turn(&s, 9, true);
    assert_false(s.stopped);
    assert_true(s.seconds == 2);
}

/* "At least so long". */
static void test_machine_speed__without_any_the_longest_is_known(void **state)
{
    (void)state;
    struct machine_speed s = {.stopped = true};
    machine_speed_turn(&s, 2, true);
    machine_speed_turn(&s, 3, true);
    machine_speed_turn(&s, 1, true);
    assert_true(s.stopped);
    assert_true(s.seconds == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machine_speed__fastest_finished_turn_counts),
        cmocka_unit_test(test_machine_speed__without_any_the_longest_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
