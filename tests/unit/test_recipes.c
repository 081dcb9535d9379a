/* test_recipes.c - the recipes that come with kiln have the numbers of the code that they follow.
 * Those programs sum the loss over the batch; the recipes take its mean. Sources: the heads of the
 * recipes; cifar10-airbench, legacy/airbench94.py; cifar10-fast, dawn.py, experiments.ipynb. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/share.h"
#include "nn/graph.h"
#include "train/config.h"

enum { IMAGES_OF_CIFAR = 50000 };

struct recipe {
    struct config c;
    struct schedule schedule;
    uint64_t per_epoch, total;
};

static void read_recipe(struct recipe *r, const char *name)
{
    char path[4096];
    struct err e = {.text = ""};
    assert_true(share_find("recipes", name, ".ini", path));
    config_default(&r->c);
    if (options_read_ini(config_options, &r->c, path, &e) || config_check(&r->c, &e) ||
        config_schedule(&r->c, &r->schedule, &e))
        fail_msg("%s: %s", name, e.text);
    r->per_epoch = loader_steps(IMAGES_OF_CIFAR, (uint32_t)r->c.batch, r->c.drop_last);
    r->total = (uint64_t)ceil(r->c.epochs * (double)r->per_epoch - 1e-6);
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12 * fabs(b)))
        fail_msg("%.17g is not %.17g", a, b);
}

static double rate(const struct recipe *r, uint64_t step)
{
    return r->c.lr * schedule_factor(&r->schedule, step, r->total, r->per_epoch);
}

static void test_recipes__all_can_be_used(void **state)
{
    (void)state;
    struct arena a;
    struct recipe r;
    arena_init(&a);
    const char *const *names = share_names(&a, "recipes", ".ini");
    int count = 0;
    for (; names[count]; count++) {
        struct graph g;
        struct err e = {.text = ""};
        read_recipe(&r, names[count]);
        const struct graph_options o = {
            .input = {3, 32, 32}, .classes = 10, .width = r.c.width};
        if (graph_load(&g, &a, r.c.net, &o, &e))
            fail_msg("%s: %s", names[count], e.text);
    }
    assert_true(count >= 6);
    arena_release(&a);
}

static void test_recipes__airbench94(void **state)
{
    (void)state;
    struct recipe r;
    read_recipe(&r, "airbench94");
    const struct config *c = &r.c;
    const double kilostep = 1024 * (1 + 1 / (1 - 0.85));
    const double lr = 11.5 / kilostep, wd = 0.0153 * 1024 / kilostep, lr_biases = lr * 64;
    near(c->lr / 1024, lr);
    near(c->weight_decay * 1024, wd / lr);
    near(c->lr * c->lr_factor[ROLE_NORM_BIAS] / 1024, lr_biases);
    near(c->weight_decay * c->decay_factor[ROLE_NORM_BIAS] * 1024, wd / lr_biases);
    for (int role = 0; role < ROLE_COUNT; role++) {
        if (role == ROLE_NORM_BIAS)
            continue;
        near(c->lr_factor[role], 1);
        near(c->decay_factor[role], 1);
    }
    near(c->momentum, 0.85);
    near(c->label_smoothing, 0.2);
    near(c->whiten_bias_epochs, 3);
    assert_true(c->nesterov && c->drop_last && c->batch == 1024 && c->width == 1);
    assert_true(c->crop == 2 && c->flip == FLIP_ALTERNATING && c->cutout == 0);
    assert_true(c->reduction == REDUCTION_MEAN && c->optimizer == OPTIMIZER_SGD);
    assert_int_equal(c->tta, TTA_SIX);
    assert_int_equal(r.total, 476);
    near(rate(&r, 0), 0.2 * 1.5);
    near(rate(&r, 109), 1.5); /* int(0.23 * 476) */
    near(rate(&r, 475), 1.5 * (1.0 * (1 - 366.0 / 367) + 0.07 * 366 / 367));
    const struct average_rule average = config_average(c);
    assert_int_equal(average.kind, AVERAGE_LOOKAHEAD);
    assert_int_equal(average.every, 5);
    near(average_decay_at(&average, 100, 476), pow(0.95, 5) * pow(100.0 / 476, 3));
}

/* numpy.interp over the knots in epochs; the optimiser's first step has number 1. */
static double page(const double (*knots)[2], int count, double epoch)
{
    for (int i = 1; i < count; i++) {
        double share = (epoch - knots[i - 1][0]) / (knots[i][0] - knots[i - 1][0]);
        if (share <= 1)
            return (1 - share) * knots[i - 1][1] + share * knots[i][1];
    }
    return knots[count - 1][1];
}

static void check_page(const char *name, int batch, int epochs, bool drop_last, int cutout,
                       const double (*knots)[2], int count)
{
    struct recipe r;
    read_recipe(&r, name);
    const struct config *c = &r.c;
    assert_int_equal(c->batch, batch);
    near(c->epochs, epochs);
    assert_int_equal(c->drop_last, drop_last);
    assert_int_equal(c->cutout, cutout);
    assert_true(c->crop == 4 && c->flip == FLIP_RANDOM && c->nesterov && c->width == 1);
    near(c->momentum, 0.9);
    near(c->weight_decay, 5e-4); /* times the batch for a sum */
    assert_true(c->label_smoothing == 0 && c->average == AVERAGE_NONE);
    for (int role = 0; role < ROLE_COUNT; role++)
        assert_true(c->lr_factor[role] == 1 && c->decay_factor[role] == 1);
    for (uint64_t step = 0; step < r.total; step++) {
        double wanted = page(knots, count, (double)(step + 1) / (double)r.per_epoch);
        assert_true(fabs(rate(&r, step) - wanted) < 1e-12);
    }
}

static void test_recipes__page(void **state)
{
    (void)state;
    static const double d128[][2] = {{0, 0}, {15, 0.1}, {30, 0.005}, {35, 0}};
    static const double d512[][2] = {{0, 0}, {15, 0.44}, {30, 0.005}, {35, 0}};
    static const double r24[][2] = {{0, 0}, {5, 0.4}, {24, 0}};
    check_page("dawn-128", 128, 35, false, 0, d128, 4);
    check_page("dawn-512", 512, 35, false, 0, d512, 4);
    check_page("resnet9-24", 512, 24, true, 8, r24, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipes__all_can_be_used),
        cmocka_unit_test(test_recipes__airbench94),
        cmocka_unit_test(test_recipes__page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
