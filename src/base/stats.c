/* stats.c - see stats.h. */
#include "base/stats.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"

double stats_mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n ? sum / (double)n : (double)NAN;
}

double stats_sd(const double *x, size_t n)
{
    double mean = stats_mean(x, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : (double)NAN;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double stats_quantile(const double *x, size_t n, double q)
{
    if (n == 0)
        return (double)NAN;
    double *sorted = xmalloc(n * sizeof *sorted);
    memcpy(sorted, x, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    double place = q * (double)(n - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < n ? below + 1 : below;
    double value = sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
    free(sorted);
    return value;
}

double stats_t95(size_t dof)
{
    /* Student's t, 0.975, for 1 to 30 degrees of freedom. */
    static const double table[] = {
        12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
        2.2010,  2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
        2.0796,  2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
    };
    const size_t known = sizeof table / sizeof table[0];
    if (dof == 0)
        return (double)NAN;
    if (dof <= known)
        return table[dof - 1];
    /* The first two terms of the Cornish-Fisher expansion in 1 / dof (Abramowitz and Stegun
     * 26.7.5): within 1e-4 from here on. */
    const double z = 1.959964;
    double n = (double)dof, z3 = z * z * z, z5 = z3 * z * z;
    return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n);
}

struct stats_interval stats_difference95(const double *a, size_t na, const double *b, size_t nb)
{
    if (na < 2 || nb < 2)
        return (struct stats_interval){(double)NAN, (double)NAN};
    double va = pow(stats_sd(a, na), 2) / (double)na, vb = pow(stats_sd(b, nb), 2) / (double)nb;
    double difference = stats_mean(a, na) - stats_mean(b, nb), se = sqrt(va + vb);
    if (se == 0)
        return (struct stats_interval){difference, difference};
    double dof = (va + vb) * (va + vb) /
                 (va * va / (double)(na - 1) + vb * vb / (double)(nb - 1));
    /* Between two whole numbers the wider interval. */
    double t = stats_t95(dof < 1 ? 1 : (size_t)dof);
    return (struct stats_interval){difference - t * se, difference + t * se};
}

struct stats_interval stats_quotient95(const double *a, const double *b, size_t n)
{
    struct stats_interval none = {(double)NAN, (double)NAN};
    double ma = stats_mean(a, n), mb = stats_mean(b, n), aa = 0, ab = 0, bb = 0;
    if (n < 2)
        return none;
    /* Covariances of the means, times t^2; then (ma - q mb)^2 = aa - 2 q ab + q^2 bb. */
    const double scale = pow(stats_t95(n - 1), 2) / (double)n / (double)(n - 1);
    for (size_t i = 0; i < n; i++) {
        aa += scale * (a[i] - ma) * (a[i] - ma);
        ab += scale * (a[i] - ma) * (b[i] - mb);
        bb += scale * (b[i] - mb) * (b[i] - mb);
    }
    double leading = mb * mb - bb, middle = ma * mb - ab;
    double root = middle * middle - leading * (ma * ma - aa);
    if (!(leading > 0) || !(root >= 0))
        return none;
    return (struct stats_interval){(middle - sqrt(root)) / leading,
                                   (middle + sqrt(root)) / leading};
}

struct stats_line stats_line_fit(const double *x, const double *y, size_t n)
{
    double mx = stats_mean(x, n), my = stats_mean(y, n), sxx = 0, sxy = 0, rest = 0;
    for (size_t i = 0; i < n; i++) {
        sxx += (x[i] - mx) * (x[i] - mx);
        sxy += (x[i] - mx) * (y[i] - my);
    }
    struct stats_line line = {(double)NAN, (double)NAN, (double)NAN};
    if (!(sxx > 0))
        return line;
    line.slope = sxy / sxx;
    line.intercept = my - line.slope * mx;
    for (size_t i = 0; i < n; i++)
        rest += pow(y[i] - line.intercept - line.slope * x[i], 2);
    if (n > 2)
        line.slope_se = sqrt(rest / (double)(n - 2) / sxx);
    return line;
}

/* Solves the symmetric a[3][3] c = b by elimination with pivoting; false when singular. */
static bool solve3(double a[3][3], double b[3], double c[3])
{
    for (int k = 0; k < 3; k++) {
        int pivot = k;
        for (int i = k + 1; i < 3; i++)
            if (fabs(a[i][k]) > fabs(a[pivot][k]))
                pivot = i;
        if (fabs(a[pivot][k]) < 1e-12)
            return false;
        for (int j = 0; j < 3; j++) {
            double t = a[k][j];
            a[k][j] = a[pivot][j];
            a[pivot][j] = t;
        }
        double t = b[k];
        b[k] = b[pivot];
        b[pivot] = t;
        for (int i = k + 1; i < 3; i++) {
            double f = a[i][k] / a[k][k];
            for (int j = k; j < 3; j++)
                a[i][j] -= f * a[k][j];
            b[i] -= f * b[k];
        }
    }
    for (int i = 2; i >= 0; i--) {
        c[i] = b[i];
        for (int j = i + 1; j < 3; j++)
            c[i] -= a[i][j] * c[j];
        c[i] /= a[i][i];
    }
    return true;
}

double stats_parabola_at(const struct stats_parabola *p, double x)
{
    double u = x - p->centre;
    return p->c[0] + p->c[1] * u + p->c[2] * u * u;
}

static size_t count_different(const double *x, size_t n)
{
    size_t different = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < i && x[k] != x[i])
            k++;
        different += k == i;
    }
    return different;
}

bool stats_parabola_fit(const double *x, const double *y, size_t n, struct stats_parabola *p)
{
    *p = (struct stats_parabola){.x = (double)NAN, .y = (double)NAN, .residual_sd = (double)NAN};
    if (count_different(x, n) < 3)
        return false;
    /* Centred and scaled, so that the normal equations are well conditioned. */
    double low = x[0], high = x[0];
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    double scale = (high - low) / 2, a[3][3] = {{0}}, b[3] = {0}, c[3], rest = 0;
    p->centre = (low + high) / 2;
    for (size_t i = 0; i < n; i++) {
        double u = (x[i] - p->centre) / scale, powers[5] = {1, u, u * u, u * u * u, u * u * u * u};
        for (int j = 0; j < 3; j++) {
            for (int k = 0; k < 3; k++)
                a[j][k] += powers[j + k];
            b[j] += powers[j] * y[i];
        }
    }
    if (!solve3(a, b, c))
        return false;
    p->c[0] = c[0];
    p->c[1] = c[1] / scale;
    p->c[2] = c[2] / (scale * scale);
    for (size_t i = 0; i < n; i++)
        rest += pow(y[i] - stats_parabola_at(p, x[i]), 2);
    if (n > 3)
        p->residual_sd = sqrt(rest / (double)(n - 3));
    p->has_minimum = p->c[2] > 0;
    if (p->has_minimum) {
        p->x = p->centre - p->c[1] / (2 * p->c[2]);
        p->y = stats_parabola_at(p, p->x);
    }
    return true;
}

/* The data of a bootstrap: noise that is drawn and added to a base, at x[n]. */
struct pool {
    const double *x;
    size_t n;
    double *base;            /* [n]: the fitted curve, or the mean of the repetitions */
    double *noise;           /* [n]: what is left of y, widened */
    bool repetitions;        /* noise is drawn within equal x, not from all of it */
};

static size_t count_equal(const double *x, size_t n, double value)
{
    size_t equal = 0;
    for (size_t k = 0; k < n; k++)
        equal += x[k] == value;
    return equal;
}

static bool has_repetitions(const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (count_equal(x, n, x[i]) < 3)
            return false;
    return true;
}

/* The base of repetitions is their mean; a mean of k has taken 1/k of the variance away. Both kinds
 * of noise are known only as well as their degrees of freedom tell: Student's factor for that. */
static void fill_pool(struct pool *p, const double *y, const struct stats_parabola *fit)
{
    size_t places = count_different(p->x, p->n);
    double student = stats_t95(p->n - (p->repetitions ? places : 3)) / stats_t95(1000000);
    for (size_t i = 0; i < p->n; i++) {
        double free_share = (double)(p->n - 3) / (double)p->n;
        p->base[i] = stats_parabola_at(fit, p->x[i]);
        if (p->repetitions) {
            double k = (double)count_equal(p->x, p->n, p->x[i]);
            free_share = (k - 1) / k;
            p->base[i] = 0;
            for (size_t j = 0; j < p->n; j++)
                p->base[i] += p->x[j] == p->x[i] ? y[j] / k : 0;
        }
        p->noise[i] = (y[i] - p->base[i]) / sqrt(free_share) * student;
    }
}

/* The noise of one of the points at the same x as point i, each as likely. */
static double draw_repetition(const struct pool *p, size_t i, struct rng *r)
{
    uint32_t chosen = rng_below(r, (uint32_t)count_equal(p->x, p->n, p->x[i]));
    for (size_t k = 0;; k++) {
        assert(k < p->n);
        if (p->x[k] == p->x[i] && chosen-- == 0)
            return p->noise[k];
    }
}

static void draw_sample(const struct pool *p, struct rng *r, double *sample)
{
    for (size_t i = 0; i < p->n; i++)
        sample[i] = p->base[i] + (p->repetitions ? draw_repetition(p, i, r)
                                                 : p->noise[rng_below(r, (uint32_t)p->n)]);
}

/* Where the sample's curve is least; without a minimum, the lower end of the range of x. */
static double least_at(const struct pool *p, const double *sample, int *without)
{
    struct stats_parabola fit;
    stats_parabola_fit(p->x, sample, p->n, &fit);
    if (fit.has_minimum)
        return fit.x;
    double low = stats_quantile(p->x, p->n, 0), high = stats_quantile(p->x, p->n, 1);
    ++*without;
    return stats_parabola_at(&fit, low) < stats_parabola_at(&fit, high) ? low : high;
}

bool stats_optimum_samples(const double *x, const double *y, size_t n, int draws, uint64_t seed,
                           struct stats_optimum *o, double *minima)
{
    *o = (struct stats_optimum){.interval = {(double)NAN, (double)NAN}};
    for (int d = 0; d < draws; d++)
        minima[d] = (double)NAN;
    if (!stats_parabola_fit(x, y, n, &o->fit))
        return false;
    if (n == 3 || draws < 1)
        return true;
    o->draws = draws;
    o->resampled_repetitions = has_repetitions(x, n);
    double *room = xmalloc(3 * n * sizeof *room), *sample = room + 2 * n;
    struct pool p = {x, n, room, room + n, o->resampled_repetitions};
    fill_pool(&p, y, &o->fit);
    for (int d = 0; d < draws; d++) {
        struct rng r = rng_at(seed, RNG_BOOTSTRAP, (uint32_t)d, 0);
        draw_sample(&p, &r, sample);
        minima[d] = least_at(&p, sample, &o->without);
    }
    o->interval.low = stats_quantile(minima, (size_t)draws, 0.025);
    o->interval.high = stats_quantile(minima, (size_t)draws, 0.975);
    free(room);
    return true;
}

bool stats_optimum_fit(const double *x, const double *y, size_t n, int draws, uint64_t seed,
                       struct stats_optimum *o)
{
    double *minima = xcalloc((size_t)(draws > 0 ? draws : 1), sizeof *minima);
    bool fitted = stats_optimum_samples(x, y, n, draws, seed, o, minima);
    free(minima);
    return fitted;
}
