/* test_lengths.c - the keys about the lengths of scale-invariant weights: init_scale,
 * invariant_decay_factor, hold_norms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/lab.h"

/* a is scale-invariant, b is not. */
static const char net[] = "a conv 3x3 6 pad=1 stride=4\nn batchnorm\ns silu\n"
                          "b conv 3x3 8 pad=1\nt silu\np avgpool 8\nl linear classes\n";

static double length(const struct trainer *t, const char *name)
{
    const struct model *m = &t->net.model;
    int i = graph_find_tensor(m->graph, name);
    double square;
    m->backend->ops->row_dots(m->backend, 1, m->graph->tensors[i].count, model_tensor(m, i),
                              model_tensor(m, i), &square);
    return sqrt(square);
}

static void begin(struct lab *l)
{
    lab_begin(l, net);
    l->config.precision = PRECISION_FP64;
    l->config.schedule = SCHEDULE_CONSTANT;
    l->config.lr = 0.05;
    l->config.epochs = 20;
}

static void step(struct lab *l, int count)
{
    struct step_report report;
    struct err e;
    for (int i = 0; i < count; i++)
        if (train_step(&l->trainer, &report, &e))
            fail_msg("%s", e.text);
}

static void test_lengths__init_scale_multiplies_invariant_weights_alone(void **state)
{
    (void)state;
    struct lab one, three;
    begin(&one);
    lab_open(&one, 0);
    begin(&three);
    three.config.init_scale = 3;
    lab_open(&three, 0);
    const char *const others[] = {"b.weight", "n.weight", "l.weight", "l.bias"};
    assert_true(fabs(length(&three.trainer, "a.weight") / length(&one.trainer, "a.weight") - 3) <
                1e-14);
    for (int i = 0; i < 4; i++)
        assert_true(length(&three.trainer, others[i]) == length(&one.trainer, others[i]));
    lab_close(&one);
    lab_close(&three);
}

/* With a weight decay as strong as 1 / lr and no momentum a step takes away all of w: what is left
 * is lr times the gradient. */
static void test_lengths__decay_factor_reaches_invariant_weights_alone(void **state)
{
    (void)state;
    struct lab l;
    double before[2];
    begin(&l);
    l.config.momentum = 0;
    l.config.nesterov = false;
    l.config.lr = 1e-3;
    l.config.weight_decay = 1e3;
    l.config.invariant_decay_factor = 0;
    lab_open(&l, 0);
    before[0] = length(&l.trainer, "a.weight");
    before[1] = length(&l.trainer, "b.weight");
    step(&l, 1);
    assert_true(fabs(length(&l.trainer, "a.weight") / before[0] - 1) < 1e-4);
    assert_true(length(&l.trainer, "b.weight") < 0.05 * before[1]);
    lab_close(&l);
}

static void check_held(int optimizer)
{
    struct lab l;
    begin(&l);
    l.config.optimizer = optimizer;
    l.config.lars_trust = 1;
    l.config.hold_norms = 1; /* epoch, of 3 steps */
    l.config.weight_decay = 0.1;
    lab_open(&l, 0);
    double start = length(&l.trainer, "a.weight");
    step(&l, 3);
    double held = length(&l.trainer, "a.weight"), free = length(&l.trainer, "b.weight");
    assert_true(fabs(held / start - 1) > 1e-4);
    step(&l, 20);
    assert_true(fabs(length(&l.trainer, "a.weight") / held - 1) < 1e-13);
    assert_true(fabs(length(&l.trainer, "b.weight") / free - 1) > 1e-3);
    lab_close(&l);
}

static void test_lengths__are_held_from_an_epoch_on(void **state)
{
    (void)state;
    check_held(OPTIMIZER_SGD);
    check_held(OPTIMIZER_LARS);
}

/* Holding gives another direction to no step: without weight decay and momentum, w is where the
 * free step took it, but for its length; and weight decay no longer plays a part. */
static void test_lengths__held_steps_have_the_directions_of_free_ones(void **state)
{
    (void)state;
    struct lab l;
    double w[2][162], scale[2];
    for (int held = 0; held < 2; held++) {
        begin(&l);
        l.config.momentum = 0;
        l.config.nesterov = false;
        l.config.hold_norms = held ? 0 : -1;
        l.config.weight_decay = held ? 0.3 : 0;
        lab_open(&l, 1);
        const struct model *m = &l.trainer.net.model;
        assert_int_equal(m->graph->tensors[0].count, 162);
        m->backend->ops->read_reals(m->backend, w[held], model_tensor(m, 0), 162);
        scale[held] = length(&l.trainer, "a.weight");
        lab_close(&l);
    }
    assert_true(fabs(scale[0] / scale[1] - 1) > 1e-6);
    for (int i = 0; i < 162; i++)
        assert_true(fabs(w[0][i] / scale[0] - w[1][i] / scale[1]) < 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths__init_scale_multiplies_invariant_weights_alone),
        cmocka_unit_test(test_lengths__decay_factor_reaches_invariant_weights_alone),
        cmocka_unit_test(test_lengths__are_held_from_an_epoch_on),
        cmocka_unit_test(test_lengths__held_steps_have_the_directions_of_free_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
