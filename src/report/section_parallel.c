/* section_parallel.c - every configuration as a line over all settings that vary, coloured by what
 * came out: which settings go together with good results. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "report/axes.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { AXES_MOST = 12, LINES_MOST = 800 };

/* A place between 0 and 1 on an axis. */
static double position(const struct axis *a, size_t place)
{
    double low = a->values[0], high = a->values[a->count - 1], v = a->values[place];
    if (high == low)
        return 0.5;
    return a->logarithmic ? log(v / low) / log(high / low) : (v - low) / (high - low);
}

static json_t *category(const char *name, const char *low, const char *high)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(name));
    json_object_set_new(o, "low", json_string(low));
    json_object_set_new(o, "high", json_string(high));
    return o;
}

/* What the numbers along an axis are. */
static void add_scale(json_t *category_json, double least, double most, bool logarithmic)
{
    json_object_set_new(category_json, "least", chart_number(least));
    json_object_set_new(category_json, "most", chart_number(most));
    json_object_set_new(category_json, "logarithmic", json_boolean(logarithmic));
}

static void add_text(json_t *texts, const char *name, const char *value)
{
    char text[256];
    snprintf(text, sizeof text, "%.80s %.120s", name, value);
    json_array_append_new(texts, json_text(text));
}

/* The line of one group over the axes and, last, its accuracy between low and high. */
static void add_line(json_t *chart, const struct report *r, const struct report_group *g,
                     const struct axis *axes, size_t count, double low, double high)
{
    double x[AXES_MOST + 1], y[AXES_MOST + 1];
    char text[64], style[32];
    json_t *texts = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t place = axis_place(&axes[i], r, g);
        char number[32];
        x[i] = (double)i;
        y[i] = position(&axes[i], place);
        add_text(texts, axes[i].key, axes[i].numbers ? html_number(axes[i].values[place], 6, number)
                                                     : axes[i].texts[place]);
    }
    x[count] = (double)count;
    y[count] = high > low ? (g->accuracy.mean - low) / (high - low) : 0.5;
    html_spread(g->accuracy.mean, g->accuracy.sd, 100, 4, text);
    add_text(texts, "accuracy (%)", text);
    snprintf(style, sizeof style, "@heat:%.3f", y[count]);
    json_t *set = chart_add(chart, "line", g->label, "configurations", 1, x, y, count + 1, 0);
    json_object_set_new(set, "style", json_pack("{s:s}", "borderColor", style));
    json_object_set_new(set, "texts", texts);
}

static void write_figure(const struct report *r, const struct axis *axes, size_t count, FILE *out)
{
    double low = (double)INFINITY, high = -(double)INFINITY;
    char a[32], b[32], takeaway[512], notes[512];
    json_t *chart = chart_new("parallel"), *categories = json_array();
    size_t results = 0;
    for (size_t g = 0; g < r->group_count; g++) {
        if (!r->groups[g].accuracy.n)
            continue;
        results++; /* those without come last */
        low = fmin(low, r->groups[g].accuracy.mean);
        high = fmax(high, r->groups[g].accuracy.mean);
    }
    for (size_t i = 0; i < count; i++) {
        size_t last = axes[i].count - 1;
        json_t *o =
            axes[i].numbers ? category(axes[i].key, html_number(axes[i].values[0], 4, a),
                                       html_number(axes[i].values[last], 4, b))
                            : category(axes[i].key, axes[i].texts[0], axes[i].texts[last]);
        if (axes[i].numbers)
            add_scale(o, axes[i].values[0], axes[i].values[last], axes[i].logarithmic);
        json_array_append_new(categories, o);
    }
    json_t *accuracy = category("accuracy (%)", html_number(100 * low, 4, a),
                                html_number(100 * high, 4, b));
    add_scale(accuracy, 100 * low, 100 * high, false);
    json_array_append_new(categories, accuracy);
    const size_t lines = results < LINES_MOST ? results : LINES_MOST;
    for (size_t g = lines; g-- > 0;) /* the best last, on top */
        add_line(chart, r, &r->groups[g], axes, count, low, high);
    json_object_set_new(json_object_get(chart, "kiln"), "categories", categories);
    snprintf(takeaway, sizeof takeaway, "The best: %.400s.", r->groups[0].label);
    char left_out[96] = "", n[64];
    if (results < r->group_count)
        snprintf(left_out, sizeof left_out, "%zu without a result are left out. ",
                 r->group_count - results);
    snprintf(notes, sizeof notes,
             "%s%zu configurations, a line each, the stronger its colour the better; mean over "
             "seeds, %s; no band. %sAxes that span a factor of 4 are logarithmic. Drag along an "
             "axis, or move its sliders, to choose lines.", lines < results ? "The best " : "",
             lines, report_counts(r, lines, n), left_out);
    const struct figure f = {"fig-parallel", "Parallel coordinates", takeaway,
                             "Parallel coordinates: a line for each configuration over all "
                             "settings that vary and the accuracy.", notes, "parallel"};
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write(const struct report *r, FILE *out)
{
    enum { LEAST = 6 };
    struct axis axes[AXES_MOST];
    size_t count = r->varied_count < AXES_MOST ? r->varied_count : AXES_MOST, results = 0;
    for (size_t g = 0; g < r->group_count; g++)
        results += r->groups[g].accuracy.n > 0;
    if (count < 2 || results < LEAST)
        return;
    for (size_t i = 0; i < count; i++)
        axis_init(&axes[i], r, r->varied[i]);
    write_figure(r, axes, count, out);
    for (size_t i = 0; i < count; i++)
        axis_release(&axes[i]);
}

const struct report_section section_parallel = {"parallel", "All settings at once", write};
