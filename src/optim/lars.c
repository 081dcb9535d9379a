/* lars.c - see lars.h. */
#include "optim/lars.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"

int lars_init(struct lars *l, struct err *e)
{
    size_t most = 1;
    for (int i = 0; i < l->tensor_count; i++)
        most = l->tensors[i].rows > most ? l->tensors[i].rows : most;
    l->weights2 = xcalloc(most, sizeof *l->weights2);
    l->gradients2 = xcalloc(most, sizeof *l->gradients2);
    l->direction = l->backend->ops->memory_new(l->backend, l->count * l->backend->real_bytes,
                                               "scaled gradients", e);
    return l->direction ? 0 : -1;
}

void lars_release(struct lars *l)
{
    if (l->direction)
        l->backend->ops->memory_free(l->backend, l->direction,
                                     l->count * l->backend->real_bytes);
    free(l->weights2);
    free(l->gradients2);
    *l = (struct lars){0};
}

static double ratio(const struct lars *l, double weights2, double gradients2, double decay)
{
    double w = sqrt(weights2), g = sqrt(gradients2);
    if (w == 0 || g == 0)
        return 1;
    return l->trust * w / (g + (l->scope == LARS_LAYER ? decay * w : 0) + l->eps);
}

/* d = ratio d, row by row; w and g are the tensor's weights and gradient. */
static void scale(struct lars *l, const struct lars_tensor *t, const void *w, const void *g,
                  char *d, double decay)
{
    struct backend *b = l->backend;
    size_t rows = l->scope == LARS_LAYER ? 1 : t->rows, count = t->count / rows;
    b->ops->row_dots(b, rows, count, w, w, l->weights2);
    b->ops->row_dots(b, rows, count, g, g, l->gradients2);
    for (size_t r = 0; r < rows; r++)
        b->ops->multiply(b, count, d + r * count * b->real_bytes,
                         ratio(l, l->weights2[r], l->gradients2[r], decay));
}

const void *lars_directions(struct lars *l, const void *params, const void *grads,
                            const bool *active)
{
    struct backend *b = l->backend;
    for (int i = 0; i < l->tensor_count; i++) {
        const struct lars_tensor *t = &l->tensors[i];
        size_t at = t->offset * b->real_bytes;
        const void *w = (const uint8_t *)params + at, *g = (const uint8_t *)grads + at;
        char *d = (char *)l->direction + at;
        double decay = l->weight_decay * t->decay_factor;
        if (!active[i])
            continue;
        /* d = g + decay w, as a step of SGD from g along w. */
        const struct sgd_step add = {.lr = -decay};
        b->ops->copy(b, d, g, t->count * b->real_bytes);
        b->ops->sgd(b, t->count, d, w, NULL, &add);
        if (t->rows > 0)
            scale(l, t, w, g, d, decay);
    }
    return l->direction;
}
