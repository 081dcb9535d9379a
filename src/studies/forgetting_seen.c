/* forgetting_seen.c - what the runs of the study forgetting show. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "probes/theory.h"
#include "studies/fit.h"
#include "studies/forgetting.h"
#include "studies/series.h"

enum { SEEDS = STUDY_SEEDS_MOST, AGES = 32, NAMES = 512 };

static const double unknown = (double)NAN;

enum when { PLATEAU, END };

/* A loss of each seed's run of a label at the end of the run. NaN for runs that diverged. Returns
 * how many runs, or -1. */
static int end_losses(struct study_results *r, const char *label, const char *key, double *values,
                      struct err *e)
{
    size_t group[SEEDS], n = study_group(r, label, group, SEEDS);
    for (size_t k = 0; k < n; k++) {
        struct study_curve c;
        double last = study_setting(r, group[k], "epochs");
        if (study_metric(r, group[k], "epoch", key, &c, e))
            return -1;
        values[k] = study_curve_mean(&c, last - 1e-6, last + 1e-6);
    }
    return (int)n;
}

/* The same on the plateau, of training images or of validation images, with refreshed statistics:
 * the mean over the measurements in its last two thirds. */
static int plateau_losses(struct study_results *r, const char *label, const char *of,
                          double *values, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, label, group, SEEDS);
    for (size_t k = 0; k < n; k++) {
        struct study_curve c;
        double last = study_setting(r, group[k], "epochs");
        if (study_probe(r, group[k], "losses", of, "refreshed_loss", &c, e))
            return -1;
        values[k] = study_curve_mean(&c, last * PLATEAU_FROM - 1e-6, last * PLATEAU_END + 1e-6);
    }
    return (int)n;
}

/* Validation losses of a corner; training losses, too, where `train` is not NULL. */
static int corner_losses(struct study_results *r, enum corner corner, double factor, enum when when,
                         double *values, double *train, struct err *e)
{
    char label[80];
    forgetting_corner(corner, factor, label);
    int n = when == PLATEAU ? plateau_losses(r, label, "validation", values, e)
                            : end_losses(r, label, "val/loss", values, e);
    if (n < 0 || !train)
        return n;
    return when == PLATEAU ? plateau_losses(r, label, "training", train, e)
                           : end_losses(r, label, "train/epoch_loss", train, e);
}

/* All corners and factors: a table, and a figure for each of the two times. */
static int show_square(struct study_results *r, const struct forgetting_scale *s, enum when at,
                       struct err *e)
{
    static const char *const columns[] = {"factor", "images", "validation loss", "training loss",
                                          "runs", NULL};
    const char *when = at == PLATEAU ? "on the plateau" : "at the end";
    const char *id = at == PLATEAU ? "plateau" : "end";
    json_t *table = study_table(r, id, study_text(r, "Losses %s", when), columns);
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = id, .title = study_text(r, "Validation loss %s", when),
        .caption = "Mean over seeds with its 95 % interval.",
        .x_title = "learning-rate factor (peak 0.1 x factor)", .y_title = "validation loss",
        .x_log = true});
    for (int c = 0; c < CORNERS; c++) {
        double mean[FORGETTING_FACTORS], low[FORGETTING_FACTORS], high[FORGETTING_FACTORS];
        size_t count = 0;
        for (; s->factors[count] > 0; count++) {
            double x[SEEDS], train[SEEDS];
            int n = corner_losses(r, (enum corner)c, s->factors[count], at, x, train, e);
            if (n < 0)
                return -1;
            const struct study_seen seen = study_mean(x, (size_t)n);
            mean[count] = seen.value;
            low[count] = seen.low;
            high[count] = seen.high;
            study_row(table, "dsddn", s->factors[count], corner_names[c], seen.value,
                      stats_mean(train, (size_t)n), (size_t)n);
        }
        study_line(figure, corner_names[c],
                   &(struct study_points){.x = s->factors, .mean = mean, .low = low, .high = high,
                                          .count = count});
    }
    return 0;
}

/* Says what was seen of the quotient of a and b, of which every seed gives a pair. */
static void conclude_quotient(struct study_results *r, const char *claim, const char *what,
                              const double *a, const double *b, size_t n)
{
    struct study_seen seen = study_quotient(a, b, n);
    if (isnan(seen.value))
        seen.doubt = "a run diverged";
    else if (n >= 2 && isnan(seen.low))
        seen.doubt = "what it is divided by cannot be told from 0";
    seen.what = study_text(r, "%s is %.3g (%s).", what, seen.value, study_error(r, &seen, 1));
    study_conclude(r, claim, &seen);
}

static int see_square(struct study_results *r, double most, struct err *e)
{
    double half[SEEDS], whole[SEEDS], steps[SEEDS], last[SEEDS], first[SEEDS];
    int n = corner_losses(r, HALF_PLAIN, 1, END, half, NULL, e);
    if (n < 0 || corner_losses(r, WHOLE_AUGMENTED, 1, END, whole, NULL, e) < 0 ||
        corner_losses(r, HALF_STEPS, 1, END, steps, NULL, e) < 0)
        return -1;
    conclude_quotient(r, "gap", "At factor 1, at the end, the quotient", half, whole, (size_t)n);
    for (int k = 0; k < n; k++) {
        steps[k] -= whole[k];
        first[k] = half[k] - whole[k];
    }
    conclude_quotient(r, "steps", "With as many steps the share of the difference", steps, first,
                      (size_t)n);
    if (corner_losses(r, HALF_PLAIN, 1, PLATEAU, half, NULL, e) < 0 ||
        corner_losses(r, WHOLE_AUGMENTED, 1, PLATEAU, whole, NULL, e) < 0)
        return -1;
    for (int k = 0; k < n; k++)
        first[k] = half[k] - whole[k];
    if (corner_losses(r, HALF_PLAIN, most, PLATEAU, half, NULL, e) < 0 ||
        corner_losses(r, WHOLE_AUGMENTED, most, PLATEAU, whole, NULL, e) < 0)
        return -1;
    for (int k = 0; k < n; k++)
        last[k] = half[k] - whole[k];
    conclude_quotient(r, "shrinks", "On the plateau the quotient of differences", last, first,
                      (size_t)n);
    conclude_quotient(r, "equal", "On the plateau at the highest factor the quotient", half, whole,
                      (size_t)n);
    return 0;
}

/* ---- recency ---- */

/* Means over the plateau's measurements and the seeds, by age. */
struct ages {
    double age[AGES], loss[AGES], error[AGES];
    size_t n;
    double epoch;                /* steps of one */
};

/* Of one group of ages: sums over measurements, of the errors' squares, and how many there are. */
struct age_sums {
    double age, loss, error2;
    int count;
};

/* Groups are 0, 1, 2-3, 4-7 ..., and named by the ages that are there: "age 4-7", "age 128-250". An
 * empty one is left out. */
static int age_group(const char *name)
{
    unsigned long long first;
    int group = 0;
    if (sscanf(name, "age %llu", &first) != 1)
        return -1; /* test images */
    for (; first > 0; first /= 2)
        group++;
    return group < AGES ? group : AGES - 1;
}

/* Adds the measurements on the plateau of one row of one run. */
static int add_row(struct study_results *r, size_t trial, const char *of, struct age_sums *s,
                   double *epoch, struct err *e)
{
    double epochs = study_setting(r, trial, "epochs");
    struct study_curve age, loss, error;
    if (study_probe(r, trial, "recency", of, "age", &age, e) ||
        study_probe(r, trial, "recency", of, "seen_loss", &loss, e) ||
        study_probe(r, trial, "recency", of, "seen_error", &error, e))
        return -1;
    for (size_t k = 0; k < age.count; k++) {
        if (age.epoch[k] < epochs / 3 - 1e-6 || age.epoch[k] > epochs * PLATEAU_END + 1e-6)
            continue;
        s->age += age.value[k];
        s->loss += loss.value[k];
        s->error2 += error.value[k] * error.value[k];
        s->count++;
        *epoch = age.step[k] / age.epoch[k];
    }
    return 0;
}

/* Ages that some measurement lacks are left out: the others' mean is of other moments, and losses
 * differ more between moments than between ages. */
static int read_ages(struct study_results *r, double factor, struct ages *a, struct err *e)
{
    char label[80];
    size_t group[SEEDS], rows;
    const char *names[NAMES];
    struct age_sums sums[AGES] = {0};
    int most = 0;
    forgetting_corner(WHOLE_AUGMENTED, factor, label);
    size_t n = study_group(r, label, group, SEEDS);
    for (size_t k = 0; k < n; k++) {
        if (study_probe_subjects(r, group[k], "recency", names, NAMES, &rows, e))
            return -1;
        for (size_t i = 0; i < rows; i++) {
            int at = age_group(names[i]);
            if (at >= 0 && add_row(r, group[k], names[i], &sums[at], &a->epoch, e))
                return -1;
        }
    }
    for (int i = 0; i < AGES; i++)
        most = sums[i].count > most ? sums[i].count : most;
    a->n = 0;
    for (int i = 0; i < AGES && most > 0; i++) {
        if (sums[i].count < most)
            continue;
        a->age[a->n] = sums[i].age / most;
        a->loss[a->n] = sums[i].loss / most;
        a->error[a->n++] = sqrt(sums[i].error2) / most;
    }
    return 0;
}

/* Loss on the oldest half of an epoch less that on the youngest sixteenth. */
static struct study_seen dip_of(struct study_results *r, const struct ages *a)
{
    double young = 0, old = 0, young_w = 0, old_w = 0;
    for (size_t i = 0; i < a->n; i++) {
        double w = 1 / (a->error[i] * a->error[i]);
        if (a->age[i] <= a->epoch / 16) {
            young += w * a->loss[i];
            young_w += w;
        } else if (a->age[i] >= a->epoch / 2) {
            old += w * a->loss[i];
            old_w += w;
        }
    }
    double dip = old / old_w - young / young_w, error = sqrt(1 / old_w + 1 / young_w);
    struct study_seen seen = {.value = dip, .low = dip - 1.96 * error, .high = dip + 1.96 * error,
                              .n = a->n, .error = "1.96 standard errors over images"};
    seen.what = study_text(r, "The loss is %.4f lower on what was just seen (95 %% from %.4f to "
                              "%.4f).", seen.value, seen.low, seen.high);
    return seen;
}

static int see_recency(struct study_results *r, const struct forgetting_scale *s, double most,
                       struct err *e)
{
    static const char *const columns[] = {"factor", "predicted steps", "fitted steps", "95 % from",
                                          "to", "depth", "gain in chi^2", NULL};
    const struct config *base = &r->plan->sweep->base;
    json_t *table = study_table(r, "memory", "How long a batch is remembered", columns);
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "recency", .title = "Loss against how long ago images were trained on",
        .caption = "Exactly as they were seen; mean over the plateau and seeds, less the mean "
                   "over ages, with 95 % intervals.",
        .x_title = "steps ago + 1", .x_log = true, .y_title = "loss less its mean"});
    for (int i = 0; s->factors[i] > 0; i++) {
        struct ages a = {0};
        double mean = 0, x[AGES], low[AGES], high[AGES];
        const struct theory t = {.lr = 0.1 * s->factors[i], .momentum = base->momentum,
                                 .weight_decay = base->weight_decay};
        if (read_ages(r, s->factors[i], &a, e))
            return -1;
        const struct series_memory m = series_memory_fit(a.age, a.loss, a.error, a.n);
        double predicted = theory_memory_steps(&t);
        study_row(table, "ddddddd", s->factors[i], predicted, m.scale, m.low, m.high, m.depth,
                  m.gain);
        if (s->factors[i] == most) {
            const struct study_seen dip = dip_of(r, &a);
            study_conclude(r, "recency", &dip);
            struct study_seen seen = {.value = m.scale / predicted, .low = m.low / predicted,
                                      .high = m.high / predicted, .n = a.n,
                                      .error = "95 % profile likelihood over ages"};
            if (!(m.gain >= 9 && m.depth > 0))
                seen.doubt = "the dip cannot be told from noise";
            seen.what = study_text(r, "Fitted %.4g steps (95 %% from %.4g to %.4g), predicted "
                                      "%.4g.",
                                   m.scale, m.low, m.high, predicted);
            study_conclude(r, "memory", &seen);
        }
        mean = stats_mean(a.loss, a.n);
        for (size_t k = 0; k < a.n; k++) {
            x[k] = a.age[k] + 1;
            a.loss[k] -= mean;
            low[k] = a.loss[k] - 1.96 * a.error[k];
            high[k] = a.loss[k] + 1.96 * a.error[k];
        }
        study_line(figure, study_text(r, "factor %g", s->factors[i]),
                   &(struct study_points){.x = x, .mean = a.loss, .low = low, .high = high,
                                          .count = a.n});
    }
    return 0;
}

/* The last value of a series of the probe forgetting, for each seed. */
static int read_events(struct study_results *r, double factor, double *values, size_t *n,
                       struct err *e)
{
    char label[80];
    size_t group[SEEDS];
    forgetting_corner(WHOLE_AUGMENTED, factor, label);
    *n = study_group(r, label, group, SEEDS);
    for (size_t k = 0; k < *n; k++) {
        struct study_curve c;
        if (study_probe(r, group[k], "forgetting", "", "never_forgotten", &c, e))
            return -1;
        values[k] = c.count ? c.value[c.count - 1] : unknown;
    }
    return 0;
}

static int see_events(struct study_results *r, double most, struct err *e)
{
    double low[SEEDS], high[SEEDS];
    size_t n, m;
    if (read_events(r, 1, low, &n, e) || read_events(r, most, high, &m, e))
        return -1;
    struct study_seen seen = study_difference(high, m, low, n);
    seen.what = study_text(r, "Never forgotten: %.3f at factor %g, %.3f at factor 1 (published "
                              "for a whole training: about 0.31).", stats_mean(high, m), most,
                           stats_mean(low, n));
    study_conclude(r, "events", &seen);
    return 0;
}

/* ---- fractions ---- */

static int see_fractions(struct study_results *r, const struct forgetting_scale *s, int b,
                         struct err *e)
{
    struct fit_curve *curves = arena_alloc(&r->memory, FORGETTING_FRACTIONS, sizeof *curves);
    size_t n = 0;
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = study_text(r, "fractions-%d", s->batches[b]),
        .title = study_text(r, "Fractions of the images, batch %d", s->batches[b]),
        .caption = "Validation loss at the end; mean over seeds.",
        .x_title = "learning-rate factor", .y_title = "validation loss", .x_log = true});
    for (; s->fractions[n] > 0; n++) {
        double mean[FORGETTING_FACTORS];
        size_t count = 0;
        curves[n].at = log2(s->fractions[n]);
        for (; s->sweep[count] > 0; count++) {
            double x[SEEDS];
            char label[80];
            forgetting_fraction(s->fractions[n], s->batches[b], s->sweep[count], label);
            int runs = end_losses(r, label, "val/loss", x, e);
            if (runs < 0)
                return -1;
            for (int k = 0; k < runs; k++)
                fit_add(&curves[n], log2(s->sweep[count]), x[k]);
            mean[count] = stats_mean(x, (size_t)runs);
        }
        fit_optimum(&curves[n], 4, n + 1);
        study_line(figure, study_text(r, "fraction %g", s->fractions[n]),
                   &(struct study_points){.x = s->sweep, .mean = mean, .count = count});
    }
    const struct fit_slope slope = fit_slope(curves, n);
    const struct study_seen seen = {
        .value = slope.slope, .low = slope.interval.low, .high = slope.interval.high, .n = n,
        .error = "95 % bootstrap interval over runs", .doubt = slope.doubt,
        .what = study_text(r, "At batch %d the slope is %.2f (95 %% from %.2f to %.2f) over %zu "
                              "fractions.", s->batches[b], slope.slope, slope.interval.low,
                           slope.interval.high, n)};
    study_conclude(r, b ? "bunched" : "optimum", &seen);
    return 0;
}

int forgetting_analyse(struct study_results *r, struct err *e)
{
    const struct forgetting_scale *s = &forgetting_scales[r->plan->scale];
    double most = 1;
    for (int i = 0; s->factors[i] > 0; i++)
        most = s->factors[i];
    return show_square(r, s, PLATEAU, e) || show_square(r, s, END, e) || see_square(r, most, e) ||
                   see_recency(r, s, most, e) || see_events(r, most, e) ||
                   see_fractions(r, s, 0, e) || see_fractions(r, s, 1, e)
               ? -1
               : 0;
}
