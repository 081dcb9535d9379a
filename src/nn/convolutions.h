/* convolutions.h - which algorithm computes which convolution, as text.
 *
 *      auto                                      the backend chooses
 *      winograd4                                 this one wherever it can (not a 1x1 filter, say),
 *                                                direct elsewhere
 *      direct, layer1.conv:auto                  direct everywhere but in one layer
 *      conv1:winograd4/direct/winograd3          a layer's forward, backward-data, backward-weights
 *
 * Entries are separated by commas. One without a layer is for all layers that have no entry of
 * their own; without such a one they are `auto`. The same form holds what a plan took
 * (plan_convolutions): given back, it makes the same plan on any machine. struct backend keeps the
 * text.
 */
#ifndef KILN_NN_CONVOLUTIONS_H
#define KILN_NN_CONVOLUTIONS_H

#include "nn/graph.h"

enum { CONVOLUTIONS_TEXT = 8192 };

/* What the text wants for a layer: indices of the backend's algorithms, -1 for auto. The text has
 * been checked; what it does not name is auto. */
void convolutions_wanted(struct backend *b, const char *text, const char *layer,
                         int wanted[CONV_PASSES]);

/* Checks the text: form, names of layers and of algorithms, and that the backend has kernels of
 * these at all: without them a run would differ from the one that recorded the text, and nothing
 * would say so. Fails with EXIT_USAGE. */
int convolutions_check(const struct graph *g, struct backend *b, const char *text, struct err *e);

#endif
