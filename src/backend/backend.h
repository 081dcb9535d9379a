/* backend.h - operations on device memory: one interface for all devices.
 *
 * A backend owns threads (or streams) and chooses kernels; nn/ asks it for operations on whole
 * batches. All pointers to numbers are *device* pointers from backend_new_memory, in the layout of
 * kernels/layout.h (maps) or dense (everything else). P below is the parameter type of the
 * precision: float for fp32 and bf16, double for fp64; A is that of maps (kernels/layout.h). No
 * operation allocates; those that need room take a workspace whose size the matching *_workspace
 * function gives. No operation fails: what could be wrong is asserted, because nn/ checked it when
 * it made the plan.
 *
 * Exactness. Every result is a pure function of its inputs and of n: the number of threads never
 * shows. Sums over a batch go through LANES lanes: lane l owns the blocks of 32 images
 * [l*B/LANES, (l+1)*B/LANES), B = blocks; each lane adds up in image order, and the lanes are added
 * as a binary tree ((0+1)+(2+3))+((4+5)+(6+7)). Ranks will own whole subtrees.
 */
#ifndef KILN_BACKEND_BACKEND_H
#define KILN_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kernels/layout.h"
#include "kernels/shapes.h"
#include "kernels/tier.h"

enum { LANES = 8 };

/* What a convolution's algorithm is chosen by, for one tier and precision on one core:
 * multiply-adds a second of the products, and lines (kernels/layout.h) a second that are read or
 * written around them. */
struct conv_rates {
    double gather, outer;         /* direct: forward and backward-data; backward-weights */
    double product, product_outer; /* the same of Winograd, between its transforms */
    double product6;              /* both with tiles of up to 6 */
    double lines;
    double tiles, tiles_outer;    /* the same of direct in tile registers; 0 without them */
};

struct backend_options {
    enum tier tier;
    enum precision precision; /* AUTO: what the tier does best */
    int threads;          /* at least 1 */
    const struct conv_rates *rates; /* measured on this machine; NULL: the tier's built-in ones */
    const char *convolution; /* see struct backend; NULL: "auto" */
};

struct backend {
    const struct backend_ops *ops;
    enum tier tier;       /* the one in use, never TIER_AUTO */
    enum precision precision; /* the one in use, never PRECISION_AUTO */
    int threads;
    size_t real_bytes;    /* sizeof P */
    const char *convolution; /* which algorithms plans shall take (nn/convolutions.h); borrowed */
    bool shares_memory;   /* host memory is device memory: what is only read need not be copied */
    size_t scratch_bytes; /* what the backend holds for itself */
};

/* An activation map of the batch: [n, h, w, c] in the layout of kernels/layout.h. */
struct map {
    void *data;
    int c, h, w;
};

enum conv_pass { CONV_FORWARD, CONV_BACKWARD_DATA, CONV_BACKWARD_WEIGHTS, CONV_PASSES };

/* A convolution y[k][p][q] = bias[k] + sum over c, r, s of x[c][p*stride+r-pad][q*stride+s-pad] *
 * weights[k][c][r][s], cross-correlation as in PyTorch, zero padding. p and q may be smaller than
 * the input allows: rows and columns that nobody reads are then never computed, in any pass.
 * A linear layer over a [c, h, w] map is a convolution with r = h, s = w, p = q = 1, pad = 0. */
struct conv_shape {
    int c, h, w;          /* input */
    int k, p, q;          /* output */
    int r, s, stride, pad;
    int algorithm[CONV_PASSES]; /* of each pass, as conv_choose gave it; 0 is direct */
};

/* Batch normalisation, optionally followed by an activation: z = scale * (x - mean) * rstd + bias,
 * y = act(z), rstd = 1 / sqrt(var + eps), var biased (divided by the count).
 * With groups > 1 (ghost batch norm) the images [g*n/groups, (g+1)*n/groups) have statistics of
 * their own. With frozen = true mean and rstd come from the running statistics, in training too. */
struct norm_shape {
    int c, h, w;
    int groups;
    double eps;
    double momentum;      /* PyTorch's: running = (1 - momentum) * running + momentum * batch */
    bool frozen;
    enum activation act;
    double act_param;     /* alpha of CELU */
};

struct norm_tensors {
    const void *scale;    /* P [c], NULL means 1 */
    const void *bias;     /* P [c], NULL means 0 */
    void *mean, *rstd;    /* P [groups, c]: written by norm_statistics, read by the rest */
    void *running_mean, *running_var; /* P [c]; var unbiased, as PyTorch keeps it */
};

struct backend_ops {
    void (*free)(struct backend *b);

    /* Device memory, zeroed; NULL and a sentence in e if there is not enough. */
    void *(*memory_new)(struct backend *b, size_t bytes, const char *what, struct err *e);
    void (*memory_free)(struct backend *b, void *p, size_t bytes);

    /* Copies between host and device. reals: host doubles, device P; bytes: as they are. */
    void (*write_reals)(struct backend *b, void *dst, const double *src, size_t count);
    void (*read_reals)(struct backend *b, double *dst, const void *src, size_t count);
    void (*write_bytes)(struct backend *b, void *dst, const void *src, size_t bytes);
    void (*read_bytes)(struct backend *b, void *dst, const void *src, size_t bytes);
    void (*copy)(struct backend *b, void *dst, const void *src, size_t bytes); /* on the device */
    void (*zero)(struct backend *b, void *dst, size_t bytes);

    /* A whole map to or from host doubles [n, c, h, w]; channels past c are set to zero. */
    void (*write_map)(struct backend *b, int n, const struct map *dst, const double *src);
    void (*read_map)(struct backend *b, int n, double *dst, const struct map *src);

    /* Bytes (host) or device bytes -> normalised, augmented x [n, h, w, c]. `views` is host
     * memory, views[n]. */
    void (*load_images)(struct backend *b, int n, const struct image_store *store,
                        const struct image_view *views, const struct map *x);

    /* Convolution. `weights` and `dw` are P [k, c, r, s] (PyTorch's order). `packed` is the
     * backend's own form of the weights, conv_packed_bytes large, made by conv_pack once a step;
     * pass with_backward = false if conv_backward_data will not be called.
     * dw and dbias[k] may each be NULL: not wanted. They are overwritten.
     * Each pass takes the algorithm that the shape names. conv_choose gives the fastest for n
     * images, or `wanted` (-1: any) where that can compute the pass and 0 where it cannot; it
     * depends on its arguments, tier, precision and rates alone. conv_predict: the seconds that
     * it expects of an algorithm on all threads; negative if that cannot compute the pass. */
    const char *(*conv_algorithm_name)(struct backend *b, int algorithm); /* NULL past the last */
    int (*conv_choose)(struct backend *b, int n, const struct conv_shape *s, enum conv_pass pass,
                       int wanted);
    double (*conv_predict)(struct backend *b, int n, const struct conv_shape *s,
                           enum conv_pass pass, int algorithm);
    size_t (*conv_packed_bytes)(struct backend *b, const struct conv_shape *s, bool with_backward);
    size_t (*conv_workspace)(struct backend *b, int n, const struct conv_shape *s,
                             enum conv_pass pass);
    void (*conv_pack)(struct backend *b, const struct conv_shape *s, const void *weights,
                      bool with_backward, void *packed);
    void (*conv_forward)(struct backend *b, int n, const struct conv_shape *s, const struct map *x,
                         const void *packed, const void *bias, const struct map *y,
                         void *workspace);
    void (*conv_backward_data)(struct backend *b, int n, const struct conv_shape *s,
                               const struct map *dy, const void *packed, const struct map *dx,
                               void *workspace);
    void (*conv_backward_weights)(struct backend *b, int n, const struct conv_shape *s,
                                  const struct map *x, const struct map *dy, void *dw, void *dbias,
                                  void *workspace);

    /* A convolution and the 2x2 max pool behind it, whose windows cover its p x q outputs without
     * gaps, as one: the map between them never exists. y and dy are the pool's, [p / 2, q / 2];
     * argmax as in maxpool_forward. The results are those of the two operations, bit for bit.
     * Weights are packed and workspaces sized as above. conv_pools: whether the algorithm that the
     * shape names for the pass can do it. */
    bool (*conv_pools)(struct backend *b, const struct conv_shape *s, enum conv_pass pass);
    void (*conv_pool_forward)(struct backend *b, int n, const struct conv_shape *s,
                              const struct map *x, const void *packed, const void *bias,
                              const struct map *y, uint8_t *argmax, void *workspace);
    void (*conv_pool_backward_data)(struct backend *b, int n, const struct conv_shape *s,
                                    const struct map *dy, const uint8_t *argmax,
                                    const void *packed, const struct map *dx, void *workspace);
    void (*conv_pool_backward_weights)(struct backend *b, int n, const struct conv_shape *s,
                                       const struct map *x, const struct map *dy,
                                       const uint8_t *argmax, void *dw, void *workspace);

    /* Batch norm. statistics: fills t->mean and t->rstd from x and moves the running statistics
     * (with groups, by the mean over groups of each group's mean and unbiased variance; a group
     * of one value counts as variance 0; a group without images is left out and gets mean and
     * rstd 0); of a frozen norm it is use_running;
     * use_running: fills them from the running statistics, for evaluation and frozen norms.
     * pool_forward: norm_forward and max pooling of 2x2 windows without gaps, with h and w even: y
     * is [n, h/2, w/2, c], argmax as in maxpool_forward;
     * backward: from x (the input) and dy (of the activation's output) makes dscale[c] and
     * dbias[c] (each may be NULL) and dx (data may be NULL: not wanted). dx may be dy. With
     * argmax, dy is that of the pool of pool_forward, and dx may be x. */
    size_t (*norm_workspace)(struct backend *b, int n, const struct norm_shape *s);
    void (*norm_statistics)(struct backend *b, int n, const struct norm_shape *s,
                            const struct map *x, const struct norm_tensors *t, void *workspace);
    void (*norm_use_running)(struct backend *b, const struct norm_shape *s,
                             const struct norm_tensors *t);
    void (*norm_forward)(struct backend *b, int n, const struct norm_shape *s, const struct map *x,
                         const struct norm_tensors *t, const struct map *y);
    void (*norm_pool_forward)(struct backend *b, int n, const struct norm_shape *s,
                              const struct map *x, const struct norm_tensors *t,
                              const struct map *y, uint8_t *argmax);
    void (*norm_backward)(struct backend *b, int n, const struct norm_shape *s,
                          const struct map *x, const struct norm_tensors *t, const struct map *dy,
                          const uint8_t *argmax, void *dscale, void *dbias, const struct map *dx,
                          void *workspace);

    /* y = act(x); dx = dy * act'(x) with x the input of the activation. In place allowed. */
    void (*act_forward)(struct backend *b, int n, enum activation act, double param,
                        const struct map *x, const struct map *y);
    void (*act_backward)(struct backend *b, int n, enum activation act, double param,
                         const struct map *x, const struct map *dy, const struct map *dx);

    /* Back through an activation behind a convolution of which only the bias trains: dbias[c] =
     * what conv_backward_weights makes of act_backward's dx, bit for bit; dx itself never exists.
     * workspace: act_bias_workspace bytes, which is the most for n images or fewer. */
    size_t (*act_bias_workspace)(struct backend *b, int n, const struct map *dy);
    void (*act_backward_bias)(struct backend *b, int n, enum activation act, double param,
                              const struct map *x, const struct map *dy, void *dbias,
                              void *workspace);

    /* Pooling. argmax: bytes, layout_bytes / sizeof A of y; NULL in evaluation. */
    void (*maxpool_forward)(struct backend *b, int n, const struct pool_shape *s,
                            const struct map *x, const struct map *y, uint8_t *argmax);
    void (*maxpool_backward)(struct backend *b, int n, const struct pool_shape *s,
                             const struct map *dy, const uint8_t *argmax, const struct map *dx);
    void (*avgpool_forward)(struct backend *b, int n, const struct pool_shape *s,
                            const struct map *x, const struct map *y);
    void (*avgpool_backward)(struct backend *b, int n, const struct pool_shape *s,
                             const struct map *dy, const struct map *dx);

    /* y = a + b; y = factor * x. In place allowed. */
    void (*add)(struct backend *b, int n, const struct map *a, const struct map *other,
                const struct map *y);
    void (*scale)(struct backend *b, int n, double factor, const struct map *x,
                  const struct map *y);

    /* Copies the channels of `part` into `whole` from channel `first` on, and back out again. */
    void (*concat)(struct backend *b, int n, const struct map *part, int first,
                   const struct map *whole);
    void (*split)(struct backend *b, int n, const struct map *whole, int first,
                  const struct map *part);

    /* Cross-entropy with label smoothing a over `classes` logits (a 1x1 map), as PyTorch's
     * CrossEntropyLoss(label_smoothing=a): target (1-a) on the label plus a/classes on each.
     * losses[n], hits[n] (host memory) get each image's loss (unscaled) and whether the first
     * largest logit is the label; dlogits (data may be NULL) = gradient_scale * d loss_i. */
    void (*cross_entropy)(struct backend *b, int n, int classes, double smoothing,
                          double gradient_scale, const struct map *logits, const uint8_t *labels,
                          double *losses, uint8_t *hits, const struct map *dlogits);

    /* PyTorch's SGD on w[count], gradient g, buffer m (torch.optim.SGD with dampening 0; a buffer
     * of zeros equals PyTorch's first step): g += wd*w; m = mu*m + g; w -= lr * (nesterov ?
     * g + mu*m : m). With momentum 0 m may be NULL. */
    void (*sgd)(struct backend *b, size_t count, void *w, const void *g, void *m,
                const struct sgd_step *s);

    /* dst = decay * dst + (1 - decay) * src over count P. */
    void (*average)(struct backend *b, size_t count, void *dst, const void *src, double decay);

    /* x *= factor over count P. */
    void (*multiply)(struct backend *b, size_t count, void *x, double factor);

    /* Index of the first element that is not finite, or count if all are. */
    size_t (*first_nonfinite)(struct backend *b, size_t count, const void *x);

    /* sums[rows] (host) = the sum of x * y over each row of [rows, count] P, in double: for norms
     * and angles. */
    void (*row_dots)(struct backend *b, size_t rows, size_t count, const void *x, const void *y,
                     double *sums);
};

/* Makes the CPU backend. Fails (EXIT_USAGE) when the tier is not one that the machine has. fp64
 * runs on the reference tier whatever was asked. The caller ends it with b->ops->free. */
struct backend *backend_cpu_new(const struct backend_options *o, struct err *e);

/* Lets go of the threads that operations keep waiting between calls, so that this process may fork
 * and both go on with operations. Called while none is running. */
void backend_rest(void);

#endif
