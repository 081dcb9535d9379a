/* hessian.c - see hessian.h. */
#include "probes/hessian.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static double length(const double *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* g = the gradient at w + step x. */
static void gradient_at(struct hessian *h, const double *x, double step, double *g)
{
    int images;
    for (size_t i = 0; i < h->surface->count; i++)
        h->moved[i] = h->w[i] + step * x[i];
    surface_write(h->surface, h->moved);
    if (h->batch == HESSIAN_ALL)
        surface_gradient(h->surface, g);
    else
        surface_batch_gradient(h->surface, (uint32_t)h->batch, g, &images);
}

/* y = (g(w + step x) - g(w - step x)) / 2 step. */
static void difference(struct hessian *h, const double *x, double step, double *y)
{
    gradient_at(h, x, -step, h->minus);
    gradient_at(h, x, step, y);
    for (size_t i = 0; i < h->surface->count; i++)
        y[i] = (y[i] - h->minus[i]) / (2 * step);
    surface_write(h->surface, h->w);
}

static double distance(const double *x, const double *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

/* Halves the step while two neighbouring quotients along the gradient come closer. */
static void find_step(struct hessian *h)
{
    enum { HALVINGS = 8 };
    size_t count = h->surface->count;
    double *v = xcalloc(3 * count, sizeof *v), *far = v + count, *near = far + count;
    double best = (double)INFINITY, step = h->step;
    surface_gradient(h->surface, v);
    double size = length(v, count);
    for (size_t i = 0; size > 0 && i < count; i++)
        v[i] /= size;
    difference(h, v, step, far);
    for (int k = 0; k < HALVINGS; k++) {
        difference(h, v, step / 2, near);
        double apart = distance(near, far, count);
        if (!(apart < best))
            break;
        best = apart;
        h->step = step /= 2;
        double *swap = far;
        far = near;
        near = swap;
    }
    free(v);
}

void hessian_init(struct hessian *h, struct surface *s)
{
    *h = (struct hessian){.surface = s, .batch = HESSIAN_ALL};
    h->w = xcalloc(s->count, sizeof *h->w);
    h->moved = xcalloc(s->count, sizeof *h->moved);
    h->minus = xcalloc(s->count, sizeof *h->minus);
    surface_read(s, h->w);
    bool fp64 = s->net.backend->precision == PRECISION_FP64;
    double size = length(h->w, s->count);
    h->step = (fp64 ? sqrt(0x1p-53) : cbrt(0x1p-24)) * (size > 0 ? size : 1);
    if (!fp64)
        find_step(h);
}

void hessian_release(struct hessian *h)
{
    free(h->w);
    free(h->moved);
    free(h->minus);
    *h = (struct hessian){0};
}

void hessian_apply(void *hessian, const double *x, double *y)
{
    struct hessian *h = hessian;
    double size = length(x, h->surface->count);
    if (size > 0)
        difference(h, x, h->step / size, y);
    else
        memset(y, 0, h->surface->count * sizeof *y);
}

double hessian_error(struct hessian *h, const double *x)
{
    size_t count = h->surface->count;
    double *near = xcalloc(2 * count, sizeof *near), *far = near + count;
    difference(h, x, h->step, near);
    difference(h, x, 2 * h->step, far);
    double error = distance(near, far, count);
    free(near);
    return error;
}

double hessian_curvature(struct hessian *h, const double *x)
{
    size_t count = h->surface->count;
    double *y = xcalloc(count, sizeof *y), sum = 0, size = length(x, count);
    hessian_apply(h, x, y);
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    free(y);
    return sum / (size * size);
}
