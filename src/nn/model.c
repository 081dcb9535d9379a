/* model.c - the numbers that live as long as training does: parameters, gradients, statistics. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "nn/plan.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the hash is over little-endian numbers");

static size_t params_bytes(const struct model *m)
{
    return m->graph->params_count * m->backend->real_bytes;
}

static size_t state_bytes(const struct model *m)
{
    return m->graph->state_count * m->backend->real_bytes;
}

int model_init(struct model *m, const struct graph *g, struct backend *b, struct err *e)
{
    *m = (struct model){.graph = g, .backend = b};
    m->trainable = xcalloc((size_t)g->tensor_count, sizeof *m->trainable);
    for (int t = 0; t < g->tensor_count; t++)
        m->trainable[t] = !g->tensors[t].frozen && !g->tensors[t].is_state;
    m->params = b->ops->memory_new(b, params_bytes(m), "the network's parameters", e);
    if (m->params)
        m->grads = b->ops->memory_new(b, params_bytes(m), "the gradients", e);
    if (m->grads)
        m->state = b->ops->memory_new(b, state_bytes(m), "the running statistics", e);
    if (m->state)
        return 0;
    model_release(m);
    return -1;
}

void model_release(struct model *m)
{
    if (!m->backend)
        return;
    const struct backend_ops *ops = m->backend->ops;
    if (m->params)
        ops->memory_free(m->backend, m->params, params_bytes(m));
    if (m->grads)
        ops->memory_free(m->backend, m->grads, params_bytes(m));
    if (m->state)
        ops->memory_free(m->backend, m->state, state_bytes(m));
    free(m->trainable);
    *m = (struct model){0};
}

static void *element(const struct model *m, void *vector, size_t offset)
{
    return (char *)vector + offset * m->backend->real_bytes;
}

void *model_tensor(const struct model *m, int t)
{
    const struct tensor *tensor = &m->graph->tensors[t];
    return element(m, tensor->is_state ? m->state : m->params, tensor->offset);
}

void *model_gradient(const struct model *m, int t)
{
    assert(!m->graph->tensors[t].is_state);
    return element(m, m->grads, m->graph->tensors[t].offset);
}

/* Adds count numbers of tensor t from `first` on, as fp32. */
static void hash_values(struct hash *h, const struct model *m, int t, size_t first, size_t count)
{
    enum { PIECE = 1024 };
    double values[PIECE];
    float floats[PIECE];
    assert(count <= PIECE);
    const char *from = (const char *)model_tensor(m, t) + first * m->backend->real_bytes;
    m->backend->ops->read_reals(m->backend, values, from, count);
    for (size_t i = 0; i < count; i++)
        floats[i] = (float)values[i];
    hash_add(h, floats, count * sizeof *floats);
}

void model_hash(const struct model *m, char hex[65])
{
    struct hash h;
    hash_init(&h, HASH_SHA256);
    for (int t = 0; t < m->graph->tensor_count; t++) {
        const struct tensor *tensor = &m->graph->tensors[t];
        hash_add(&h, tensor->name, strlen(tensor->name) + 1);
        int32_t dims[4];
        for (int i = 0; i < 4; i++)
            dims[i] = i < tensor->ndim ? tensor->dims[i] : 0;
        hash_add(&h, dims, sizeof dims);
        for (size_t i = 0; i < tensor->count; i += 1024)
            hash_values(&h, m, t, i, tensor->count - i < 1024 ? tensor->count - i : 1024);
    }
    hash_hex(&h, hex);
}
