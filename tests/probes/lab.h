/* lab.h - a trainer on the tiny images, for tests of instruments that need one. */
#ifndef KILN_TESTS_PROBES_LAB_H
#define KILN_TESTS_PROBES_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scratch.h"
#include "tiny.h"
#include "train/step.h"
#include "train/trainer.h"

struct lab {
    struct images images;
    struct config config;
    struct trainer trainer;
    struct scratch scratch;      /* holds the network's text until the trainer has read it */
};

/* Writes the network down and sets the tiny configuration, for the test to change. */
static inline void lab_begin(struct lab *l, const char *net)
{
    memset(l, 0, sizeof *l);
    scratch_init(&l->scratch);
    tiny_images(&l->images);
    tiny_config(&l->config, l->scratch.path, net);
    l->config.threads = 1;
    l->config.precision = PRECISION_FP32;
}

/* Builds the trainer, and makes `steps` training steps. Comes right after lab_begin. */
static inline void lab_open(struct lab *l, int steps)
{
    struct err e = {0};
    struct step_report report;
    if (trainer_init(&l->trainer, &l->config, &l->images, true, &e))
        fail_msg("%s", e.text);
    scratch_release(&l->scratch);
    for (int i = 0; i < steps; i++)
        if (train_step(&l->trainer, &report, &e))
            fail_msg("%s", e.text);
}

static inline void lab_close(struct lab *l)
{
    trainer_release(&l->trainer);
    tiny_images_free(&l->images);
}

#endif
