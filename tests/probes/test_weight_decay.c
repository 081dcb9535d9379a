/* test_weight_decay.c - what weight decay does to scale-invariant weights, on a network whose only
 * trained weights stand before batch norm: invariances, and its equivalence with a growing learning
 * rate (probes/theory.h). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/rng.h"
#include "probes/lab.h"
#include "probes/surface.h"
#include "probes/theory.h"

enum { STEPS = 100 };

#define NET(eps)                                                                                  \
    "a conv 3x3 6 pad=1 stride=4\nn batchnorm scale=fixed bias=fixed eps=" eps "\ns silu\n"       \
    "b conv 3x3 8 pad=1\nm batchnorm scale=fixed bias=fixed eps=" eps "\nt silu\n"                \
    "p avgpool 8\nl linear classes\n"

/* Only convolutions train. */
static void freeze_the_rest(struct trainer *t)
{
    const struct graph *g = &t->net.graph;
    for (int i = 0; i < g->tensor_count; i++)
        t->net.model.trainable[i] = !g->tensors[i].is_state && g->tensors[i].role == ROLE_WEIGHT;
}

static void open_lab(struct lab *l, const struct theory *t, enum precision precision)
{
    lab_begin(l, NET("1e-12"));
    l->config.precision = (int)precision;
    l->config.lr = t->lr;
    l->config.momentum = t->momentum;
    l->config.nesterov = false;
    l->config.weight_decay = t->weight_decay;
    l->config.schedule = SCHEDULE_CONSTANT;
    l->config.epochs = STEPS;
    lab_open(l, 0);
    freeze_the_rest(&l->trainer);
}

/* w *= 1 + 2 u x, x uniform in (-1, 1): as if every weight had been rounded once more. */
static void disturb(struct trainer *t, struct rng *r)
{
    struct backend *b = t->net.backend;
    size_t count = t->net.graph.params_count;
    double *w = xcalloc(count, sizeof *w);
    b->ops->read_reals(b, w, t->net.model.params, count);
    for (size_t i = 0; i < count; i++)
        w[i] *= 1 + 0x1p-23 * (2 * (double)rng_uniform(r) - 1);
    b->ops->write_reals(b, t->net.model.params, w, count);
    free(w);
}

/* The run with weight decay; with `draw`, its weights disturbed after every step. */
static void run_decay(const struct theory *t, enum precision precision, int draw, double *losses,
                      double *norm)
{
    struct lab l;
    struct step_report report;
    struct rng r = rng_at(6, RNG_TEST, 70, (uint64_t)draw);
    open_lab(&l, t, precision);
    for (int s = 0; s < STEPS; s++) {
        assert_int_equal(train_step(&l.trainer, &report, NULL), 0);
        losses[s] = report.loss;
        if (draw)
            disturb(&l.trainer, &r);
    }
    const struct model *m = &l.trainer.net.model;
    m->backend->ops->row_dots(m->backend, 1, m->graph->tensors[0].count, model_tensor(m, 0),
                              model_tensor(m, 0), norm);
    lab_close(&l);
}

/* The same without weight decay, at the growing learning rate. */
static void run_growing(const struct theory *t, enum precision precision, double *losses,
                        double *norm)
{
    struct lab l;
    struct step_report report;
    struct theory without = *t;
    without.weight_decay = 0;
    double a = theory_decay_root(t);
    open_lab(&l, &without, precision);
    struct backend *b = l.trainer.net.backend;
    size_t bytes = l.trainer.net.graph.params_count * b->real_bytes;
    if (t->momentum > 0) {
        b->ops->copy(b, l.trainer.sgd.buffer, l.trainer.net.model.params, bytes);
        b->ops->multiply(b, bytes / b->real_bytes, l.trainer.sgd.buffer, -(1 - a) / (t->lr * a));
    }
    for (int s = 0; s < STEPS; s++) {
        l.trainer.config.lr = t->lr * pow(a, -2 * s - 1);
        assert_int_equal(train_step(&l.trainer, &report, NULL), 0);
        losses[s] = report.loss;
    }
    const struct model *m = &l.trainer.net.model;
    b->ops->row_dots(b, 1, m->graph->tensors[0].count, model_tensor(m, 0), model_tensor(m, 0),
                     norm);
    lab_close(&l);
}

static double farthest(const double *x, const double *y)
{
    double most = 0;
    for (int s = 0; s < STEPS; s++)
        most = fmax(most, fabs(x[s] - y[s]));
    return most;
}

static void check_equivalence(double lr, double momentum, double decay)
{
    enum { DRAWS = 3 };
    const struct theory t = {.lr = lr, .momentum = momentum, .weight_decay = decay};
    double with[STEPS], without[STEPS], single[2][STEPS], other[STEPS], norm[2], moved = 0;
    double a = theory_decay_root(&t);
    run_decay(&t, PRECISION_FP64, 0, with, &norm[0]);
    run_growing(&t, PRECISION_FP64, without, &norm[1]);
    /* The formula itself, and the weights that it promises. */
    assert_true(fabs(with[STEPS - 1] - with[0]) > 0.1);
    if (farthest(with, without) > 1e-9)
        fail_msg("in double the losses differ by %g", farthest(with, without));
    assert_true(fabs(norm[0] / (norm[1] * pow(a, 2 * STEPS)) - 1) < 1e-8);
    assert_true(pow(a, 2 * STEPS) < 0.7);
    /* In single precision: closer than one more rounding of each weight in each step would bring
     * them. */
    for (int draw = 1; draw <= DRAWS; draw++) {
        run_decay(&t, PRECISION_FP64, draw, other, &norm[0]);
        moved = fmax(moved, farthest(with, other));
    }
    run_decay(&t, PRECISION_FP32, 0, single[0], &norm[0]);
    run_growing(&t, PRECISION_FP32, single[1], &norm[1]);
    print_message("momentum %g: losses differ by %.2g in double, %.2g in single precision; one "
                  "rounding a step makes %.2g\n", momentum, farthest(with, without),
                  farthest(single[0], single[1]), moved);
    assert_true(farthest(single[0], single[1]) < moved);
    assert_true(moved < 1e-5);
}

static void test_weight_decay__is_a_growing_learning_rate(void **state)
{
    (void)state;
    check_equivalence(0.1, 0, 0.03);
    check_equivalence(0.02, 0.9, 0.02);
}

/* Loss and gradient with the first convolution's weights multiplied by c. */
static double scaled(struct surface *s, const double *w, size_t first, double c, double *g)
{
    double *moved = xcalloc(s->count, sizeof *moved);
    for (size_t i = 0; i < s->count; i++)
        moved[i] = (i < first ? c : 1) * w[i];
    surface_write(s, moved);
    double loss = surface_gradient(s, g);
    free(moved);
    return loss;
}

static double dot(const double *x, const double *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

/* What breaks the invariance: the loss at 3 w less that at w, the gradients' lengths there as a
 * ratio over 1/3, less 1, and the cosine of weights and gradient. */
struct broken {
    double loss, ratio, cosine;
};

static struct broken break_invariance(const char *net)
{
    struct lab l;
    struct surface s;
    struct err e = {0};
    lab_begin(&l, net);
    lab_open(&l, 3);
    freeze_the_rest(&l.trainer);
    const struct surface_options o = {PRECISION_FP64, PLAN_TRAIN, 20, 20};
    assert_int_equal(surface_open(&s, &l.trainer, &o, &e), 0);
    size_t first = s.net.graph.tensors[0].count;
    double *w = xcalloc(3 * s.count, sizeof *w), *g = w + s.count, *h = g + s.count;
    surface_read(&s, w);
    double before = scaled(&s, w, first, 1, g), after = scaled(&s, w, first, 3, h);
    double g2 = dot(g, g, first), w2 = dot(w, w, first);
    const struct broken b = {.loss = after - before,
                             .ratio = 3 * sqrt(dot(h, h, first) / g2) - 1,
                             .cosine = dot(w, g, first) / sqrt(w2 * g2)};
    free(w);
    surface_close(&s);
    lab_close(&l);
    return b;
}

/* With eps at 1e-12 of a variance of order 1 what is left is of order 1e-12 and rounding, some
 * thousand u. And eps is what breaks it: ten times eps, ten times broken. */
static void test_weight_decay__scale_invariance(void **state)
{
    (void)state;
    const struct broken none = break_invariance(NET("1e-12"));
    if (fabs(none.loss) > 1e-11 || fabs(none.ratio) > 1e-10 || fabs(none.cosine) > 1e-10)
        fail_msg("loss %g, ratio %g, cosine %g", none.loss, none.ratio, none.cosine);
    const struct broken small = break_invariance(NET("1e-6"));
    const struct broken large = break_invariance(NET("1e-5"));
    assert_true(fabs(large.loss / small.loss / 10 - 1) < 0.01);
    assert_true(fabs(large.ratio / small.ratio / 10 - 1) < 0.01);
    assert_true(fabs(large.cosine / small.cosine / 10 - 1) < 0.01);
    assert_true(fabs(large.cosine) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_decay__is_a_growing_learning_rate),
        cmocka_unit_test(test_weight_decay__scale_invariance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
