/* conv_problem.h - a convolution with random operands and its exact results.
 *
 * Operands of products are numbers of the precision, so that only sums and results are rounded. A
 * sum of m products in fp32, in any order, is off by at most gamma(m) * sum |a| |b|, gamma(m) =
 * m u / (1 - m u), u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2002, eq.
 * 3.5); a result that is stored in bf16 by 2^-8 of it besides. */
#ifndef KILN_TESTS_KERNELS_CONV_PROBLEM_H
#define KILN_TESTS_KERNELS_CONV_PROBLEM_H

#include "kernels/fixture.h"

/* PyTorch's dense order: x [n,c,h,w], dy [n,k,p,q], w [k,c,r,s], bias [k]. */
struct problem {
    struct conv_shape s;
    int n;
    double *x, *dy, *w, *bias;
};

/* An exact value, the sum of its terms' magnitudes, and how many terms it has. */
struct sum {
    double value, magnitude;
    int terms;
};

struct expected {
    struct sum *y, *dx, *dw, *dbias;
};

static inline size_t product(int a, int b, int c, int d)
{
    return (size_t)a * (size_t)b * (size_t)c * (size_t)d;
}

/* Numbers of bf16 or fp32 in (-1, 1). */
static inline double *problem_values(struct rng *r, size_t count, enum precision p)
{
    double *v = malloc(count * sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < count; i++) {
        v[i] = (double)(rng_uniform(r) * 2 - 1);
        if (p == PRECISION_BF16) {
            int exponent;
            double mantissa = frexp(v[i], &exponent);
            v[i] = ldexp(nearbyint(mantissa * 256) / 256, exponent);
        }
    }
    return v;
}

static inline struct problem problem_new(const struct conv_shape *s, int n, uint64_t stream,
                                         enum precision p)
{
    struct rng r = rng_at(7, RNG_TEST, 0, stream);
    struct problem m = {.s = *s, .n = n};
    m.x = problem_values(&r, product(n, s->c, s->h, s->w), p);
    m.dy = problem_values(&r, product(n, s->k, s->p, s->q), p);
    m.w = problem_values(&r, product(s->k, s->c, s->r, s->s), p);
    m.bias = problem_values(&r, (size_t)s->k, PRECISION_FP32);
    return m;
}

static inline void problem_free(struct problem *m)
{
    free(m->x);
    free(m->dy);
    free(m->w);
    free(m->bias);
}

static inline void sum_add(struct sum *s, double a, double b)
{
    s->value += a * b;
    s->magnitude += fabs(a * b);
    s->terms++;
}

/* Every product of one output. */
static inline void expect_output(struct expected *e, const struct problem *m, int i, int k, int p,
                                 int q)
{
    const struct conv_shape *s = &m->s;
    size_t y = (product(i, s->k, 1, 1) + (size_t)k) * product(s->p, s->q, 1, 1) +
               (size_t)(p * s->q + q);
    sum_add(&e->y[y], m->bias[k], 1);
    sum_add(&e->dbias[k], m->dy[y], 1);
    for (int c = 0; c < s->c; c++)
        for (int r = 0; r < s->r; r++)
            for (int t = 0; t < s->s; t++) {
                int h = p * s->stride + r - s->pad, w = q * s->stride + t - s->pad;
                if (h < 0 || h >= s->h || w < 0 || w >= s->w)
                    continue;
                size_t x = ((size_t)(i * s->c + c) * (size_t)s->h + (size_t)h) * (size_t)s->w +
                           (size_t)w;
                size_t v = ((size_t)(k * s->c + c) * (size_t)s->r + (size_t)r) * (size_t)s->s +
                           (size_t)t;
                sum_add(&e->y[y], m->x[x], m->w[v]);
                sum_add(&e->dx[x], m->dy[y], m->w[v]);
                sum_add(&e->dw[v], m->dy[y], m->x[x]);
            }
}

static inline struct expected expected_new(const struct problem *m)
{
    const struct conv_shape *s = &m->s;
    struct expected e = {
        .y = calloc(product(m->n, s->k, s->p, s->q), sizeof *e.y),
        .dx = calloc(product(m->n, s->c, s->h, s->w), sizeof *e.dx),
        .dw = calloc(product(s->k, s->c, s->r, s->s), sizeof *e.dw),
        .dbias = calloc((size_t)s->k, sizeof *e.dbias),
    };
    assert_non_null(e.y);
    assert_non_null(e.dx);
    assert_non_null(e.dw);
    assert_non_null(e.dbias);
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < s->k; k++)
            for (int p = 0; p < s->p; p++)
                for (int q = 0; q < s->q; q++)
                    expect_output(&e, m, i, k, p, q);
    return e;
}

static inline void expected_free(struct expected *e)
{
    free(e->y);
    free(e->dx);
    free(e->dw);
    free(e->dbias);
}

/* How far a sum in fp32 may be off, and with `stored` what was stored in bf16. */
static inline double sum_bound(const struct sum *s, bool stored)
{
    double u = 0x1p-24, gamma = s->terms * u / (1 - s->terms * u);
    double bound = gamma * s->magnitude;
    return stored ? bound + 0x1p-8 * (fabs(s->value) + bound) : bound;
}

static inline void check_sums(const char *what, const struct problem *m, const double *got,
                              const struct sum *want, size_t count, bool stored)
{
    const struct conv_shape *s = &m->s;
    for (size_t i = 0; i < count; i++) {
        double bound = sum_bound(&want[i], stored);
        if (!(fabs(got[i] - want[i].value) <= bound))
            fail_msg("%s[%zu] is %.9g, not %.9g +- %.1e (n %d, %dx%dx%d -> %dx%dx%d, filter %dx%d, "
                     "stride %d, pad %d)", what, i, got[i], want[i].value, bound, m->n, s->c, s->h,
                     s->w, s->k, s->p, s->q, s->r, s->s, s->stride, s->pad);
    }
}

/* A shape whose outputs are `trim` rows and columns fewer than the input allows. */
static inline struct conv_shape shape_of(int c, int h, int w, int k, int r, int s, int stride,
                                         int pad, int trim)
{
    struct conv_shape v = {.c = c, .h = h, .w = w, .k = k, .r = r, .s = s, .stride = stride,
                           .pad = pad};
    v.p = (h + 2 * pad - r) / stride + 1;
    v.q = (w + 2 * pad - s) / stride + 1;
    v.p -= v.p > trim ? trim : 0;
    v.q -= v.q > trim ? trim : 0;
    return v;
}

#endif
