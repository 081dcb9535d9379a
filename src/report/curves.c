/* curves.c - see curves.h. */
#include "report/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"

enum { WINDOWS_MOST = 80, WINDOWS_LEAST = 4 };

static void init(struct curve *c, size_t room)
{
    *c = (struct curve){0};
    c->x = xcalloc(4 * room + 1, sizeof *c->x);
    c->mean = c->x + room;
    c->low = c->mean + room;
    c->high = c->low + room;
}

void curve_release(struct curve *c)
{
    free(c->x);
    *c = (struct curve){0};
}

/* Appends the mean of values[n] at x. */
static void add(struct curve *c, double x, const double *values, size_t n)
{
    if (n == 0)
        return;
    double mean = stats_mean(values, n), sd = n > 1 ? stats_sd(values, n) : 0;
    c->x[c->n] = x;
    c->mean[c->n] = mean;
    c->low[c->n] = mean - sd;
    c->high[c->n++] = mean + sd;
    c->seeds = n > c->seeds ? n : c->seeds;
}

static const struct series *series_of(const struct report *r, const struct report_group *g,
                                      size_t i, const char *name)
{
    return series_find(&r->runs[g->runs[i]].series, name);
}

void curve_windows(struct curve *c, const struct report *r, const struct report_group *g,
                   const char *name, size_t windows)
{
    double *means = xcalloc(g->count * windows, sizeof *means);
    double *column = xcalloc(g->count, sizeof *column), end = 0;
    size_t runs = 0;
    init(c, windows);
    for (size_t i = 0; i < g->count; i++) {
        const struct series *s = series_of(r, g, i, name);
        if (s && s->count)
            end = fmax(end, s->epoch[s->count - 1]);
    }
    for (size_t i = 0; i < g->count; i++) {
        const struct series *s = series_of(r, g, i, name);
        if (s && s->count)
            series_windows(s->epoch, s->value, s->count, 0, end, windows,
                           means + runs++ * windows);
    }
    for (size_t w = 0; w < windows; w++) {
        size_t n = 0;
        for (size_t i = 0; i < runs; i++)
            if (!isnan(means[i * windows + w]))
                column[n++] = means[i * windows + w];
        add(c, end * ((double)w + 0.5) / (double)windows, column, n);
    }
    free(means);
    free(column);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All epochs at which some run has a value, each once; *count of them, heap. */
static double *all_epochs(const struct report *r, const struct report_group *g, const char *name,
                          size_t *count)
{
    size_t n = 0;
    double *epochs = NULL;
    for (size_t i = 0; i < g->count; i++) {
        const struct series *s = series_of(r, g, i, name);
        if (!s || !s->count)
            continue;
        epochs = xrealloc(epochs, (n + s->count) * sizeof *epochs);
        memcpy(epochs + n, s->epoch, s->count * sizeof *epochs);
        n += s->count;
    }
    *count = 0;
    if (n)
        qsort(epochs, n, sizeof *epochs, ascending);
    for (size_t i = 0; i < n; i++)
        if (*count == 0 || epochs[i] != epochs[*count - 1])
            epochs[(*count)++] = epochs[i];
    return epochs;
}

void curve_points(struct curve *c, const struct report *r, const struct report_group *g,
                  const char *name)
{
    size_t count;
    double *epochs = all_epochs(r, g, name, &count);
    double *column = xcalloc(g->count, sizeof *column);
    size_t *next = xcalloc(g->count, sizeof *next);
    init(c, count);
    for (size_t k = 0; k < count; k++) {
        size_t n = 0;
        for (size_t i = 0; i < g->count; i++) {
            const struct series *s = series_of(r, g, i, name);
            while (s && next[i] < s->count && s->epoch[next[i]] < epochs[k])
                next[i]++;
            if (s && next[i] < s->count && s->epoch[next[i]] == epochs[k] &&
                isfinite(s->value[next[i]]))
                column[n++] = s->value[next[i]];
        }
        add(c, epochs[k], column, n);
    }
    free(epochs);
    free(column);
    free(next);
}

void curve_scale(struct curve *c, double factor)
{
    for (size_t i = 0; i < c->n; i++) {
        c->mean[i] *= factor;
        c->low[i] *= factor;
        c->high[i] *= factor;
    }
}

void curve_decimate(struct curve *c, size_t most)
{
    size_t *keep = xcalloc(c->n + 2, sizeof *keep);
    size_t kept = series_decimate(c->mean, c->n, most, keep);
    for (size_t i = 0; i < kept; i++) {
        c->x[i] = c->x[keep[i]];
        c->mean[i] = c->mean[keep[i]];
        c->low[i] = c->low[keep[i]];
        c->high[i] = c->high[keep[i]];
    }
    c->n = kept;
    free(keep);
}

size_t curve_window_count(const struct report *r, const struct report_group *g)
{
    size_t steps = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct series *s = series_of(r, g, i, "train/loss");
        if (s && s->count > steps)
            steps = s->count;
    }
    size_t windows = steps / 4;
    return windows > WINDOWS_MOST ? WINDOWS_MOST : windows < WINDOWS_LEAST ? WINDOWS_LEAST
                                                                           : windows;
}
