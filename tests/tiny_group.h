/* tiny_group.h - what programs of tests on the tiny data set share: a folder, the images, a
 * configuration; for cmocka_run_group_tests. */
#ifndef KILN_TESTS_TINY_GROUP_H
#define KILN_TESTS_TINY_GROUP_H

#include "scratch.h"
#include "tiny.h"

static struct scratch scratch;
static struct images images;
static struct config config;     /* set it up anew for each test: tiny_config */

static inline int tiny_group_start(void **state)
{
    (void)state;
    scratch_init(&scratch);
    tiny_images(&images);
    return 0;
}

static inline int tiny_group_end(void **state)
{
    (void)state;
    tiny_images_free(&images);
    scratch_release(&scratch);
    return 0;
}

#endif
