/* section_optimum.c - loss against one setting, a curve for each value of the others, and where
 * each curve is least: a parabola in the logarithm, with an interval. */
#define _GNU_SOURCE /* strverscmp */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "report/axes.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { FAMILIES_MOST = 8, DRAWS = 1000, SIDE = 2, FOOT = 2, WIDE = 10 };

/* One curve: losses by place on the axis. */
struct family {
    char label[512];
    const struct report_group **groups; /* [axis.count]; NULL: not tried */
    struct stats_optimum optimum;       /* in log2 of the setting */
    size_t first, last;                 /* places that were fitted */
    bool fitted;
    bool edge;                          /* least at an end of what was tried */
};

struct optima {
    struct axis axis;
    struct family families[FAMILIES_MOST];
    size_t count, left_out;
};

static bool has_loss(const struct report_group *g)
{
    return g && g->loss.n && isfinite(g->loss.mean);
}

/* All losses of the counted runs from `first` to `last`; returns how many. */
static size_t collect(const struct report *r, const struct optima *o, const struct family *f,
                      double *x, double *y, size_t room)
{
    size_t n = 0;
    for (size_t i = f->first; i <= f->last; i++) {
        const struct report_group *g = f->groups[i];
        for (size_t k = 0; has_loss(g) && k < g->count && n < room; k++) {
            const struct report_run *run = &r->runs[g->runs[k]];
            double loss = report_loss(r, &run->summary);
            if (!run->counted || !isfinite(loss))
                continue;
            x[n] = log2(o->axis.values[i]);
            y[n++] = loss;
        }
    }
    return n;
}

/* Whether a place is part of the valley: at most FOOT times the least loss. Where training breaks
 * the loss climbs by any factor, and no parabola goes there. */
static bool in_valley(const struct family *f, size_t place, double least)
{
    return !has_loss(f->groups[place]) || f->groups[place]->loss.mean <= FOOT * least;
}

/* Fits the places around the least mean: two on each side, further than that no parabola holds. */
static void fit(const struct report *r, const struct optima *o, struct family *f)
{
    size_t least = SIZE_MAX, low = SIZE_MAX, high = 0;
    double x[512], y[512];
    for (size_t i = 0; i < o->axis.count; i++) {
        if (!has_loss(f->groups[i]))
            continue;
        low = low == SIZE_MAX ? i : low;
        high = i;
        if (least == SIZE_MAX || f->groups[i]->loss.mean < f->groups[least]->loss.mean)
            least = i;
    }
    if (least == SIZE_MAX)
        return;
    f->edge = least == low || least == high;
    f->first = least > low + SIDE ? least - SIDE : low;
    f->last = least + SIDE < high ? least + SIDE : high;
    double lowest = f->groups[least]->loss.mean;
    while (!in_valley(f, f->first, lowest))
        f->first++;
    while (!in_valley(f, f->last, lowest))
        f->last--;
    size_t n = collect(r, o, f, x, y, 512);
    f->fitted = !f->edge && f->first < least && least < f->last &&
                stats_optimum_fit(x, y, n, DRAWS, 1, &f->optimum) &&
                f->optimum.fit.has_minimum;
}

static void make_families(struct optima *o, const struct report *r)
{
    size_t *family = xcalloc(r->group_count, sizeof *family);
    size_t count = axes_families(r, o->axis.key, family);
    o->count = count < FAMILIES_MOST ? count : FAMILIES_MOST;
    o->left_out = count - o->count;
    for (size_t g = r->group_count; g-- > 0;) {
        if (family[g] >= o->count)
            continue;
        struct family *f = &o->families[family[g]];
        if (!f->groups)
            f->groups = xcalloc(o->axis.count, sizeof(struct report_group *));
        axes_family_label(r, &r->groups[g], o->axis.key, f->label);
        f->groups[axis_place(&o->axis, r, &r->groups[g])] = &r->groups[g];
    }
    for (size_t i = 0; i < o->count; i++)
        if (o->axis.logarithmic)
            fit(r, o, &o->families[i]);
    free(family);
}

/* In the order of the second setting, so that colours follow it. */
static int by_second(const void *a, const void *b)
{
    const struct family *f = a, *g = b;
    return strverscmp(f->label, g->label);
}

static void add_points(json_t *chart, const struct optima *o, const struct family *f, int colour)
{
    double x[512], mean[512], low[512], high[512];
    size_t n = 0, most = 0;
    for (size_t i = 0; i < o->axis.count && n < 512; i++) {
        const struct report_group *g = f->groups[i];
        if (!has_loss(g))
            continue;
        double sd = g->loss.n > 1 ? g->loss.sd : 0;
        x[n] = o->axis.values[i];
        mean[n] = g->loss.mean;
        low[n] = fmax(g->loss.mean - sd, g->loss.mean / 10);
        high[n++] = g->loss.mean + sd;
        most = g->loss.n > most ? g->loss.n : most;
    }
    const char *key = *f->label ? f->label : "loss";
    if (most > 1)
        chart_add_band(chart, key, key, colour, x, low, high, n);
    chart_add(chart, "tried", key, key, colour, x, mean, n, 0);
}

/* Faint behind the means, the losses of single seeds; of thousands they would hide everything. */
static void add_seeds(json_t *chart, const struct report *r, const struct optima *o,
                      const struct family *f, int colour)
{
    enum { MOST = 400 };
    double x[MOST], y[MOST];
    size_t n = 0, runs = 0;
    const char *key = *f->label ? f->label : "loss";
    for (size_t i = 0; i < o->axis.count; i++) {
        const struct report_group *g = f->groups[i];
        for (size_t k = 0; has_loss(g) && g->loss.n > 1 && k < g->count; k++) {
            const struct report_run *run = &r->runs[g->runs[k]];
            double loss = report_loss(r, &run->summary);
            if (!run->counted || !isfinite(loss) || ++runs > MOST)
                continue;
            x[n] = o->axis.values[i];
            y[n++] = loss;
        }
    }
    if (n > 0 && runs <= MOST)
        chart_add(chart, "raw", key, key, colour, x, y, n, 0);
}

static void add_fit(json_t *chart, const struct optima *o, const struct family *f, int colour)
{
    enum { POINTS = 33 };
    double x[POINTS], y[POINTS];
    const struct stats_parabola *p = &f->optimum.fit;
    const char *key = *f->label ? f->label : "loss";
    char label[600];
    if (!f->fitted)
        return;
    double from = log2(o->axis.values[f->first]), to = log2(o->axis.values[f->last]);
    for (int i = 0; i < POINTS; i++) {
        double u = from + (to - from) * i / (POINTS - 1);
        x[i] = exp2(u);
        y[i] = stats_parabola_at(p, u);
    }
    snprintf(label, sizeof label, "%s, fitted", key);
    chart_add(chart, "fit", label, key, colour, x, y, POINTS, 0);
    snprintf(label, sizeof label, "%s, optimum", key);
    /* Drawn no further than a factor of 2 beyond what was tried: the table has all of it. */
    const double least_tried = o->axis.values[0] / 2;
    const double most_tried = o->axis.values[o->axis.count - 1] * 2;
    const double ends[] = {fmax(exp2(f->optimum.interval.low), least_tried),
                           fmin(exp2(f->optimum.interval.high), most_tried)};
    const double height[] = {p->y, p->y}, least = exp2(p->x);
    if (!isnan(f->optimum.interval.low))
        chart_add(chart, "interval", label, key, colour, ends, height, 2, 0);
    chart_add(chart, "optimum", label, key, colour, &least, height, 1, 0);
}

/* "0.21 (0.17 to 0.26)". */
static const char *interval_text(const struct family *f, char text[96])
{
    char a[32], b[32], c[32];
    if (!f->fitted)
        snprintf(text, 96, "%s", f->edge ? "at the edge: extend the range" : "not determined");
    else if (isnan(f->optimum.interval.low))
        snprintf(text, 96, "%s (no interval: too few values)",
                 html_number(exp2(f->optimum.fit.x), 3, a));
    else
        snprintf(text, 96, "%s (%s to %s)", html_number(exp2(f->optimum.fit.x), 3, a),
                 html_number(exp2(f->optimum.interval.low), 3, b),
                 html_number(exp2(f->optimum.interval.high), 3, c));
    return text;
}

static void write_table(const struct optima *o, FILE *out)
{
    char text[96];
    fputs("<div class=\"scroll\"><table class=\"small\"><thead><tr><th scope=\"col\">curve</th>"
          "<th scope=\"col\">", out);
    html_printf(out, "best %s tried", o->axis.key);
    fputs("</th><th scope=\"col\">", out);
    html_printf(out, "fitted optimum of %s (95 %% interval)", o->axis.key);
    fputs("</th></tr></thead><tbody>\n", out);
    for (size_t i = 0; i < o->count; i++) {
        const struct family *f = &o->families[i];
        const struct report_group *best = NULL;
        char number[32];
        size_t at = 0;
        for (size_t k = 0; k < o->axis.count; k++) {
            if (!has_loss(f->groups[k]) || (best && best->loss.mean <= f->groups[k]->loss.mean))
                continue;
            best = f->groups[k];
            at = k;
        }
        fputs("<tr><th scope=\"row\">", out);
        html_text(out, *f->label ? f->label : "all");
        fprintf(out, "</th><td>%s</td><td>",
                best ? html_number(o->axis.values[at], 4, number) : "—");
        html_text(out, interval_text(f, text));
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* How the optimum follows the batch size, where at least three are known. */
static bool slope_text(const struct report *r, const struct optima *o, char text[512])
{
    double x[FAMILIES_MOST], y[FAMILIES_MOST];
    size_t n = 0;
    const char *second = axes_second(r);
    if (!second || r->varied_count != 2 || strcmp(o->axis.key, "lr") != 0 ||
        strcmp(second, "batch") != 0)
        return false;
    for (size_t i = 0; i < o->count; i++) {
        double batch;
        const struct report_group *g = NULL;
        for (size_t k = 0; k < o->axis.count && !g; k++)
            g = o->families[i].groups[k];
        if (!o->families[i].fitted || !g || !report_number(r, g, "batch", &batch))
            continue;
        x[n] = log2(batch);
        y[n++] = o->families[i].optimum.fit.x;
    }
    if (n < 3)
        return false;
    struct stats_line line = stats_line_fit(x, y, n);
    double half = stats_t95(n - 2) * line.slope_se;
    snprintf(text, 512, "The best rate grows as batch to the power %.2f (95 %% interval %.2f to "
             "%.2f, %zu batch sizes; the linear rule says 1, the square-root rule 0.5).",
             line.slope, line.slope - half, line.slope + half, n);
    return true;
}

/* Whether the losses differ by so much that the valley would be flat on a linear axis. */
static bool is_wide(const struct optima *o)
{
    double low = (double)INFINITY, high = 0;
    for (size_t i = 0; i < o->count; i++) {
        for (size_t k = 0; k < o->axis.count; k++) {
            const struct report_group *g = o->families[i].groups[k];
            if (!has_loss(g))
                continue;
            low = fmin(low, g->loss.mean);
            high = fmax(high, g->loss.mean);
        }
    }
    return low > 0 && high > WIDE * low;
}

static void write_figure(const struct report *r, struct optima *o, FILE *out)
{
    char takeaway[700], notes[1024], title[256], text[96];
    json_t *chart = chart_new("optimum");
    for (size_t i = 0; i < o->count; i++) {
        add_seeds(chart, r, o, &o->families[i], (int)i + 1);
        add_points(chart, o, &o->families[i], (int)i + 1);
        add_fit(chart, o, &o->families[i], (int)i + 1);
    }
    chart_axis(chart, "x", o->axis.key, o->axis.logarithmic ? "logarithmic" : "linear");
    snprintf(title, sizeof title, "%s loss (mean per image)", r->measure.images);
    chart_axis(chart, "y", title, is_wide(o) ? "logarithmic" : NULL);
    const struct family *first = &o->families[0];
    if (!slope_text(r, o, takeaway) && !first->fitted)
        snprintf(takeaway, sizeof takeaway, "%.300s%sthe best %.40s is %s.", first->label,
                 *first->label ? ": " : "", o->axis.key, interval_text(first, text));
    else if (!slope_text(r, o, takeaway))
        snprintf(takeaway, sizeof takeaway, "%.300s%sloss is least at %.40s %.96s.", first->label,
                 *first->label ? ": " : "The ", o->axis.key, interval_text(first, text));
    snprintf(notes, sizeof notes,
             "Points: mean over seeds, %s, diverged runs left out; band: ± 1 standard deviation; "
             "dots: single seeds. %s%s", report_counts(r, r->group_count, text),
             o->axis.logarithmic ? "Dotted: a parabola in log2 of the setting through the five "
                                   "values around the least; its minimum with a 95 % bootstrap "
                                   "interval (1000 draws, fixed seed). " : "",
             o->left_out ? "Only the eight best curves are shown. " : "");
    snprintf(title, sizeof title, "Loss against %s", o->axis.key);
    const struct figure f = {"fig-optimum", title, takeaway,
                             "Line chart of the final loss against one setting, with fitted "
                             "minima.", notes, "optimum"};
    figure_write(out, r, &f, chart);
    json_decref(chart);
    if (o->axis.logarithmic)
        write_table(o, out);
}

static void write(const struct report *r, FILE *out)
{
    const char *key = axes_main(r);
    struct optima *o = xcalloc(1, sizeof *o);
    if (key) {
        axis_init(&o->axis, r, key);
        if (o->axis.count >= 3) {
            make_families(o, r);
            qsort(o->families, o->count, sizeof *o->families, by_second);
            write_figure(r, o, out);
        }
        for (size_t i = 0; i < o->count; i++)
            free(o->families[i].groups);
        axis_release(&o->axis);
    }
    free(o);
}

const struct report_section section_optimum = {"optimum", "Where the optimum lies", write};
