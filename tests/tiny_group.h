/* tiny_group.h - what programs of tests on the tiny data set share: a folder, the images, a
 * configuration; for cmocka_run_group_tests. */
#ifndef KILN_TESTS_TINY_GROUP_H
#define KILN_TESTS_TINY_GROUP_H

#include "scratch_group.h"
#include "tiny.h"

static struct images images;
static struct config config;     /* set it up anew for each test: tiny_config */

static inline int tiny_group_start(void **state)
{
    tiny_images(&images);
    return scratch_group_start(state);
}

static inline int tiny_group_end(void **state)
{
    tiny_images_free(&images);
    return scratch_group_end(state);
}

#endif
