/* lars.h - layer-wise adaptive rate scaling: steps in proportion to the weights they change.
 *
 * Before SGD's momentum sees it, the gradient of every weight tensor, with its decay, is scaled:
 *
 *     d = ratio (g + wd w)
 *
 *     per layer    ratio = trust |w| / (|g| + wd |w| + eps)    (You, Gitman and Ginsburg 2017,
 *                  "Large batch training of convolutional networks", equation 6 and section 5.1)
 *     per filter   ratio = trust |w| / (|g| + eps), for each output filter by itself (Page's code,
 *                  cifar10-fast: trust 1, eps 0.01 on the gradient summed over the batch)
 *
 * so that a step is lr * trust times the weights' own length, whatever the gradient's. Tensors of
 * one dimension (biases, batch norm) keep ratio 1: SGD; so do rows whose weights or gradient are
 * zero. Weight decay hardly moves the ratio; it shows SGD with weight decay to be its like at
 * lr = sqrt(2 lr wd) (probes/theory.h: the angle of the equilibrium).
 */
#ifndef KILN_OPTIM_LARS_H
#define KILN_OPTIM_LARS_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"

enum lars_scope { LARS_LAYER, LARS_FILTER };

/* A tensor within the flat vectors: [rows, count / rows], a row for each output filter. */
struct lars_tensor {
    size_t offset, count, rows;  /* rows 0: left to SGD */
    double decay_factor;
};

struct lars {
    struct backend *backend;
    struct lars_tensor *tensors; /* borrowed [tensor_count] */
    int tensor_count;
    enum lars_scope scope;
    double trust, eps, weight_decay;
    size_t count;                /* of the flat vectors */
    void *direction;             /* P [count] on the device */
    double *weights2, *gradients2; /* squared lengths of a tensor's rows; [most rows] */
};

/* Allocates what it needs; the caller fills the other members before. */
int lars_init(struct lars *l, struct err *e);
void lars_release(struct lars *l);

/* The directions d of all tensors t with active[t], for an SGD without weight decay of its own.
 * They stay until the next call; grads are left as they are. */
const void *lars_directions(struct lars *l, const void *params, const void *grads,
                            const bool *active);

#endif
