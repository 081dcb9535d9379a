/* test_probe_set.c - probes during training: they change no bit, keep their budget, measure when
 * they are due, and what `norms` tells is what a second computation finds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "probes/set.h"
#include "tiny_group.h"
#include "train/train.h"

enum { ROWS_MAX = 4096 };

/* The rows that arrived. */
struct row {
    char probe[32], of[64];
    uint64_t step;
    double values[PROBE_SERIES_MAX];
    int count;
};

/* Every instrument looks at it several times, in double too: so it shrinks the images first. */
static const char small_net[] = "shrink avgpool    4\n"
                                "conv1  conv       3x3 8 pad=1\n"
                                "norm1  batchnorm\n"
                                "relu1  relu\n"
                                "pool1  maxpool    2\n"
                                "conv2  conv       3x3 16 pad=1\n"
                                "norm2  batchnorm  scale=fixed\n"
                                "act2   gelu\n"
                                "pool2  maxpool    4\n"
                                "head   linear     classes\n";

static struct row rows[ROWS_MAX];
static int row_count;

static int start(void **state)
{
    (void)state;
    tiny_config(&config, scratch.path, small_net);
    config.eval_every = -1;
    config.probe_budget = 1e6;
    config.probe_images = 32;
    config.probe_iterations = 3;
    row_count = 0;
    return 0;
}

static void hear(void *context, const struct probe_event *event)
{
    (void)context;
    assert_true(row_count < ROWS_MAX);
    struct row *r = &rows[row_count++];
    snprintf(r->probe, sizeof r->probe, "%s", event->probe);
    snprintf(r->of, sizeof r->of, "%s", event->of);
    r->step = event->step;
    r->count = event->count;
    memcpy(r->values, event->values, (size_t)event->count * sizeof *event->values);
}

static void probe_failed(void *context, const struct err *why)
{
    (void)context;
    fail_msg("%s", why->text);
}

/* Trains with these probes, from `from` on if it is not NULL; checkpoints go to the scratch. */
static struct train_result run_from(const char *names, const struct observer *also,
                                    const char *from)
{
    struct probe_set set;
    struct err e = {0};
    struct observer observers[3] = {{.probe = hear}};
    int count = 1;
    assert_int_equal(probe_set_init(&set, names, &e), 0);
    set.sinks = observers;
    set.sink_count = 1;
    set.on_failure = probe_failed;
    if (also)
        observers[count++] = *also;
    observers[count++] = probe_set_observer(&set);
    const struct train_request r = {.config = &config, .images = &images, .observers = observers,
                                    .observer_count = count, .checkpoints = scratch.path,
                                    .resume_from = from};
    struct train_result result;
    if (train_run(&r, &result, &e))
        fail_msg("%s", e.text);
    return result;
}

/* Trains with these probes; `also`, if not NULL, hears the steps first. */
static struct train_result run(const char *names, const struct observer *also)
{
    return run_from(names, also, NULL);
}

/* One row of the last run; `series` by number. */
static const struct row *row_of(const char *probe, uint64_t step, const char *of)
{
    for (int i = 0; i < row_count; i++)
        if (strcmp(rows[i].probe, probe) == 0 && rows[i].step == step &&
            strcmp(rows[i].of, of) == 0)
            return &rows[i];
    fail_msg("no row of %s at step %d for '%s'", probe, (int)step, of);
    return NULL;
}

static double value(const struct row *r, const char *name)
{
    const struct probe *p = probe_find(r->probe, NULL);
    for (int i = 0; i < r->count; i++)
        if (strcmp(p->series[i].name, name) == 0)
            return r->values[i];
    fail_msg("the probe %s has no series %s", r->probe, name);
    return 0;
}

static void all_names(char *out, size_t size)
{
    out[0] = 0;
    for (int i = 0; probe_list[i]; i++) {
        strncat(out, probe_list[i]->name, size - strlen(out) - 2);
        strcat(out, ",");
    }
}

static void check_bits(enum average_kind average, int threads)
{
    char names[256];
    all_names(names, sizeof names);
    config.average = average;
    config.threads = threads;
    struct train_result plain = run("", NULL);
    assert_int_equal(row_count, 0);
    struct train_result probed = run(names, NULL);
    assert_string_equal(probed.weights_hash, plain.weights_hash);
    assert_true(probed.train_loss == plain.train_loss);
    for (int i = 0; probe_list[i]; i++) {
        int found = 0;
        for (int r = 0; r < row_count; r++)
            found += strcmp(rows[r].probe, probe_list[i]->name) == 0;
        if (!found)
            fail_msg("the probe %s told nothing", probe_list[i]->name);
    }
}

static void test_probe_set__training_keeps_its_bits(void **state)
{
    (void)state;
    check_bits(AVERAGE_NONE, 2);
}

static void test_probe_set__with_averaging_too(void **state)
{
    (void)state;
    check_bits(AVERAGE_LOOKAHEAD, 1);
    row_count = 0;
    check_bits(AVERAGE_EMA, 1);
}

/* Two runs tell the same numbers to the bit, on any number of threads. */
static void test_probe_set__rows_do_not_depend_on_threads(void **state)
{
    (void)state;
    char names[256];
    all_names(names, sizeof names);
    config.threads = 1;
    run(names, NULL);
    static struct row first[ROWS_MAX];
    int count = row_count;
    memcpy(first, rows, sizeof rows);
    row_count = 0;
    config.threads = 3;
    run(names, NULL);
    assert_int_equal(row_count, count);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < rows[i].count; k++)
            assert_memory_equal(&rows[i].values[k], &first[i].values[k], sizeof(double));
}

/* Interrupted after 25 of 36 steps, within an epoch, and taken up: the same rows to the bit. */
static void test_probe_set__a_resumed_run_tells_the_same_rows(void **state)
{
    (void)state;
    static struct row whole[ROWS_MAX];
    static const char names[] = "norms,noise_scale,forgetting";
    config.keep_last = 100;
    config.epochs = 12;
    config.lr = 0.3; /* so high, and labels so bad, that something is forgotten */
    config.label_noise = 0.5;
    strcpy(config.knots, "0:1, 12:1");
    run(names, NULL);
    int count = row_count;
    memcpy(whole, rows, sizeof rows);
    row_count = 0;
    config.steps = 25;
    struct train_result first = run(names, NULL);
    assert_int_equal(first.steps, 25);
    assert_true(row_count < count);
    config.steps = 0;
    run_from(names, NULL, first.checkpoint);
    assert_int_equal(row_count, count);
    for (int i = 0; i < count; i++) {
        assert_string_equal(rows[i].probe, whole[i].probe);
        for (int k = 0; k < rows[i].count; k++)
            if (memcmp(&rows[i].values[k], &whole[i].values[k], sizeof(double)) != 0)
                fail_msg("%s of '%s' at step %d: series %d is %.17g, not %.17g", rows[i].probe,
                         rows[i].of, (int)rows[i].step, k, rows[i].values[k], whole[i].values[k]);
    }
}

/* A checkpoint without the probe's state: `since` says where counting began. */
static void test_probe_set__a_probe_that_joins_later_says_so(void **state)
{
    (void)state;
    config.keep_last = 100;
    config.steps = 6;
    struct train_result first = run("", NULL);
    config.steps = 0;
    run_from("forgetting", NULL, first.checkpoint);
    assert_true(row_count > 0);
    assert_true(value(&rows[0], "since") == 6);
}

static void test_probe_set__names(void **state)
{
    (void)state;
    struct probe_set set;
    struct err e = {0};
    assert_int_equal(probe_set_init(&set, "", &e), 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(probe_set_init(&set, "normz", &e), -1);
    assert_int_equal(e.code, EXIT_USAGE);
    assert_non_null(strstr(e.text, "did you mean 'norms'"));
    assert_int_equal(probe_set_init(&set, "norms, norms", &e), -1);
    assert_non_null(strstr(e.text, "twice"));
}

/* Costs of 2 steps every 10 and 30 steps every epoch of 100: half of training. */
static void test_probe_periods__keep_the_budget(void **state)
{
    (void)state;
    const double cost[2] = {2, 30};
    const uint64_t period[2] = {10, 100}, unit[2] = {1, 100};
    uint64_t periods[2];
    probe_periods(2, cost, period, unit, 0.5, periods);
    assert_int_equal(periods[0], 10);
    assert_int_equal(periods[1], 100);
    probe_periods(2, cost, period, unit, 0.05, periods);
    assert_int_equal(periods[0], 100);
    assert_int_equal(periods[1], 1000);
    probe_periods(2, cost, period, unit, 0.3, periods); /* x 5/3: epochs round up to whole ones */
    assert_int_equal(periods[0], 17);
    assert_int_equal(periods[1], 200);
    for (double budget = 0.001; budget < 2; budget *= 1.3) {
        probe_periods(2, cost, period, unit, budget, periods);
        assert_true(cost[0] / periods[0] + cost[1] / periods[1] <= budget * (1 + 1e-9) ||
                    (periods[0] == 10 && periods[1] == 100));
        assert_int_equal(periods[1] % 100, 0);
    }
}

/* Copies of the weights after each step, and of the gradient that made it. */
enum { STEPS = 12, WEIGHTS = 8 * 27 };
static double weights[STEPS + 1][WEIGHTS], gradients[STEPS + 1][WEIGHTS];

static void copy_first_tensor(const struct trainer *t, uint64_t step)
{
    const struct model *m = &t->net.model;
    assert_int_equal(m->graph->tensors[0].count, WEIGHTS);
    m->backend->ops->read_reals(m->backend, weights[step], model_tensor(m, 0), WEIGHTS);
    m->backend->ops->read_reals(m->backend, gradients[step], model_gradient(m, 0), WEIGHTS);
}

static void see_run(void *context, const struct run_event *event)
{
    (void)context;
    copy_first_tensor(event->trainer, 0);
}

static void see_step(void *context, const struct step_event *event)
{
    (void)context;
    copy_first_tensor(event->trainer, event->step);
}

static long double product(const double *a, const double *b)
{
    long double sum = 0;
    for (int i = 0; i < WEIGHTS; i++)
        sum += (long double)a[i] * b[i];
    return sum;
}

static void assert_close(double got, long double want)
{
    if (!(fabs(got - (double)want) <= 1e-11 * fabs((double)want)))
        fail_msg("%.15g where %.15Lg was expected", got, want);
}

static void test_norms__are_the_lengths_and_angles(void **state)
{
    (void)state;
    const struct observer see = {.run = see_run, .step = see_step};
    run("norms", &see);
    const struct row *r = row_of("norms", 10, "conv1.weight");
    const double *before = weights[9], *after = weights[10], *g = gradients[10];
    double update[WEIGHTS];
    for (int i = 0; i < WEIGHTS; i++)
        update[i] = after[i] - before[i];
    long double w = sqrtl(product(before, before)), length = sqrtl(product(g, g));
    assert_close(value(r, "weight_norm"), w);
    assert_close(value(r, "gradient_norm"), length);
    assert_close(value(r, "update_norm"), sqrtl(product(update, update)));
    assert_close(value(r, "gradient_ratio"), length / w);
    assert_true(fabs(value(r, "cosine") - (double)(product(before, g) / w / length)) < 1e-12);
    /* The angle from its tangent: the part of `after` across `before` over the part along it. */
    long double along = product(before, after) / w, across = 0;
    for (int i = 0; i < WEIGHTS; i++)
        across += powl(after[i] - along * before[i] / w, 2);
    assert_close(value(r, "angle"), atan2l(sqrtl(across), along));
    assert_true(value(r, "effective_lr") > 0);
    assert_int_equal(row_of("norms", 10, "")->count, r->count);
}

/* Without momentum and decay a step of LARS is lr * trust times the weights, in every layer. */
static void test_norms__lars_moves_every_layer_alike(void **state)
{
    (void)state;
    config.optimizer = OPTIMIZER_LARS;
    config.lars_trust = 0.01;
    config.momentum = 0;
    config.nesterov = false;
    config.weight_decay = 0;
    config.schedule = SCHEDULE_CONSTANT;
    config.lr = 0.5;
    run("norms", NULL);
    static const char *const layers[] = {"conv1.weight", "conv2.weight", "head.weight"};
    for (int i = 0; i < 3; i++) {
        const struct row *r = row_of("norms", 10, layers[i]);
        double share = value(r, "update_norm") / value(r, "weight_norm");
        assert_true(fabs(share / 0.005 - 1) < 1e-4);
    }
    const struct row *bias = row_of("norms", 10, "norm1.bias");
    assert_true(fabs(value(bias, "update_norm") / (0.5 * value(bias, "gradient_norm")) - 1) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_probe_set__training_keeps_its_bits, start),
        cmocka_unit_test_setup(test_probe_set__with_averaging_too, start),
        cmocka_unit_test_setup(test_probe_set__rows_do_not_depend_on_threads, start),
        cmocka_unit_test_setup(test_probe_set__a_resumed_run_tells_the_same_rows, start),
        cmocka_unit_test_setup(test_probe_set__a_probe_that_joins_later_says_so, start),
        cmocka_unit_test(test_probe_set__names),
        cmocka_unit_test(test_probe_periods__keep_the_budget),
        cmocka_unit_test_setup(test_norms__are_the_lengths_and_angles, start),
        cmocka_unit_test_setup(test_norms__lars_moves_every_layer_alike, start),
    };
    return cmocka_run_group_tests(tests, tiny_group_start, tiny_group_end);
}
