/* section_range.c - learning-rate range tests (kiln find-lr): loss against a rate that grows
 * step by step, over seeds, and what of it can be read off.
 *
 * The range test is Smith's ("Cyclical learning rates", 2017). Three places are marked on the mean
 * curve: where the loss falls fastest per factor of the rate, a tenth of the rate of its least, and
 * where it has risen by a tenth of its whole fall above the least. Between the first and the last
 * lies a range; no single rate is recommended. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { WINDOWS = 48 };

/* Mean over runs on a grid in log10 of the rate; NaN where no run has a value. */
struct range {
    double lr[WINDOWS], mean[WINDOWS], low[WINDOWS], high[WINDOWS];
    size_t runs, n;                /* n places that have a value, at the front */
    double steepest, tenth, blow_up; /* rates; NaN if not seen */
};

/* The rate and the loss of one run's steps, up to the greatest rate. */
static const struct series *rates_of(const struct report_run *run, const struct series **loss)
{
    const struct series *lr = series_find(&run->series, "opt/lr");
    *loss = series_find(&run->series, "train/loss");
    return lr && *loss && lr->count == (*loss)->count && lr->count > 1 ? lr : NULL;
}

static void limits(const struct report *r, double *low, double *high)
{
    *low = (double)INFINITY;
    *high = -(double)INFINITY;
    for (size_t i = 0; i < r->run_count; i++) {
        const struct series *loss, *lr = rates_of(&r->runs[i], &loss);
        for (size_t k = 0; lr && k < lr->count; k++) {
            if (lr->value[k] <= 0)
                continue;
            *low = fmin(*low, log10(lr->value[k]));
            *high = fmax(*high, log10(lr->value[k]));
        }
    }
}

/* The run's means in each window, my[WINDOWS]. */
static void cut(const struct series *lr, const struct series *loss, double low, double high,
                double *my)
{
    double *x = xcalloc(lr->count, sizeof *x);
    for (size_t k = 0; k < lr->count; k++)
        x[k] = lr->value[k] > 0 ? log10(lr->value[k]) : low;
    series_windows(x, loss->value, lr->count, low, high, WINDOWS, my);
    free(x);
}

static void average(struct range *g, const struct report *r, double low, double high)
{
    double *all = xcalloc(r->run_count * WINDOWS, sizeof *all);
    double *column = xcalloc(r->run_count, sizeof *column);
    for (size_t i = 0; i < r->run_count; i++) {
        const struct series *loss, *lr = rates_of(&r->runs[i], &loss);
        if (lr)
            cut(lr, loss, low, high, all + g->runs++ * WINDOWS);
    }
    for (int w = 0; w < WINDOWS; w++) {
        size_t n = 0;
        for (size_t i = 0; i < g->runs; i++)
            if (isfinite(all[i * WINDOWS + (size_t)w]))
                column[n++] = all[i * WINDOWS + (size_t)w];
        if (!n)
            continue;
        double sd = n > 1 ? stats_sd(column, n) : 0;
        g->lr[g->n] = pow(10, low + (high - low) * (w + 0.5) / WINDOWS);
        g->mean[g->n] = stats_mean(column, n);
        g->low[g->n] = g->mean[g->n] - sd;
        g->high[g->n] = g->mean[g->n] + sd;
        g->n++;
    }
    free(all);
    free(column);
}

/* Slopes over three neighbours: single windows are too noisy for a derivative. */
static void mark(struct range *g)
{
    size_t least = 0;
    double steepest = 0;
    g->steepest = g->tenth = g->blow_up = (double)NAN;
    for (size_t i = 1; i < g->n; i++)
        least = g->mean[i] < g->mean[least] ? i : least;
    if (g->n < 4)
        return;
    g->tenth = g->lr[least] / 10;
    for (size_t i = 1; i + 1 < g->n && i < least; i++) {
        double slope = (g->mean[i + 1] - g->mean[i - 1]) / log10(g->lr[i + 1] / g->lr[i - 1]);
        if (slope < steepest) {
            steepest = slope;
            g->steepest = g->lr[i];
        }
    }
    double limit = g->mean[least] + 0.1 * (g->mean[0] - g->mean[least]);
    for (size_t i = least; i < g->n; i++) {
        if (g->mean[i] > limit) {
            g->blow_up = g->lr[i];
            break;
        }
    }
}

static void add_mark(json_t *chart, const char *key, int colour, double lr, const struct range *g)
{
    double x[] = {lr, lr}, y[] = {g->mean[0], g->mean[0]};
    for (size_t i = 0; i < g->n; i++)
        y[0] = fmin(y[0], g->low[i]);
    if (isfinite(lr))
        chart_add(chart, "mark", key, key, colour, x, y, 2, 0);
}

static void add_raw(json_t *chart, const struct report *r)
{
    for (size_t i = 0; i < r->run_count; i++) {
        const struct series *loss, *lr = rates_of(&r->runs[i], &loss);
        if (lr)
            chart_add(chart, "raw", report_run_name(&r->runs[i]), "loss", 1, lr->value,
                      loss->value, lr->count, chart_points(r->run_count));
    }
}

static void write_figure(const struct report *r, const struct range *g, FILE *out)
{
    char takeaway[512], notes[1024], a[32], b[32];
    json_t *chart = chart_new("range");
    add_raw(chart, r);
    if (g->runs > 1)
        chart_add_band(chart, "loss", "loss", 1, g->lr, g->low, g->high, g->n);
    chart_add(chart, "plain", "loss", "loss", 1, g->lr, g->mean, g->n, 0);
    add_mark(chart, "steepest", 3, g->steepest, g);
    add_mark(chart, "least / 10", 4, g->tenth, g);
    add_mark(chart, "rising again", 2, g->blow_up, g);
    chart_axis(chart, "x", "learning rate", NULL);
    chart_axis(chart, "y", "training loss (mean per image)", NULL);
    if (isfinite(g->steepest) && isfinite(g->blow_up))
        snprintf(takeaway, sizeof takeaway, "The loss falls fastest at a rate of %s and rises "
                 "again from %s on: look between them.", html_number(g->steepest, 2, a),
                 html_number(g->blow_up, 2, b));
    else
        snprintf(takeaway, sizeof takeaway, "The rates tried do not show %s: widen the range.",
                 isfinite(g->steepest) ? "where the loss rises again" : "the loss falling");
    snprintf(notes, sizeof notes,
             "n = %zu runs. The rate grows with every step; line: means over 1/%d of the range of "
             "log rate, then over runs; band: ± 1 standard deviation; faint: every step. A range "
             "test trains each rate for few steps: it tells where training breaks at the start, "
             "not which rate ends best.", g->runs, WINDOWS);
    const struct figure f = {"fig-range", "Loss against a growing rate", takeaway,
                             "Line chart of the training loss against the learning rate.", notes};
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write(const struct report *r, FILE *out)
{
    struct range g = {0};
    double low, high;
    if (!r->range_test)
        return;
    limits(r, &low, &high);
    if (!(high > low))
        return;
    average(&g, r, low, high);
    mark(&g);
    if (g.n)
        write_figure(r, &g, out);
}

const struct report_section section_range = {"range", "Range test", write};
