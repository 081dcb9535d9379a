/* show_images.h - a grid of images as the network sees them, with their labels. */
#ifndef KILN_CLI_SHOW_IMAGES_H
#define KILN_CLI_SHOW_IMAGES_H

#include "backend/backend.h"
#include "base/picture.h"
#include "data/augment.h"
#include "data/dataset.h"

struct show_options {
    bool test;             /* the test split, in its own order and never augmented */
    uint32_t epoch;        /* the training images come in this epoch's order and views */
    uint32_t count;        /* at most as many as there are */
    int columns, scale;    /* images a row; pixels a pixel */
    struct augment augment;
    uint64_t seed;
};

/* Lets `backend` cut the first `count` images, as the training step does, and draws what comes out,
 * with the normalisation undone: a cutout is therefore the mean colour. The caller releases the
 * picture. */
int show_images(const struct images *images, const struct show_options *o, struct backend *backend,
                struct picture *picture, struct err *e);

#endif
