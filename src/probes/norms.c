/* norms.c - lengths and angles of weights, gradients and updates, layer by layer.
 *
 * For a weight that batch norm makes scale-invariant these few numbers are the whole story of
 * weight decay: its gradient stands at a right angle to it, its length only scales the learning
 * rate (lr / |w|^2), and at equilibrium the angle per step is a function of lr, weight decay and
 * momentum alone (probes/theory.h).
 *
 * With a = w + d, the angle between w and a comes from |a|^2 |d|^2 - <a, d>^2 = |w|^2 |a|^2 sin^2,
 * which keeps its digits when d is small; the usual cosine does not. The update is a difference of
 * neighbouring numbers and therefore exact in the weights' precision.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "probes/probe.h"
#include "probes/surface.h"

enum { WEIGHT, GRADIENT, UPDATE, RATIO, COSINE, ANGLE, EFFECTIVE_LR, SERIES };

static const struct probe_series series[] = {
    {"weight_norm", "length of the weights before the step"},
    {"gradient_norm", "length of the gradient of the loss (weight decay not in it)"},
    {"update_norm", "length of the step's change of the weights"},
    {"gradient_ratio", "gradient_norm / weight_norm"},
    {"cosine", "cosine of the angle between weights and gradient"},
    {"angle", "radians by which the step turned the weights"},
    {"effective_lr", "learning rate / weight_norm^2"},
    {0},
};

/* Sums of products over one tensor, or over all of them. */
struct sums {
    double ww, gg, wg, dd, aa, ad; /* w before, gradient, update d, after a = w + d */
};

struct norms {
    struct backend *backend;     /* borrowed */
    size_t bytes;
    void *before;                /* P [params_count]: weights before the step */
    struct surface surface;      /* for checkpoints */
};

/* A pass over one element takes about as long as so many multiply-adds of a convolution, and there
 * are about ten passes. */
static const double PASS_MACS = 40, PASSES = 10;

static double cost(const struct trainer *t)
{
    double step = graph_training_macs(&t->net.graph) * t->config.batch;
    return PASS_MACS * PASSES * (double)t->net.graph.params_count / step;
}

static void close_norms(void *self)
{
    struct norms *n = self;
    if (!n)
        return;
    if (n->before)
        n->backend->ops->memory_free(n->backend, n->before, n->bytes);
    surface_close(&n->surface);
    free(n);
}

static int open_norms(void **self, const struct trainer *t, struct err *e)
{
    struct norms *n = *self = xcalloc(1, sizeof *n);
    n->backend = t->net.backend;
    n->bytes = t->net.graph.params_count * n->backend->real_bytes;
    n->before = n->backend->ops->memory_new(n->backend, n->bytes, "a copy of the weights", e);
    return n->before ? 0 : -1;
}

static int before(void *self, const struct probe_moment *m, struct err *e)
{
    (void)e;
    struct norms *n = self;
    n->backend->ops->copy(n->backend, n->before, m->trainer->net.model.params, n->bytes);
    return 0;
}

static double dot(const struct norms *n, size_t count, const void *x, const void *y)
{
    double sum;
    n->backend->ops->row_dots(n->backend, 1, count, x, y, &sum);
    return sum;
}

/* The sums of tensor i after a step. Turns its part of n->before into minus the update. */
static struct sums tensor_sums(const struct norms *n, const struct model *m, int i)
{
    const struct tensor *t = &m->graph->tensors[i];
    static const struct sgd_step subtract = {.lr = 1};
    void *w = (char *)n->before + t->offset * n->backend->real_bytes;
    const void *g = model_gradient(m, i), *after = model_tensor(m, i);
    struct sums s = {.ww = dot(n, t->count, w, w),
                     .gg = dot(n, t->count, g, g),
                     .wg = dot(n, t->count, w, g),
                     .aa = dot(n, t->count, after, after)};
    n->backend->ops->sgd(n->backend, t->count, w, after, NULL, &subtract);
    s.dd = dot(n, t->count, w, w);
    s.ad = -dot(n, t->count, after, w);
    return s;
}

static void add_sums(struct sums *all, const struct sums *s)
{
    all->ww += s->ww;
    all->gg += s->gg;
    all->wg += s->wg;
    all->dd += s->dd;
    all->aa += s->aa;
    all->ad += s->ad;
}

static void emit(const struct probe_out *out, const char *of, const struct sums *s, double lr,
                 bool stepped)
{
    double values[SERIES];
    double sine = sqrt(fmax(0, s->aa * s->dd - s->ad * s->ad) / (s->ww * s->aa));
    double cosine = s->aa - s->ad; /* <w, a> */
    values[WEIGHT] = sqrt(s->ww);
    values[GRADIENT] = sqrt(s->gg);
    values[UPDATE] = stepped ? sqrt(s->dd) : (double)NAN;
    values[RATIO] = sqrt(s->gg / s->ww);
    values[COSINE] = s->wg / sqrt(s->ww * s->gg);
    values[ANGLE] = stepped ? atan2(sine, cosine / sqrt(s->ww * s->aa)) : (double)NAN;
    values[EFFECTIVE_LR] = lr / s->ww;
    probe_emit(out, of, values);
}

static void emit_tensors(const struct norms *n, const struct model *m,
                         const struct probe_moment *moment, const struct probe_out *out)
{
    const struct graph *g = m->graph;
    struct sums all = {0};
    for (int i = 0; i < g->tensor_count; i++) {
        if (!m->trainable[i])
            continue;
        struct sums s = tensor_sums(n, m, i);
        double factor = moment->trainer->config.lr_factor[g->tensors[i].role];
        emit(out, g->tensors[i].name, &s, moment->lr * factor, moment->stepped);
        add_sums(&all, &s);
    }
    emit(out, "", &all, moment->lr, moment->stepped);
}

/* Of a checkpoint: the gradient over the probe's images, batch by batch as in training. */
static int measure_checkpoint(struct norms *n, const struct probe_moment *m,
                              const struct probe_out *out, struct err *e)
{
    const struct trainer *t = m->trainer;
    const struct surface_options o = {.precision = t->net.backend->precision,
                                      .mode = PLAN_TRAIN,
                                      .images = probe_images(t)};
    if (surface_open(&n->surface, t, &o, e))
        return -1;
    struct surface *s = &n->surface;
    double *g = xmalloc(s->count * sizeof *g);
    surface_gradient(s, g);
    surface_put(s, s->net.model.grads, g);
    n->backend->ops->copy(n->backend, n->before, t->net.model.params, n->bytes);
    emit_tensors(n, &s->net.model, m, out);
    free(g);
    surface_close(s);
    return 0;
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    struct norms *n = self;
    if (!m->stepped)
        return measure_checkpoint(n, m, out, e);
    emit_tensors(n, &m->trainer->net.model, m, out);
    return 0;
}

extern const struct probe probe_norms;
const struct probe probe_norms = {
    .name = "norms",
    .summary = "lengths of weights, gradients and updates, and the angles between them, by tensor",
    .series = series,
    .period = 10,
    .cost = cost,
    .open = open_norms,
    .close = close_norms,
    .before = before,
    .measure = measure,
};
