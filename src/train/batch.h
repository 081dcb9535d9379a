/* batch.h - the images of a step: which, how each is cut, and their labels. */
#ifndef KILN_TRAIN_BATCH_H
#define KILN_TRAIN_BATCH_H

#include "train/trainer.h"

/* Fills t->batch (n, views, labels) for the step t->step: a function of the config and the step.
 * The last batch of an epoch may be short. Allocates nothing. */
void batch_fill(struct trainer *t);

/* Mean of losses[n] along the fixed tree of backend/backend.h: lane by lane in image order, then
 * the lanes as a binary tree. */
double batch_mean(const double *losses, int n);

#endif
