/* curvature.c - sharpness along training, against what the optimiser can follow.
 *
 *   edge      full-batch descent of a small smooth network (gradient descent, heavy ball,
 *             Nesterov), each at a rate whose limit of stability is the same curvature; and
 *             mini-batches at gradient descent's rate
 *   stress    a learning rate that grows exponentially, with batch norm and without
 *
 * The probe `sharpness` measures along the way; probes/theory.h has the limits.
 */
#include <math.h>
#include <stdio.h>

#include "probes/theory.h"
#include "studies/series.h"
#include "studies/study.h"

enum { SEEDS = STUDY_SEEDS_MOST };

static const double unknown = (double)NAN;

/* What differs between the scales. */
struct scale {
    const char *images, *epochs, *fast_epochs; /* of the edge; with momentum learning is faster */
    const char *small_batch, *small_epochs;
    const char *budget, *small_budget;   /* probes may cost so many times the training */
    double limit;                        /* the curvature that all full-batch runs can follow */
    const char *stress_budget;
};

static const struct scale scales[STUDY_SCALES] = {
    [STUDY_TINY] = {"256", "500", "200", "16", "40", "2", "20", 20, "10"},
    [STUDY_SMALL] = {"2000", "1200", "400", "16", "30", "4", "30", 20, "4"},
    [STUDY_PAPER] = {"5000", "4000", "1500", "32", "100", "4", "30", 20, "0.5"},
};

/* The optimisers at the edge. */
struct edge {
    const char *label, *id;
    const char *momentum, *nesterov;
    struct theory at_1;          /* at learning rate 1 */
};

static const struct edge edges[] = {
    {"gradient descent", "gd", "0", "no", {.lr = 1}},
    {"heavy ball", "heavy-ball", "0.9", "no", {.lr = 1, .momentum = 0.9}},
    {"Nesterov", "nesterov", "0.9", "yes", {.lr = 1, .momentum = 0.9, .nesterov = true}},
};
enum { EDGES = sizeof edges / sizeof edges[0] };

#define MINI "mini-batches"
#define NORMED "ramp with batch norm"
#define BARE "ramp without batch norm"

static int plan_edge(struct study_plan *p, const struct scale *s, struct err *e)
{
    for (int i = 0; i <= EDGES; i++) {
        const struct edge *edge = &edges[i < EDGES ? i : 0];
        bool mini = i == EDGES, fast = edge->at_1.momentum > 0;
        char lr[32];
        snprintf(lr, sizeof lr, "%.6g", theory_stability_limit(&edge->at_1) / s->limit);
        if (study_trials(p, mini ? MINI : edge->label,
                         (const char *[]){
                             "net", "edge", "width", "1", "train_count", s->images,
                             "batch", mini ? s->small_batch : s->images,
                             "epochs",
                             mini ? s->small_epochs : fast ? s->fast_epochs : s->epochs,
                             "schedule", "constant", "knots", "", "lr", lr,
                             "momentum", edge->momentum, "nesterov", edge->nesterov,
                             "weight_decay", "0", "crop", "0", "flip", "none",
                             "precision", "fp32", "eval_every", "0",
                             "probe_budget", mini ? s->small_budget : fast ? "4" : s->budget,
                             "probe_images", s->images, NULL}, e))
            return -1;
    }
    return 0;
}

static int plan_stress(struct study_plan *p, const struct scale *s, struct err *e)
{
    for (int bare = 0; bare < 2; bare++)
        if (study_trials(p, bare ? BARE : NORMED,
                         (const char *[]){
                             "net", bare ? "unbranched-bare" : "unbranched",
                             "schedule", "exponential", "knots", "", "lr", "0.005",
                             "final_factor", "4096", "weight_decay", "0.0001",
                             "probe_budget", s->stress_budget, NULL}, e))
            return -1;
    return 0;
}

static void predict_edge(struct study_plan *p, const struct edge *edge, const char *formula)
{
    char statement[200], id[64];
    snprintf(statement, sizeof statement, "Full-batch training (%s) makes the loss sharper until "
                                          "it hovers at the limit of stability.", edge->label);
    snprintf(id, sizeof id, "hovers-%s", edge->id);
    study_predict(p, &(struct study_claim){
        .id = id, .statement = statement, .formula = formula,
        .prediction = "Over the last third of the run the largest eigenvalue over the limit is "
                      "within 0.8 and 1.2.",
        .low = 0.8, .high = 1.2, .unit = "largest eigenvalue over limit",
        .falsified_by = "A sharpness that settles elsewhere, or divergence as soon as it reaches "
                        "the limit.",
        .condition = "the images are learnt (loss below 0.05): then nothing drives sharpness"});
}

static void predict(struct study_plan *p)
{
    predict_edge(p, &edges[0], "limit = 2 / lr");
    predict_edge(p, &edges[1], "limit = (2 + 2b) / lr");
    predict_edge(p, &edges[2], "limit = (2 + 2b) / ((1 + 2b) lr)");
    study_predict(p, &(struct study_claim){
        .id = "mini-batch",
        .statement = "With mini-batches at the same rate the loss stays flatter than with the "
                     "full batch: the largest eigenvalue does not reach the limit.",
        .formula = "largest eigenvalue < 2 / lr",
        .prediction = "Over the last third the largest eigenvalue over the limit is below 0.9.",
        .low = 0, .high = 0.9, .unit = "largest eigenvalue over limit",
        .falsified_by = "A largest eigenvalue at the limit or above it."});
    study_predict(p, &(struct study_claim){
        .id = "mini-batch-limit",
        .statement = "Batch sharpness hovers at 2 / lr (Andreyev and Beneventano 2024).",
        .formula = "batch sharpness = 2 / lr",
        .prediction = "Over the last third batch sharpness over the limit is within 0.7 and 1.3.",
        .low = 0.7, .high = 1.3, .unit = "batch sharpness over limit",
        .falsified_by = "A batch sharpness that settles elsewhere.", .aside = true});
    study_predict(p, &(struct study_claim){
        .id = "bare-breaks",
        .statement = "Without batch norm training breaks down when the rate reaches what the "
                     "curvature allows.",
        .formula = "lr largest eigenvalue = (2 + 2b) / (1 + 2b)",
        .prediction = "Where it loses half of what it had learnt or overflows, the largest "
                      "eigenvalue, as last measured, over the limit is within 0.5 and 2.",
        .low = 0.5, .high = 2, .unit = "largest eigenvalue over limit",
        .falsified_by = "A breakdown far below the limit, or none far above it.",
        .condition = "a run without batch norm does not break down"});
    study_predict(p, &(struct study_claim){
        .id = "ten-times",
        .statement = "With batch norm training goes on at ten times that rate, and gets worse "
                     "smoothly.",
        .prediction = "The rate at which it loses half of what it had learnt is more than ten "
                      "times as high with batch norm.",
        .low = 10, .high = INFINITY, .unit = "times the rate",
        .falsified_by = "A breakdown with batch norm within ten times the rate.",
        .condition = "a run without batch norm does not break down"});
    study_predict(p, &(struct study_claim){
        .id = "frozen",
        .statement = "It is the statistics of the batch that keep the loss flat: with the running "
                     "ones as constants the same weights are far sharper.",
        .prediction = "Before the breakdown the largest eigenvalue in evaluation mode is more "
                      "than 3 times that in training mode (17 times in Page's measurement).",
        .low = 3, .high = INFINITY, .unit = "evaluation over training mode",
        .falsified_by = "Eigenvalues alike in both modes."});
}

static int plan(struct study_plan *p, struct err *e)
{
    const struct scale *s = &scales[p->scale];
    predict(p);
    return plan_edge(p, s, e) || plan_stress(p, s, e) ? -1 : 0;
}

/* Two series of the probe; `of` is the mode. */
static int read_two(struct study_results *r, size_t trial, const char *of, const char *a,
                    struct study_curve *x, const char *b, struct study_curve *y, struct err *e)
{
    return study_probe(r, trial, "sharpness", of, a, x, e) ||
                   study_probe(r, trial, "sharpness", of, b, y, e)
               ? -1
               : 0;
}

/* Mean quotient of two series over the last third of each run of a group: values[n]. */
static int last_quotients(struct study_results *r, const size_t *group, size_t n, const char *of,
                          const char *a, const char *b, double *values, struct err *e)
{
    for (size_t k = 0; k < n; k++) {
        struct study_curve x, y;
        if (read_two(r, group[k], of, a, &x, b, &y, e))
            return -1;
        for (size_t i = 0; i < x.count; i++)
            x.value[i] /= y.value[i];
        values[k] = series_mean(&x, 2 * series_end(&x) / 3, INFINITY);
    }
    return 0;
}

/* Largest eigenvalue and batch sharpness over the limit, along the first seed's run. */
static int draw_edge(struct study_results *r, const char *label, size_t trial, struct err *e)
{
    static const char *const names[] = {"largest", "batch"};
    static const char *const titles[] = {"largest eigenvalue", "batch sharpness"};
    struct study_curve c, limit;
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = study_text(r, "edge %s", label), .title = study_text(r, "Sharpness: %s", label),
        .caption = "Over the limit of stability of the optimiser in use; seed 1.",
        .x_title = "step", .y_title = "over the limit"});
    for (int i = 0; i < 2; i++) {
        if (read_two(r, trial, "", names[i], &c, "limit", &limit, e))
            return -1;
        for (size_t k = 0; k < c.count; k++)
            c.value[k] /= limit.value[k];
        study_line(figure, titles[i], &(struct study_points){.x = c.step, .mean = c.value,
                                                             .count = c.count});
    }
    study_reference(figure, "limit", "y", 1);
    return 0;
}

static int see_edge(struct study_results *r, const struct edge *edge, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, edge->label, group, SEEDS);
    double x[SEEDS];
    char id[64];
    snprintf(id, sizeof id, "hovers-%s", edge->id);
    if (n == 0 || last_quotients(r, group, n, "", "largest", "limit", x, e) ||
        draw_edge(r, edge->label, group[0], e))
        return -1;
    struct study_seen seen = study_mean(x, n);
    seen.what = study_text(r, "The largest eigenvalue over the limit is %.3f over the last third "
                              "(%s).", seen.value, study_error(r, &seen, 1));
    for (size_t k = 0; k < n; k++) {
        struct study_curve loss;
        if (study_probe(r, group[k], "sharpness", "", "loss", &loss, e))
            return -1;
        if (loss.count && loss.value[loss.count - 1] < 0.05)
            seen.doubt = "the images are learnt, and nothing drives sharpness any more";
    }
    if (study_diverged(r, group, n))
        seen.doubt = NULL;
    study_conclude(r, id, &seen);
    return 0;
}

static int see_mini(struct study_results *r, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, MINI, group, SEEDS);
    double x[SEEDS], y[SEEDS];
    if (n == 0 || last_quotients(r, group, n, "", "largest", "limit", x, e) ||
        last_quotients(r, group, n, "", "batch", "limit", y, e) || draw_edge(r, MINI, group[0], e))
        return -1;
    struct study_seen seen = study_mean(x, n);
    seen.what = study_text(r, "The largest eigenvalue over the limit is %.3g (%s).", seen.value,
                           study_error(r, &seen, 1));
    study_conclude(r, "mini-batch", &seen);
    seen = study_mean(y, n);
    seen.what = study_text(r, "Batch sharpness over the limit is %.3g (%s).", seen.value,
                           study_error(r, &seen, 1));
    study_conclude(r, "mini-batch-limit", &seen);
    return 0;
}

/* Where a ramp breaks down: the step and the rate at which the loss, in means over 1/100 of the
 * run, has gone back half-way from its lowest to where it began, or the last step of a run that
 * overflowed. INFINITY if it never does. */
struct breakdown {
    double step, rate;
};

static int find_breakdown(struct study_results *r, size_t trial, struct breakdown *b, struct err *e)
{
    struct study_curve loss, rate;
    if (study_metric(r, trial, "train", "train/loss", &loss, e) ||
        study_metric(r, trial, "train", "opt/lr", &rate, e))
        return -1;
    *b = (struct breakdown){INFINITY, INFINITY};
    double lowest = INFINITY, end = series_end(&loss);
    size_t window = loss.count / 100 + 1;
    double first = loss.count ? loss.value[0] : unknown;
    for (size_t i = 0; i + window <= loss.count; i += window) {
        double mean = series_mean(&loss, loss.step[i], loss.step[i + window - 1]);
        lowest = fmin(lowest, mean);
        if (!(mean < (lowest + first) / 2) && lowest < 0.9 * first) {
            *b = (struct breakdown){loss.step[i], rate.value[i]};
            return 0;
        }
    }
    if (r->trials[trial].state == TRIAL_DIVERGED && rate.count)
        *b = (struct breakdown){end, rate.value[rate.count - 1]};
    return 0;
}

/* Value of a curve at its last point before `step`; NaN if there is none. */
static double value_before(const struct study_curve *c, double step)
{
    double value = unknown;
    for (size_t i = 0; i < c->count && c->step[i] < step; i++)
        value = c->value[i];
    return value;
}

/* The learning rate at the last point of `measured` before `step`. */
static double measured_rate(const struct study_curve *rate, const struct study_curve *measured,
                            double step)
{
    const struct study_curve steps = {.step = measured->step, .value = measured->step,
                                      .count = measured->count};
    return value_before(rate, value_before(&steps, step) + 1);
}

static int draw_ramps(struct study_results *r, size_t normed, size_t bare, struct err *e)
{
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "ramp", .title = "Training loss while the learning rate grows",
        .caption = "Seed 1; means over a hundredth of the run.",
        .x_title = "learning rate", .y_title = "training loss", .x_log = true,
        .y_log = true}); /* just before a NaN a loss may be 1e17 */
    for (int i = 0; i < 2; i++) {
        struct study_curve loss, rate;
        double x[100], y[100];
        size_t trial = i ? bare : normed;
        if (study_metric(r, trial, "train", "train/loss", &loss, e) ||
            study_metric(r, trial, "train", "opt/lr", &rate, e))
            return -1;
        for (int k = 0; k < 100; k++) {
            double from = series_end(&loss) * k / 100, to = series_end(&loss) * (k + 1) / 100;
            x[k] = series_mean(&rate, from, to);
            y[k] = series_mean(&loss, from, to);
        }
        study_line(figure, i ? "without batch norm" : "with batch norm",
                   &(struct study_points){.x = x, .mean = y, .count = 100});
    }
    return 0;
}

static int see_frozen(struct study_results *r, const size_t *group, const struct breakdown *b,
                      size_t n, struct err *e)
{
    double x[SEEDS];
    for (size_t k = 0; k < n; k++) {
        struct study_curve train, eval;
        if (study_probe(r, group[k], "sharpness", "train mode", "largest", &train, e) ||
            study_probe(r, group[k], "sharpness", "eval mode", "largest", &eval, e))
            return -1;
        x[k] = value_before(&eval, b[k].step) / value_before(&train, b[k].step);
    }
    struct study_seen seen = study_geometric_mean(x, n);
    seen.what = study_text(r, "The largest eigenvalue is %.3g times as large in evaluation mode "
                              "(%s).", seen.value, study_error(r, &seen, 1));
    study_conclude(r, "frozen", &seen);
    return 0;
}

static int see_stress(struct study_results *r, struct err *e)
{
    static const char *const columns[] = {"run", "breaks down at learning rate",
                                          "largest over limit before", NULL};
    json_t *table = study_table(r, "breakdowns", "Where training breaks down", columns);
    size_t normed[SEEDS], bare[SEEDS], n = study_group(r, NORMED, normed, SEEDS);
    struct breakdown with[SEEDS], without[SEEDS];
    double at[SEEDS], times[SEEDS];
    study_group(r, BARE, bare, SEEDS);
    const char *doubt = NULL;
    for (size_t k = 0; k < n; k++) {
        struct study_curve largest, limit, rate, bare_rate;
        if (find_breakdown(r, normed[k], &with[k], e) ||
            find_breakdown(r, bare[k], &without[k], e) ||
            read_two(r, bare[k], "", "largest", &largest, "limit", &limit, e) ||
            study_metric(r, normed[k], "train", "opt/lr", &rate, e) ||
            study_metric(r, bare[k], "train", "opt/lr", &bare_rate, e))
            return -1;
        if (isinf(without[k].rate))
            doubt = "a run without batch norm does not break down";
        /* The rate has grown since the measurement, and the limit has come down with it. */
        at[k] = value_before(&largest, without[k].step) /
                (value_before(&limit, without[k].step) * measured_rate(&bare_rate, &largest,
                                                                       without[k].step) /
                 without[k].rate);
        /* A run with batch norm that never breaks down holds out to its last rate at least. */
        times[k] = fmin(with[k].rate, value_before(&rate, INFINITY)) / without[k].rate;
        study_row(table, "sdd", "without batch norm", without[k].rate, at[k]);
        study_row(table, "sdd", "with batch norm", with[k].rate, unknown);
    }
    struct study_seen seen = study_geometric_mean(at, n);
    seen.doubt = doubt;
    seen.what = study_text(r, "At the last measurement before the breakdown the largest "
                              "eigenvalue is %.3g times the limit (%s).",
                           seen.value, study_error(r, &seen, 1));
    study_conclude(r, "bare-breaks", &seen);
    seen = study_geometric_mean(times, n);
    seen.doubt = doubt;
    seen.what = study_text(r, "With batch norm the rate is %.3g times as high or more (%s).",
                           seen.value, study_error(r, &seen, 1));
    study_conclude(r, "ten-times", &seen);
    return see_frozen(r, normed, with, n, e) || draw_ramps(r, normed[0], bare[0], e) ? -1 : 0;
}

static int analyse(struct study_results *r, struct err *e)
{
    for (int i = 0; i < EDGES; i++)
        if (see_edge(r, &edges[i], e))
            return -1;
    return see_mini(r, e) || see_stress(r, e) ? -1 : 0;
}

static const struct study_disagreement disagreements[] = {
    {"Training is stable while curvature is below 2 / lr.",
     "That is plain gradient descent. The code has Nesterov's momentum, whose limit is (2 + 2b) / "
     "((1 + 2b) lr), 1.357 / lr at b = 0.9; with it the published Hessian's eigenvalues lie at "
     "the limit (1.15 and 1.25 times), with 3.8 / lr of heavy ball at a third of it.",
     "Each run is compared with the limit of its own optimiser."},
    {"High learning rates make training diverge.",
     "With batch norm nothing diverges up to 29: the training accuracy of the published run falls "
     "from 85 % to 56 % without a NaN. Only the network without batch norm overflows, between "
     "0.23 and 0.32.",
     "Both networks climb the same ramp."},
    {0},
};

static const char *const caveats[] = {
    "Above the limit nothing need diverge in a network: curvature falls again along the direction "
    "that oscillates (self-stabilisation), which is why sharpness hovers.",
    "With mini-batches there is no one threshold: batch size and momentum move it.",
    "With momentum few images are soon learnt by heart, and sharpness falls: the claim about that "
    "optimiser then stays open.",
    "The eigenvalues of networks with ReLU are measured with differences in single precision, "
    "over distances that cross kinks; the smooth network at the edge has none.",
    NULL,
};

#define SHARED                                                                                     \
    "cutout", "0", "keep_best", "no", "probes", "sharpness", "probe_precision", "fp32",            \
        "eval_every", "0"

extern const struct study study_curvature;
const struct study study_curvature = {
    .name = "curvature",
    .title = "Curvature and the limit of stability",
    .question = "How sharp does the loss become, and what happens at the limit of stability?",
    .background =
        "Along a direction in which the loss curves by s, a step of gradient descent overshoots "
        "if lr s > 1 and grows if lr s > 2: the limit of stability. With momentum the limit "
        "moves. Training with full batches makes the loss ever sharper until it reaches that "
        "limit and hovers there. Networks without batch norm break down when the learning rate "
        "rises further; batch norm keeps the loss flat and lets weights grow instead.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "resnet9-24"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            SHARED, "width", "0.0625", "train_count", "4096", "batch", "64", "epochs", "10",
            "probe_images", "256", "probe_iterations", "12", NULL},
        [STUDY_SMALL] = (const char *const[]){
            SHARED, "width", "0.125", "train_count", "24000", "batch", "128", "epochs", "12",
            "probe_images", "512", "probe_iterations", "20", NULL},
        [STUDY_PAPER] = (const char *const[]){
            SHARED, "epochs", "25", "probe_images", "5120", "probe_iterations", "40", NULL},
    },
    .seeds = {2, 3, 5},
    .keep = KEEP_NONE,
    .plan = plan,
    .analyse = analyse,
    .caveats = caveats,
    .disagreements = disagreements,
};
