/* study_figure.c - see study_figure.h. */
#include "report/study_figure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "report/figure.h"
#include "report/html.h"

enum { COLOURS = 8 };

/* One series: columns of equal length, NaN where there is a gap. */
struct columns {
    double *x, *mean, *low, *high; /* [count]; low and high NULL without a spread */
    size_t count;
    double n_least, n_most;        /* runs behind a point; NaN if not told */
};

/* The extent of what is drawn. */
struct extent {
    double x[2], y[2];
};

static double *column(const json_t *series, const char *key, size_t count)
{
    const json_t *list = json_object_get(series, key);
    if (json_array_size(list) < count || !count)
        return NULL;
    double *x = xcalloc(count, sizeof *x);
    for (size_t i = 0; i < count; i++)
        x[i] = json_real_of(json_array_get(list, i));
    return x;
}

static void columns_init(struct columns *c, const json_t *series)
{
    size_t x = json_array_size(json_object_get(series, "x"));
    size_t mean = json_array_size(json_object_get(series, "mean"));
    c->count = x < mean ? x : mean;
    c->x = column(series, "x", c->count);
    c->mean = column(series, "mean", c->count);
    c->low = column(series, "low", c->count);
    c->high = column(series, "high", c->count);
    c->n_least = c->n_most = (double)NAN;
    double *n = column(series, "n", c->count);
    for (size_t i = 0; n && i < c->count; i++) {
        c->n_least = fmin(c->n_least, n[i]);
        c->n_most = fmax(c->n_most, n[i]);
    }
    free(n);
}

static void columns_release(struct columns *c)
{
    free(c->x);
    free(c->mean);
    free(c->low);
    free(c->high);
}

/* A logarithmic axis has no place for what is not positive. */
static void drop(double *x, size_t count, bool logarithmic)
{
    for (size_t i = 0; x && logarithmic && i < count; i++)
        x[i] = x[i] > 0 ? x[i] : (double)NAN;
}

static void widen(double range[2], const double *x, size_t count)
{
    for (size_t i = 0; x && i < count; i++) {
        range[0] = fmin(range[0], x[i]); /* of a number and NaN the number */
        range[1] = fmax(range[1], x[i]);
    }
}

/* Spread as a band beside a line, as bars through points. */
static void add_spread(json_t *chart, const struct columns *c, const char *name, int colour,
                       bool points)
{
    if (!c->low || !c->high)
        return;
    if (!points) {
        chart_add_band(chart, name, name, colour, c->x, c->low, c->high, c->count);
        return;
    }
    for (size_t i = 0; i < c->count; i++) {
        const double x[] = {c->x[i], c->x[i]}, y[] = {c->low[i], c->high[i]};
        if (isfinite(y[0]) && isfinite(y[1]) && isfinite(x[0]))
            chart_add(chart, "bar", name, name, colour, x, y, 2, 0);
    }
}

static void add_series(json_t *chart, const json_t *figure, const json_t *series, int colour,
                       size_t most, struct extent *e, double n[2])
{
    bool x_log = json_is_true(json_object_get(json_object_get(figure, "x"), "log"));
    bool y_log = json_is_true(json_object_get(json_object_get(figure, "y"), "log"));
    const char *style = json_text_at(series, "style"), *name = json_text_at(series, "name");
    bool points = strcmp(style, "points") == 0;
    struct columns c;
    columns_init(&c, series);
    drop(c.x, c.count, x_log);
    drop(c.mean, c.count, y_log);
    drop(c.low, c.count, y_log);
    drop(c.high, c.count, y_log);
    widen(e->x, c.x, c.count);
    widen(e->y, c.mean, c.count);
    widen(n, &c.n_least, 1);
    widen(n, &c.n_most, 1);
    if (c.count) {
        add_spread(chart, &c, name, colour, points);
        chart_add(chart, points ? "points" : strcmp(style, "dashed") == 0 ? "dashed"
                         : c.count <= 24                                  ? "marked"
                                                                          : "plain",
                  name, name, colour, c.x, c.mean, c.count, most);
    }
    columns_release(&c);
}

static void add_reference(json_t *chart, const json_t *reference, int colour,
                          const struct extent *e)
{
    double at = json_real_at(reference, "value");
    bool upright = strcmp(json_text_at(reference, "axis"), "x") == 0;
    const double along[] = {at, at};
    if (isfinite(at) && isfinite(e->x[0]) && isfinite(e->y[0]))
        chart_add(chart, "mark", json_text_at(reference, "name"), json_text_at(reference, "name"),
                  colour, upright ? along : e->x, upright ? e->y : along, 2, 0);
}

static void set_axis(json_t *chart, const json_t *figure, const char *which)
{
    const json_t *axis = json_object_get(figure, which);
    chart_axis(chart, which, json_text_at(axis, "title"),
               json_is_true(json_object_get(axis, "log")) ? "logarithmic" : "linear");
}

/* "Band or bars: ...; n = 3 to 5 runs. Published points: ..." */
static void make_notes(const json_t *figure, const double n[2], char notes[1024])
{
    char sources[600] = "", runs[80] = "";
    size_t i, at = 0;
    json_t *series;
    bool spread = false;
    json_array_foreach(json_object_get(figure, "series"), i, series) {
        spread |= json_array_size(json_object_get(series, "low")) > 0;
        if (*json_text_at(series, "source") && at < sizeof sources)
            at += (size_t)snprintf(sources + at, sizeof sources - at, " %.100s: %.200s.",
                                   json_text_at(series, "name"), json_text_at(series, "source"));
    }
    if (isfinite(n[0]) && n[0] == n[1])
        snprintf(runs, sizeof runs, "n = %.0f run%s a point. ", n[0], n[0] == 1 ? "" : "s");
    else if (isfinite(n[0]) && isfinite(n[1]))
        snprintf(runs, sizeof runs, "n = %.0f to %.0f runs a point. ", n[0], n[1]);
    snprintf(notes, 1024, "%s%s%s", runs,
             spread ? "Bands and bars: 95 % intervals, or as the caption says." : "", sources);
}

void study_figure_write(FILE *out, const struct report *r, const json_t *figure, size_t number)
{
    const json_t *all = json_object_get(figure, "series");
    struct extent e = {{(double)NAN, (double)NAN}, {(double)NAN, (double)NAN}};
    double n[2] = {(double)NAN, (double)NAN};
    char id[64], notes[1024], alt[512];
    json_t *chart = chart_new("study"), *item;
    size_t i, most = chart_points(4 * (json_array_size(all) + 1));
    json_array_foreach(all, i, item)
        add_series(chart, figure, item, (int)(i % COLOURS) + 1, most, &e, n);
    json_array_foreach(json_object_get(figure, "references"), i, item)
        add_reference(chart, item, (int)((json_array_size(all) + i) % COLOURS) + 1, &e);
    set_axis(chart, figure, "x");
    set_axis(chart, figure, "y");
    snprintf(id, sizeof id, "fig-study-%zu", number);
    snprintf(alt, sizeof alt, "Line chart of %.200s over %.200s.",
             json_text_at(json_object_get(figure, "y"), "title"),
             json_text_at(json_object_get(figure, "x"), "title"));
    make_notes(figure, n, notes);
    const struct figure f = {id, json_text_at(figure, "title"), json_text_at(figure, "caption"),
                             alt, notes, "study"};
    figure_write(out, r, &f, chart);
    json_decref(chart);
}
