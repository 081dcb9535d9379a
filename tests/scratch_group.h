/* scratch_group.h - the folder that the tests of a program share, for cmocka_run_group_tests; it is
 * also the state of each. */
#ifndef KILN_TESTS_SCRATCH_GROUP_H
#define KILN_TESTS_SCRATCH_GROUP_H

#include "scratch.h"

static struct scratch scratch;

static inline int scratch_group_start(void **state)
{
    scratch_init(&scratch);
    *state = &scratch;
    return 0;
}

static inline int scratch_group_end(void **state)
{
    (void)state;
    scratch_release(&scratch);
    return 0;
}

#endif
