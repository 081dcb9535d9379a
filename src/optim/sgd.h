/* sgd.h - stochastic gradient descent over groups of parameters, in PyTorch's exact semantics.
 *
 *     g += wd w;   m = mu m + g;   w -= lr (nesterov ? g + mu m : m)
 *
 * The learning rate stands outside the buffer: when it changes from one step to the next, what the
 * buffer remembers is scaled by the new one. Page's code (cifar10-fast) has it inside
 * (v = mu v - lr (g + wd w); w += v + mu v): the same for a constant learning rate, different by
 * the ratio of neighbouring rates along a ramp. Kiln does as PyTorch does.
 */
#ifndef KILN_OPTIM_SGD_H
#define KILN_OPTIM_SGD_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"

/* A tensor within the flat vectors of parameters, gradients and momentum. */
struct sgd_tensor {
    size_t offset, count;    /* elements */
    double lr_factor, decay_factor;
};

struct sgd {
    struct backend *backend;
    struct sgd_tensor *tensors; /* borrowed [tensor_count] */
    int tensor_count;
    double momentum, weight_decay;
    bool nesterov;
    void *buffer;            /* P [count] on the device: the momentum; starts at zero */
    size_t count;
};

/* Allocates the momentum buffer; the caller fills the other members before. */
int sgd_init(struct sgd *o, struct err *e);
void sgd_release(struct sgd *o);

/* One update of every tensor t with active[t], at learning rate lr * lr_factor and weight decay
 * weight_decay * decay_factor. Inactive tensors keep their momentum untouched, as a parameter
 * without gradient does in PyTorch. */
void sgd_update(struct sgd *o, void *params, const void *grads, const bool *active, double lr);

#endif
