/* series.c - see series.h. */
#include "studies/series.h"

#include <math.h>

static const double unknown = (double)NAN;

static double mean_of_power(const struct study_curve *c, double from, double to, int power)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->step[i] < from || c->step[i] > to || !isfinite(c->value[i]))
            continue;
        sum += power == 2 ? c->value[i] * c->value[i] : c->value[i];
        n++;
    }
    return n ? sum / (double)n : unknown;
}

double series_mean(const struct study_curve *c, double from, double to)
{
    return mean_of_power(c, from, to, 1);
}

double series_rms(const struct study_curve *c, double from, double to)
{
    return sqrt(mean_of_power(c, from, to, 2));
}

double series_end(const struct study_curve *c)
{
    return c->count ? c->step[c->count - 1] : 0;
}

double series_distance(const struct study_curve *a, const struct study_curve *b, double last)
{
    double sum = 0, mean = 0;
    size_t n = 0;
    for (; n < a->count && n < b->count && a->step[n] <= last; n++) {
        double d = a->value[n] - b->value[n];
        if (a->step[n] != b->step[n] || !isfinite(d))
            return unknown;
        sum += d * d;
        mean += a->value[n];
    }
    if (n == 0 || a->step[n - 1] != last)
        return unknown;
    return sqrt(sum / (double)n) / (mean / (double)n);
}

double series_decay_time(const struct study_curve *c, double limit, double above)
{
    double x[512], y[512];
    size_t n = 0;
    for (size_t i = 0; i < c->count && n < 512; i++) {
        double left = c->value[i] - limit;
        if (!(left > above * limit))
            break;
        x[n] = c->step[i];
        y[n++] = log(left);
    }
    return n < 4 ? unknown : -1 / stats_line_fit(x, y, n).slope;
}

double series_exponent(const struct study_curve *c, double from)
{
    double x[4096], y[4096];
    size_t n = 0;
    for (size_t i = 0; i < c->count && n < 4096; i++) {
        if (c->step[i] < from || c->step[i] <= 0 || !(c->value[i] > 0))
            continue;
        x[n] = log(c->step[i]);
        y[n++] = log(c->value[i]);
    }
    return n < 4 ? unknown : stats_line_fit(x, y, n).slope;
}

/* The best level and depth for one scale; returns chi^2. An infinite scale fits the level alone. */
static double fit_at(const double *x, const double *y, const double *error, size_t n, double scale,
                     struct series_memory *m)
{
    double w = 0, u = 0, uu = 0, v = 0, uv = 0, chi2 = 0;
    for (size_t i = 0; i < n; i++) {
        double weight = 1 / (error[i] * error[i]);
        double f = isfinite(scale) ? -exp(-x[i] / scale) : 0;
        w += weight;
        u += weight * f;
        uu += weight * f * f;
        v += weight * y[i];
        uv += weight * f * y[i];
    }
    double determinant = w * uu - u * u;
    m->scale = scale;
    m->depth = determinant > 1e-12 * w * uu ? (w * uv - u * v) / determinant : 0;
    m->level = (v - m->depth * u) / w;
    for (size_t i = 0; i < n; i++) {
        double f = isfinite(scale) ? -exp(-x[i] / scale) : 0;
        double d = (y[i] - m->level - m->depth * f) / error[i];
        chi2 += d * d;
    }
    return chi2;
}

enum { SCALES = 400 };

struct series_memory series_memory_fit(const double *x, const double *y, const double *error,
                                       size_t n)
{
    struct series_memory best = {unknown, unknown, unknown, unknown, unknown, unknown}, at;
    double chi2[SCALES], scales[SCALES], least = INFINITY, last = 0;
    if (n < 4)
        return best;
    for (size_t i = 0; i < n; i++)
        last = fmax(last, x[i]);
    double first = 0.2, end = 20 * last;
    for (int i = 0; i < SCALES; i++) {
        scales[i] = first * pow(end / first, i / (SCALES - 1.0));
        chi2[i] = fit_at(x, y, error, n, scales[i], &at);
        if (chi2[i] < least) {
            least = chi2[i];
            best = at;
        }
    }
    int low = 0, high = SCALES - 1;
    while (chi2[low] > least + 3.84)
        low++;
    while (chi2[high] > least + 3.84)
        high--;
    best.low = low == 0 ? 0 : scales[low];
    best.high = high == SCALES - 1 ? (double)INFINITY : scales[high];
    best.gain = fit_at(x, y, error, n, INFINITY, &at) - least;
    return best;
}
