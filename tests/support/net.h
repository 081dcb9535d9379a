/* net.h - a small network with its backend, model and training plan, for tests of src/nn. */
#ifndef KILN_TESTS_SUPPORT_NET_H
#define KILN_TESTS_SUPPORT_NET_H

#include "nn/plan.h"

enum { NET_CLASSES = 10 };

struct net {
    struct arena arena;
    struct graph graph;
    struct backend *backend;
    struct model model;
    struct plan *plan;
    int batch;
    uint8_t *labels;     /* [batch] */
};

/* Opens the network of `text` on images of [3, side, side] with random tensors, images and labels,
 * all from `seed`. Fails the test if it cannot. The same seed gives the same numbers in every
 * precision (rounded) and for the first images of every batch size. */
void net_open(struct net *net, const char *text, int side, int batch, enum precision precision,
              enum tier tier, uint64_t seed);
/* The same with algorithms of convolutions other than auto (nn/convolutions.h). */
void net_open_taking(struct net *net, const char *text, int side, int batch,
                     enum precision precision, enum tier tier, uint64_t seed,
                     const char *convolution);
/* The same for a network of the zoo, for 32x32 images. */
void net_open_zoo(struct net *net, const char *name, double width, int batch,
                  enum precision precision, enum tier tier, uint64_t seed);
void net_close(struct net *net);

/* Fills the plan's input again: a forward pass may reuse its memory. */
void net_fill_input(struct net *net, uint64_t seed);

/* Mean cross-entropy with label smoothing 0.1 of the first n images, after a forward pass; fills
 * the gradient of the logits. */
double net_loss(struct net *net, int n);

/* Fills the input, runs forward, loss and backward. Returns the loss. */
double net_step(struct net *net, int n, uint64_t seed);

/* Heap copies: logits [n, classes], and the gradient of tensor t. */
double *net_logits(struct net *net, int n);
double *net_gradient(struct net *net, int t);

#endif
