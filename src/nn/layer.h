/* layer.h - a layer type: what a line of a .net file may say, and what it becomes.
 *
 * A layer type is one `const struct layer` in a file of its own (layer_conv.c), named in the list
 * of layers.c. Its table of attributes drives parsing; `infer` turns attributes and the shapes of
 * the inputs into an output shape and tensors; `forward` and `backward` turn a node into steps
 * (nn/program.h). Adding a layer type is one file and one line.
 */
#ifndef KILN_NN_LAYER_H
#define KILN_NN_LAYER_H

#include "nn/graph.h"
#include "nn/netfile.h"

struct lowering;         /* nn/program.h */

enum { CHANNELS_MAX = 1 << 16 };

enum attribute_type {
    ATTRIBUTE_INT,       /* int in [min, max] */
    ATTRIBUTE_REAL,      /* double in [min, max]; "0.125" or "1/9" */
    ATTRIBUTE_FLAG,      /* bool: yes or no */
    ATTRIBUTE_CHOICE,    /* int: index into `choices`, "batch|frozen" */
    ATTRIBUTE_KERNEL,    /* struct kernel: "3x3", each side in [min, max] */
    ATTRIBUTE_WINDOW,    /* int in [min, max], or "global", which is 0 */
    ATTRIBUTE_CHANNELS,  /* struct channels: "24", "64w", "classes", "crs", "2crs" */
    ATTRIBUTE_INIT,      /* struct init: "default", "he_normal", "dirac", "whiten", "zeros", "ones",
                            "constant:V", "uniform:V", "normal:V" */
};

struct kernel {
    int r, s;
};

/* A number of channels. CHANNELS_PATCH is `count` times the numbers of one patch, C * R * S of the
 * convolution: what whitening needs, whatever the images are. */
enum channels_kind { CHANNELS_COUNT, CHANNELS_PATCH };

struct channels {
    enum channels_kind kind;
    int count;           /* scaled by the width already */
};

/* One thing that a line may set. Positional attributes come first in the table and are written
 * without their names, in this order, before any name=value. */
struct attribute {
    const char *name;
    enum attribute_type type;
    size_t offset;       /* of the member of the layer's attributes struct */
    bool positional;
    const char *fallback; /* default, as text; NULL: must be given */
    double min, max;
    const char *choices;
    const char *help;    /* one line, no full stop */
};

/* What `infer` works on. */
struct builder {
    struct graph *graph; /* nodes before this one are complete */
    struct arena *arena;
    const struct graph_options *options;
    const char *file;
    const struct netline *line; /* words: name, layer type, then what the layer type takes */
    const struct layer *layer;
    struct err *e;
};

struct layer {
    const char *name;
    const char *help;    /* one line, no full stop */
    const struct attribute *attributes; /* ended by name = NULL */
    size_t attributes_size;
    int inputs_min, inputs_max; /* with inputs_max > 1 plain words name the inputs */

    /* Checks the node, whose attributes, inputs and `in` are set; sets `out`; declares tensors. */
    int (*infer)(struct builder *b, struct node *n);

    /* Multiply-adds of one forward pass for one image; NULL: none. */
    double (*macs)(const struct node *n);

    /* Appends the node's steps. `backward` reads the gradient of its output and hands one to each
     * input that wants it. `training` says whether batch statistics are in use. */
    void (*forward)(struct lowering *l, int node);
    void (*backward)(struct lowering *l, int node);
};

/* NULL-ended. */
extern const struct layer *const layers[];

/* The layer type of this name, or NULL. */
const struct layer *layer_find(const char *name);

/* The nearest layer type's name, or NULL; nearest attribute's likewise. */
const char *layer_nearest(const char *name);

/* Fills `out` (attributes_size bytes, zeroed) from the words of b->line. Words that name inputs are
 * skipped: "from=..." and, when inputs_max > 1, plain words. */
int attributes_parse(struct builder *b, void *out);

/* The member of the node's attributes that an attribute of its layer type names; never NULL. Its
 * type is that of the table. */
const void *node_attribute(const struct node *n, const char *name);

/* The number as a double, "0.125", "5e-4" or "1/9"; -1 if it is anything else. */
int real_parse(const char *text, double *value);

/* Fails with the position of the word that set `attribute`, or of the layer type if no word did or
 * `attribute` is NULL. Returns -1. */
int builder_fail(const struct builder *b, const char *attribute, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the tensor "<node>.<suffix>" to the graph and to the node; dims past ndim are ignored.
 * What is left is at its default: trainable, with an offset of its own. */
struct tensor *builder_tensor(struct builder *b, struct node *n, const char *suffix,
                              enum role role, const struct init *init, int ndim, const int *dims);

#endif
