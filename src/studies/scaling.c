/* scaling.c - k times the batch at k times the learning rate: how far does that go?
 *
 * Goyal et al. 2017, "Accurate, large minibatch SGD: training ImageNet in 1 hour": a batch k times
 * as large with a learning rate k times as large trains as well in the same epochs, if the rate
 * begins low and rises gradually, up to a batch where it breaks. Each batch is run with and without
 * that warm-up in equal epochs, and some in equal steps. What many workers gain is measured apart
 * (workers.h).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "studies/study.h"
#include "studies/workers.h"

enum { SIZES = 8, SEEDS = STUDY_SEEDS_MOST, REPETITIONS = 16, WORKERS = 12 };

/* How a batch is trained. */
enum mode { GRADUAL, ABRUPT, STEPS, MODES };
static const char *const mode_names[MODES] = {"equal epochs, warm-up", "equal epochs, no warm-up",
                                              "equal steps, warm-up"};

struct setup {
    double rate;                 /* of the smallest batch */
    int sizes[SIZES];            /* k of the linear rule, ascending, 0-ended; the first is 1 */
    int small;                   /* k at which nothing should be lost yet */
    int warm;                    /* k at which warm-up is tested */
    int steps[SIZES];            /* k that are run in equal steps, too; 0-ended */
};

static const struct setup setups[STUDY_SCALES] = {
    [STUDY_TINY] = {0.1, {1, 2, 4, 16}, 2, 4, {4, 16}},
    [STUDY_SMALL] = {0.1, {1, 2, 4, 8, 16, 32}, 4, 8, {4, 16}},
    [STUDY_PAPER] = {0.1, {1, 2, 4, 8, 16, 32, 64}, 8, 16, {4, 16}},
};

static int last_of(const int *list)
{
    int i = 0;
    while (list[i + 1])
        i++;
    return list[i];
}

static void label_of(enum mode mode, int k, char label[64])
{
    snprintf(label, 64, "k = %d, %s", k, mode_names[mode]);
}

/* ---- before the runs ---- */

static void predict_training(struct study_plan *p, const struct setup *u)
{
    char small[300], most[300], warm[300], steps[300];
    int batch = p->sweep->base.batch;
    snprintf(small, sizeof small, "Batch %d ends within 2 points of batch %d's test accuracy "
             "(Goyal: 0.1 points at 32 times the batch, on ImageNet).", u->small * batch, batch);
    study_predict(p, &(struct study_claim){
        .id = "linear",
        .statement = "k times the batch at k times the learning rate, with warm-up, reaches the "
                     "same accuracy in the same epochs.",
        .formula = "|accuracy(B, lr) - accuracy(kB, k lr)| < 0.02",
        .prediction = small, .low = -0.02, .high = 0.02, .unit = "accuracy",
        .falsified_by = "A loss of more than 2 points at this k."});
    snprintf(most, sizeof most, "Batch %d loses 2 points or more.", last_of(u->sizes) * batch);
    study_predict(p, &(struct study_claim){
        .id = "breaks",
        .statement = "There is a batch beyond which this no longer holds.",
        .formula = "accuracy(B, lr) - accuracy(kB, k lr) > 0.02",
        .prediction = most, .low = 0.02, .high = INFINITY, .unit = "accuracy",
        .falsified_by = "The same accuracy even at the largest batch."});
    snprintf(warm, sizeof warm, "At batch %d warm-up gives a higher accuracy (Goyal: 1.1 "
             "points at batch 8192).", u->warm * batch);
    study_predict(p, &(struct study_claim){
        .id = "warm-up",
        .statement = "A large batch needs warm-up.",
        .formula = "accuracy(warm-up) - accuracy(no warm-up) > 0",
        .prediction = warm, .low = 0, .high = INFINITY, .unit = "accuracy",
        .falsified_by = "The same or a higher accuracy without warm-up."});
    snprintf(steps, sizeof steps, "Batch %d loses less than one point to batch %d when it makes as "
             "many steps.", last_of(u->steps) * batch, batch);
    study_predict(p, &(struct study_claim){
        .id = "equal-steps",
        .statement = "What a large batch loses in equal epochs it loses for want of steps.",
        .formula = "accuracy(kB, equal steps) - accuracy(B) > -0.01",
        .prediction = steps, .low = -0.01, .high = INFINITY, .unit = "accuracy",
        .falsified_by = "A lower accuracy in equal steps too."});
}

static void predict_workers(struct study_plan *p)
{
    study_predict(p, &(struct study_claim){
        .id = "same-bits",
        .statement = "Several workers on one batch give the weights of one worker, bit for bit.",
        .formula = "different hashes of the weights over all numbers of workers",
        .prediction = "There is exactly one hash.",
        .low = 1, .high = 1, .unit = "hashes",
        .falsified_by = "A second hash."});
    study_predict(p, &(struct study_claim){
        .id = "efficiency",
        .statement = "With a batch that grows with the workers, images per second grow almost as "
                     "their number.",
        .formula = "images/s(w workers, w B) / (w images/s(1 worker, B))",
        .prediction = "At the most workers the efficiency is at least 0.7.",
        .low = 0.7, .high = INFINITY, .unit = "efficiency",
        .falsified_by = "Less on an idle machine.",
        .condition = "there is one worker only",
        .aside = true});
}

static int add_runs(struct study_plan *p, const struct setup *u, enum mode mode, int k,
                    struct err *e)
{
    char label[64], batch[16], lr[32], knots[64], epochs[32];
    const struct config *base = &p->sweep->base;
    label_of(mode, k, label);
    snprintf(batch, sizeof batch, "%d", k * base->batch);
    snprintf(lr, sizeof lr, "%.6g", k * u->rate);
    snprintf(epochs, sizeof epochs, "%.9g", base->epochs * (mode == STEPS ? k : 1));
    snprintf(knots, sizeof knots, "0:1/%d, 20%%:1, 100%%:0", mode == ABRUPT ? 1 : k);
    return study_trials(p, label,
                        (const char *[]){"batch", batch, "lr", lr, "knots", knots, "epochs", epochs,
                                         NULL}, e);
}

static int plan(struct study_plan *p, struct err *e)
{
    const struct setup *u = &setups[p->scale];
    predict_training(p, u);
    predict_workers(p);
    for (int i = 0; u->sizes[i]; i++)
        if (add_runs(p, u, GRADUAL, u->sizes[i], e) || add_runs(p, u, ABRUPT, u->sizes[i], e))
            return -1;
    for (int i = 0; u->steps[i]; i++)
        if (add_runs(p, u, STEPS, u->steps[i], e))
            return -1;
    return 0;
}

/* ---- after the runs ---- */

/* Test accuracies of a mode and size; a run that diverged guesses. */
static size_t accuracies(const struct study_results *r, enum mode mode, int k, double *values)
{
    size_t group[SEEDS];
    char label[64];
    label_of(mode, k, label);
    size_t n = study_group(r, label, group, SEEDS), diverged = study_diverged(r, group, n);
    const struct dataset *kind = dataset_find(r->plan->sweep->base.data);
    size_t count = study_values(r, group, n, "test_accuracy", values);
    for (; diverged > 0; diverged--)
        values[count++] = 1.0 / kind->classes;
    return count;
}

/* By how much one accuracy is above another. */
static void compare(struct study_results *r, const char *claim, enum mode mode, int k,
                    enum mode other_mode, int other)
{
    double a[SEEDS], b[SEEDS];
    const int batch = r->plan->sweep->base.batch;
    size_t n = accuracies(r, mode, k, a), m = accuracies(r, other_mode, other, b);
    struct study_seen seen = study_difference(a, n, b, m);
    seen.what = study_text(r, "Batch %d (%s) reaches %.4f, batch %d (%s) %.4f.", k * batch,
                           mode_names[mode], stats_mean(a, n), other * batch,
                           mode_names[other_mode], stats_mean(b, m));
    study_conclude(r, claim, &seen);
}

static void show_accuracies(struct study_results *r, const struct setup *u)
{
    static const char *const columns[] = {"batch", "trained for", "test accuracy", "95 % from",
                                          "to", "runs", NULL};
    const int batch = r->plan->sweep->base.batch;
    json_t *table = study_table(r, "accuracy", "Test accuracy at learning rate proportional to "
                                               "batch size", columns);
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "accuracy", .title = "Test accuracy against batch size",
        .caption = "Learning rate proportional to the batch; mean over seeds with its 95 % "
                   "interval. The horizontal line is the smallest batch.",
        .x_title = "batch size", .y_title = "test accuracy", .x_log = true});
    for (int mode = 0; mode < MODES; mode++) {
        const int *list = mode == STEPS ? u->steps : u->sizes;
        double x[SIZES], mean[SIZES], low[SIZES], high[SIZES], count[SIZES], values[SEEDS];
        size_t n = 0;
        for (; list[n]; n++) {
            const struct study_seen seen = study_mean(
                values, accuracies(r, (enum mode)mode, list[n], values));
            x[n] = list[n] * batch;
            mean[n] = seen.value;
            low[n] = seen.low;
            high[n] = seen.high;
            count[n] = (double)seen.n;
            study_row(table, "dsdddn", x[n], mode_names[mode], mean[n], low[n], high[n], seen.n);
        }
        study_line(figure, mode_names[mode],
                   &(struct study_points){x, mean, low, high, count, n, NULL, NULL});
    }
    double base[SEEDS];
    size_t n = accuracies(r, GRADUAL, 1, base);
    study_reference(figure, "smallest batch", "y", stats_mean(base, n));
}

/* ---- workers ---- */

/* The rates of one number of workers: rates[REPETITIONS]. */
static size_t rates_of(const json_t *team, double *rates)
{
    size_t i;
    const json_t *list = json_object_get(team, "images_per_second");
    for (i = 0; i < json_array_size(list) && i < REPETITIONS; i++)
        rates[i] = json_number_value(json_array_get(list, i));
    return i;
}

static double integer_at(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static void conclude_bits(struct study_results *r, const json_t *workers)
{
    const json_t *hashes = json_object_get(json_object_get(workers, "bits"), "hashes");
    size_t i, different = 0;
    json_t *hash;
    json_array_foreach(hashes, i, hash) {
        size_t k = 0;
        while (!json_equal(hash, json_array_get(hashes, k)))
            k++;
        different += k == i;
    }
    struct study_seen seen = study_exact((double)different, i);
    seen.what = study_text(r, "%zu numbers of workers gave %zu different hashes after %.0f steps "
                              "of batch %.0f.", i, different,
                           integer_at(json_object_get(workers, "bits"), "steps"),
                           integer_at(json_object_get(workers, "bits"), "batch"));
    study_conclude(r, "same-bits", &seen);
}

static void conclude_efficiency(struct study_results *r, const json_t *weak)
{
    double one[REPETITIONS], most[REPETITIONS];
    const json_t *last = json_array_get(weak, json_array_size(weak) - 1);
    const double w = integer_at(last, "workers");
    size_t n = rates_of(json_array_get(weak, 0), one), m = rates_of(last, most);
    for (size_t i = 0; i < n && i < m; i++)
        most[i] /= w * one[i]; /* of one moment: repetitions are interleaved */
    struct study_seen seen = study_mean(most, m);
    seen.error = "95 % interval of Student's t over repetitions";
    if (w < 2)
        seen.doubt = "there is one worker only";
    seen.what = study_text(r, "%.0f workers reach %.2f of %.0f times the images per second of one.",
                           w, seen.value, w);
    study_conclude(r, "efficiency", &seen);
}

static void draw_mode(struct study_results *r, json_t *figure, const char *name, const json_t *list)
{
    double x[WORKERS], mean[WORKERS], low[WORKERS], high[WORKERS], rates[REPETITIONS];
    size_t n = 0;
    (void)r;
    for (; n < json_array_size(list) && n < WORKERS; n++) {
        const json_t *team = json_array_get(list, n);
        const struct study_seen seen = study_mean(rates, rates_of(team, rates));
        x[n] = integer_at(team, "workers");
        mean[n] = seen.value;
        low[n] = seen.low;
        high[n] = seen.high;
    }
    study_line(figure, name, &(struct study_points){x, mean, low, high, NULL, n, NULL, NULL});
    double ideal[WORKERS];
    for (size_t i = 0; i < n; i++)
        ideal[i] = mean[0] * x[i] / x[0];
    if (strncmp(name, "batch grows", 11) == 0)
        study_line(figure, "proportional",
                   &(struct study_points){.x = x, .mean = ideal, .count = n, .style = "dashed"});
}

/* Mean epochs in which the runs of a size first reach an accuracy; NaN if one never does. */
static int epochs_to(struct study_results *r, int k, double target, double *epochs, struct err *e)
{
    size_t group[SEEDS];
    char label[64];
    label_of(GRADUAL, k, label);
    size_t n = study_group(r, label, group, SEEDS);
    *epochs = 0;
    for (size_t i = 0; i < n; i++) {
        struct study_curve c;
        double first = (double)NAN;
        if (study_metric(r, group[i], "epoch", "test/accuracy", &c, e))
            return -1;
        for (size_t j = c.count; j-- > 0;)
            if (c.value[j] >= target)
                first = c.epoch[j];
        *epochs += first / (double)n;
    }
    return 0;
}

static bool is_run(const struct setup *u, double k)
{
    for (int i = 0; u->sizes[i]; i++)
        if (u->sizes[i] == k)
            return true;
    return false;
}

/* w workers train batch w B: epochs to the target from the runs, images a second measured. */
static int show_time(struct study_results *r, const struct setup *u, const json_t *weak,
                     struct err *e)
{
    static const char *const columns[] = {"workers", "batch", "images/s", "epochs to the target",
                                          "seconds to the target", NULL};
    double base[SEEDS], rates[REPETITIONS], epochs;
    const double target = stats_mean(base, accuracies(r, GRADUAL, 1, base)) - 0.02;
    size_t group[SEEDS];
    char label[64];
    label_of(GRADUAL, 1, label);
    study_group(r, label, group, SEEDS);
    const double images = study_setting(r, group[0], "train_count");
    const struct dataset *kind = dataset_find(r->plan->sweep->base.data);
    const char *title = study_text(r, "Time to a test accuracy of %.3f (the smallest batch's, less "
                                      "2 points), evaluation left out", target);
    json_t *table = study_table(r, "time", title, columns);
    for (size_t i = 0; i < json_array_size(weak); i++) {
        const json_t *team = json_array_get(weak, i);
        const double w = integer_at(team, "workers");
        const double rate = stats_mean(rates, rates_of(team, rates));
        if (!is_run(u, w))
            continue;
        if (epochs_to(r, (int)w, target, &epochs, e))
            return -1;
        study_row(table, "ddddd", w, integer_at(team, "batch"), rate, epochs,
                  epochs * (images > 0 ? images : kind->train_count) / rate);
    }
    return 0;
}

static int analyse(struct study_results *r, struct err *e)
{
    const struct setup *u = &setups[r->plan->scale];
    const json_t *workers = json_object_get(r->measured, "workers");
    show_accuracies(r, u);
    compare(r, "linear", GRADUAL, 1, GRADUAL, u->small);
    compare(r, "breaks", GRADUAL, 1, GRADUAL, last_of(u->sizes));
    compare(r, "warm-up", GRADUAL, u->warm, ABRUPT, u->warm);
    compare(r, "equal-steps", STEPS, last_of(u->steps), GRADUAL, 1);
    conclude_bits(r, workers);
    conclude_efficiency(r, json_object_get(workers, "weak"));
    json_t *figure = study_figure(r, &(struct study_axes){
        .id = "speed", .title = "Images per second against workers",
        .caption = "A worker is a thread of this machine; mean of interleaved repetitions with its "
                   "95 % interval.",
        .x_title = "workers", .y_title = "images per second"});
    draw_mode(r, figure, "batch grows with the workers", json_object_get(workers, "weak"));
    draw_mode(r, figure, "batch stays the same", json_object_get(workers, "strong"));
    return show_time(r, u, json_object_get(workers, "weak"), e);
}

static const struct study_measurement measurements[] = {
    {"workers", true, workers_measure},
    {0},
};

static const char *const caveats[] = {
    "Batch norm takes its statistics over the whole batch, whatever its size. Goyal et al. take "
    "them over the 32 images of each worker, which keeps their noise the same for all batches.",
    "One learning rate is tested for each batch, that of the linear rule. Tuned for each batch, "
    "large ones lose less (Shallue et al. 2019).",
    "Images per second are timings of this machine in the state that it was in; everything else "
    "that runs on it makes them lower.",
    NULL,
};

static const struct study_disagreement disagreements[] = {
    {"Linear scaling is often told as a law.",
     "Goyal's own figures break beyond a batch of 8192; Shallue et al. (2019) find neither the "
     "linear nor the square-root rule reliable, Smith, Elsen and De (2020) the linear one only "
     "where gradient noise dominates.",
     "Batches are run up to where it breaks, in equal epochs and in equal steps, because the two "
     "give different answers."},
    {0},
};

extern const struct study study_scaling;
const struct study study_scaling = {
    .name = "scaling",
    .title = "Linear scaling, and what many workers gain",
    .question = "How large may a batch become if the learning rate grows with it?",
    .background =
        "Several workers share a batch. To keep them busy the batch must grow with their number, "
        "and if the learning rate grows as much, k small steps are replaced by one large one that "
        "leads to about the same place, as long as the gradient does not change along the way. "
        "In the first steps it changes fast, so the rate begins low (warm-up). In equal epochs a "
        "larger batch makes fewer steps; from some batch on they are too few.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "dawn-128"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            "width", "0.125", "train_count", "3072", "epochs", "4", "batch", "32", "cutout", "0",
            "schedule_origin", "0", "keep_best", "no", NULL},
        [STUDY_SMALL] = (const char *const[]){
            "width", "0.125", "train_count", "20480", "epochs", "5", "batch", "64", "cutout", "0",
            "schedule_origin", "0", "keep_best", "no", NULL},
        [STUDY_PAPER] = (const char *const[]){"schedule_origin", "0", "keep_best", "no", NULL},
    },
    .seeds = {2, 3, 5},
    .keep = KEEP_NONE,
    .plan = plan,
    .measurements = measurements,
    .analyse = analyse,
    .caveats = caveats,
    .disagreements = disagreements,
};
