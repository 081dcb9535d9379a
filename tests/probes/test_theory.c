/* test_theory.c - the formulas of probes/theory.h against the optimiser itself, iterated on
 * quadratics and on random gradients. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "optim/sgd.h"
#include "probes/theory.h"

enum { SIZE = 512 };

/* Weights, gradient and momentum of one tensor of SIZE numbers in double. */
struct plant {
    struct backend *b;
    struct sgd sgd;
    struct sgd_tensor tensor;
    double *w, *g; /* device memory, which on a CPU is ordinary memory */
};

static void plant_open(struct plant *p, const struct theory *t)
{
    const struct backend_options o = {.precision = PRECISION_FP64, .threads = 1};
    p->b = backend_cpu_new(&o, NULL);
    p->tensor = (struct sgd_tensor){.count = SIZE, .lr_factor = 1, .decay_factor = 1};
    p->sgd = (struct sgd){.backend = p->b, .tensors = &p->tensor, .tensor_count = 1,
                          .momentum = t->momentum, .weight_decay = t->weight_decay,
                          .nesterov = t->nesterov, .count = SIZE};
    assert_int_equal(sgd_init(&p->sgd, NULL), 0);
    p->w = p->b->ops->memory_new(p->b, SIZE * sizeof(double), "w", NULL);
    p->g = p->b->ops->memory_new(p->b, SIZE * sizeof(double), "g", NULL);
}

static void plant_close(struct plant *p)
{
    p->b->ops->memory_free(p->b, p->w, SIZE * sizeof(double));
    p->b->ops->memory_free(p->b, p->g, SIZE * sizeof(double));
    sgd_release(&p->sgd);
    p->b->ops->free(p->b);
}

static void update(struct plant *p, double lr)
{
    const bool active = true;
    sgd_update(&p->sgd, p->w, p->g, &active, lr);
}

static double dot(const double *x, const double *y)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Descent on sum h_i w_i^2 / 2, with curvatures from `least` to 1. */
static bool diverges(const struct theory *t, double least)
{
    struct plant p;
    plant_open(&p, t);
    for (int i = 0; i < SIZE; i++)
        p.w[i] = 1;
    bool grew = false;
    for (int step = 0; step < 2000 && !grew; step++) {
        for (int i = 0; i < SIZE; i++)
            p.g[i] = (least + (1 - least) * i / (SIZE - 1)) * p.w[i];
        update(&p, t->lr);
        grew = dot(p.w, p.w) > 1e6 * SIZE;
    }
    plant_close(&p);
    return grew;
}

/* The learning rate at which descent begins to diverge, where the largest curvature is 1. */
static double divergence(struct theory t, double least)
{
    double low = 0.5, high = 8;
    while (high / low > 1.001) {
        t.lr = sqrt(low * high);
        if (diverges(&t, least))
            high = t.lr;
        else
            low = t.lr;
    }
    return sqrt(low * high);
}

static void check_limit(double momentum, bool nesterov, double least)
{
    const struct theory t = {.lr = 1, .momentum = momentum, .nesterov = nesterov};
    double predicted = theory_stability_limit(&t), found = divergence(t, least);
    if (fabs(found / predicted - 1) > 0.01)
        fail_msg("momentum %g, nesterov %d: diverges at lr * curvature = %g, predicted %g",
                 momentum, nesterov, found, predicted);
}

static void test_theory__stability_limits(void **state)
{
    (void)state;
    check_limit(0, false, 1e-4);
    check_limit(0.5, false, 1e-2);
    check_limit(0.9, false, 1e-4);
    check_limit(0.5, true, 1e-2);
    check_limit(0.9, true, 1e-4);
    check_limit(0.95, true, 0.5);
}

/* A random direction at a right angle to w, of length size / |w|: the gradient of scale-invariant
 * weights, if it is all noise. */
static void random_gradient(struct plant *p, struct rng *r, double size)
{
    for (int i = 0; i < SIZE; i++)
        p->g[i] = rng_normal(r);
    double along = dot(p->g, p->w) / dot(p->w, p->w);
    for (int i = 0; i < SIZE; i++)
        p->g[i] -= along * p->w[i];
    double factor = size / sqrt(dot(p->g, p->g) * dot(p->w, p->w));
    for (int i = 0; i < SIZE; i++)
        p->g[i] *= factor;
}

/* One step; adds what it measured to the sums. */
static void measured_step(struct plant *p, struct rng *r, const struct theory *t, double size,
                          double *ratio, double *angle, double *norm4)
{
    double before[SIZE];
    random_gradient(p, r, size);
    for (int i = 0; i < SIZE; i++)
        before[i] = p->w[i];
    double ww = dot(before, before);
    *ratio += sqrt(dot(p->g, p->g) / ww);
    *norm4 += ww * ww;
    update(p, t->lr);
    double cosine = dot(before, p->w) / sqrt(ww * dot(p->w, p->w));
    *angle += 2 * (1 - cosine);
}

static void assert_percent(const char *what, const struct theory *t, double measured,
                           double predicted)
{
    if (fabs(measured / predicted - 1) > 0.01)
        fail_msg("%s with momentum %g, nesterov %d: %g, predicted %g", what, t->momentum,
                 t->nesterov, measured, predicted);
}

static void check_equilibrium(double lr, double decay, double momentum, bool nesterov)
{
    const struct theory t = {lr, momentum, decay, nesterov};
    const double size = 3;
    struct plant p;
    struct rng r = rng_at(1, RNG_TEST, 40, 0);
    plant_open(&p, &t);
    for (int i = 0; i < SIZE; i++)
        p.w[i] = (i % 2 ? 1.0 : -1.0) * 1.3 * theory_equilibrium_norm(&t, size) / sqrt(SIZE);
    double ratio = 0, angle = 0, norm4 = 0;
    int settle = (int)(8 * theory_relaxation_steps(&t)), steps = 4000;
    for (int i = 0; i < settle; i++)
        measured_step(&p, &r, &t, size, &ratio, &angle, &norm4);
    ratio = angle = norm4 = 0;
    for (int i = 0; i < steps; i++)
        measured_step(&p, &r, &t, size, &ratio, &angle, &norm4);
    assert_percent("gradient over weights", &t, ratio / steps, theory_equilibrium_ratio(&t));
    assert_percent("angle", &t, sqrt(angle / steps), theory_equilibrium_angle(&t));
    assert_percent("norm", &t, pow(norm4 / steps, 0.25), theory_equilibrium_norm(&t, size));
    plant_close(&p);
}

static void test_theory__equilibrium_of_weight_decay(void **state)
{
    (void)state;
    check_equilibrium(0.4, 5e-4, 0, false);
    check_equilibrium(0.4, 5e-4, 0.5, false);
    check_equilibrium(0.4, 5e-4, 0.9, false);
    check_equilibrium(0.4, 5e-4, 0.9, true);
    check_equilibrium(0.1, 1e-3, 0.5, true);
}

/* |w|^4 obeys a linear equation, so the time can be read off from far away: from twice the
 * equilibrium. */
static void test_theory__relaxation_time(void **state)
{
    (void)state;
    const struct theory t = {0.1, 0.5, 5e-4, false};
    const double size = 3, at_rest = pow(theory_equilibrium_norm(&t, size), 4);
    struct plant p;
    struct rng r = rng_at(1, RNG_TEST, 41, 0);
    plant_open(&p, &t);
    for (int i = 0; i < SIZE; i++)
        p.w[i] = (i % 2 ? 1.0 : -1.0) * pow(2 * at_rest, 0.25) / sqrt(SIZE);
    for (int i = 0; i < (int)theory_relaxation_steps(&t); i++) {
        random_gradient(&p, &r, size);
        update(&p, t.lr);
    }
    double left = pow(dot(p.w, p.w), 2) / at_rest - 1;
    if (fabs(left - exp(-1)) > 0.01)
        fail_msg("of 1 above the equilibrium %g are left, predicted %g", left, exp(-1));
    plant_close(&p);
    assert_true(fabs(theory_memory_steps(&t) - 10000) < 1e-9);
}

/* Over some hundred steps at the equilibrium the weights walk at random: the root of the mean
 * squared angle over many such stretches. cos of a walk's angle is exp(-angle^2 / 2). */
static void test_theory__equilibrium_walk(void **state)
{
    (void)state;
    enum { STRETCH = 400, STRETCHES = 30 };
    const struct theory t = {0.1, 0.9, 2e-4, true};
    const double size = 3;
    struct plant p;
    struct rng r = rng_at(1, RNG_TEST, 42, 0);
    double before[SIZE], cosine = 0;
    plant_open(&p, &t);
    for (int i = 0; i < SIZE; i++)
        p.w[i] = (i % 2 ? 1.0 : -1.0) * theory_equilibrium_norm(&t, size) / sqrt(SIZE);
    for (int k = -1; k < STRETCHES; k++) {
        for (int i = 0; i < SIZE; i++)
            before[i] = p.w[i];
        for (int s = 0; s < STRETCH; s++) {
            random_gradient(&p, &r, size);
            update(&p, t.lr);
        }
        double both = sqrt(dot(before, before) * dot(p.w, p.w));
        if (k >= 0)
            cosine += dot(before, p.w) / both / STRETCHES;
    }
    /* The momentum's memory of ten steps makes the walk longer by a part in forty. */
    double turn = sqrt(-2 * log(cosine)), predicted = theory_equilibrium_turn(&t, STRETCH);
    if (fabs(turn / predicted - 1) > 0.03)
        fail_msg("turned by %g in %d steps, predicted %g", turn, STRETCH, predicted);
    plant_close(&p);
}

/* Ratios of best learning rates at 512 and 128 for noise scales of 300, 900 and more. */
static void test_theory__batch_factor(void **state)
{
    (void)state;
    const double scales[3] = {300, 900, 1e9}, ratios[3] = {2.109, 2.912, 4};
    for (int i = 0; i < 3; i++)
        assert_true(fabs(theory_batch_factor(scales[i], 512) / theory_batch_factor(scales[i], 128) -
                         ratios[i]) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_theory__stability_limits),
        cmocka_unit_test(test_theory__equilibrium_of_weight_decay),
        cmocka_unit_test(test_theory__relaxation_time),
        cmocka_unit_test(test_theory__equilibrium_walk),
        cmocka_unit_test(test_theory__batch_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
