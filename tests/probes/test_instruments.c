/* test_instruments.c - what the probes tell in training and of a checkpoint, against second
 * computations. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "probes/lab.h"
#include "probes/noise.h"
#include "probes/probe.h"
#include "probes/surface.h"

enum { ROWS_MAX = 64 };

struct row {
    char of[64];
    double values[PROBE_SERIES_MAX];
};

/* A probe on a lab, and what it told last. */
struct bench {
    const struct probe *probe;
    void *self;
    struct row rows[ROWS_MAX];
    int count;
};

static void hear(void *context, const struct probe_event *event)
{
    struct bench *b = context;
    assert_true(b->count < ROWS_MAX);
    struct row *r = &b->rows[b->count++];
    snprintf(r->of, sizeof r->of, "%s", event->of);
    memcpy(r->values, event->values, (size_t)event->count * sizeof *event->values);
}

static void bench_open(struct bench *b, const char *name, const struct lab *l)
{
    struct err e = {0};
    *b = (struct bench){.probe = probe_find(name, NULL)};
    assert_non_null(b->probe);
    if (b->probe->open(&b->self, &l->trainer, &e))
        fail_msg("%s", e.text);
}

static struct probe_moment moment_of(const struct lab *l, bool stepped)
{
    const struct trainer *t = &l->trainer;
    return (struct probe_moment){.trainer = t, .step = t->step, .lr = trainer_lr(t),
                                 .epoch = (double)t->step / (double)t->per_epoch,
                                 .stepped = stepped};
}

static void bench_measure(struct bench *b, const struct lab *l, bool stepped)
{
    struct err e = {0};
    const struct observer sink = {.context = b, .probe = hear};
    const struct probe_moment m = moment_of(l, stepped);
    const struct probe_out out = {b->probe, m.step, m.epoch, &sink, 1};
    b->count = 0;
    if (b->probe->measure(b->self, &m, &out, &e))
        fail_msg("%s", e.text);
}

/* One training step, with what the probe does around it. */
static void bench_step(struct bench *b, struct lab *l)
{
    struct step_report report;
    const struct probe_moment m = moment_of(l, false);
    if (b->probe->before)
        assert_int_equal(b->probe->before(b->self, &m, NULL), 0);
    assert_int_equal(train_step(&l->trainer, &report, NULL), 0);
    const struct step_event event = {.trainer = &l->trainer, .step = l->trainer.step};
    if (b->probe->watch)
        b->probe->watch(b->self, &event);
}

static double value(const struct bench *b, const char *of, const char *name)
{
    for (int r = 0; r < b->count; r++) {
        if (strcmp(b->rows[r].of, of) != 0)
            continue;
        for (int i = 0; b->probe->series[i].name; i++)
            if (strcmp(b->probe->series[i].name, name) == 0)
                return b->rows[r].values[i];
    }
    fail_msg("no %s of '%s'", name, of);
    return 0;
}

static void assert_close(double got, double want, double relative)
{
    if (!(fabs(got - want) <= relative * fabs(want)))
        fail_msg("%.12g where %.12g was expected", got, want);
}

/* Without batch norm, so that each image counts alone. */
static const char plain_net[] =
    "p avgpool 4\na conv 3x3 6\ns silu\nq avgpool 2\nl linear classes\n";

/* The noise scale of a step's batch, from the gradients of its single images at the weights before
 * the step. 40 images are 8 parts of 5. */
static void check_noise(const char *net)
{
    struct lab l;
    struct bench b;
    struct surface s;
    struct noise one = {.memory = 1};
    lab_begin(&l, net);
    l.config.precision = PRECISION_FP64;
    l.config.probe_images = 40;
    lab_open(&l, 4);
    bench_open(&b, "noise_scale", &l);
    const struct surface_options o = {PRECISION_FP64, PLAN_FROZEN, 40, 1};
    assert_int_equal(surface_open(&s, &l.trainer, &o, NULL), 0);
    bench_step(&b, &l);
    bench_measure(&b, &l, true);
    assert_int_equal(l.trainer.batch.n, 40);
    surface_use(&s, l.trainer.batch.views, l.trainer.batch.labels, 40);
    double *g = xcalloc(3 * s.count, sizeof *g), *part = g + s.count, *whole = part + s.count;
    double small = 0, large = 0;
    int n;
    for (uint32_t p = 0; p < 8; p++) {
        memset(part, 0, s.count * sizeof *part);
        for (uint32_t i = 0; i < 5; i++) {
            surface_batch_gradient(&s, 5 * p + i, g, &n);
            for (size_t k = 0; k < s.count; k++)
                part[k] += g[k] / 5;
        }
        for (size_t k = 0; k < s.count; k++) {
            small += part[k] * part[k] / 8;
            whole[k] += part[k] / 8;
        }
    }
    for (size_t k = 0; k < s.count; k++)
        large += whole[k] * whole[k];
    noise_add(&one, 40, 5, large, small);
    assert_close(value(&b, "", "now_trace"), one.s, 1e-9);
    assert_close(value(&b, "", "now_gradient2"), one.g2, 1e-9);
    assert_close(value(&b, "", "trace"), one.s, 1e-9);
    assert_true(isnan(value(&b, "", "low")));
    bench_step(&b, &l);
    bench_measure(&b, &l, true);
    assert_false(isnan(value(&b, "", "high")));
    assert_close(value(&b, "", "trace"), (one.s + value(&b, "", "now_trace")) / 2, 1e-9);
    free(g);
    surface_close(&s);
    b.probe->close(b.self);
    lab_close(&l);
}

static void test_noise_scale__is_that_of_the_steps_batch(void **state)
{
    (void)state;
    check_noise(plain_net);
    check_noise("p avgpool 4\na conv 3x3 6\nn batchnorm\ns silu\nq avgpool 2\nl linear classes\n");
}

static void test_noise_scale__of_a_checkpoint(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    lab_begin(&l, plain_net);
    l.config.probe_images = 96;
    lab_open(&l, 2);
    bench_open(&b, "noise_scale", &l);
    bench_measure(&b, &l, false);
    assert_true(value(&b, "", "scale") > 0);
    assert_true(value(&b, "", "low") < value(&b, "", "scale"));
    assert_true(value(&b, "", "high") > value(&b, "", "scale"));
    b.probe->close(b.self);
    lab_close(&l);
}

/* Answers of every presentation, kept by the test. */
static void test_forgetting__counts_correct_then_wrong(void **state)
{
    (void)state;
    enum { EPOCHS = 8 };
    struct lab l;
    struct bench b;
    int correct[TINY_TRAIN] = {0}, learnt[TINY_TRAIN] = {0}, events[TINY_TRAIN] = {0};
    lab_begin(&l, plain_net);
    l.config.lr = 0.8;
    l.config.epochs = EPOCHS;
    l.config.schedule = SCHEDULE_CONSTANT;
    lab_open(&l, 0);
    bench_open(&b, "forgetting", &l);
    int steps = (int)(EPOCHS * l.trainer.per_epoch), total = 0, last = 0;
    for (int s = 0; s < steps; s++) {
        bench_step(&b, &l);
        const struct batch *batch = &l.trainer.batch;
        for (int i = 0; i < batch->n; i++) {
            uint32_t image = batch->views[i].index;
            int forgot = correct[image] && !batch->hits[i];
            events[image] += forgot;
            total += forgot;
            learnt[image] |= batch->hits[i];
            correct[image] = batch->hits[i];
        }
        if (s == steps / 2 - 1) {
            bench_measure(&b, &l, true);
            last = total;
        }
    }
    bench_measure(&b, &l, true);
    int never = 0, once = 0, twice = 0, unlearnt = 0;
    for (int i = 0; i < TINY_TRAIN; i++) {
        never += learnt[i] && !events[i];
        unlearnt += !learnt[i];
        once += events[i] >= 1;
        twice += events[i] >= 2;
    }
    assert_true(total > last && last > 0);
    assert_close(value(&b, "", "never_forgotten"), never / 96.0, 1e-12);
    assert_close(value(&b, "", "unlearnt"), unlearnt / 96.0, 1e-12);
    assert_close(value(&b, "", "forgotten_once"), once / 96.0, 1e-12);
    assert_close(value(&b, "", "forgotten_twice"), twice / 96.0, 1e-12);
    assert_close(value(&b, "", "mean_events"), total / 96.0, 1e-12);
    assert_close(value(&b, "", "events"), (total - last) / (96.0 * EPOCHS / 2), 1e-12);
    b.probe->close(b.self);
    lab_close(&l);
}

/* At an epoch's end: steps of 40, 40 and 16 images are 0, 1 and 2 steps old by age 2, 1, 0. In the
 * middle of the next, the rest of the old epoch is older. */
static void test_recency__knows_when_images_were_seen(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    struct surface s;
    lab_begin(&l, plain_net);
    l.config.probe_images = 64;
    lab_open(&l, 3);
    assert_int_equal(l.trainer.per_epoch, 3);
    bench_open(&b, "recency", &l);
    bench_measure(&b, &l, true);
    assert_int_equal(value(&b, "age 0", "images"), 16);
    assert_int_equal(value(&b, "age 1", "images"), 40);
    assert_int_equal(value(&b, "age 2", "images"), 40);
    /* The last batch, as it was seen, by hand. */
    const struct surface_options o = {PRECISION_FP32, PLAN_EVAL, 40, 40};
    assert_int_equal(surface_open(&s, &l.trainer, &o, NULL), 0);
    s.smoothing = 0;
    surface_use(&s, l.trainer.batch.views, l.trainer.batch.labels, (uint32_t)l.trainer.batch.n);
    assert_close(value(&b, "age 0", "seen_loss"), surface_loss(&s), 1e-6);
    for (uint32_t i = 0; i < s.images; i++)
        s.views[i] = (struct image_view){.index = s.views[i].index};
    assert_close(value(&b, "age 0", "plain_loss"), surface_loss(&s), 1e-6);
    double dip = value(&b, "age 0", "fresh_loss") - value(&b, "age 0", "seen_loss");
    assert_true(dip != 0 && fabs(value(&b, "age 0", "dip") - dip) < 1e-9);
    assert_true(value(&b, "age 0", "dip_error") < value(&b, "age 0", "fresh_error"));
    surface_close(&s);

    bench_step(&b, &l);
    bench_measure(&b, &l, true);
    assert_int_equal(value(&b, "age 0", "images"), 40);
    double older = 0;
    for (int r = 0; r < b.count; r++)
        if (strncmp(b.rows[r].of, "age", 3) == 0 && b.rows[r].values[0] > 0)
            older += b.rows[r].values[7];
    assert_int_equal(older, 56);
    assert_false(isnan(value(&b, "test", "plain_loss")));
    b.probe->close(b.self);
    lab_close(&l);
}

/* Of a checkpoint, all test images: what the evaluation finds. */
static void test_losses__are_those_of_the_evaluation(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    struct eval_result r;
    lab_begin(&l, tiny_net);
    l.config.validation = 16;
    l.config.probe_images = 70;
    lab_open(&l, 6);
    bench_open(&b, "losses", &l);
    bench_measure(&b, &l, false);
    trainer_evaluate(&l.trainer, false, TTA_NONE, &r, NULL);
    assert_int_equal(value(&b, "test", "images"), TINY_TEST);
    assert_close(value(&b, "test", "loss"), r.loss, 1e-6);
    assert_close(value(&b, "test", "accuracy"), r.accuracy, 1e-9);
    assert_true(fabs(value(&b, "test", "refreshed_loss") - r.loss) > 1e-3 * r.loss);
    trainer_evaluate(&l.trainer, true, TTA_NONE, &r, NULL);
    assert_close(value(&b, "validation", "loss"), r.loss, 1e-6);
    assert_int_equal(value(&b, "training", "images"), 70);
    b.probe->close(b.self);
    lab_close(&l);
}

/* Refreshed statistics do not depend on what the running ones were. */
static void test_losses__refreshing_forgets_the_running_statistics(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    lab_begin(&l, tiny_net);
    lab_open(&l, 4);
    bench_open(&b, "losses", &l);
    bench_measure(&b, &l, false);
    double first = value(&b, "test", "refreshed_loss"), running = value(&b, "test", "loss");
    struct model *m = &l.trainer.net.model;
    m->backend->ops->multiply(m->backend, m->graph->state_count, m->state, 3);
    bench_measure(&b, &l, false);
    assert_true(value(&b, "test", "refreshed_loss") == first);
    assert_true(value(&b, "test", "loss") != running);
    b.probe->close(b.self);
    lab_close(&l);
}

/* Rayleigh quotients lie within the spectrum; the scale-invariant number is what it says. */
static void test_sharpness__rows(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    lab_begin(&l, "p avgpool 4\na conv 3x3 6\nn batchnorm\ns silu\nq avgpool 2\n"
                  "l linear classes\n");
    l.config.probe_images = 80;
    l.config.probe_iterations = 60;
    l.config.nesterov = false;
    l.config.lr = 0.5;
    l.config.schedule = SCHEDULE_CONSTANT;
    lab_open(&l, 4);
    bench_open(&b, "sharpness", &l);
    bench_measure(&b, &l, false);
    static const char *const modes[2] = {"train mode", "eval mode"};
    for (int i = 0; i < 2; i++) {
        double largest = value(&b, modes[i], "largest"), norm2;
        struct model *m = &l.trainer.net.model;
        m->backend->ops->row_dots(m->backend, 1, m->graph->tensors[0].count, model_tensor(m, 0),
                                  model_tensor(m, 0), &norm2);
        assert_close(value(&b, modes[i], "scaled"), largest * norm2, 1e-5);
        assert_true(value(&b, modes[i], "largest_residual") < 1e-3 * largest);
        assert_true(value(&b, modes[i], "difference_error") < 1e-5 * largest);
        assert_true(value(&b, modes[i], "smallest") < largest);
        assert_close(value(&b, modes[i], "limit"), (2 + 2 * 0.9) / 0.5, 1e-12);
        assert_int_equal(value(&b, modes[i], "batches"), 2);
        /* A mean of two: the spread is what separates them. */
        assert_true(value(&b, modes[i], "batch_error") > 0);
    }
    assert_true(value(&b, modes[0], "largest") != value(&b, modes[1], "largest"));
    b.probe->close(b.self);
    lab_close(&l);
}

/* With one batch that is all there is, batch sharpness is the curvature along the gradient and
 * cannot leave the spectrum. */
static void test_sharpness__batch_lies_within_the_spectrum(void **state)
{
    (void)state;
    struct lab l;
    struct bench b;
    lab_begin(&l, plain_net);
    l.config.probe_images = 40;
    l.config.probe_iterations = 60;
    lab_open(&l, 4);
    bench_open(&b, "sharpness", &l);
    bench_measure(&b, &l, false);
    assert_int_equal(b.count, 1);
    assert_true(value(&b, "", "batch") <= value(&b, "", "largest"));
    assert_true(value(&b, "", "batch") >= value(&b, "", "smallest"));
    assert_true(isnan(value(&b, "", "batch_error")));
    b.probe->close(b.self);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noise_scale__is_that_of_the_steps_batch),
        cmocka_unit_test(test_noise_scale__of_a_checkpoint),
        cmocka_unit_test(test_forgetting__counts_correct_then_wrong),
        cmocka_unit_test(test_recency__knows_when_images_were_seen),
        cmocka_unit_test(test_losses__are_those_of_the_evaluation),
        cmocka_unit_test(test_losses__refreshing_forgets_the_running_statistics),
        cmocka_unit_test(test_sharpness__rows),
        cmocka_unit_test(test_sharpness__batch_lies_within_the_spectrum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
