/* section_range.c - what a range test (kiln find-lr) found: loss against a rate that grows step by
 * step, its slope, and the places on them.
 *
 * The test is Smith's ("Cyclical learning rates for training neural networks", 2017). All numbers
 * are those of find-lr.json, so that page and command say the same; while that is not there yet,
 * only the losses of the ramps are drawn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/stats.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

/* Places of find-lr.json, as they are marked and tabulated. */
static const struct place {
    const char *key, *name;
    int colour;                  /* of its mark; 0: none */
} places[] = {
    {"steepest", "falls fastest", 3},
    {"plateau_begin", "plateau begins", 0},
    {"minimum_tenth", "minimum / 10", 4},
    {"minimum", "minimum", 0},
    {"plateau_end", "plateau ends", 5},
    {"blow_up", "blow-up", 2},
};

enum { PLACES = sizeof places / sizeof places[0] };

static const json_t *at(const json_t *o, const char *key)
{
    return json_object_get(o, key);
}

static double place_lr(const json_t *file, const char *key)
{
    return json_real_at(at(at(file, "points"), key), "lr");
}

/* The numbers of a list, null as NaN: heap. *n is how many. */
static double *numbers(const json_t *list, size_t *n)
{
    *n = json_array_size(list);
    double *x = xcalloc(*n + 1, sizeof *x);
    for (size_t i = 0; i < *n; i++)
        x[i] = json_real_of(json_array_get(list, i));
    return x;
}

/* A vertical rule at a rate. */
static void add_mark(json_t *chart, const char *name, int colour, double lr, double low,
                     double high)
{
    const double x[] = {lr, lr}, y[] = {low, high};
    if (isfinite(lr) && isfinite(low) && isfinite(high))
        chart_add(chart, "mark", name, name, colour, x, y, 2, 0);
}

static void add_marks(json_t *chart, const json_t *file, double low, double high)
{
    const json_t *range = at(file, "range");
    const double x[] = {json_real_of(json_array_get(range, 0)),
                        json_real_of(json_array_get(range, 1))};
    const double bottom[] = {low, low}, top[] = {high, high};
    if (isfinite(x[0]) && isfinite(x[1])) {
        chart_add(chart, "zone-low", "range", "range", 3, x, bottom, 2, 0);
        chart_add(chart, "zone", "range", "range", 3, x, top, 2, 0);
    }
    for (int i = 0; i < PLACES; i++)
        if (places[i].colour)
            add_mark(chart, places[i].name, places[i].colour, place_lr(file, places[i].key), low,
                     high);
}

static void limits(const double *y, size_t n, double *low, double *high)
{
    for (size_t i = 0; i < n; i++) {
        *low = fmin(*low, y[i]); /* of a number and NaN, fmin is the number */
        *high = fmax(*high, y[i]);
    }
}

/* The losses of each ramp, faint; of those whose runs are there if there is no file. */
static size_t add_raw(json_t *chart, const struct report *r)
{
    size_t drawn = 0;
    for (size_t i = 0; i < r->run_count; i++) {
        const struct series *lr = series_find(&r->runs[i].series, "opt/lr");
        const struct series *loss = series_find(&r->runs[i].series, "train/loss");
        if (!lr || !loss || lr->count != loss->count || lr->count < 2)
            continue;
        chart_add(chart, "raw", report_run_name(&r->runs[i]), "loss", 1, lr->value, loss->value,
                  lr->count, chart_points(r->run_count));
        drawn++;
    }
    return drawn;
}

static void write_loss(const struct report *r, FILE *out)
{
    const json_t *file = r->range, *mean = at(file, "mean");
    char takeaway[512], notes[1024], a[32], b[32];
    json_t *chart = chart_new("range");
    size_t n, spread, steps;
    double *lr = numbers(at(file, "lr"), &steps), *loss = numbers(at(mean, "loss"), &n);
    double *sd = numbers(at(mean, "sd"), &spread);
    double lowest = (double)INFINITY, highest = -(double)INFINITY;
    n = n < steps ? n : steps;
    limits(loss, n, &lowest, &highest);
    size_t ramps = add_raw(chart, r);
    if (spread >= n && ramps > 1) {
        double *low = xcalloc(n + 1, sizeof *low), *high = xcalloc(n + 1, sizeof *high);
        for (size_t i = 0; i < n; i++) {
            low[i] = loss[i] - sd[i];
            high[i] = loss[i] + sd[i];
        }
        chart_add_band(chart, "loss", "loss", 1, lr, low, high, n);
        free(low);
        free(high);
    }
    chart_add(chart, "plain", "loss", "loss", 1, lr, loss, n, 0);
    add_marks(chart, file, lowest, highest);
    chart_axis(chart, "x", "learning rate", NULL);
    chart_axis(chart, "y", "training loss (mean per image)", NULL);
    if (file)
        snprintf(takeaway, sizeof takeaway,
                 "The loss falls fastest at a rate of %s and keeps three quarters of its gain up "
                 "to %s.", html_number(place_lr(file, "steepest"), 2, a),
                 html_number(place_lr(file, "plateau_end"), 2, b));
    else if (report_ramps_done(r))
        snprintf(takeaway, sizeof takeaway, "No range was read off: the loss never fell by a "
                 "tenth, or the short runs are not done. The same 'kiln find-lr' says which.");
    else
        snprintf(takeaway, sizeof takeaway, "Not all ramps are done; the same 'kiln find-lr' goes "
                 "on and reads the range off.");
    snprintf(notes, sizeof notes,
             "n = %zu ramp%s, one a seed. The rate grows by the same factor each step; faint: "
             "every step%s. ", ramps, ramps == 1 ? "" : "s",
             file ? "; line: losses smoothed by local straight lines, averaged over seeds; band: ± "
                    "1 standard deviation; shaded: the range in which to look" : "");
    const struct figure f = {"fig-range", "Loss against a growing rate", takeaway,
                             "Line chart of the training loss against the learning rate.", notes,
                             "range"};
    figure_write(out, r, &f, chart);
    json_decref(chart);
    free(lr);
    free(loss);
    free(sd);
}

static void write_slope(const struct report *r, FILE *out)
{
    const json_t *file = r->range;
    char takeaway[512], notes[512], a[32], b[32];
    size_t n, steps, steepest = 0;
    double *lr = numbers(at(file, "lr"), &steps);
    double *slope = numbers(at(at(file, "mean"), "slope"), &n);
    double low = 0, high = 0;
    json_t *chart = chart_new("range");
    n = n < steps ? n : steps;
    limits(slope, n, &low, &high);
    for (size_t i = 1; i < n; i++)
        if (fabs(log(lr[i] / place_lr(file, "steepest"))) <
            fabs(log(lr[steepest] / place_lr(file, "steepest"))))
            steepest = i;
    chart_add(chart, "plain", "slope", "slope", 1, lr, slope, n, 0);
    /* The climb after the blow-up is so steep that it would hide everything before. */
    add_marks(chart, file, low, fmin(high, -low));
    chart_axis(chart, "x", "learning rate", NULL);
    chart_axis(chart, "y", "d loss / d ln(learning rate)", NULL);
    json_t *y = json_object_get(json_object_get(json_object_get(chart, "options"), "scales"), "y");
    json_object_set_new(y, "suggestedMin", chart_number(1.1 * low));
    if (high > -low)
        json_object_set_new(y, "max", chart_number(-1.1 * low));
    json_array_clear(json_object_get(json_object_get(chart, "kiln"), "toggle"));
    bool edge = n > 0 && steepest == 0; /* what is left of it was not tried */
    snprintf(takeaway, sizeof takeaway, "At %s, a rate greater by a tenth takes %s off the loss%s.",
             html_number(place_lr(file, "steepest"), 2, a),
             html_number(n ? -0.0953 * slope[steepest] : (double)NAN, 2, b),
             edge ? "" : "; left of it the weights hardly move");
    snprintf(notes, sizeof notes,
             "n = %zu ramps. Slopes of straight lines fitted around each step with Gaussian "
             "weights, averaged over seeds, without a band; below zero the loss falls. What "
             "climbs out of the chart is the blow-up.", json_array_size(at(file, "ramps")));
    const struct figure f = {
        "fig-slope", "Slope of the loss over the logarithm of the rate", takeaway,
        "Line chart of the derivative of the training loss by the logarithm of the learning rate.",
        notes, "range"};
    figure_write(out, r, &f, chart);
    json_decref(chart);
    free(lr);
    free(slope);
}

static void write_places(const json_t *file, FILE *out)
{
    char a[32], b[32];
    fputs("<div class=\"scroll\"><table class=\"small\">\n<caption>Where on the mean curve, and "
          "how far the seeds are apart: geometric mean, times or divided by one standard "
          "deviation. Plateau: three quarters of the whole gain and more; blow-up: half of it is "
          "lost again.</caption>\n<thead><tr><th scope=\"col\">place</th>"
          "<th scope=\"col\">rate</th>"
          "<th scope=\"col\">over seeds</th><th scope=\"col\">n</th></tr></thead><tbody>\n", out);
    for (int i = 0; i < PLACES; i++) {
        const json_t *p = at(at(file, "points"), places[i].key);
        double n = json_real_at(p, "n");
        fprintf(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s ×÷ %s</td><td>%.0f</td>"
                     "</tr>\n",
                places[i].name, html_number(json_real_at(p, "lr"), 2, a),
                html_number(json_real_at(p, "geometric_mean"), 2, (char[32]){0}),
                html_number(json_real_at(p, "sd_factor"), 3, b), isfinite(n) ? n : 0);
    }
    fputs("</tbody></table></div>\n", out);
}

/* One rate of the confirming runs, from list item *i on. */
static void write_rate(const json_t *list, size_t *i, FILE *out)
{
    enum { MOST = 256 };
    double loss[MOST], accuracy[MOST], lr = json_real_at(json_array_get(list, *i), "lr");
    size_t n = 0, diverged = 0;
    char a[64], b[64], c[32];
    for (; *i < json_array_size(list) && json_real_at(json_array_get(list, *i), "lr") == lr; ++*i) {
        const json_t *run = json_array_get(list, *i);
        if (!isfinite(json_real_at(run, "test_loss")))
            diverged++;
        else if (n < MOST) {
            loss[n] = json_real_at(run, "test_loss");
            accuracy[n++] = json_real_at(run, "test_accuracy");
        }
    }
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>%s</td><td>%s</td><td>%zu</td><td>%zu</td>"
                 "</tr>\n",
            html_number(lr, 3, c), html_spread(stats_mean(loss, n), stats_sd(loss, n), 1, 4, a),
            html_spread(stats_mean(accuracy, n), stats_sd(accuracy, n), 100, 4, b), n, diverged);
}

static void write_confirmed(const json_t *file, FILE *out)
{
    const json_t *list = at(file, "confirmed");
    if (!json_array_size(list))
        return;
    fputs("<div class=\"scroll\"><table class=\"small\">\n<caption>", out);
    html_printf(out, "Short runs of %lld steps at constant rates of the range: mean ± standard "
                     "deviation over seeds.", (long long)json_integer_value(at(file,
                                                                               "confirm_steps")));
    fputs("</caption>\n<thead><tr><th scope=\"col\">lr</th><th scope=\"col\">test loss</th>"
          "<th scope=\"col\">test accuracy (%)</th><th scope=\"col\">n</th>"
          "<th scope=\"col\">diverged</th></tr></thead><tbody>\n", out);
    for (size_t i = 0; i < json_array_size(list);) {
        size_t before = i;
        write_rate(list, &i, out);
        i += i == before; /* a rate that is no number */
    }
    fputs("</tbody></table></div>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < r->run_count; i++)
        any |= r->runs[i].series.count > 0;
    if (!r->range_test || !any)
        return;
    fputs("<div class=\"grid\">\n", out);
    write_loss(r, out);
    if (r->range)
        write_slope(r, out);
    fputs("</div>\n", out);
    if (!r->range)
        return;
    fputs("<div class=\"grid tables\">\n", out);
    write_places(r->range, out);
    write_confirmed(r->range, out);
    fputs("</div>\n<p class=\"notes\">Each rate was used for one step, within the first epochs "
          "from random weights, without schedule and warm-up; with another batch size or length of "
          "the ramp the places move. So this does not tell the best peak rate of a whole run: it "
          "bounds where to look, and a sweep of whole runs over the range finds it.</p>\n", out);
}

const struct report_section section_range = {"range", "Range test", write};
