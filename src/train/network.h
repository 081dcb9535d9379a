/* network.h - a config's network on its device: graph, backend and parameters, for whoever runs
 * one: training, evaluation, probes. */
#ifndef KILN_TRAIN_NETWORK_H
#define KILN_TRAIN_NETWORK_H

#include "base/arena.h"
#include "data/dataset.h"
#include "nn/plan.h"
#include "train/config.h"

struct network {
    struct arena arena;
    struct graph graph;
    struct backend *backend;
    struct model model;
};

/* Loads the graph for such images, starts the backend, and allocates the model, all zeros. `net`
 * must not move afterwards. The caller ends it with network_release, also after a failure. */
int network_init(struct network *net, const struct config *c, const struct images *images,
                 struct err *e);
void network_release(struct network *net);

/* Only the graph and the backend, which borrows from the config, for images of such a shape:
 * nothing big is allocated. */
int network_open(struct network *net, const struct config *c, struct shape input, int classes,
                 struct err *e);

/* Fills the model with its first values from the config's seed; whitening looks at the first of
 * the training images train[count] (indices). */
int network_start(struct network *net, const struct config *c, const struct images *images,
                  const uint32_t *train, uint32_t count, struct err *e);

/* A split's pixels in device memory, normalised by the training split's mean and deviation. Where
 * host memory is device memory, the store borrows the split's own pixels. */
int network_upload(struct network *net, struct image_store *store, const struct images *images,
                   const struct image_split *split, const char *what, struct err *e);
void network_free_images(struct network *net, struct image_store *store, uint32_t count);

#endif
