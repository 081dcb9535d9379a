/* schedules.c - shapes of the learning rate over a run, and how high it may go.
 *
 * Two sets of runs. Shapes: constant, step, one-cycle, piecewise with and without warm-up, each at
 * one peak rate and at four times that. Stress: the rate rises by the square root of 2 each epoch
 * (Page 2019, "How to train your ResNet", part 7) with batch norm, with batch norm whose statistics
 * are frozen early, and without. A stressed run breaks where it diverges, or where an epoch's
 * training loss is twice the least, or its accuracy half of the best, of those before.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "studies/study.h"

enum { SHAPES = 5, VARIANTS = 3, SEEDS = STUDY_SEEDS_MOST, EPOCHS = 64 };

struct rate_shape {
    const char *name;
    const char *pairs[8];        /* keys of the schedule */
};

/* The last two are Page's of part 1 (0, 0.1, 0.005, 0 at epochs 0, 15, 30, 35) as shares. */
static const struct rate_shape shapes[SHAPES] = {
    {"constant", {"schedule", "constant"}},
    {"step", {"schedule", "step", "step_at", "50%, 75%"}},
    {"one-cycle", {"schedule", "onecycle"}},
    {"piecewise", {"schedule", "linear", "knots", "0:0, 43%:1, 86%:0.05, 100%:0"}},
    {"piecewise, no warm-up", {"schedule", "linear", "knots", "0:1, 43%:1, 86%:0.05, 100%:0"}},
};
enum { CONSTANT, STEP, ONE_CYCLE, PIECEWISE, NO_WARM_UP };

/* A net under stress. */
struct variant {
    const char *name, *net;
    bool freezes;
};
static const struct variant variants[VARIANTS] = {
    {"batch norm", "unbranched", false},
    {"frozen batch norm", "unbranched", true},
    {"no batch norm", "unbranched-bare", false},
};
enum { WITH_NORM, FROZEN, BARE };

struct setup {
    double rate;                 /* peak of the shapes; the higher one is four times as high */
    const char *ramp_epochs, *ramp_batch, *freeze; /* epoch from which statistics are frozen */
    double break_low, break_high; /* where the net without batch norm is to break */
};
static const double RAMP_START = 0.005;
static const double HIGH = 4;

static const struct setup setups[STUDY_SCALES] = {
    [STUDY_TINY] = {0.2, "22", "128", "4", 0.08, 1.28},
    [STUDY_SMALL] = {0.4, "25", "256", "4", 0.08, 1.28},
    [STUDY_PAPER] = {0.4, "25", "512", "4", 0.113, 0.453},
};

static void shape_label(int shape, double rate, char label[64])
{
    snprintf(label, 64, "%s, rate %.3g", shapes[shape].name, rate);
}

/* ---- before the runs ---- */

static void predict_shapes(struct study_plan *p, const struct setup *u)
{
    char text[300];
    study_predict(p, &(struct study_claim){
        .id = "anneal",
        .statement = "A learning rate that falls to 0 at the end gives a lower loss than the same "
                     "rate held constant.",
        .formula = "L(constant) - L(piecewise) > 0",
        .prediction = "The test loss of the constant rate is higher.",
        .low = 0, .high = INFINITY, .unit = "test loss",
        .falsified_by = "A constant rate that ends with the same or a lower loss."});
    snprintf(text, sizeof text, "At a peak of %.3g the test loss without warm-up is higher.",
             HIGH * u->rate);
    study_predict(p, &(struct study_claim){
        .id = "warm-up",
        .statement = "At a high learning rate, beginning low and rising gradually helps.",
        .formula = "L(no warm-up) - L(warm-up) > 0",
        .prediction = text,
        .low = 0, .high = INFINITY, .unit = "test loss",
        .falsified_by = "The same or a lower loss without warm-up.",
        .condition = "a run diverged"});
    study_predict(p, &(struct study_claim){
        .id = "shape",
        .statement = "Among schedules that fall to 0 the shape matters little.",
        .formula = "|L(one-cycle) - L(piecewise)| < 0.05",
        .prediction = "The test losses of one-cycle and piecewise differ by less than 0.05.",
        .low = -0.05, .high = 0.05, .unit = "test loss",
        .falsified_by = "A difference beyond 0.05.",
        .aside = true});
}

static void predict_stress(struct study_plan *p, const struct setup *u)
{
    char text[300];
    snprintf(text, sizeof text, "It breaks at a learning rate of %.3g to %.3g (Page: 0.16 to "
             "0.32 with the whole network).", u->break_low, u->break_high);
    study_predict(p, &(struct study_claim){
        .id = "bare-breaks",
        .statement = "Without batch norm training breaks when the learning rate meets the "
                     "curvature's limit.",
        .formula = "rate at which a loss is not finite, an epoch's training loss twice the least "
                   "before, or its accuracy half of the best before",
        .prediction = text,
        .low = u->break_low, .high = u->break_high, .unit = "learning rate",
        .falsified_by = "No break along the whole ramp, or one at far lower or higher rates."});
    study_predict(p, &(struct study_claim){
        .id = "norm-survives",
        .statement = "With batch norm it never diverges.",
        .formula = "runs that reached a loss that is not finite",
        .prediction = "None of the runs with batch norm diverges up to the end of the ramp.",
        .low = 0, .high = 0, .unit = "runs",
        .falsified_by = "A run with batch norm that diverges."});
    study_predict(p, &(struct study_claim){
        .id = "norm-tolerates",
        .statement = "Batch norm tolerates ten times the learning rate that breaks the network "
                     "without.",
        .formula = "training accuracy at 10 x that rate / its best along the ramp",
        .prediction = "The quotient is at least 0.8 (Page: 0.85 / 0.85).",
        .low = 0.8, .high = INFINITY, .unit = "ratio",
        .falsified_by = "A training accuracy that has fallen below 0.8 of its best.",
        .condition = "ten times the rate lies beyond the ramp"});
    study_predict(p, &(struct study_claim){
        .id = "smooth",
        .statement = "Beyond its best rate a network with batch norm gets worse smoothly.",
        .formula = "largest rise of the training loss from one epoch to the next",
        .prediction = "No epoch's training loss is more than 1.5 times that of the one before.",
        .low = 0, .high = 1.5, .unit = "ratio",
        .falsified_by = "A jump beyond 1.5."});
    study_predict(p, &(struct study_claim){
        .id = "frozen-breaks",
        .statement = "It is the statistics of the batch that stabilise: with frozen statistics the "
                     "network breaks where the one without batch norm does.",
        .formula = "break with frozen batch norm / break without batch norm",
        .prediction = "The rates are within a factor of 4 of each other.",
        .low = 0.25, .high = 4, .unit = "ratio",
        .falsified_by = "A frozen network that tolerates more than four times the rate.",
        .condition = "one of them does not break"});
}

static int plan_shapes(struct study_plan *p, const struct setup *u, struct err *e)
{
    for (int high = 0; high < 2; high++) {
        for (int i = 0; i < SHAPES; i++) {
            char label[64], lr[32];
            const char *pairs[12] = {"lr", lr};
            double rate = high ? HIGH * u->rate : u->rate;
            shape_label(i, rate, label);
            snprintf(lr, sizeof lr, "%.6g", rate);
            memcpy(pairs + 2, shapes[i].pairs, sizeof shapes[i].pairs);
            if (study_trials(p, label, pairs, e))
                return -1;
        }
    }
    return 0;
}

static int plan_stress(struct study_plan *p, const struct setup *u, struct err *e)
{
    char start[32], factor[32];
    snprintf(start, sizeof start, "%.6g", RAMP_START);
    snprintf(factor, sizeof factor, "%.9g", exp2(atof(u->ramp_epochs) / 2));
    for (int i = 0; i < VARIANTS; i++) {
        const char *const pairs[] = {
            "net", variants[i].net, "schedule", "exponential", "lr", start, "final_factor", factor,
            "epochs", u->ramp_epochs, "batch", u->ramp_batch, "weight_decay", "0.0001", "cutout",
            "0", "eval_every", "-1", "freeze_statistics", variants[i].freezes ? u->freeze : "-1",
            NULL};
        if (study_trials(p, variants[i].name, pairs, e))
            return -1;
    }
    return 0;
}

static int plan(struct study_plan *p, struct err *e)
{
    const struct setup *u = &setups[p->scale];
    predict_shapes(p, u);
    predict_stress(p, u);
    return plan_shapes(p, u, e) || plan_stress(p, u, e) ? -1 : 0;
}

/* ---- after the runs: shapes ---- */

static size_t shape_losses(const struct study_results *r, int shape, double rate, double *loss,
                           size_t *diverged)
{
    size_t group[SEEDS];
    char label[64];
    shape_label(shape, rate, label);
    size_t n = study_group(r, label, group, SEEDS);
    *diverged += study_diverged(r, group, n);
    return study_values(r, group, n, "test_loss", loss);
}

/* How much higher the loss of one shape is than that of another, at one rate. */
static void compare(struct study_results *r, const char *claim, int a, int b, double rate)
{
    double one[SEEDS], other[SEEDS];
    size_t diverged = 0;
    size_t n = shape_losses(r, a, rate, one, &diverged);
    size_t m = shape_losses(r, b, rate, other, &diverged);
    struct study_seen seen = study_difference(one, n, other, m);
    if (diverged)
        seen.doubt = "a run diverged, and has no loss";
    seen.what = study_text(r, "At a peak of %.3g the test loss is %.4f (%s) and %.4f (%s).", rate,
                           stats_mean(one, n), shapes[a].name, stats_mean(other, m),
                           shapes[b].name);
    study_conclude(r, claim, &seen);
}

static void show_losses(struct study_results *r, const struct setup *u)
{
    static const char *const columns[] = {"schedule", "peak rate", "test loss", "95 % from", "to",
                                          "test accuracy", "runs", "diverged", NULL};
    json_t *table = study_table(r, "shapes", "Where each schedule ends", columns);
    for (int k = 0; k < 2 * SHAPES; k++) {
        const double rate = k < SHAPES ? u->rate : HIGH * u->rate;
        double loss[SEEDS], accuracy[SEEDS];
        size_t group[SEEDS], diverged = 0;
        char label[64];
        size_t n = shape_losses(r, k % SHAPES, rate, loss, &diverged);
        shape_label(k % SHAPES, rate, label);
        size_t m = study_group(r, label, group, SEEDS);
        m = study_values(r, group, m, "test_accuracy", accuracy);
        const struct study_seen seen = study_mean(loss, n);
        study_row(table, "sdddddnn", shapes[k % SHAPES].name, rate, seen.value, seen.low, seen.high,
                  stats_mean(accuracy, m), n, diverged);
    }
}

/* The mean over a group of a series with a value an epoch, as far as every run of it goes. */
static int mean_curve(struct study_results *r, const char *label, const char *key, double *x,
                      double *mean, size_t *count, struct err *e)
{
    size_t group[SEEDS], n = study_group(r, label, group, SEEDS);
    *count = EPOCHS;
    memset(mean, 0, EPOCHS * sizeof *mean);
    for (size_t i = 0; i < n; i++) {
        struct study_curve c;
        if (study_metric(r, group[i], "epoch", key, &c, e))
            return -1;
        if (c.count < *count)
            *count = c.count;
        for (size_t k = 0; k < *count; k++) {
            x[k] = c.epoch[k];
            mean[k] += c.value[k] / (double)n;
        }
    }
    return 0;
}

/* The rate along the first run of a shape, at no more than 100 points. */
static int draw_rate(struct study_results *r, json_t *figure, const char *label, const char *name,
                     struct err *e)
{
    size_t group[SEEDS], count = 0;
    double x[101], y[101];
    struct study_curve c;
    study_group(r, label, group, SEEDS);
    if (study_metric(r, group[0], "train", "opt/lr", &c, e))
        return -1;
    for (size_t i = 0; i < c.count; i += 1 + c.count / 100, count++) {
        x[count] = c.epoch[i];
        y[count] = c.value[i];
    }
    study_line(figure, name, &(struct study_points){.x = x, .mean = y, .count = count});
    return 0;
}

static int show_shapes(struct study_results *r, const struct setup *u, struct err *e)
{
    json_t *rates = study_figure(r, &(struct study_axes){
        .id = "rates", .title = "Learning rates over the run", .x_title = "epoch",
        .y_title = "learning rate"});
    json_t *losses = study_figure(r, &(struct study_axes){
        .id = "training", .title = "Training loss over the run",
        .caption = "Mean over seeds. Noise keeps a constant rate from falling any further; each "
                   "fall of the rate lets the loss fall.",
        .x_title = "epoch", .y_title = "training loss"});
    for (int i = 0; i < SHAPES; i++) {
        char label[64];
        double x[EPOCHS], mean[EPOCHS];
        size_t n;
        shape_label(i, u->rate, label);
        if (draw_rate(r, rates, label, shapes[i].name, e) ||
            mean_curve(r, label, "train/epoch_loss", x, mean, &n, e))
            return -1;
        study_line(losses, shapes[i].name,
                   &(struct study_points){.x = x, .mean = mean, .count = n});
    }
    show_losses(r, u);
    return 0;
}

/* ---- after the runs: stress ---- */

static double ramp_rate(double epoch)
{
    return RAMP_START * exp2(epoch / 2);
}

/* What the ramp did to one run. */
struct ramp {
    double break_rate;           /* NaN: it did not break */
    double accuracy[EPOCHS], best; /* of training, by epoch */
    double worst_rise;           /* largest quotient of neighbouring epochs' losses */
    size_t count;                /* whole epochs */
};

static int read_ramp(struct study_results *r, size_t trial, struct ramp *ramp, struct err *e)
{
    struct study_curve loss, accuracy, rate;
    if (study_metric(r, trial, "epoch", "train/epoch_loss", &loss, e) ||
        study_metric(r, trial, "epoch", "train/epoch_accuracy", &accuracy, e) ||
        study_metric(r, trial, "train", "opt/lr", &rate, e))
        return -1;
    *ramp = (struct ramp){.break_rate = (double)NAN};
    double least = INFINITY;
    for (; ramp->count < loss.count && ramp->count < EPOCHS; ramp->count++) {
        size_t i = ramp->count;
        ramp->accuracy[i] = accuracy.value[i];
        if (i > 0)
            ramp->worst_rise = fmax(ramp->worst_rise, loss.value[i] / loss.value[i - 1]);
        if (isnan(ramp->break_rate) &&
            (loss.value[i] > 2 * least || accuracy.value[i] < ramp->best / 2))
            ramp->break_rate = ramp_rate(loss.epoch[i]);
        ramp->best = fmax(ramp->best, accuracy.value[i]);
        least = fmin(least, loss.value[i]);
    }
    bool diverged = r->trials[trial].state == TRIAL_DIVERGED;
    if (isnan(ramp->break_rate) && diverged && rate.count > 0)
        ramp->break_rate = rate.value[rate.count - 1];
    return 0;
}

static int read_ramps(struct study_results *r, int variant, struct ramp *ramps, size_t *n,
                      struct err *e)
{
    size_t group[SEEDS];
    *n = study_group(r, variants[variant].name, group, SEEDS);
    for (size_t i = 0; i < *n; i++)
        if (read_ramp(r, group[i], &ramps[i], e))
            return -1;
    return 0;
}

/* log2 of the rates at which runs broke: logs[SEEDS]; returns how many did. */
static size_t break_logs(const struct ramp *ramps, size_t n, double *logs)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(ramps[i].break_rate))
            logs[count++] = log2(ramps[i].break_rate);
    return count;
}

/* From logarithms back to what they are of. */
static struct study_seen raised(struct study_seen s)
{
    s.value = exp2(s.value);
    s.low = exp2(s.low);
    s.high = exp2(s.high);
    return s;
}

struct stress {
    struct ramp ramps[VARIANTS][SEEDS];
    size_t count[VARIANTS];
    double logs[VARIANTS][SEEDS];
    size_t broken[VARIANTS];
};

static void conclude_bare(struct study_results *r, const struct stress *s)
{
    struct study_seen seen = raised(study_mean(s->logs[BARE], s->broken[BARE]));
    if (s->broken[BARE] < s->count[BARE]) {
        double end = ramp_rate((double)s->ramps[BARE][0].count);
        seen = study_exact(end, s->count[BARE]); /* a lower bound, past the predicted range */
        seen.what = study_text(r, "%zu of %zu runs without batch norm broke before the end of the "
                                  "ramp at %.3g.", s->broken[BARE], s->count[BARE], end);
    } else {
        seen.what = study_text(r, "All %zu runs without batch norm broke, at a rate of %.3g "
                                  "(geometric mean).", seen.n, seen.value);
    }
    study_conclude(r, "bare-breaks", &seen);
}

static void conclude_norm(struct study_results *r, const struct stress *s)
{
    const struct ramp *ramps = s->ramps[WITH_NORM];
    const size_t n = s->count[WITH_NORM];
    double kept[SEEDS], rise[SEEDS];
    double ten = 10 * exp2(stats_mean(s->logs[BARE], s->broken[BARE]));
    double epoch = ceil(2 * log2(ten / RAMP_START));
    size_t group[SEEDS], diverged = study_diverged(r, group, study_group(r,
                                                   variants[WITH_NORM].name, group, SEEDS));
    size_t reached = 0;
    for (size_t i = 0; i < n; i++) {
        rise[i] = ramps[i].worst_rise;
        if (epoch >= 1 && epoch <= (double)ramps[i].count)
            kept[reached++] = ramps[i].accuracy[(size_t)epoch - 1] / ramps[i].best;
    }
    struct study_seen seen = study_exact((double)diverged, n);
    seen.what = study_text(r, "%zu of %zu runs with batch norm diverged up to a rate of %.3g.",
                           diverged, n, ramp_rate((double)ramps[0].count));
    study_conclude(r, "norm-survives", &seen);
    seen = study_mean(kept, reached);
    if (s->broken[BARE] == 0)
        seen.doubt = "the network without batch norm did not break";
    else if (reached < n)
        seen.doubt = "ten times the rate lies beyond the ramp";
    seen.what = study_text(r, "At a rate of %.3g the training accuracy with batch norm is %.2f of "
                              "its best.", ten, seen.value);
    study_conclude(r, "norm-tolerates", &seen);
    seen = study_mean(rise, n);
    seen.what = study_text(r, "The largest rise between neighbouring epochs is by a factor of "
                              "%.2f.", seen.value);
    study_conclude(r, "smooth", &seen);
}

static void conclude_frozen(struct study_results *r, const struct stress *s)
{
    const size_t n = s->broken[FROZEN], m = s->broken[BARE];
    struct study_seen seen = raised(study_difference(s->logs[FROZEN], n, s->logs[BARE], m));
    if (n < s->count[FROZEN] || m < s->count[BARE])
        seen.doubt = "not all of the runs broke";
    seen.what = study_text(r, "%zu of %zu frozen runs broke, at %.3g; %zu of %zu without batch "
                              "norm, at %.3g.", n, s->count[FROZEN],
                           exp2(stats_mean(s->logs[FROZEN], n)), m, s->count[BARE],
                           exp2(stats_mean(s->logs[BARE], m)));
    study_conclude(r, "frozen-breaks", &seen);
}

/* Training accuracies of Page's ramps, as his notebook logged them. */
static void show_published(json_t *figure)
{
    static const char source[] = "Page, How to train your ResNet, part 7, notebook; single runs";
    static const double x_norm[] = {.01, .04, .16, .32, .64, .905, 1.28, 2.56, 5.12, 7.24, 10.2,
                                    14.5, 20.5, 29},
                        y_norm[] = {.321, .594, .782, .825, .846, .853, .853, .852, .817, .791,
                                    .731, .664, .602, .559},
                        x_bare[] = {.01, .04, .08, .113, .16, .226},
                        y_bare[] = {.328, .533, .622, .659, .500, .659};
    study_line(figure, "published, batch norm",
               &(struct study_points){.x = x_norm, .mean = y_norm, .count = 14, .style = "points",
                                      .source = source});
    study_line(figure, "published, no batch norm",
               &(struct study_points){.x = x_bare, .mean = y_bare, .count = 6, .style = "points",
                                      .source = source});
}

static int show_stress(struct study_results *r, const struct stress *s, struct err *e)
{
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "stress", .title = "Training accuracy while the learning rate rises",
        .caption = "Mean over seeds, epoch by epoch, as far as all runs go; a vertical line shows "
                   "where runs broke.",
        .x_title = "learning rate", .y_title = "training accuracy", .x_log = true});
    for (int v = 0; v < VARIANTS; v++) {
        double x[EPOCHS], mean[EPOCHS];
        size_t n;
        if (mean_curve(r, variants[v].name, "train/epoch_accuracy", x, mean, &n, e))
            return -1;
        for (size_t i = 0; i < n; i++)
            x[i] = ramp_rate(x[i]);
        study_line(figure, variants[v].name,
                   &(struct study_points){.x = x, .mean = mean, .count = n});
        if (s->broken[v])
            study_reference(figure, study_text(r, "%s breaks", variants[v].name), "x",
                            exp2(stats_mean(s->logs[v], s->broken[v])));
    }
    if (r->plan->scale == STUDY_PAPER)
        show_published(figure);
    return 0;
}

static int analyse(struct study_results *r, struct err *e)
{
    const struct setup *u = &setups[r->plan->scale];
    struct stress *s = arena_alloc(&r->memory, 1, sizeof *s);
    if (show_shapes(r, u, e))
        return -1;
    compare(r, "anneal", CONSTANT, PIECEWISE, u->rate);
    compare(r, "warm-up", NO_WARM_UP, PIECEWISE, HIGH * u->rate);
    compare(r, "shape", ONE_CYCLE, PIECEWISE, u->rate);
    for (int v = 0; v < VARIANTS; v++) {
        if (read_ramps(r, v, s->ramps[v], &s->count[v], e))
            return -1;
        s->broken[v] = break_logs(s->ramps[v], s->count[v], s->logs[v]);
    }
    conclude_bare(r, s);
    conclude_norm(r, s);
    conclude_frozen(r, s);
    return show_stress(r, s, e);
}

static const char *const caveats[] = {
    "All schedules have the same peak rate, not each its best one: one that loses here could win "
    "at another rate.",
    "Along a ramp the network is never trained at one rate for long. Where it breaks depends on "
    "how fast the rate rises.",
    "Frozen statistics are those of the epoch at which they were frozen; as the weights move on, "
    "they become wrong, so that more than the coupling of a batch is taken away.",
    NULL,
};

static const struct study_disagreement disagreements[] = {
    {"The study notes speak of ill-conditioning where a learning rate is too high.",
     "Ill-conditioning is the quotient of the largest and the smallest curvature; it makes "
     "training slow; what breaks it is the learning rate times the largest curvature alone.",
     "The stress ramp tests the latter; the study 'curvature' measures both."},
    {"A rate beyond the limit of stability is said to make training diverge.",
     "In Page's logs the network with batch norm never diverges: its training accuracy falls from "
     "0.85 to 0.56 between rates of 2.5 and 29.",
     "Both networks are run, and what is called a break is defined."},
    {0},
};

extern const struct study study_schedules;
const struct study study_schedules = {
    .name = "schedules",
    .title = "Learning-rate schedules, and how high a rate may go",
    .question = "Which shape should the learning rate have over a run, and where does it break?",
    .background =
        "A high learning rate moves fast but is noisy: the loss stays above what the weights "
        "around could reach until the rate falls. Schedules therefore end low; many begin low "
        "too, because the first weights stand where the loss is sharply curved. How high the rate "
        "may go is limited by curvature (about 2 / rate, more or less with momentum). Batch norm "
        "makes the loss insensitive to the weights' length, so that weights can grow, and with "
        "them the rate that they bear.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "resnet9-24"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            "width", "0.125", "train_count", "4000", "epochs", "5", "batch", "128", "cutout", "0",
            "eval_every", "0", "keep_best", "no", NULL},
        [STUDY_SMALL] = (const char *const[]){
            "width", "0.125", "train_count", "20000", "epochs", "12", "cutout", "0", "eval_every",
            "0", "keep_best", "no", NULL},
        [STUDY_PAPER] = (const char *const[]){"keep_best", "no", NULL},
    },
    .seeds = {3, 3, 5},
    .keep = KEEP_NONE,
    .plan = plan,
    .analyse = analyse,
    .caveats = caveats,
    .disagreements = disagreements,
};
