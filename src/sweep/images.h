/* images.h - the images that a configuration names. */
#ifndef KILN_SWEEP_IMAGES_H
#define KILN_SWEEP_IMAGES_H

#include "data/dataset.h"
#include "train/config.h"

/* Loads them, downloading or stepping down to a lesser set where the wanted one cannot be had; then
 * c->data is the one that was taken, and steps_down[size] says why ("" otherwise). The caller ends
 * `images` with images_release, after a failure too. */
int load_images_for_training(struct config *c, struct images *images, char *steps_down,
                             size_t size, struct err *e);

/* Loads exactly those: for a run that exists. */
int load_images_of_run(const struct config *c, struct images *images, struct err *e);

#endif
