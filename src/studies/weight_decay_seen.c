/* weight_decay_seen.c - what the runs of the study weight-decay show. */
#include <math.h>
#include <stdio.h>

#include "nn/graph.h"
#include "studies/series.h"
#include "studies/weight_decay.h"

enum { LAYERS = 64, SEEDS = STUDY_SEEDS_MOST + EXACT_SEEDS };

static const double unknown = (double)NAN;

/* The scale-invariant weights of the base's network. */
struct layers {
    const char *names[LAYERS];
    size_t n;
};

static int find_layers(struct study_results *r, struct layers *l, struct err *e)
{
    const struct config *c = &r->plan->sweep->base;
    const struct graph_options o = {.input = {3, 32, 32}, .classes = 10, .width = c->width};
    struct graph g;
    if (graph_load(&g, &r->memory, c->net, &o, e))
        return -1;
    l->n = 0;
    for (int i = 0; i < g.tensor_count && l->n < LAYERS; i++)
        if (g.tensors[i].scale_invariant)
            l->names[l->n++] = g.tensors[i].name;
    return l->n ? 0 : err_set(e, EXIT_USAGE, "'%s' has no weights that only batch norms read",
                              c->net);
}

static int read_norms(struct study_results *r, size_t trial, const char *of, const char *series,
                      struct study_curve *c, struct err *e)
{
    return study_probe(r, trial, "norms", of, series, c, e);
}

static int read_loss(struct study_results *r, size_t trial, struct study_curve *c, struct err *e)
{
    return study_metric(r, trial, "train", "train/loss", c, e);
}

/* ---- a few steps ---- */

/* How far two runs break the invariance; the other's weights are `factor` times as long. */
static int broken(struct study_results *r, const struct layers *l, size_t one, size_t other,
                  double factor, double worst[3], struct err *e)
{
    struct study_curve a, b;
    if (read_loss(r, one, &a, e) || read_loss(r, other, &b, e))
        return -1;
    worst[0] = series_distance(&a, &b, series_end(&a));
    worst[1] = worst[2] = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct study_curve g, h, cosine;
        if (read_norms(r, one, l->names[i], "gradient_norm", &g, e) ||
            read_norms(r, other, l->names[i], "gradient_norm", &h, e) ||
            read_norms(r, other, l->names[i], "cosine", &cosine, e))
            return -1;
        double ratio = series_mean(&h, 0, INFINITY) * factor / series_mean(&g, 0, INFINITY);
        worst[1] = fmax(worst[1], fabs(ratio - 1));
        worst[2] = fmax(worst[2], fabs(series_mean(&cosine, 0, INFINITY)));
    }
    return 0;
}

static int see_invariance(struct study_results *r, const struct layers *l, struct err *e)
{
    static const char *const columns[] = {"c", "loss: relative difference",
                                          "|g(c w)| c, off by", "|cosine|", NULL};
    json_t *table = study_table(r, "invariance",
                                "First weights x c, against c = 1024: largest deviation of a layer",
                                columns);
    double large = 0, small = unknown;
    size_t longest = 0; /* where eps is least */
    study_group(r, "first weights x 1024", &longest, 1);
    for (int i = 0; i < INVARIANCE_FACTORS; i++) {
        char label[64];
        double c = invariance_factors[i], worst[3];
        size_t trial = 0;
        weight_decay_label("first weights x %g", c, label);
        study_group(r, label, &trial, 1);
        if (broken(r, l, longest, trial, c / 1024, worst, e))
            return -1;
        study_row(table, "dddd", c, worst[0], worst[1], worst[2]);
        double most = fmax(worst[0], fmax(worst[1], worst[2]));
        if (c > 1)
            large = fmax(large, most);
        if (i == 0)
            small = most;
    }
    struct study_seen seen = study_exact(large, l->n);
    seen.what = study_text(r, "Over %zu layers and c from 4 to 1024 the largest deviation is %.2g.",
                           l->n, large);
    study_conclude(r, "invariance", &seen);
    seen = study_exact(small, l->n);
    seen.what = study_text(r, "At c = 1/1024 the largest deviation is %.2g.", small);
    study_conclude(r, "eps", &seen);
    return 0;
}

/* Distance of the losses of two labels, seed by seed: fills d[SEEDS], returns how many. */
static int distances(struct study_results *r, const char *a, const char *b, double *d, size_t *n,
                     struct err *e)
{
    size_t x[SEEDS], y[SEEDS];
    *n = study_group(r, a, x, SEEDS);
    study_group(r, b, y, SEEDS);
    for (size_t i = 0; i < *n; i++) {
        struct study_curve p, q;
        if (read_loss(r, x[i], &p, e) || read_loss(r, y[i], &q, e))
            return -1;
        d[i] = series_distance(&p, &q, EXACT_STEPS);
        if (isnan(d[i]))
            d[i] = INFINITY; /* it diverged: as far apart as can be */
    }
    return 0;
}

static int see_rescaling(struct study_results *r, struct err *e)
{
    static const char *const columns[] = {"learning rate x", "distance of the losses", NULL};
    json_t *table = study_table(r, "rescale", "Weights x 2, against weights x 1, over 100 steps",
                                columns);
    double at4[SEEDS], least[SEEDS] = {0}, d[SEEDS], quotient[SEEDS];
    size_t n = 0;
    for (size_t k = 0; k < SEEDS; k++)
        least[k] = INFINITY;
    for (int i = 0; i < RESCALE_FACTORS; i++) {
        char label[64];
        weight_decay_label("weights x 2, learning rate x %g", rescale_factors[i], label);
        if (distances(r, RESCALE_NONE, label, d, &n, e))
            return -1;
        study_row(table, "dd", rescale_factors[i], stats_mean(d, n));
        for (size_t k = 0; k < n; k++) {
            if (rescale_factors[i] == 4)
                at4[k] = d[k];
            else
                least[k] = fmin(least[k], d[k]);
        }
    }
    for (size_t k = 0; k < n; k++)
        quotient[k] = at4[k] / least[k];
    struct study_seen seen = study_mean(quotient, n);
    seen.what = study_text(r, "The losses at x 4 are %.3g times as far from the original's as the "
                              "nearest of the others (%zu seeds).", seen.value, n);
    study_conclude(r, "factor-4", &seen);
    return 0;
}

static int see_growing(struct study_results *r, struct err *e)
{
    double d[SEEDS], without[SEEDS];
    size_t n;
    if (distances(r, GROWING_DECAY, GROWING_RATE, d, &n, e) ||
        distances(r, GROWING_DECAY, GROWING_NEITHER, without, &n, e))
        return -1;
    double apart = stats_mean(d, n);
    for (size_t k = 0; k < n; k++)
        d[k] /= without[k];
    struct study_seen seen = study_mean(d, n);
    seen.what = study_text(r, "Over %d steps the losses differ by %.2g of their mean, which is "
                              "%.2g of what leaving out the decay makes (%zu seeds, double "
                              "precision).",
                           EXACT_STEPS, apart, seen.value, n);
    study_conclude(r, "growing-rate", &seen);
    return 0;
}

/* ---- equilibrium ---- */

/* Root mean square of a series over the last third of a run; NaN if it diverged. */
static int settled_run(struct study_results *r, size_t trial, const char *of, const char *series,
                       double *value, struct err *e)
{
    struct study_curve c;
    if (read_norms(r, trial, of, series, &c, e))
        return -1;
    *value = r->trials[trial].state == TRIAL_FINISHED
                 ? series_rms(&c, 2 * series_end(&c) / 3, INFINITY)
                 : unknown;
    return 0;
}

/* The mean of that over the runs of a label. Diverged runs are left out. */
static int settled(struct study_results *r, const char *label, const char *of, const char *series,
                   double *value, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, label, group, SEEDS), used = 0;
    double values[SEEDS];
    for (size_t i = 0; i < n; i++) {
        if (settled_run(r, group[i], of, series, &values[used], e))
            return -1;
        if (!isnan(values[used]))
            used++;
    }
    *value = stats_mean(values, used);
    return 0;
}

/* A value for each layer: the mean, and as interval the least and the greatest. */
static struct study_seen over_layers(const double *x, size_t n)
{
    struct study_seen seen = {.value = stats_mean(x, n), .low = INFINITY, .high = -INFINITY, .n = n,
                              .error = "lowest and highest layer, each a mean over runs"};
    for (size_t i = 0; i < n; i++) {
        seen.low = fmin(seen.low, x[i]);
        seen.high = fmax(seen.high, x[i]);
        if (isnan(x[i]))
            seen.doubt = "a layer was not measured";
    }
    return seen;
}

static const char *const starts[3] = {START_SHORT, DECAY_ON, START_LONG};

static int see_equilibrium(struct study_results *r, const struct layers *l, const char *series,
                           const char *claim, double predicted, struct err *e)
{
    static const char *const columns[] = {"layer", "from x 1/4", "from x 1", "from x 4",
                                          LARGE_BATCH, NULL};
    const char *title = study_text(r, "%s over its prediction, last third", series);
    json_t *table = study_table(r, claim, title, columns);
    double means[LAYERS];
    for (size_t i = 0; i < l->n; i++) {
        double x[4];
        for (int s = 0; s < 4; s++) {
            if (settled(r, s < 3 ? starts[s] : LARGE_BATCH, l->names[i], series, &x[s], e))
                return -1;
            x[s] /= predicted;
        }
        study_row(table, "sdddd", l->names[i], x[0], x[1], x[2], x[3]);
        means[i] = stats_mean(x, 3);
    }
    struct study_seen seen = over_layers(means, l->n);
    seen.what = study_text(r, "Measured over predicted is %.3f on average over %zu layers, from "
                              "%.3f to %.3f.", seen.value, l->n, seen.low, seen.high);
    study_conclude(r, claim, &seen);
    return 0;
}

/* The ratio in larger batches over that in small ones, seed by seed. */
static int see_batches(struct study_results *r, const struct layers *l, struct err *e)
{
    size_t small[SEEDS], large[SEEDS], n = study_group(r, DECAY_ON, small, SEEDS), used = 0;
    double x[SEEDS];
    study_group(r, LARGE_BATCH, large, SEEDS);
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t i = 0; i < l->n; i++) {
            double a, b;
            if (settled_run(r, small[k], l->names[i], "gradient_ratio", &a, e) ||
                settled_run(r, large[k], l->names[i], "gradient_ratio", &b, e))
                return -1;
            sum += b / a;
        }
        if (!isnan(sum))
            x[used++] = sum / (double)l->n;
    }
    struct study_seen seen = study_mean(x, used);
    if (used < n)
        seen.doubt = "a run diverged";
    seen.what = study_text(r, "The ratio of gradient to weights is %.3f times that of small "
                              "batches, on average over layers (%s).",
                           seen.value, study_error(r, &seen, 1));
    study_conclude(r, "ratio-batch", &seen);
    return 0;
}

/* Lengths of one layer along the first seed's run from each start. */
static int draw_lengths(struct study_results *r, const char *layer, struct err *e)
{
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "lengths", .title = study_text(r, "Length of %s", layer),
        .caption = "From first weights x 1/4, 1 and 4 (seed 1).",
        .x_title = "step", .y_title = "|w|", .y_log = true});
    for (int s = 0; s < 3; s++) {
        struct study_curve c;
        size_t group[SEEDS];
        if (study_group(r, starts[s], group, SEEDS) == 0)
            continue;
        if (read_norms(r, group[0], layer, "weight_norm", &c, e))
            return -1;
        study_line(figure, starts[s], &(struct study_points){.x = c.step, .mean = c.value,
                                                             .count = c.count});
    }
    return 0;
}

/* How far above `limit` the formula has the last of a curve of lengths, given the first: |w|^4 less
 * its limit falls by e in `time` steps. */
static double expected_length(const struct study_curve *c, double limit, double time)
{
    double excess = pow(c->value[0] / limit, 4) - 1;
    double steps = c->step[c->count - 1] - c->step[0];
    return pow(1 + excess * exp(-steps / time), 0.25);
}

static int see_convergence(struct study_results *r, const struct layers *l, double time,
                           struct err *e)
{
    size_t groups[3][SEEDS], n = 0;
    double spread[SEEDS], expected = 0;
    for (int s = 0; s < 3; s++)
        n = study_group(r, starts[s], groups[s], SEEDS);
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t i = 0; i < l->n; i++) {
            struct study_curve c = {0}; /* at last the one that starts longest */
            double least = INFINITY, most = 0;
            for (int s = 0; s < 3; s++) {
                if (read_norms(r, groups[s][k], l->names[i], "weight_norm", &c, e))
                    return -1;
                double end = c.count ? c.value[c.count - 1] : unknown;
                least = fmin(least, end);
                most = fmax(most, end);
            }
            sum += log(most / least);
            if (c.count)
                expected += log(expected_length(&c, least, time)) / (double)(l->n * n);
        }
        spread[k] = exp(sum / (double)l->n);
    }
    struct study_seen seen = study_mean(spread, n);
    if (exp(expected) > CONVERGED)
        seen.doubt = "a run has fewer steps than lengths need to meet by the formula";
    seen.what = study_text(r, "At the end the longest is %.3f times the shortest (geometric mean "
                              "over layers, %zu seeds).", seen.value, n);
    study_conclude(r, "converge", &seen);
    return draw_lengths(r, l->names[l->n / 2], e);
}

static int see_relaxation(struct study_results *r, const struct layers *l, double predicted,
                          struct err *e)
{
    size_t group[SEEDS], n = study_group(r, START_LONG, group, SEEDS);
    double means[LAYERS], times[SEEDS];
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < n; k++) {
            struct study_curve c;
            if (read_norms(r, group[k], l->names[i], "weight_norm", &c, e))
                return -1;
            for (size_t j = 0; j < c.count; j++)
                c.value[j] = pow(c.value[j], 4);
            double limit = series_mean(&c, 2 * series_end(&c) / 3, INFINITY);
            times[k] = series_decay_time(&c, limit, 4) / predicted;
        }
        means[i] = stats_mean(times, n);
    }
    struct study_seen seen = over_layers(means, l->n);
    if (seen.doubt)
        seen.doubt = "lengths start less than 1.5 times above their limit";
    seen.what = study_text(r, "Measured over predicted is %.3f on average over %zu layers, from "
                              "%.3f to %.3f.", seen.value, l->n, seen.low, seen.high);
    study_conclude(r, "relaxation", &seen);
    return 0;
}

/* ---- ablations and invariances ---- */

/* Mean training loss of a label against that of decay on, seed by seed, from the share `from` of
 * the run on. */
static int see_loss(struct study_results *r, const char *claim, const char *label, double from,
                    struct err *e)
{
    size_t a[SEEDS], b[SEEDS], n = study_group(r, label, a, SEEDS), used = 0;
    double x[SEEDS];
    study_group(r, DECAY_ON, b, SEEDS);
    for (size_t k = 0; k < n; k++) {
        struct study_curve p, q;
        if (read_loss(r, a[k], &p, e) || read_loss(r, b[k], &q, e))
            return -1;
        double end = series_end(&q);
        double other = series_mean(&p, from * end, end), on = series_mean(&q, from * end, end);
        if (series_end(&p) == end)
            x[used++] = other / on - 1;
    }
    struct study_seen seen = study_mean(x, used);
    if (used < n)
        seen.doubt = "a run diverged";
    seen.what = study_text(r, "'%s': training loss %+.2f %% against decay on (%s).", label,
                           100 * seen.value, study_error(r, &seen, 100));
    if (claim)
        study_conclude(r, claim, &seen);
    else
        study_caveat(r, "For comparison, %s", seen.what);
    return 0;
}

/* lr x 4 and x 16 together: the farther of the two decides. */
static int see_product(struct study_results *r, struct err *e)
{
    static const char *const labels[2] = {PRODUCT_4, PRODUCT_16};
    size_t b[SEEDS], n = study_group(r, DECAY_ON, b, SEEDS), used = 0;
    double x[2 * SEEDS];
    for (int i = 0; i < 2; i++) {
        size_t a[SEEDS];
        study_group(r, labels[i], a, SEEDS);
        for (size_t k = 0; k < n; k++) {
            struct study_curve p, q;
            if (read_loss(r, a[k], &p, e) || read_loss(r, b[k], &q, e))
                return -1;
            if (series_end(&p) == series_end(&q))
                x[used++] = series_mean(&p, 0, INFINITY) / series_mean(&q, 0, INFINITY) - 1;
        }
    }
    struct study_seen seen = study_mean(x, used);
    if (used < 2 * n)
        seen.doubt = "a run diverged";
    seen.what = study_text(r, "The training loss over the whole run differs by %+.2f %% (%s).",
                           100 * seen.value, study_error(r, &seen, 100));
    study_conclude(r, "product", &seen);
    return see_loss(r, NULL, PRODUCT_CONTROL, 0, e);
}

static int see_off(struct study_results *r, const struct layers *l, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, DECAY_OFF, group, SEEDS);
    double x[SEEDS];
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t i = 0; i < l->n; i++) {
            struct study_curve c;
            if (read_norms(r, group[k], l->names[i], "effective_lr", &c, e))
                return -1;
            sum += series_exponent(&c, series_end(&c) / 2);
        }
        x[k] = sum / (double)l->n;
    }
    struct study_seen seen = study_mean(x, n);
    seen.what = study_text(r, "The effective learning rate goes as step^%.2f over the second half "
                              "(mean over layers, %zu seeds).", seen.value, n);
    study_conclude(r, "off", &seen);
    return 0;
}

static int see_lars(struct study_results *r, const struct layers *l, double predicted,
                    struct err *e)
{
    double means[LAYERS];
    for (size_t i = 0; i < l->n; i++) {
        if (settled(r, LARS, l->names[i], "angle", &means[i], e))
            return -1;
        means[i] /= predicted;
    }
    struct study_seen seen = over_layers(means, l->n);
    seen.what = study_text(r, "Angles per step are %.3f times SGD's formula on average over %zu "
                              "layers, from %.3f to %.3f.", seen.value, l->n, seen.low, seen.high);
    study_conclude(r, "lars-angle", &seen);
    return see_loss(r, "lars-loss", LARS, 2.0 / 3, e);
}

/* Training loss of every group along the run, seed 1, in means over twentieths of the run. */
static int draw_losses(struct study_results *r, struct err *e)
{
    static const char *const labels[] = {DECAY_ON, DECAY_OFF, DECAY_INVARIANT, DECAY_OTHERS,
                                         DECAY_HELD, HALF_MEMORY, LARS, NULL};
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "losses", .title = "Training loss",
        .caption = "Means over a twentieth of a run; seed 1.",
        .x_title = "step", .y_title = "training loss"});
    for (int i = 0; labels[i]; i++) {
        size_t group[SEEDS];
        struct study_curve c;
        double x[20], y[20];
        if (study_group(r, labels[i], group, SEEDS) == 0)
            continue;
        if (read_loss(r, group[0], &c, e))
            return -1;
        for (int k = 0; k < 20; k++) {
            double end = series_end(&c);
            x[k] = (k + 0.5) * end / 20;
            y[k] = series_mean(&c, k * end / 20, (k + 1) * end / 20);
        }
        study_line(figure, labels[i], &(struct study_points){.x = x, .mean = y, .count = 20});
    }
    return 0;
}

int weight_decay_analyse(struct study_results *r, struct err *e)
{
    const struct theory t = weight_decay_theory(&r->plan->sweep->base);
    double angle = theory_equilibrium_angle(&t), relaxation = theory_relaxation_steps(&t);
    struct layers l;
    if (find_layers(r, &l, e) || see_invariance(r, &l, e) || see_rescaling(r, e) ||
        see_growing(r, e) ||
        see_equilibrium(r, &l, "gradient_ratio", "ratio", theory_equilibrium_ratio(&t), e) ||
        see_batches(r, &l, e) || see_equilibrium(r, &l, "angle", "angle", angle, e) ||
        see_convergence(r, &l, relaxation, e) || see_relaxation(r, &l, relaxation, e) ||
        see_off(r, &l, e) ||
        see_loss(r, "projection", DECAY_HELD, 2.0 / 3, e) ||
        see_loss(r, "others", DECAY_INVARIANT, 2.0 / 3, e) ||
        see_loss(r, NULL, DECAY_OTHERS, 2.0 / 3, e) || see_loss(r, NULL, DECAY_OFF, 2.0 / 3, e) ||
        see_product(r, e) || see_loss(r, "momentum", HALF_MEMORY, 2.0 / 3, e) ||
        see_lars(r, &l, angle, e) || draw_losses(r, e))
        return -1;
    return 0;
}
