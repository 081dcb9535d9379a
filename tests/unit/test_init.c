/* test_init.c - first values: distributions, identity filters, whitening. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "nn/init.h"

struct fixture {
    struct arena arena;
    struct graph graph;
    struct backend *backend;
    struct model model;
};

static void setup(struct fixture *f, const char *text, int side)
{
    const struct graph_options o = {.input = {3, side, side}, .classes = 10, .width = 1};
    const struct backend_options b = {.tier = TIER_REF, .precision = PRECISION_FP64,
                                      .threads = 1};
    struct err e = {.text = ""};
    arena_init(&f->arena);
    if (graph_parse(&f->graph, &f->arena, "test.net", text, &o, &e))
        fail_msg("%s", e.text);
    f->backend = backend_cpu_new(&b, &e);
    assert_non_null(f->backend);
    assert_int_equal(model_init(&f->model, &f->graph, f->backend, &e), 0);
}

static void teardown(struct fixture *f)
{
    model_release(&f->model);
    f->backend->ops->free(f->backend);
    arena_release(&f->arena);
}

static void init(struct fixture *f, uint64_t seed, const struct init_images *images)
{
    struct err e = {.text = ""};
    if (init_model(&f->model, seed, images, &e))
        fail_msg("%s", e.text);
}

/* The values of a tensor, on the heap. */
static double *values_of(struct fixture *f, const char *name, const struct tensor **tensor)
{
    int t = graph_find_tensor(&f->graph, name);
    assert_true(t >= 0);
    *tensor = &f->graph.tensors[t];
    double *values = malloc((*tensor)->count * sizeof *values);
    f->backend->ops->read_reals(f->backend, values, model_tensor(&f->model, t), (*tensor)->count);
    return values;
}

/* Mean, variance and fourth moment over the squared variance; bounds from the sampling errors:
 * five standard deviations of the mean and of the variance. */
static void expect_moments(const double *x, size_t n, double mean, double variance, double kurtosis)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    assert_true(fabs(sum / (double)n - mean) < 5 * sqrt(variance / (double)n));
    assert_true(fabs(squares / (double)n - variance) <
                5 * variance * sqrt((kurtosis - 1) / (double)n));
}

static void expect_within(const double *x, size_t n, double low, double high)
{
    for (size_t i = 0; i < n; i++)
        assert_true(x[i] >= low && x[i] <= high);
}

static void test_init__distributions_are_those_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    const struct tensor *t;
    setup(&f, "a conv 3x3 64 bias=yes\n"
              "b conv 3x3 64 init=he_normal bias=yes bias_init=constant:0.25\n"
              "n batchnorm init=uniform:0.5 bias_init=constant:-2\n"
              "c conv 1x1 64 init=normal:0.3\n"
              "p maxpool global\n"
              "l linear classes\n", 16);
    init(&f, 3, NULL);

    double *v = values_of(&f, "a.weight", &t); /* fan_in 27: U(+-1/sqrt 27) */
    expect_within(v, t->count, -1 / sqrt(27), 1 / sqrt(27));
    expect_moments(v, t->count, 0, 1.0 / (3 * 27), 1.8);
    free(v);
    v = values_of(&f, "a.bias", &t);
    expect_within(v, t->count, -1 / sqrt(27), 1 / sqrt(27));
    expect_moments(v, t->count, 0, 1.0 / (3 * 27), 1.8);
    free(v);
    v = values_of(&f, "b.weight", &t); /* fan_in 576 */
    expect_moments(v, t->count, 0, 2.0 / 576, 3);
    free(v);
    v = values_of(&f, "b.bias", &t);
    expect_within(v, t->count, 0.25, 0.25);
    free(v);
    v = values_of(&f, "n.weight", &t);
    expect_within(v, t->count, 0, 0.5);
    expect_moments(v, t->count, 0.25, 0.25 / 12, 1.8);
    free(v);
    v = values_of(&f, "n.bias", &t);
    expect_within(v, t->count, -2, -2);
    free(v);
    v = values_of(&f, "n.running_mean", &t);
    expect_within(v, t->count, 0, 0);
    free(v);
    v = values_of(&f, "n.running_var", &t);
    expect_within(v, t->count, 1, 1);
    free(v);
    v = values_of(&f, "c.weight", &t);
    expect_moments(v, t->count, 0, 0.09, 3);
    free(v);
    v = values_of(&f, "l.weight", &t);
    expect_within(v, t->count, -0.125, 0.125);
    expect_moments(v, t->count, 0, 1.0 / (3 * 64), 1.8);
    free(v);
    teardown(&f);
}

static void test_init__dirac_begins_with_the_identity(void **state)
{
    (void)state;
    struct fixture f;
    const struct tensor *t;
    setup(&f, "a conv 3x3 8\nb conv 3x3 20 init=dirac\nc conv 3x3 12 init=dirac\n"
              "p maxpool global\nl linear classes\n", 16);
    init(&f, 3, NULL);
    double *w = values_of(&f, "b.weight", &t); /* [20, 8, 3, 3]: 8 identities, 12 at random */
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 72; i++)
            assert_true(w[k * 72 + i] == (i == k * 9 + 4 ? 1 : 0));
    int zeros = 0;
    for (int i = 8 * 72; i < 20 * 72; i++)
        zeros += w[i] == 0;
    assert_int_equal(zeros, 0);
    expect_within(w + 8 * 72, 12 * 72, -1 / sqrt(72), 1 / sqrt(72));
    free(w);
    w = values_of(&f, "c.weight", &t); /* fewer filters than channels: all identities */
    for (int k = 0; k < 12; k++)
        for (int i = 0; i < 180; i++)
            assert_true(w[k * 180 + i] == (i == k * 9 + 4 ? 1 : 0));
    free(w);
    teardown(&f);
}

/* head.weight *= 1 / head.weight.std(): the uniform values of the default, with deviation 1. */
static void test_init__standard_has_unit_deviation(void **state)
{
    (void)state;
    struct fixture f;
    const struct tensor *t;
    setup(&f, "a conv 3x3 8\np maxpool global\nl linear classes init=default\n", 16);
    init(&f, 3, NULL);
    double *plain = values_of(&f, "l.weight", &t);
    teardown(&f);
    setup(&f, "a conv 3x3 8\np maxpool global\nl linear classes init=standard\n", 16);
    init(&f, 3, NULL);
    double *w = values_of(&f, "l.weight", &t), sum = 0, squares = 0, n = (double)t->count;
    for (size_t i = 0; i < t->count; i++)
        sum += w[i];
    for (size_t i = 0; i < t->count; i++) {
        squares += (w[i] - sum / n) * (w[i] - sum / n);
        assert_true(fabs(w[i] / w[0] - plain[i] / plain[0]) < 1e-12 * fabs(w[i] / w[0]));
    }
    assert_true(fabs(squares / (n - 1) - 1) < 1e-12);
    free(plain);
    free(w);
    teardown(&f);
}

static void test_init__depends_on_the_seed_and_on_nothing_else(void **state)
{
    (void)state;
    struct fixture f;
    const struct tensor *t;
    setup(&f, "a conv 3x3 8\nb conv 3x3 8\np maxpool global\nl linear classes\n", 16);
    init(&f, 3, NULL);
    double *first = values_of(&f, "b.weight", &t), *other = values_of(&f, "a.weight", &t);
    assert_memory_not_equal(first, other, 64 * sizeof *first);
    free(other);
    init(&f, 4, NULL);
    other = values_of(&f, "b.weight", &t);
    assert_memory_not_equal(first, other, t->count * sizeof *first);
    free(other);
    init(&f, 3, NULL);
    other = values_of(&f, "b.weight", &t);
    assert_memory_equal(first, other, t->count * sizeof *first);
    free(other);
    free(first);
    teardown(&f);
}

/* Images with neighbours that resemble each other and channels that resemble each other. */
static double *made_images(int count, int side)
{
    size_t area = (size_t)side * (size_t)side;
    double *x = malloc((size_t)count * 3 * area * sizeof *x);
    struct rng r = rng_at(1, RNG_TEST, 0, 0);
    for (size_t i = 0; i < (size_t)count * 3 * area; i++) {
        x[i] = 0.5 * rng_normal(&r);
        if (i % (size_t)side)
            x[i] += 0.8 * x[i - 1];
        if (i % (3 * area) >= area)
            x[i] += 0.4 * x[i - area];
    }
    return x;
}

/* Second moments of the filters' outputs over all patches, [12, 12]. */
static void output_moments(double moments[12][12], const double *filters, const double *images,
                           int count, int side)
{
    memset(moments, 0, 144 * sizeof(double));
    int patches = count * (side - 1) * (side - 1);
    for (int n = 0; n < count; n++)
        for (int y = 0; y + 1 < side; y++)
            for (int x = 0; x + 1 < side; x++) {
                double out[12] = {0};
                for (int k = 0; k < 12; k++)
                    for (int i = 0; i < 12; i++)
                        out[k] += filters[k * 12 + i] *
                                  images[((n * 3 + i / 4) * side + y + i / 2 % 2) * side + x +
                                         i % 2];
                for (int i = 0; i < 12; i++)
                    for (int j = 0; j < 12; j++)
                        moments[i][j] += out[i] * out[j] / patches;
            }
}

static void test_init__whitened_patches_have_unit_second_moments(void **state)
{
    (void)state;
    enum { COUNT = 20, SIDE = 16 };
    struct fixture f;
    const struct tensor *t;
    setup(&f, "w conv 2x2 2crs init=whiten whiten_eps=0 whiten_images=20 bias=yes\n"
              "p maxpool 15\nl linear classes\n", SIDE);
    assert_int_equal(init_images_wanted(&f.graph), 20);
    double *pixels = made_images(COUNT, SIDE), moments[12][12];
    const struct init_images images = {pixels, COUNT, 3, SIDE, SIDE};
    init(&f, 1, &images);
    double *w = values_of(&f, "w.weight", &t);
    output_moments(moments, w, pixels, COUNT, SIDE);
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 12; j++)
            assert_true(fabs(moments[i][j] - (i == j)) < 1e-9);
    for (int i = 0; i < 144; i++)
        assert_true(w[144 + i] == -w[i]);
    for (int k = 0; k < 12; k++) {
        double largest = 0, norm = 0, before = 0;
        for (int i = 0; i < 12; i++) {
            largest = fabs(w[k * 12 + i]) > fabs(largest) ? w[k * 12 + i] : largest;
            norm += w[k * 12 + i] * w[k * 12 + i];
            before += k ? w[(k - 1) * 12 + i] * w[(k - 1) * 12 + i] : 0;
        }
        assert_true(largest > 0);
        assert_true(norm >= before); /* |w|^2 = 1/lambda: the largest eigenvalue comes first */
    }
    assert_true(f.model.trainable[1] && !f.model.trainable[0]);
    free(w);
    free(pixels);
    teardown(&f);
}

static void test_init__whitening_without_images_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    struct err e;
    setup(&f, "w conv 2x2 crs init=whiten\np maxpool 15\nl linear classes\n", 16);
    assert_int_equal(init_model(&f.model, 1, NULL, &e), -1);
    assert_int_equal(e.code, EXIT_FAILED);
    assert_non_null(strstr(e.text, "'w.weight'"));
    double *pixels = calloc(3 * 16 * 16, sizeof *pixels);
    const struct init_images black = {pixels, 1, 3, 16, 16};
    init(&f, 1, &black); /* eps alone keeps it finite */
    const struct tensor *t;
    double *w = values_of(&f, "w.weight", &t);
    expect_within(w, t->count, -1 / sqrt(5e-4), 1 / sqrt(5e-4));
    free(w);
    free(pixels);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init__distributions_are_those_asked_for),
        cmocka_unit_test(test_init__dirac_begins_with_the_identity),
        cmocka_unit_test(test_init__standard_has_unit_deviation),
        cmocka_unit_test(test_init__depends_on_the_seed_and_on_nothing_else),
        cmocka_unit_test(test_init__whitened_patches_have_unit_second_moments),
        cmocka_unit_test(test_init__whitening_without_images_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
