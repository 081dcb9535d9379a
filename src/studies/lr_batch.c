/* lr_batch.c - the best learning rate of several batch sizes, and how it grows with the batch.
 *
 * A grid of learning-rate factors (lr = 0.1 factor, at the peak) for each batch size and
 * seed, all for the same epochs. Each optimum is the minimum of a parabola in log2
 * of the factor; the slope of log2 optimum over log2 batch is 1 where the linear rule holds, 1/2
 * where the square-root rule does.
 */
#include <math.h>
#include <stdio.h>

#include "studies/fit.h"
#include "studies/study.h"

static const double UNIT_RATE = 0.1; /* learning rate of factor 1, as in the notes */
static const double WINDOW = 2;      /* octaves on either side of the best that the fit looks at */

enum { BATCHES = 5, FACTORS = 11 };

/* Factors go from `first` (for the first batch) up by equal steps of 2^step; for each further batch
 * the whole grid is moved up by 2^shift, towards where its optimum is expected. */
struct grid {
    int seeds, batches[BATCHES + 1], factors;
    double first, step, shift;
};

static const struct grid grids[STUDY_SCALES] = {
    [STUDY_TINY] = {2, {32, 128, 512}, 5, 0.25, 1, 1},
    [STUDY_SMALL] = {3, {64, 128, 256, 512, 1024}, 6, 0.5, 1, 0.5},
    [STUDY_PAPER] = {5, {128, 256, 512, 1024}, 11, 0.5, 0.5, 0},
};

static double factor_of(const struct grid *g, int batch, int i)
{
    return g->first * exp2(g->step * i + floor(g->shift * batch));
}

static void label_of(int batch, double factor, char label[64])
{
    snprintf(label, 64, "batch %d, factor %.4g", batch, factor);
}

static void predict(struct study_plan *p)
{
    study_predict(p, &(struct study_claim){
        .id = "grows",
        .statement = "A larger batch has a larger best learning rate.",
        .formula = "slope of log2(best learning rate) over log2(batch) > 0",
        .prediction = "The slope is above 0.",
        .low = 0, .high = INFINITY, .unit = "slope",
        .falsified_by = "A best learning rate that stays the same or falls as the batch grows.",
        .condition = "an optimum lies at the edge of its grid or cannot be fitted",
    });
    study_predict(p, &(struct study_claim){
        .id = "slope",
        .statement = "It grows between the square-root rule and the linear rule.",
        .formula = "best learning rate ~ batch^s, 1/2 <= s <= 1",
        .prediction = "The slope lies between 0.5 (square root) and 1 (linear).",
        .low = 0.5, .high = 1, .unit = "slope",
        .falsified_by = "A slope above 1, or one well below 1/2.",
        .condition = "an optimum lies at the edge of its grid or cannot be fitted",
    });
}

static int plan(struct study_plan *p, struct err *e)
{
    const struct grid *g = &grids[p->scale];
    for (int b = 0; g->batches[b]; b++) {
        for (int i = 0; i < g->factors; i++) {
            char label[64], batch[16], lr[32];
            double factor = factor_of(g, b, i);
            label_of(g->batches[b], factor, label);
            snprintf(batch, sizeof batch, "%d", g->batches[b]);
            snprintf(lr, sizeof lr, "%.6g", UNIT_RATE * factor);
            if (study_trials(p, g->seeds, label,
                             (const char *[]){"batch", batch, "lr", lr, NULL}, e))
                return -1;
        }
    }
    predict(p);
    return 0;
}

/* What runs are judged by: images held out if there are some, else the test images. */
static const char *loss_field(const struct study_results *r)
{
    return r->plan->sweep->base.validation > 0 ? "validation_loss" : "test_loss";
}

/* Reads one batch size's runs: its curve for the fit, and its line in the figure. */
static void read_batch(struct study_results *r, const struct grid *g, int b,
                       struct fit_curve *curve, json_t *figure)
{
    double x[FACTORS], mean[FACTORS], low[FACTORS], high[FACTORS], count[FACTORS];
    char name[32];
    size_t diverged = 0;
    for (int i = 0; i < g->factors; i++) {
        size_t group[64];
        double loss[64], factor = factor_of(g, b, i);
        char label[64];
        label_of(g->batches[b], factor, label);
        size_t n = study_group(r, label, group, 64);
        diverged += study_diverged(r, group, n);
        n = study_values(r, group, n, loss_field(r), loss);
        for (size_t k = 0; k < n; k++)
            fit_add(curve, log2(factor), loss[k]);
        const struct study_seen seen = study_mean(loss, n);
        x[i] = UNIT_RATE * factor;
        mean[i] = seen.value;
        low[i] = seen.low;
        high[i] = seen.high;
        count[i] = (double)n;
    }
    if (diverged)
        study_caveat(r, "%zu runs of batch %d diverged and are left out of the fit.", diverged,
                     g->batches[b]);
    snprintf(name, sizeof name, "batch %d", g->batches[b]);
    study_line(figure, name, &(struct study_points){x, mean, low, high, count,
                                                    (size_t)g->factors, NULL, NULL});
}

static void show_optima(struct study_results *r, const struct grid *g,
                        const struct fit_curve *curves, size_t n)
{
    static const char *const columns[] = {"batch", "best learning rate", "95 % from", "to",
                                          "loss there", "runs fitted", "doubt", NULL};
    double x[BATCHES], best[BATCHES], low[BATCHES], high[BATCHES];
    json_t *table = study_table(r, "optima", "Best learning rate of each batch size", columns);
    for (size_t i = 0; i < n; i++) {
        const struct stats_optimum *o = &curves[i].optimum;
        x[i] = g->batches[i];
        best[i] = UNIT_RATE * exp2(o->fit.x);
        low[i] = UNIT_RATE * exp2(o->interval.low);
        high[i] = UNIT_RATE * exp2(o->interval.high);
        study_row(table, "dddddns", x[i], best[i], low[i], high[i], o->fit.y, curves[i].used,
                  curves[i].doubt ? curves[i].doubt : "");
    }
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "optimum", .title = "Best learning rate against batch size",
        .caption = "Minimum of the fitted curve with its 95 % bootstrap interval over runs.",
        .x_title = "batch size", .y_title = "best learning rate", .x_log = true, .y_log = true});
    study_line(figure, "seen", &(struct study_points){x, best, low, high, NULL, n, NULL, NULL});
    for (int rule = 0; rule < 2; rule++) {
        double y[BATCHES];
        for (size_t i = 0; i < n; i++)
            y[i] = best[0] * pow(x[i] / x[0], rule ? 0.5 : 1);
        study_line(figure, rule ? "square-root rule" : "linear rule",
                   &(struct study_points){.x = x, .mean = y, .count = n, .style = "dashed"});
    }
}

static int analyse(struct study_results *r, struct err *e)
{
    const struct grid *g = &grids[r->plan->scale];
    struct fit_curve *curves = arena_alloc(&r->memory, BATCHES, sizeof *curves);
    size_t n = 0;
    (void)e;
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "loss", .title = "Loss against learning rate",
        .caption = "Mean over seeds with its 95 % interval; each batch size has its own curve.",
        .x_title = "peak learning rate", .y_title = "loss at the end", .x_log = true});
    for (; g->batches[n]; n++) {
        curves[n].at = log2(g->batches[n]);
        read_batch(r, g, (int)n, &curves[n], figure);
        fit_optimum(&curves[n], WINDOW, n + 1);
    }
    show_optima(r, g, curves, n);
    const struct fit_slope slope = fit_slope(curves, n);
    const struct study_seen seen = {
        .value = slope.slope, .low = slope.interval.low, .high = slope.interval.high, .n = n,
        .error = "95 % bootstrap interval over the runs of all batch sizes",
        .doubt = slope.doubt,
        .what = study_text(r, "The slope is %.2f (95 %% from %.2f to %.2f) over %zu batch sizes.",
                           slope.slope, slope.interval.low, slope.interval.high, n)};
    study_conclude(r, "grows", &seen);
    study_conclude(r, "slope", &seen);
    return 0;
}

extern const struct study study_lr_batch;
const struct study study_lr_batch = {
    .name = "lr-batch",
    .title = "Learning rate against batch size",
    .question = "How does the best learning rate grow with the batch size?",
    .background =
        "A step along the mean gradient of a batch is noisy in a small batch, less so in a large "
        "one. As long as noise dominates, k steps of one batch can be replaced by one step of a "
        "batch k times as large and a learning rate k times as large (the linear rule). Once the "
        "noise is small against the gradient, curvature limits the rate instead and it stops "
        "growing. In between the square root is often seen.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "dawn-128"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            "width", "0.125", "train_count", "8000", "validation", "2000", "epochs", "4",
            "knots", "0:0, 25%:1, 100%:0", "cutout", "0", "eval_every", "0", "keep_best", "no",
            NULL},
        [STUDY_SMALL] = (const char *const[]){
            "width", "0.125", "train_count", "20000", "validation", "5000", "epochs", "8",
            "knots", "0:0, 25%:1, 100%:0", "cutout", "0", "eval_every", "0", "keep_best", "no",
            NULL},
        [STUDY_PAPER] = (const char *const[]){"eval_every", "5", NULL},
    },
    .keep = KEEP_NONE,
    .plan = plan,
    .analyse = analyse,
};
