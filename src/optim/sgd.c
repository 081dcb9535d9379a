/* sgd.c - see sgd.h. */
#include "optim/sgd.h"

#include <stdint.h>

int sgd_init(struct sgd *o, struct err *e)
{
    o->buffer = o->backend->ops->memory_new(o->backend, o->count * o->backend->real_bytes,
                                            "momentum", e);
    return o->buffer ? 0 : -1;
}

void sgd_release(struct sgd *o)
{
    if (o->buffer)
        o->backend->ops->memory_free(o->backend, o->buffer, o->count * o->backend->real_bytes);
    o->buffer = NULL;
}

void sgd_update(struct sgd *o, void *params, const void *grads, const bool *active, double lr)
{
    struct backend *b = o->backend;
    for (int i = 0; i < o->tensor_count; i++) {
        const struct sgd_tensor *t = &o->tensors[i];
        if (!active[i])
            continue;
        const struct sgd_step step = {
            .lr = lr * t->lr_factor,
            .weight_decay = o->weight_decay * t->decay_factor,
            .momentum = o->momentum,
            .nesterov = o->nesterov,
        };
        size_t at = t->offset * b->real_bytes;
        b->ops->sgd(b, t->count, (uint8_t *)params + at, (const uint8_t *)grads + at,
                    (uint8_t *)o->buffer + at, &step);
    }
}
