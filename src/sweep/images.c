/* images.c - see images.h. */
#include "sweep/images.h"

#include <stdio.h>

#include "base/log.h"

static const char *folder_of(const struct config *c)
{
    return *c->data_dir ? c->data_dir : NULL;
}

static void announce(const struct images *images)
{
    log_say("%s: %u training and %u test images from %s%s", images->kind->title,
            images->train.count, images->test.count, images->source,
            images->published ? ", known by their hash" : "");
}

int load_images_for_training(struct config *c, struct images *images, char *steps_down,
                             size_t size, struct err *e)
{
    steps_down[0] = 0;
    if (images_load_or_step_down(images, c->data, folder_of(c), true, c->data_seed, steps_down,
                                 size, e))
        return -1;
    snprintf(c->data, sizeof c->data, "%s", images->kind->name);
    announce(images);
    return 0;
}

int load_images_of_run(const struct config *c, struct images *images, struct err *e)
{
    if (images_load(images, c->data, folder_of(c), true, c->data_seed, e))
        return -1;
    announce(images);
    return 0;
}
