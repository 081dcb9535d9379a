/* init.c - see init.h. */
#include "nn/init.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "nn/whiten.h"

int init_images_wanted(const struct graph *g)
{
    int most = 0;
    for (int t = 0; t < g->tensor_count; t++)
        if (g->tensors[t].init.kind == INIT_WHITEN && g->tensors[t].init.images > most)
            most = g->tensors[t].init.images;
    return most;
}

static void fill_uniform(double *values, size_t count, double low, double high, struct rng *r)
{
    for (size_t i = 0; i < count; i++)
        values[i] = low + (high - low) * (double)rng_uniform(r);
}

static void fill_normal(double *values, size_t count, double deviation, struct rng *r)
{
    for (size_t i = 0; i < count; i++)
        values[i] = deviation * rng_normal(r);
}

/* The first filters pass their channel on unchanged: 1 in the middle, as torch.nn.init.dirac_ over
 * w[:w.size(1)]. */
static void fill_dirac(double *values, const int dims[4])
{
    size_t area = (size_t)dims[2] * (size_t)dims[3], filter = (size_t)dims[1] * area;
    size_t middle = (size_t)(dims[2] / 2) * (size_t)dims[3] + (size_t)(dims[3] / 2);
    for (int k = 0; k < dims[0] && k < dims[1]; k++) {
        double *w = values + (size_t)k * filter;
        for (size_t i = 0; i < filter; i++)
            w[i] = 0;
        w[(size_t)k * area + middle] = 1;
    }
}

/* Divides by the standard deviation of the values themselves (torch.std: over count - 1). */
static void standardise(double *values, size_t count)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - sum / (double)count) * (values[i] - sum / (double)count);
    for (size_t i = 0; i < count && squares > 0; i++)
        values[i] /= sqrt(squares / (double)(count - 1));
}

static int fill_whitening(double *values, const struct tensor *t,
                          const struct init_images *images, struct err *e)
{
    struct init_images some = images ? *images : (struct init_images){0};
    if (some.count > t->init.images)
        some.count = t->init.images;
    return whiten_filters(values, t->dims, t->init.eps, &some, e);
}

static int fill(double *values, const struct tensor *t, struct rng *r,
                const struct init_images *images, struct err *e)
{
    const struct init *init = &t->init;
    double fan_in = init->fan_in;
    switch (init->kind) {
    case INIT_DEFAULT:
        fill_uniform(values, t->count, -1 / sqrt(fan_in), 1 / sqrt(fan_in), r);
        break;
    case INIT_HE_NORMAL:
        fill_normal(values, t->count, sqrt(2 / fan_in), r);
        break;
    case INIT_DIRAC:
        fill_uniform(values, t->count, -1 / sqrt(fan_in), 1 / sqrt(fan_in), r);
        fill_dirac(values, t->dims);
        break;
    case INIT_WHITEN:
        return fill_whitening(values, t, images, e);
    case INIT_STANDARD:
        fill_uniform(values, t->count, -1 / sqrt(fan_in), 1 / sqrt(fan_in), r);
        standardise(values, t->count);
        break;
    case INIT_CONSTANT:
        for (size_t i = 0; i < t->count; i++)
            values[i] = init->value;
        break;
    case INIT_UNIFORM:
        fill_uniform(values, t->count, 0, init->value, r);
        break;
    case INIT_NORMAL:
        fill_normal(values, t->count, init->value, r);
        break;
    }
    return 0;
}

int init_model(struct model *m, uint64_t seed, const struct init_images *images, struct err *e)
{
    const struct graph *g = m->graph;
    for (int t = 0; t < g->tensor_count; t++) {
        const struct tensor *tensor = &g->tensors[t];
        double *values = xmalloc(tensor->count * sizeof *values);
        struct rng r = rng_at(seed, RNG_INIT, (uint32_t)t, 0);
        int rc = fill(values, tensor, &r, images, e);
        if (rc == 0)
            m->backend->ops->write_reals(m->backend, model_tensor(m, t), values, tensor->count);
        free(values);
        if (rc)
            return err_prefix(e, "'%s'", tensor->name);
    }
    return 0;
}
