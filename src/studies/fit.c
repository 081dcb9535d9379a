/* fit.c - see fit.h. */
#include "studies/fit.h"

#include <assert.h>
#include <math.h>

static const double SAME = 1e-9; /* equal x, after logarithms */

void fit_add(struct fit_curve *c, double x, double y)
{
    if (!isfinite(y))
        return;
    assert(c->n < FIT_POINTS);
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

static double mean_at(const struct fit_curve *c, double x)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (fabs(c->x[i] - x) < SAME) {
            sum += c->y[i];
            n++;
        }
    }
    return sum / (double)n;
}

static double lowest(const struct fit_curve *c, double *first, double *last)
{
    double best = c->x[0];
    *first = *last = best;
    for (size_t i = 1; i < c->n; i++) {
        *first = fmin(*first, c->x[i]);
        *last = fmax(*last, c->x[i]);
        if (mean_at(c, c->x[i]) < mean_at(c, best))
            best = c->x[i];
    }
    return best;
}

void fit_optimum(struct fit_curve *c, double window, uint64_t seed)
{
    double x[FIT_POINTS], y[FIT_POINTS], first, last;
    c->used = 0;
    c->doubt = NULL;
    if (c->n == 0) {
        c->optimum = (struct stats_optimum){.fit.x = (double)NAN};
        c->doubt = "no run finished";
        return;
    }
    const double best = lowest(c, &first, &last);
    c->from = fmax(first, best - window);
    c->to = fmin(last, best + window);
    for (size_t i = 0; i < c->n; i++) {
        if (fabs(c->x[i] - best) > window + SAME)
            continue;
        x[c->used] = c->x[i];
        y[c->used++] = c->y[i];
    }
    bool fitted = stats_optimum_samples(x, y, c->used, FIT_DRAWS, seed, &c->optimum, c->minima);
    if (!fitted)
        c->optimum.fit.x = (double)NAN;
    if (!fitted)
        c->doubt = "fewer than three learning rates gave a result near the best";
    else if (fabs(best - first) < SAME || fabs(best - last) < SAME)
        c->doubt = "the best learning rate tried is the least or the largest of its grid, so the "
                   "optimum may lie beyond";
    else if (!c->optimum.fit.has_minimum || c->optimum.fit.x < c->from || c->optimum.fit.x > c->to)
        c->doubt = "the fitted curve has no minimum within the grid";
    else if (c->optimum.without > FIT_DRAWS / 10)
        c->doubt = "more than a tenth of the bootstrap samples have no minimum";
}

struct fit_slope fit_slope(const struct fit_curve *curves, size_t n)
{
    struct fit_slope s = {.slope = (double)NAN, .interval = {(double)NAN, (double)NAN}, .n = n};
    double at[FIT_CURVES], x[FIT_CURVES], draws[FIT_DRAWS];
    size_t count = 0;
    assert(n <= FIT_CURVES);
    for (size_t i = 0; i < n; i++) {
        at[i] = curves[i].at;
        x[i] = curves[i].optimum.fit.x;
        if (curves[i].doubt)
            s.doubt = curves[i].doubt;
        if (isnan(x[i]))
            return s;
    }
    if (n < 2) {
        s.doubt = "a slope needs two optima";
        return s;
    }
    const struct stats_line line = stats_line_fit(at, x, n);
    s.slope = s.line[1] = line.slope;
    s.line[0] = line.intercept;
    for (size_t d = 0; d < FIT_DRAWS; d++) {
        for (size_t i = 0; i < n; i++)
            x[i] = curves[i].minima[d];
        const double slope = stats_line_fit(at, x, n).slope;
        if (isfinite(slope))
            draws[count++] = slope;
    }
    s.interval.low = stats_quantile(draws, count, 0.025);
    s.interval.high = stats_quantile(draws, count, 0.975);
    return s;
}
