/* program.h - a graph lowered to steps over values: what a plan runs.
 *
 * A *value* is a result that is written once: an activation map, a gradient map, packed weights,
 * the positions of maxima, scratch memory. A *step* is one operation: it reads values and writes
 * values, reads parameters and writes their gradients. Steps run in order; the pseudo-step LOSS
 * divides forward from backward:
 *
 *      input | pack conv statistics norm ... conv | loss | ... norm-backward conv-backward-data ...
 *      x0    | x0 -> x1 -> x2 ...        logits   |  ->  dlogits -> ... dx2 -> dx1
 *
 * A program is made in three stages, each of which knows nothing of the next: layers emit plain
 * steps (lower.c); passes rewrite the list, that is, trim what nobody reads, fuse, drop what is not
 * needed (passes.c); then values get their sizes, lifetimes and places in memory (memory.c). A new
 * fusion is a new operation and a new pass; layers do not change.
 *
 * Because every value is written once, "who needs what" is a walk over the list, done once to drop
 * steps for good and again before each backward pass, when the set of trainable tensors may have
 * changed (plan.c).
 */
#ifndef KILN_NN_PROGRAM_H
#define KILN_NN_PROGRAM_H

#include "nn/plan.h"

enum { STEP_READS = 5, STEP_WRITES = 3, STEP_TENSORS = 4, STEP_GRADIENTS = 2, NO_VALUE = -1 };

enum value_kind { VALUE_MAP, VALUE_BYTES };

struct value {
    enum value_kind kind;
    struct shape shape;  /* of a map */
    size_t bytes;        /* for the program's whole batch */
    int first, last;     /* the steps that write it and that read it last */
    int root;            /* the value whose memory it takes over (in place); itself if none */
    size_t offset;       /* into the plan's block */
};

struct program;
struct step;

/* What an operation sees while it runs. */
struct run {
    const struct model *model;
    const struct map *maps; /* [value_count]: address and shape; shape 0 for VALUE_BYTES */
    const bool *wanted;     /* [value_count]: whether any step that runs reads the value */
    int n;                  /* images */
    bool training;          /* not PLAN_EVAL */
};

struct operation {
    const char *phase;   /* for plan_step_describe */
    unsigned in_place;   /* bit i: writes[0] may lie where reads[i] lies */
    void (*run)(const struct run *r, const struct step *s);
    /* Sets `bytes` of the VALUE_BYTES that the step writes, and what else of the step depends on
     * its readers; called after all passes. NULL: nothing to set. */
    void (*measure)(struct program *p, struct step *s);
    /* Multiply-adds for one image, of the rows and columns that are computed. NULL: none. */
    double (*macs)(const struct step *s);
};

struct norm_params {
    struct norm_shape shape; /* groups: as the file says; 1 if `ghost` rules */
    int ghost;               /* images of one ghost group; 0: shape.groups rules */
};

struct act_params {
    enum activation act;
    double param;
};

struct step {
    const struct operation *op; /* NULL: dropped; program_compact removes it */
    int node;
    int reads[STEP_READS], read_count;
    int writes[STEP_WRITES], write_count;
    int tensors[STEP_TENSORS];     /* parameters and state it uses, in the operation's order; -1 */
    int gradients[STEP_GRADIENTS]; /* tensors whose gradients it writes; -1: none */
    bool with_backward;            /* of a pack: conv_backward_data follows */
    union {
        struct conv_shape conv;
        struct norm_params norm;
        struct act_params act;
        struct pool_shape pool;
        double factor;             /* of scale */
        int first_channel;         /* of split */
    };
};

struct program {
    const struct graph *graph;
    struct backend *backend;
    int batch;
    enum plan_mode mode;
    struct step *steps;
    int step_count;
    struct value *values;
    int value_count;
    int loss;                     /* index of the LOSS step */
    int input, logits, dlogits;   /* values; dlogits NO_VALUE in evaluation */
    size_t bytes;                 /* of the plan's block */
};

/* Lowers the graph, runs all passes, places all values. Memory comes from `a`. */
void program_init(struct program *p, struct arena *a, const struct graph *g, struct backend *b,
                  int batch, enum plan_mode mode);

/* passes.c: each leaves a program that gives the same numbers. */

/* Convolutions whose only reader is a pool compute only the rows and columns that it reads. */
void pass_trim(struct program *p);
/* Each convolution takes an algorithm for each of its passes: what the backend's text wants, or
 * what it chooses for the batch. (convolutions.c; after the shapes are final.) */
void pass_choose_convolutions(struct program *p);
/* The choice as text; see plan_convolutions. */
void program_convolutions(const struct program *p, char *text, size_t size);
/* Drops backward steps that no tensor needs that could ever be trained. */
void pass_drop_unneeded(struct program *p, struct arena *a);

/* fuse.c: likewise. */

/* A batch norm read only by an activation applies it itself. */
void pass_fuse_activation(struct program *p);
/* An activation goes back to the bias in front of it at once, where of that convolution nothing
 * else trains and the image takes no gradient. */
void pass_fuse_bias(struct program *p);
/* A batch norm that only a 2x2 max pool reads pools its outputs itself, and goes back from the
 * pool's gradient. (After activations are fused.) */
void pass_fuse_norm_pool(struct program *p);
/* A convolution that only a 2x2 max pool reads pools its outputs itself, and goes back from the
 * pool's gradient, if its algorithms can. (After these are chosen.) */
void pass_fuse_pool(struct program *p);

/* Which backward steps are needed for the gradients of the tensors that trainable[] names: sets
 * running[step] for all steps and wanted[value] for all values. Forward steps always run. */
void program_needs(const struct program *p, const bool *trainable, bool *running, bool *wanted);

/* Steps that read `value`: their number; *only is one of them. */
int program_readers(const struct program *p, int value, struct step **only);
/* The step that writes `value`. */
struct step *program_writer(const struct program *p, int value);
/* Removes the steps whose op is NULL. */
void program_compact(struct program *p);

/* memory.c: sizes, lifetimes, sharing, offsets; fills value.* and program.bytes. */
void program_place(struct program *p, struct arena *a);

/* Bytes of the largest set of values alive at one step: no placement can be smaller. */
size_t program_least_bytes(const struct program *p);

/* What layers use to emit steps. */
struct lowering {
    struct program *program;
    const struct graph *graph;
    bool training;       /* a backward pass may follow */
    bool frozen;         /* batch norms use the running statistics */
    int *values;         /* [node]: the value of its output */
    int *gradients;      /* [node]: the value of its gradient so far, or NO_VALUE */
};

struct step *lower_step(struct lowering *l, const struct operation *op, int node);
int lower_map(struct lowering *l, struct shape shape);
int lower_bytes(struct lowering *l);
void step_reads(struct step *s, int value);
void step_writes(struct step *s, int value);

/* The value of the node's i-th input; the node's own gradient. */
int lower_input(const struct lowering *l, int node, int i);
int lower_gradient(const struct lowering *l, int node);

/* Adds `value` to the gradient of the node's i-th input. Contributions are added in the order of
 * the calls, which is the reverse order of the file. */
void lower_give(struct lowering *l, int node, int i, int value);

/* Whether the gradient of the node's i-th input can be needed: it is not the image. */
bool lower_wants(const struct lowering *l, int node, int i);

/* Emits the two steps of an activation layer. */
void lower_activation(struct lowering *l, int node, enum activation act, double param);
void lower_activation_backward(struct lowering *l, int node, enum activation act, double param);

/* Emits the steps of a convolution, also for linear layers. The node's tensors are its weights and,
 * if there is a second, its bias. */
void lower_conv(struct lowering *l, int node, const struct conv_shape *s);
void lower_conv_backward(struct lowering *l, int node, const struct conv_shape *s);

/* The operations (operations.c). */
extern const struct operation op_input, op_loss, op_conv_pack, op_conv, op_conv_backward_data,
    op_conv_backward_weights, op_conv_pool, op_conv_pool_backward_data,
    op_conv_pool_backward_weights, op_norm_statistics, op_norm_running, op_norm, op_norm_backward,
    op_norm_pool, op_norm_pool_backward, op_act, op_act_backward, op_act_backward_bias, op_maxpool,
    op_maxpool_backward, op_avgpool, op_avgpool_backward, op_add, op_concat, op_split, op_scale;

#endif
