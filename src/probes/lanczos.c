/* lanczos.c - see lanczos.h. */
#include "probes/lanczos.h"

#include <lapacke.h>
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"

/* A run in progress, with basis vectors v_j: A v_j = b_j-1 v_j-1 + a_j v_j + b_j v_j+1. */
struct work {
    size_t size;
    int k;
    double *basis;           /* [limit + 1, size] */
    double *a, *b;           /* [limit] */
    double *values, *off;    /* [limit]: eigenvalues of the tridiagonal matrix; LAPACK's room */
    double *vectors;         /* [k, k]: theirs, one a column */
};

static double dot(const double *x, const double *y, size_t size)
{
    double sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Divides by the length, and returns it. */
static double normalise(double *x, size_t size)
{
    double length = sqrt(dot(x, x, size));
    for (size_t i = 0; length > 0 && i < size; i++)
        x[i] /= length;
    return length;
}

static double *basis(const struct work *w, int j)
{
    return w->basis + (size_t)j * w->size;
}

/* Takes from x what lies along the first `count` basis vectors, twice. */
static void orthogonalise(const struct work *w, double *x, int count)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int j = 0; j < count; j++) {
            const double *v = basis(w, j);
            double along = dot(v, x, w->size);
            for (size_t i = 0; i < w->size; i++)
                x[i] -= along * v[i];
        }
    }
}

static void start(struct work *w, uint64_t seed)
{
    struct rng r = rng_at(seed, RNG_PROBE, 1, 0);
    for (size_t i = 0; i < w->size; i++)
        w->basis[i] = rng_normal(&r);
    normalise(w->basis, w->size);
}

/* Eigenvalues, ascending, and vectors of the tridiagonal matrix. */
static void solve(struct work *w)
{
    memcpy(w->values, w->a, (size_t)w->k * sizeof *w->a);
    memcpy(w->off, w->b, (size_t)w->k * sizeof *w->b);
    lapack_int failed =
        LAPACKE_dstev(LAPACK_ROW_MAJOR, 'V', w->k, w->values, w->off, w->vectors, w->k);
    assert(failed == 0 && "a tridiagonal matrix of finite numbers has eigenvalues");
    (void)failed;
}

/* The error bound of Ritz value i: b_k-1 times the last number of its vector. */
static double bound(const struct work *w, int i)
{
    return fabs(w->b[w->k - 1] * w->vectors[(w->k - 1) * w->k + i]);
}

/* One more basis vector. Returns whether it is worth going on. */
static bool extend(struct work *w, lanczos_apply_fn apply, void *context, double tolerance)
{
    double *v = basis(w, w->k), *next = basis(w, w->k + 1);
    apply(context, v, next);
    w->a[w->k] = dot(v, next, w->size);
    orthogonalise(w, next, w->k + 1);
    w->b[w->k] = normalise(next, w->size);
    w->k++;
    if (!isfinite(w->a[w->k - 1]) || !isfinite(w->b[w->k - 1]))
        return false;
    solve(w);
    double size = fmax(fabs(w->values[0]), fabs(w->values[w->k - 1]));
    double worst = fmax(bound(w, 0), bound(w, w->k - 1));
    return worst > tolerance * size && w->b[w->k - 1] > 1e-14 * size;
}

/* v = the Ritz vector i; returns |A v - value v|. `image` is room for A v. */
static double residual(const struct work *w, int i, lanczos_apply_fn apply, void *context,
                       double *v, double *image)
{
    memset(v, 0, w->size * sizeof *v);
    for (int j = 0; j < w->k; j++) {
        double part = w->vectors[j * w->k + i];
        for (size_t n = 0; n < w->size; n++)
            v[n] += part * basis(w, j)[n];
    }
    normalise(v, w->size);
    apply(context, v, image);
    for (size_t n = 0; n < w->size; n++)
        image[n] -= w->values[i] * v[n];
    return sqrt(dot(image, image, w->size));
}

size_t lanczos_bytes(size_t size, int limit)
{
    size_t vectors = (size_t)limit < size ? (size_t)limit : size;
    return (vectors + 3) * size * sizeof(double);
}

static void finish(struct lanczos *l, const struct work *w, lanczos_apply_fn apply, void *context)
{
    double *spare = basis(w, w->k), *image = l->vector + l->size;
    l->iterations = w->k;
    l->largest = l->smallest = l->largest_residual = l->smallest_residual = (double)NAN;
    if (!isfinite(w->a[w->k - 1]) || !isfinite(w->b[w->k - 1]))
        return;
    l->smallest = w->values[0];
    l->largest = w->values[w->k - 1];
    l->smallest_residual = residual(w, 0, apply, context, spare, image);
    l->largest_residual = residual(w, w->k - 1, apply, context, l->vector, image);
}

int lanczos_run(struct lanczos *l, lanczos_apply_fn apply, void *context, struct err *e)
{
    int limit = (size_t)l->limit < l->size ? l->limit : (int)l->size;
    size_t k = (size_t)limit;
    assert(limit > 0);
    struct work w = {.size = l->size};
    w.basis = big_new((k + 1) * l->size * sizeof *w.basis, "Lanczos vectors", e);
    l->vector = xcalloc(2 * l->size, sizeof *l->vector);
    w.a = xcalloc(4 * k + k * k, sizeof *w.a);
    w.b = w.a + k;
    w.values = w.b + k;
    w.off = w.values + k;
    w.vectors = w.off + k;
    if (w.basis) {
        start(&w, l->seed);
        while (extend(&w, apply, context, l->tolerance) && w.k < limit)
            ;
        finish(l, &w, apply, context);
    }
    big_free(w.basis, (k + 1) * l->size * sizeof *w.basis);
    free(w.a);
    return w.basis ? 0 : -1;
}

void lanczos_release(struct lanczos *l)
{
    free(l->vector);
    l->vector = NULL;
}
