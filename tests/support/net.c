/* net.c - see net.h. */
#include "support/net.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

/* Random numbers that keep a network in its working range: weights as He normal, scales and
 * variances near 1, biases and means near 0. */
static double random_element(struct rng *r, const struct tensor *t)
{
    const char *suffix = strrchr(t->name, '.') + 1;
    size_t fan_in = t->count / (size_t)t->dims[0];
    if (strcmp(suffix, "running_var") == 0 || t->role == ROLE_NORM_SCALE)
        return strcmp(suffix, "running_mean") == 0 ? 0.2 * rng_normal(r)
                                                   : 0.5 + (double)rng_uniform(r);
    if (t->ndim == 1)
        return 0.2 * rng_normal(r);
    return rng_normal(r) / sqrt((double)fan_in);
}

static void randomise(struct net *net, uint64_t seed)
{
    for (int t = 0; t < net->graph.tensor_count; t++) {
        const struct tensor *tensor = &net->graph.tensors[t];
        double *values = xmalloc(tensor->count * sizeof *values);
        struct rng r = rng_at(seed, RNG_TEST, 1, (uint64_t)t);
        for (size_t i = 0; i < tensor->count; i++)
            values[i] = (double)(float)random_element(&r, tensor);
        net->backend->ops->write_reals(net->backend, model_tensor(&net->model, t), values,
                                       tensor->count);
        free(values);
    }
}

void net_fill_input(struct net *net, uint64_t seed)
{
    const struct map *x = plan_input(net->plan);
    size_t image = (size_t)x->c * (size_t)x->h * (size_t)x->w;
    double *values = xmalloc((size_t)net->batch * image * sizeof *values);
    for (int i = 0; i < net->batch; i++) {
        struct rng r = rng_at(seed, RNG_TEST, 2, (uint64_t)i);
        for (size_t j = 0; j < image; j++)
            values[(size_t)i * image + j] = (double)(float)rng_normal(&r);
        net->labels[i] = (uint8_t)rng_below(&r, NET_CLASSES);
    }
    net->backend->ops->write_map(net->backend, net->batch, x, values);
    free(values);
}

static void open_backend(struct net *net, enum precision precision, enum tier tier,
                         const char *convolution)
{
    const struct backend_options o = {.tier = tier, .precision = precision, .threads = 2,
                                      .convolution = convolution};
    struct err e = {.text = ""};
    net->backend = backend_cpu_new(&o, &e);
    if (!net->backend)
        fail_msg("%s", e.text);
    arena_init(&net->arena);
}

static void open_model(struct net *net, int batch, uint64_t seed)
{
    struct err e = {.text = ""};
    net->batch = batch;
    net->labels = xcalloc((size_t)batch, 1);
    if (model_init(&net->model, &net->graph, net->backend, &e))
        fail_msg("%s", e.text);
    net->plan = plan_new(&net->model, batch, PLAN_TRAIN, &e);
    if (!net->plan)
        fail_msg("%s", e.text);
    randomise(net, seed);
    net_fill_input(net, seed);
}

void net_open(struct net *net, const char *text, int side, int batch, enum precision precision,
              enum tier tier, uint64_t seed)
{
    net_open_taking(net, text, side, batch, precision, tier, seed, "auto");
}

void net_open_taking(struct net *net, const char *text, int side, int batch,
                     enum precision precision, enum tier tier, uint64_t seed,
                     const char *convolution)
{
    const struct graph_options o = {.input = {3, side, side}, .classes = NET_CLASSES, .width = 1};
    struct err e = {.text = ""};
    open_backend(net, precision, tier, convolution);
    if (graph_parse(&net->graph, &net->arena, "test.net", text, &o, &e))
        fail_msg("%s", e.text);
    open_model(net, batch, seed);
}

void net_open_zoo(struct net *net, const char *name, double width, int batch,
                  enum precision precision, enum tier tier, uint64_t seed)
{
    const struct graph_options o = {.input = {3, 32, 32}, .classes = NET_CLASSES, .width = width};
    struct err e = {.text = ""};
    open_backend(net, precision, tier, "auto");
    if (graph_load(&net->graph, &net->arena, name, &o, &e))
        fail_msg("%s", e.text);
    open_model(net, batch, seed);
}

void net_close(struct net *net)
{
    plan_free(net->plan);
    model_release(&net->model);
    net->backend->ops->free(net->backend);
    arena_release(&net->arena);
    free(net->labels);
}

double net_loss(struct net *net, int n)
{
    double *losses = xmalloc((size_t)n * sizeof *losses), sum = 0;
    uint8_t *hits = xmalloc((size_t)n);
    plan_forward(net->plan, n);
    net->backend->ops->cross_entropy(net->backend, n, NET_CLASSES, 0.1, 1.0 / n,
                                     plan_logits(net->plan), net->labels, losses, hits,
                                     plan_dlogits(net->plan));
    for (int i = 0; i < n; i++)
        sum += losses[i];
    free(losses);
    free(hits);
    return sum / n;
}

double net_step(struct net *net, int n, uint64_t seed)
{
    net_fill_input(net, seed);
    double loss = net_loss(net, n);
    plan_backward(net->plan, n);
    return loss;
}

double *net_logits(struct net *net, int n)
{
    double *logits = xmalloc((size_t)n * NET_CLASSES * sizeof *logits);
    net->backend->ops->read_map(net->backend, n, logits, plan_logits(net->plan));
    return logits;
}

double *net_gradient(struct net *net, int t)
{
    size_t count = net->graph.tensors[t].count;
    double *gradient = xmalloc(count * sizeof *gradient);
    net->backend->ops->read_reals(net->backend, gradient, model_gradient(&net->model, t), count);
    return gradient;
}
