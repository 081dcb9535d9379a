/* graph.h - a network as a list of nodes in topological order, made from a .net file.
 *
 * A node is one line of the file: a name, a layer type, the nodes it reads, its attributes. Shapes
 * are inferred and checked while parsing, so a graph that exists is well formed: every input stands
 * before its reader, every shape fits, node 0 is the input image, the last node gives the logits
 * ([classes, 1, 1]). Parameters keep PyTorch's names, order and layouts.
 */
#ifndef KILN_NN_GRAPH_H
#define KILN_NN_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "base/err.h"

/* What a parameter is, for the optimiser's groups. */
enum role {
    ROLE_WEIGHT,      /* convolution weights */
    ROLE_BIAS,        /* biases of convolutions */
    ROLE_NORM_SCALE,  /* batch norm's weight */
    ROLE_NORM_BIAS,   /* batch norm's bias */
    ROLE_HEAD,        /* the final linear layer, weight and bias */
    ROLE_WHITEN,      /* whitening convolution: frozen weights, trainable bias */
    ROLE_COUNT
};
const char *role_name(enum role r);

enum init_kind {
    INIT_DEFAULT,     /* PyTorch's: kaiming_uniform(a = sqrt 5), U(+-1/sqrt(fan_in)) */
    INIT_HE_NORMAL,   /* N(0, 2 / fan_in) */
    INIT_DIRAC,       /* default, then the first min(c, k) filters pure identity (airbench) */
    INIT_WHITEN,      /* eigenvectors of the data's patches, over the root of their eigenvalues,
                         and their negation if there are twice as many filters */
    INIT_STANDARD,    /* default, divided by its standard deviation (airbench94_muon's head) */
    INIT_CONSTANT,    /* every element `value` */
    INIT_UNIFORM,     /* U(0, value): batch norm's weight in Page's baseline */
    INIT_NORMAL       /* N(0, value^2) */
};

struct init {
    enum init_kind kind;
    double value;        /* of INIT_CONSTANT, INIT_UNIFORM, INIT_NORMAL */
    int fan_in;          /* inputs of one output: of the kinds before INIT_CONSTANT */
    double eps;          /* of INIT_WHITEN: added to the eigenvalues */
    int images;          /* of INIT_WHITEN: how many training images are looked at */
};

/* A tensor of the state dictionary. Trainable parameters and running statistics lie in one flat
 * vector of P each: `params` (weights and, parallel to them, gradients and momentum) and `state`.*/
struct tensor {
    const char *name;    /* "layer1.0.conv1.weight" */
    enum role role;
    struct init init;
    int dims[4], ndim;
    size_t count, offset; /* elements; offset into its flat vector, a multiple of 16 */
    bool frozen;         /* never trained (whitening weights, fixed batch-norm scale) */
    bool is_state;       /* running_mean, running_var: in `state`, not in `params` */
    /* Weights of a convolution that trains and that only batch norms read (straight or through a
     * pooling), with the statistics of the batch: multiplied by c > 0 they give the same network,
     * but for batch norm's eps, and their gradient is divided by c. */
    bool scale_invariant;
};

struct layer;            /* a layer type: nn/layer.h */

struct shape {
    int c, h, w;
};

struct node {
    const struct layer *layer;
    const char *name;
    int line;            /* of the .net file, for messages */
    int inputs[4], input_count;
    struct shape in, out; /* in: of the first input */
    bool trains;         /* weights that train lie in it or before it */
    void *attributes;    /* the layer's own, in the graph's arena */
    int tensors[6], tensor_count; /* indices into graph.tensors */
};

struct graph {
    const char *name;    /* "resnet9" */
    const char *text;    /* the file as read, for the manifest */
    struct node *nodes;
    int node_count;
    struct tensor *tensors; /* in PyTorch's state-dict order */
    int tensor_count;
    size_t params_count, state_count; /* elements of the two flat vectors, padding included */
    int classes;
};

struct graph_options {
    struct shape input;  /* of the data set: 3x32x32 or 1x32x32 */
    int classes;
    double width;        /* multiplies every channel count written as 64w; 1 as published */
};

/* Names of the networks in the folders that graph_load looks in, sorted, NULL-ended. */
const char *const *graph_names(struct arena *a);

/* Parses the network `name`: a path if it has a slash or ends in .net, else nets/<name>.net from
 * KILN_HOME, the source tree or the installed share folder. All memory comes from `a`. Errors
 * (EXIT_USAGE) read "<file>:<line>:<column>: <cause>". */
int graph_load(struct graph *g, struct arena *a, const char *name,
               const struct graph_options *o, struct err *e);

/* The same from text; `file` stands in the messages. */
int graph_parse(struct graph *g, struct arena *a, const char *file, const char *text,
                const struct graph_options *o, struct err *e);

/* Sets every tensor's scale_invariant; graph_parse has done so. */
void graph_mark_invariant(struct graph *g);

/* Trainable and frozen parameters as torch counts them (numel of parameters(), no padding). */
size_t graph_parameters(const struct graph *g);

/* Multiply-adds of convolutions and linear layers for one image: nominal forward (padding taps
 * counted, rows that a floor-mode pool drops counted: as published tables count), and training
 * (forward, backward-data where weights before it train, backward-weights where its weights train).
 * A whitening layer counts as fixed, because its bias trains for the first epochs only. */
double graph_macs(const struct graph *g);
double graph_training_macs(const struct graph *g);
double node_macs(const struct graph *g, int node);
double node_training_macs(const struct graph *g, int node);

/* First tensor with this name, or -1. */
int graph_find_tensor(const struct graph *g, const char *name);

#endif
