/* section_training.c - how the runs learnt: loss, accuracy, learning rate, speed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/curves.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

/* One quantity, as training and held-out images show it. */
struct quantity {
    const char *steps;           /* measured at every step */
    const char *points;          /* measured after epochs */
    double factor;
};

/* The colour of group g's curves; one group alone uses two, for training and held-out images. */
static int colour(const struct report *r, size_t g, bool held_out)
{
    return r->shown == 1 ? held_out ? 2 : 1 : (int)g + 1;
}

/* The faint lines behind a mean: every step of every run, or the points of each seed. */
static void add_raw(json_t *chart, const struct report *r, size_t g, const char *name,
                    const char *key, double factor, bool held_out, size_t most)
{
    const struct report_group *group = &r->groups[g];
    for (size_t i = 0; i < group->count; i++) {
        const struct report_run *run = &r->runs[group->runs[i]];
        const struct series *s = series_find(&run->series, name);
        if (!s || s->count < 2)
            continue;
        double *y = xmalloc(s->count * sizeof *y);
        char label[256];
        for (size_t k = 0; k < s->count; k++)
            y[k] = s->value[k] * factor;
        const char *seed = summary_setting(&run->summary, "seed");
        snprintf(label, sizeof label, "%.160s, seed %.40s, raw", key, seed ? seed : "?");
        chart_add(chart, "raw", label, key, colour(r, g, held_out), s->epoch, y, s->count, most);
        free(y);
    }
}

static void add_curve(json_t *chart, struct curve *c, const char *role, const char *key,
                      int number)
{
    enum { POINTS = 500 };
    if (c->n == 0)
        return;
    curve_decimate(c, POINTS);
    if (c->seeds > 1)
        chart_add_band(chart, key, key, number, c->x, c->low, c->high, c->n);
    chart_add(chart, role, key, key, number, c->x, c->mean, c->n, 0);
}

/* Steps and training seconds of one epoch of a group; NaN where its runs do not tell. */
static void epoch_lengths(const struct report *r, const struct report_group *g, double *steps,
                          double *seconds)
{
    double sum = 0, step = 0, epoch = 0;
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct series *s = series_find(&r->runs[g->runs[i]].series, "perf/step_seconds");
        for (size_t k = 0; s && k < s->count; k++) {
            if (isfinite(s->value[k])) {
                sum += s->value[k];
                n++;
            }
        }
        if (s && s->count && s->epoch[s->count - 1] > epoch) {
            step = s->step[s->count - 1];
            epoch = s->epoch[s->count - 1];
        }
    }
    *steps = epoch > 0 ? step / epoch : (double)NAN;
    *seconds = n && epoch > 0 ? *steps * sum / (double)n : (double)NAN;
}

/* What the x axis can be counted in, and each data set's factors, as web/page.js wants them.
 * Colours tell which group a data set is of. */
static void add_units(json_t *chart, const struct report *r)
{
    double steps[REPORT_CURVES], seconds[REPORT_CURVES], longest = 0;
    size_t i;
    json_t *set, *kiln = json_object_get(chart, "kiln");
    for (size_t g = 0; g < r->shown; g++) {
        epoch_lengths(r, &r->groups[g], &steps[g], &seconds[g]);
        if (!isfinite(steps[g]) || !isfinite(seconds[g]))
            return;
        longest = fmax(longest, seconds[g] * report_first(r, &r->groups[g])->summary.epoch);
    }
    const double unit = longest > 7200 ? 3600 : longest > 240 ? 60 : 1;
    json_object_set_new(kiln, "units",
                        json_pack("[s, s, s]", "epochs", "steps",
                                  unit == 1    ? "seconds of training"
                                  : unit == 60 ? "minutes of training"
                                               : "hours of training"));
    json_array_foreach(json_object_get(json_object_get(chart, "data"), "datasets"), i, set) {
        size_t g = (size_t)json_integer_value(json_object_get(set, "colour")) - 1;
        g = r->shown == 1 ? 0 : g;
        json_object_set_new(set, "per", json_pack("[i, o, o]", 1, chart_number(steps[g]),
                                                  chart_number(seconds[g] / unit)));
    }
}

static size_t raw_curves(const struct report *r)
{
    size_t runs = 0;
    for (size_t g = 0; g < r->shown; g++)
        runs += r->groups[g].count;
    return 4 * runs;
}

static void key_of(const struct report *r, size_t g, const char *images, char key[512])
{
    if (r->shown == 1)
        snprintf(key, 512, "%s images", images);
    else
        snprintf(key, 512, "%.400s (%s)", r->groups[g].label, images);
}

static void add_quantity(json_t *chart, const struct report *r, const struct quantity *q)
{
    size_t most = chart_points(raw_curves(r));
    char key[512];
    for (size_t g = 0; g < r->shown; g++) {
        const struct report_group *group = &r->groups[g];
        struct curve c;
        curve_windows(&c, r, group, q->steps, curve_window_count(r, group));
        curve_scale(&c, q->factor);
        key_of(r, g, "training", key);
        /* Raw steps of many groups would hide everything else. */
        if (r->shown == 1)
            add_raw(chart, r, g, q->steps, key, q->factor, false, most);
        add_curve(chart, &c, "training", key, colour(r, g, false));
        curve_release(&c);
        curve_points(&c, r, group, q->points);
        curve_scale(&c, q->factor);
        key_of(r, g, r->measure.images, key);
        if (group->count > 1)
            add_raw(chart, r, g, q->points, key, q->factor, true, most);
        add_curve(chart, &c, "held-out", key, colour(r, g, true));
        curve_release(&c);
    }
}

/* What a figure draws of several seeds. */
enum seeds { MEAN_AND_SEEDS, MEAN_ALONE, ONE_SEED };

static const char *seeds_text(enum seeds drawn, size_t most)
{
    if (drawn == ONE_SEED)
        return "";
    if (most < 2)
        return "One seed: no spread is known. ";
    return drawn == MEAN_ALONE ? "Band: mean ± 1 standard deviation over seeds. "
                               : "Band: mean ± 1 standard deviation over seeds; faint lines: "
                                 "single seeds. ";
}

/* "n = 3 runs. Band: ..." */
static void make_notes(const struct report *r, enum seeds drawn, const char *more,
                       char notes[1024])
{
    size_t n = r->groups[0].count, most = n;
    for (size_t g = 0; g < r->shown; g++) {
        n = r->groups[g].count < n ? r->groups[g].count : n;
        most = r->groups[g].count > most ? r->groups[g].count : most;
    }
    char many[64], shown[128] = "";
    if (n == most)
        snprintf(many, sizeof many, "n = %zu run%s%s", n, n == 1 ? "" : "s",
                 r->shown > 1 ? " a configuration" : "");
    else
        snprintf(many, sizeof many, "n = %zu to %zu runs a configuration", n, most);
    if (r->shown < r->group_count)
        snprintf(shown, sizeof shown, "The %zu best of %zu configurations. ", r->shown,
                 r->group_count);
    snprintf(notes, 1024, "%s%s. %s%s", shown, many, seeds_text(drawn, most), more);
}

static const char *windows_text(const struct report *r, char text[256])
{
    snprintf(text, 256,
             "Training lines are means over 1/%zu of the run, on augmented images and before each "
             "update%s.",
             curve_window_count(r, &r->groups[0]),
             r->shown == 1 ? "; faint behind them, every step" : "");
    return text;
}

/* Whether losses differ by so much, as when training blows up, that a linear axis shows nothing. */
static bool is_wide(const struct report *r, const char *name)
{
    enum { WIDE = 100 };
    double low = (double)INFINITY, high = 0;
    for (size_t g = 0; g < r->shown; g++) {
        for (size_t i = 0; i < r->groups[g].count; i++) {
            const struct series *s = series_find(&r->runs[r->groups[g].runs[i]].series, name);
            for (size_t k = 0; s && k < s->count; k++) {
                low = fmin(low, s->value[k]); /* of a number and NaN, fmin is the number */
                high = fmax(high, s->value[k]);
            }
        }
    }
    return low > 0 && high > WIDE * low;
}

static void write_loss(const struct report *r, FILE *out)
{
    const struct report_group *best = &r->groups[0];
    char takeaway[1024], notes[1024], text[256], a[64], alt[256];
    struct curve c;
    json_t *chart = chart_new("curves");
    const struct quantity q = {"train/loss", r->measure.loss_series, 1};
    add_quantity(chart, r, &q);
    chart_axis(chart, "x", "epochs", NULL);
    chart_axis(chart, "y", "loss (mean per image)", is_wide(r, q.steps) ? "logarithmic" : NULL);
    curve_points(&c, r, best, q.points);
    if (c.n > 1) {
        size_t least = 0;
        for (size_t i = 1; i < c.n; i++)
            least = c.mean[i] < c.mean[least] ? i : least;
        const char *images = *r->measure.images == 'v' ? "Validation" : "Test";
        double sd = c.seeds > 1 ? c.high[least] - c.mean[least] : (double)NAN;
        html_spread(c.mean[least], sd, 1, 4, a);
        if (least == c.n - 1)
            snprintf(takeaway, sizeof takeaway, "%s%.300s%s loss falls to the end: %s.",
                     r->shown > 1 ? best->label : "", r->shown > 1 ? ": " : "", images, a);
        else
            snprintf(takeaway, sizeof takeaway, "%s%.300s%s loss is least at epoch %.4g (%s) and "
                     "rises afterwards.", r->shown > 1 ? best->label : "",
                     r->shown > 1 ? ": " : "", images, c.x[least], a);
    } else if (best->diverged == best->count) {
        snprintf(takeaway, sizeof takeaway, "%.300s diverged: after step %lld its loss or a "
                 "gradient was not finite.", r->shown > 1 ? best->label : "It",
                 (long long)report_first(r, best)->summary.step);
    } else {
        snprintf(takeaway, sizeof takeaway, "Loss on training and held-out images.");
    }
    curve_release(&c);
    make_notes(r, MEAN_AND_SEEDS, windows_text(r, text), notes);
    snprintf(alt, sizeof alt, "Line chart of the loss over epochs, training and %s images.",
             r->measure.images);
    const struct figure f = {"fig-loss", "Loss", takeaway, alt, notes, "training"};
    add_units(chart, r);
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write_accuracy(const struct report *r, FILE *out)
{
    const struct report_group *best = &r->groups[0];
    char takeaway[1024], notes[1024], text[256], a[64], alt[256];
    json_t *chart = chart_new("curves");
    const struct quantity q = {"train/accuracy", r->measure.accuracy_series, 100};
    add_quantity(chart, r, &q);
    chart_axis(chart, "x", "epochs", NULL);
    chart_axis(chart, "y", "accuracy (%)", NULL);
    if (best->accuracy.n)
        snprintf(takeaway, sizeof takeaway, "%s%.300s %s %s %% of the %s images right.",
                 r->shown > 1 ? "Best: " : "", r->shown > 1 ? best->label : "It",
                 best->running ? "now gets" : "ends with",
                 html_spread(best->accuracy.mean, best->accuracy.sd, 100, 4, a),
                 r->measure.images);
    else
        snprintf(takeaway, sizeof takeaway, "No accuracy on %s images was measured%s.",
                 r->measure.images, best->running ? " yet" : "");
    make_notes(r, MEAN_AND_SEEDS, windows_text(r, text), notes);
    snprintf(alt, sizeof alt, "Line chart of the accuracy over epochs, training and %s images.",
             r->measure.images);
    const struct figure f = {"fig-accuracy", "Accuracy", takeaway, alt, notes, "training"};
    add_units(chart, r);
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write_rate(const struct report *r, FILE *out)
{
    char takeaway[1024], notes[1024];
    json_t *chart = chart_new("curves");
    double peak = 0, at = 0;
    for (size_t g = 0; g < r->shown; g++) {
        const struct series *s = series_find(&report_first(r, &r->groups[g])->series, "opt/lr");
        if (!s)
            continue;
        const char *key = r->shown == 1 ? "learning rate" : r->groups[g].label;
        chart_add(chart, "plain", key, key, (int)g + 1, s->epoch, s->value, s->count, 400);
        for (size_t i = 0; g == 0 && i < s->count; i++) {
            if (s->value[i] > peak) {
                peak = s->value[i];
                at = s->epoch[i];
            }
        }
    }
    chart_axis(chart, "x", "epochs", NULL);
    chart_axis(chart, "y", "learning rate", NULL);
    snprintf(takeaway, sizeof takeaway, "%s%.300s%she schedule peaks at %.3g, in epoch %.3g.",
             r->shown > 1 ? r->groups[0].label : "", r->shown > 1 ? ": " : "",
             r->shown > 1 ? "t" : "T", peak, at);
    make_notes(r, ONE_SEED, "The rate of each step, the same for all seeds, so there is no band.",
               notes);
    const struct figure f = {"fig-rate", "Learning rate", takeaway,
                             "Line chart of the learning rate over epochs.", notes, "training"};
    add_units(chart, r);
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write_speed(const struct report *r, FILE *out)
{
    char takeaway[1024], notes[1024], a[64];
    json_t *chart = chart_new("curves");
    for (size_t g = 0; g < r->shown; g++) {
        const struct report_group *group = &r->groups[g];
        const char *key = r->shown == 1 ? "training speed" : group->label;
        struct curve c;
        double batch;
        if (!report_number(r, group, "batch", &batch))
            continue;
        curve_windows(&c, r, group, "perf/step_seconds", curve_window_count(r, group));
        for (size_t i = 0; i < c.n; i++) {
            double share = (c.high[i] - c.mean[i]) / c.mean[i];
            c.mean[i] = batch / c.mean[i];
            c.low[i] = fmax(c.mean[i] * (1 - share), 0);
            c.high[i] = c.mean[i] * (1 + share);
        }
        add_curve(chart, &c, "plain", key, (int)g + 1);
        curve_release(&c);
    }
    chart_axis(chart, "x", "epochs", NULL);
    chart_axis(chart, "y", "training images per second", NULL);
    json_object_set_new(json_object_get(json_object_get(json_object_get(chart, "options"),
                                                        "scales"), "y"),
                        "beginAtZero", json_true());
    if (r->groups[0].images_per_second.n)
        snprintf(takeaway, sizeof takeaway, "%.300s trains at %s images a second.",
                 r->shown > 1 ? r->groups[0].label : "The run",
                 html_spread(r->groups[0].images_per_second.mean,
                             r->groups[0].images_per_second.sd, 1, 3, a));
    else
        snprintf(takeaway, sizeof takeaway, "How fast the steps were that were done.");
    make_notes(r, MEAN_ALONE,
               "Images of a batch over the mean time of its step; evaluation left out.", notes);
    const struct figure f = {"fig-speed", "Speed", takeaway,
                             "Line chart of training images per second over epochs.", notes,
                             "training"};
    add_units(chart, r);
    figure_write(out, r, &f, chart);
    json_decref(chart);
}

static void write(const struct report *r, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < r->run_count; i++)
        any |= r->runs[i].series.count > 0;
    if (!any || r->range_test) /* ramps are drawn against their rate */
        return;
    fputs("<div class=\"grid\">\n", out);
    write_loss(r, out);
    write_accuracy(r, out);
    write_rate(r, out);
    write_speed(r, out);
    fputs("</div>\n", out);
}

const struct report_section section_training = {"training", "Training", write};
