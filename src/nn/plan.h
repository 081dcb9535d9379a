/* plan.h - a graph made ready to run: parameters on the device, and steps over planned memory.
 *
 * struct model owns the numbers that live as long as training does. struct plan lowers the graph
 * once for a batch size and a mode into a list of steps, decides what is fused (batch norm with its
 * activation; rows and columns that a floor-mode pool drops are never computed), and lays every
 * activation and gradient into one block of memory by lifetime. Running a plan allocates nothing.
 */
#ifndef KILN_NN_PLAN_H
#define KILN_NN_PLAN_H

#include "nn/graph.h"

struct model {
    const struct graph *graph;
    struct backend *backend;
    void *params;        /* P [graph.params_count], device */
    void *grads;         /* P, parallel to params */
    void *state;         /* P [graph.state_count]: running statistics */
    bool *trainable;     /* [graph.tensor_count]: now; starts as !frozen && !is_state */
};

/* Allocates a model, all zeros; init_model (nn/init.h) or a checkpoint fills it. */
int model_init(struct model *m, const struct graph *g, struct backend *b, struct err *e);
void model_release(struct model *m);

/* Device address of tensor t, and of its gradient. */
void *model_tensor(const struct model *m, int t);
void *model_gradient(const struct model *m, int t);

/* SHA-256 over names, dims and little-endian fp32 values of all tensors in order; the hash that a
 * run prints. hex[65]. */
void model_hash(const struct model *m, char hex[65]);

/* PLAN_FROZEN is PLAN_TRAIN with every batch norm in evaluation mode: it uses the running
 * statistics and leaves them as they are, so the images of a batch do not see each other. */
enum plan_mode { PLAN_TRAIN, PLAN_EVAL, PLAN_FROZEN };

struct plan;

/* Plans for at most `batch` images. Borrows m. Fails (EXIT_FAILED) when memory is short. */
struct plan *plan_new(struct model *m, int batch, enum plan_mode mode, struct err *e);
void plan_free(struct plan *p);

/* Device bytes that plan_new would ask for, without asking; for --dry-run. */
size_t plan_bytes(const struct graph *g, struct backend *b, int batch, enum plan_mode mode);

/* The map to fill before each forward pass, which may reuse its memory, and the logits after it,
 * which stay until the backward pass. */
const struct map *plan_input(struct plan *p);
const struct map *plan_logits(struct plan *p);
/* Which algorithm computes each convolution, in the form of nn/convolutions.h; size is at least
 * CONVOLUTIONS_TEXT. */
void plan_convolutions(const struct plan *p, char *text, size_t size);

/* Where the loss puts d loss / d logits before a backward pass (not in PLAN_EVAL). */
const struct map *plan_dlogits(struct plan *p);

/* Runs the steps for the first n images, n <= batch. Backward computes the gradients of the tensors
 * that model.trainable names at the moment, and skips what none of them needs. In PLAN_TRAIN,
 * forward uses batch statistics and moves the running ones. */
void plan_forward(struct plan *p, int n);
void plan_backward(struct plan *p, int n);

/* Replaces the momentum of every batch norm in this plan (PyTorch's: what a batch weighs). With
 * 1, 1/2, 1/3 ... before one forward pass after the other, the running statistics end as the mean
 * over these batches, whatever they were before: that is how they are refreshed. */
void plan_set_norm_momentum(struct plan *p, double momentum);

/* For kiln bench: the steps one by one, in the order in which they run. Steps share memory, so a
 * step's operands are only there right after the steps before it. The pseudo-step of phase "loss"
 * stands between forward and backward and does nothing: there the caller fills plan_dlogits. */
int plan_step_count(const struct plan *p);
struct plan_step_info {
    const char *name;    /* of the line in the .net file: "layer1.conv" */
    const char *phase;   /* "input", "pack", "forward", "statistics", "norm", "activation", "pool",
                            "loss", "backward-data", "backward-weights", "norm-backward", ... */
    double flops;        /* for one image, padding counted, trimmed rows not; 0 if elementwise */
    double bytes;        /* of the values read and written, for one image of a whole batch */
    const struct conv_shape *conv; /* of a convolution's passes, else NULL; lives with the plan */
    int pass;            /* enum conv_pass of these */
    bool pooled;         /* of these: takes over the max pool behind the convolution */
    bool needed;         /* by the tensors that trained in the last plan_backward (or plan_new) */
};
void plan_step_describe(const struct plan *p, int step, struct plan_step_info *info);

/* Runs one step, if it is needed. */
void plan_step_run(struct plan *p, int step, int n);

#endif
