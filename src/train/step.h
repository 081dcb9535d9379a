/* step.h - one training step. */
#ifndef KILN_TRAIN_STEP_H
#define KILN_TRAIN_STEP_H

#include "train/trainer.h"

struct step_report {
    int images;
    double loss;         /* mean per image */
    int hits;
    double lr;
};

/* Runs the step t->step and moves on by one. Returns -1 with EXIT_DIVERGED, naming step, learning
 * rate and the first bad tensor, when the loss or a gradient is not finite: then nothing was
 * updated, and the running statistics are those from before the step. Allocates nothing. */
int train_step(struct trainer *t, struct step_report *report, struct err *e);

#endif
