/* tiny.h - a data set and networks so small that whole runs take milliseconds. */
#ifndef KILN_TESTS_TINY_H
#define KILN_TESTS_TINY_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"
#include "train/config.h"

enum { TINY_CLASSES = 4, TINY_TRAIN = 96, TINY_TEST = 40 };

static const char tiny_net[] = "conv1  conv       3x3 8 pad=1 stride=2\n"
                               "norm1  batchnorm\n"
                               "relu1  relu\n"
                               "pool1  maxpool    2\n"
                               "conv2  conv       3x3 16 pad=1\n"
                               "norm2  batchnorm  scale=fixed\n"
                               "act2   gelu\n"
                               "pool2  maxpool    8\n"
                               "head   linear     classes\n";

/* Grey noise; class c is brighter in one channel or, c = 3, in none. */
static inline void tiny_split(struct image_split *s, uint32_t count, uint32_t stream)
{
    size_t plane = IMAGE_SIDE * IMAGE_SIDE;
    s->count = count;
    s->pixels = malloc(count * 3 * plane);
    s->labels = malloc(count);
    assert(s->pixels && s->labels);
    for (uint32_t i = 0; i < count; i++) {
        struct rng r = rng_at(11, RNG_TEST, stream, i);
        s->labels[i] = (uint8_t)(i * 7 % TINY_CLASSES);
        for (size_t j = 0; j < 3 * plane; j++) {
            uint32_t light = j / plane == s->labels[i] ? 60 : 0;
            s->pixels[i * 3 * plane + j] = (uint8_t)(80 + rng_below(&r, 60) + light);
        }
    }
}

static inline void tiny_images(struct images *images)
{
    memset(images, 0, sizeof *images);
    images->channels = 3;
    images->classes = TINY_CLASSES;
    for (int c = 0; c < 3; c++) {
        images->mean[c] = 120 + (float)c;
        images->std[c] = 30 + (float)c;
    }
    tiny_split(&images->train, TINY_TRAIN, 0);
    tiny_split(&images->test, TINY_TEST, 1);
    memset(images->hash, 'a', 64);
    strcpy(images->source, "tests/tiny.h");
}

static inline void tiny_images_free(struct images *images)
{
    free(images->train.pixels);
    free(images->train.labels);
    free(images->test.pixels);
    free(images->test.labels);
}

/* Writes `net` to folder/tiny.net and points a config at it: 4 epochs of 3 steps, the last of them
 * short, with everything switched on that could spoil a resume. */
static inline void tiny_config(struct config *c, const char *folder, const char *net)
{
    config_default(c);
    snprintf(c->net, sizeof c->net, "%s/tiny.net", folder);
    FILE *f = fopen(c->net, "w");
    assert(f);
    fputs(net, f);
    fclose(f);
    c->batch = 40;
    c->epochs = 4;
    c->lr = 0.05;
    c->momentum = 0.9;
    c->crop = 2;
    c->flip = FLIP_ALTERNATING;
    c->cutout = 4;
    c->label_smoothing = 0.1;
    c->schedule = SCHEDULE_LINEAR;
    strcpy(c->knots, "0:0.2, 1:1, 4:0.1");
    c->hash_steps = 0;
    c->threads = 2;
}

#endif
