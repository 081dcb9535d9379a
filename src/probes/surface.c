/* surface.c - see surface.h. */
#include "probes/surface.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "probes/probe.h"

/* The trainer's network once more, from the text it was read from: the file may have changed. */
static int copy_network(struct network *net, const struct trainer *t, enum precision precision,
                        struct err *e)
{
    const struct graph *g = &t->net.graph;
    const struct backend_options backend = {.tier = t->net.backend->tier,
                                            .precision = precision,
                                            .threads = t->net.backend->threads};
    const struct graph_options options = {
        .input = g->nodes[0].out, .classes = g->classes, .width = t->config.width};
    if (graph_parse(&net->graph, &net->arena, g->name, g->text, &options, e))
        return -1;
    net->backend = backend_cpu_new(&backend, e);
    return net->backend ? model_init(&net->model, &net->graph, net->backend, e) : -1;
}

int surface_open(struct surface *s, const struct trainer *t, const struct surface_options *o,
                 struct err *e)
{
    assert(o->images > 0);
    *s = (struct surface){.store = &t->train_store,
                          .images = o->images,
                          .room = o->images,
                          .batch = o->batch > 0 ? o->batch : t->config.batch,
                          .smoothing = t->config.label_smoothing};
    if ((uint32_t)s->batch > o->images)
        s->batch = (int)o->images;
    if (copy_network(&s->net, t, o->precision, e))
        return -1;
    s->plan = plan_new(&s->net.model, s->batch, o->mode, e);
    if (!s->plan)
        return -1;
    s->views = xcalloc(s->room, sizeof *s->views);
    s->labels = xcalloc(s->room, sizeof *s->labels);
    s->losses = xcalloc(s->room, sizeof *s->losses);
    s->hits = xcalloc(s->room, sizeof *s->hits);
    s->part = xcalloc(s->net.graph.params_count, sizeof *s->part);
    surface_take(s, &t->net.model);
    if (s->images > t->selection.train_count)
        s->images = t->selection.train_count;
    probe_sample(t, s->images, s->views, s->labels);
    return 0;
}

void surface_close(struct surface *s)
{
    if (s->plan)
        plan_free(s->plan);
    network_release(&s->net);
    free(s->views);
    free(s->labels);
    free(s->losses);
    free(s->hits);
    free(s->part);
    *s = (struct surface){0};
}

/* The tensors that train, from a device vector to x. Returns their length. */
static size_t gather(const struct surface *s, const void *device, double *x)
{
    const struct graph *g = &s->net.graph;
    struct backend *b = s->net.backend;
    size_t at = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *t = &g->tensors[i];
        if (!s->net.model.trainable[i])
            continue;
        b->ops->read_reals(b, x + at, (const char *)device + t->offset * b->real_bytes, t->count);
        at += t->count;
    }
    return at;
}

static void scatter(const struct surface *s, void *device, const double *x)
{
    const struct graph *g = &s->net.graph;
    struct backend *b = s->net.backend;
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *t = &g->tensors[i];
        if (!s->net.model.trainable[i])
            continue;
        b->ops->write_reals(b, (char *)device + t->offset * b->real_bytes, x, t->count);
        x += t->count;
    }
}

/* Copies a model's vector into this one's, from precision to precision. */
static void take_vector(struct surface *s, void *to, const struct model *m, const void *from,
                        size_t count)
{
    double *host = xcalloc(count, sizeof *host);
    m->backend->ops->read_reals(m->backend, host, from, count);
    s->net.backend->ops->write_reals(s->net.backend, to, host, count);
    free(host);
}

void surface_take(struct surface *s, const struct model *m)
{
    const struct graph *g = &s->net.graph;
    take_vector(s, s->net.model.params, m, m->params, g->params_count);
    take_vector(s, s->net.model.state, m, m->state, g->state_count);
    memcpy(s->net.model.trainable, m->trainable,
           (size_t)g->tensor_count * sizeof *m->trainable);
    s->count = gather(s, s->net.model.params, s->part);
}

void surface_use(struct surface *s, const struct image_view *views, const uint8_t *labels,
                 uint32_t images)
{
    assert(images <= s->room);
    memcpy(s->views, views, images * sizeof *views);
    memcpy(s->labels, labels, images);
    s->images = images;
}

void surface_read(const struct surface *s, double *w)
{
    gather(s, s->net.model.params, w);
}

void surface_write(struct surface *s, const double *w)
{
    scatter(s, s->net.model.params, w);
}

void surface_put(const struct surface *s, void *device, const double *x)
{
    scatter(s, device, x);
}

double surface_role_norm(const struct surface *s, const double *w, enum role role)
{
    const struct graph *g = &s->net.graph;
    double sum = 0;
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *t = &g->tensors[i];
        if (!s->net.model.trainable[i])
            continue;
        for (size_t j = 0; t->role == role && j < t->count; j++)
            sum += w[j] * w[j];
        w += t->count;
    }
    return sqrt(sum);
}

uint32_t surface_batches(const struct surface *s)
{
    return (s->images + (uint32_t)s->batch - 1) / (uint32_t)s->batch;
}

/* Loads and runs one batch up to the loss; sum of its losses. `scale` as in cross_entropy. */
static double forward(struct surface *s, uint32_t batch, double scale, bool with_gradient, int *n)
{
    struct backend *b = s->net.backend;
    uint32_t first = batch * (uint32_t)s->batch, left = s->images - first;
    const struct map none = {.c = s->net.graph.classes, .h = 1, .w = 1};
    double sum = 0;
    *n = left < (uint32_t)s->batch ? (int)left : s->batch;
    b->ops->load_images(b, *n, s->store, s->views + first, plan_input(s->plan));
    plan_forward(s->plan, *n);
    b->ops->cross_entropy(b, *n, s->net.graph.classes, s->smoothing, scale > 0 ? scale : 1.0 / *n,
                          plan_logits(s->plan), s->labels + first, s->losses + first,
                          s->hits + first, with_gradient ? plan_dlogits(s->plan) : &none);
    for (int i = 0; i < *n; i++)
        sum += s->losses[first + (uint32_t)i];
    return sum;
}

double surface_loss(struct surface *s)
{
    double sum = 0;
    int n;
    for (uint32_t k = 0; k < surface_batches(s); k++)
        sum += forward(s, k, 1, false, &n);
    return sum / s->images;
}

double surface_gradient(struct surface *s, double *g)
{
    double sum = 0;
    int n;
    memset(g, 0, s->count * sizeof *g);
    for (uint32_t k = 0; k < surface_batches(s); k++) {
        sum += forward(s, k, 1.0 / s->images, true, &n);
        plan_backward(s->plan, n);
        gather(s, s->net.model.grads, s->part);
        for (size_t i = 0; i < s->count; i++)
            g[i] += s->part[i];
    }
    return sum / s->images;
}

double surface_batch_gradient(struct surface *s, uint32_t batch, double *g, int *images)
{
    double sum = forward(s, batch, 0, true, images);
    plan_backward(s->plan, *images);
    gather(s, s->net.model.grads, g);
    return sum / *images;
}

void surface_refresh(struct surface *s)
{
    int n;
    for (uint32_t k = 0; k < surface_batches(s); k++) {
        plan_set_norm_momentum(s->plan, 1.0 / (k + 1));
        forward(s, k, 1, false, &n);
    }
}
