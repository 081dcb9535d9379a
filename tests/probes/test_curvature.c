/* test_curvature.c - surfaces, Hessian-vector products and Lanczos against what is known: diagonal
 * matrices, the exact Hessian of softmax regression, and differences of gradients. */
#define _GNU_SOURCE /* mkdtemp */
#include <lapacke.h>
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
#include "base/rng.h"
#include "probes/hessian.h"
#include "probes/lab.h"
#include "probes/lanczos.h"

static double dot(const double *x, const double *y, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * y[i];
    return sum;
}

static double length(const double *x, size_t count)
{
    return sqrt(dot(x, x, count));
}

static void random_unit(double *x, size_t count, uint32_t stream)
{
    struct rng r = rng_at(2, RNG_TEST, stream, 0);
    for (size_t i = 0; i < count; i++)
        x[i] = rng_normal(&r);
    double size = length(x, count);
    for (size_t i = 0; i < count; i++)
        x[i] /= size;
}

/* Lanczos on diagonal matrices. */

struct diagonal {
    size_t size;
    const double *values;
    int applied;
};

static void apply_diagonal(void *context, const double *x, double *y)
{
    struct diagonal *d = context;
    d->applied++;
    for (size_t i = 0; i < d->size; i++)
        y[i] = d->values[i] * x[i];
}

static double nearest(const struct diagonal *d, double value)
{
    double best = INFINITY;
    for (size_t i = 0; i < d->size; i++)
        best = fmin(best, fabs(d->values[i] - value));
    return best;
}

/* A bulk around zero and a few outliers, like a network's Hessian. */
static void test_lanczos__finds_both_ends(void **state)
{
    (void)state;
    enum { SIZE = 400 };
    double values[SIZE];
    for (int i = 0; i < SIZE; i++)
        values[i] = 0.5 * sin(i * 1.7);
    values[17] = 12.25;
    values[18] = 11.5;
    values[101] = -3.75;
    struct diagonal d = {SIZE, values, 0};
    struct lanczos l = {.size = SIZE, .limit = 60, .tolerance = 1e-6, .seed = 1};
    assert_int_equal(lanczos_run(&l, apply_diagonal, &d, NULL), 0);
    assert_int_equal(d.applied, l.iterations + 2);
    assert_true(l.iterations < 60);
    assert_true(fabs(l.largest - 12.25) < 1e-4 * 12.25);
    assert_true(fabs(l.smallest + 3.75) < 1e-4 * 3.75);
    assert_true(fabs(fabs(l.vector[17]) - 1) < 1e-4);
    assert_true(fabs(length(l.vector, SIZE) - 1) < 1e-12);
    assert_true(l.largest_residual < 1e-4 * 12.25 && l.smallest_residual < 1e-4 * 12.25);
    lanczos_release(&l);
}

/* Stopped far too early, the residual still says how far the next eigenvalue can be. */
static void test_lanczos__residuals_are_honest(void **state)
{
    (void)state;
    enum { SIZE = 300 };
    double values[SIZE];
    for (int i = 0; i < SIZE; i++)
        values[i] = i * 0.01;
    for (int limit = 1; limit < 40; limit += 3) {
        struct diagonal d = {SIZE, values, 0};
        struct lanczos l = {.size = SIZE, .limit = limit, .tolerance = 0, .seed = 3};
        assert_int_equal(lanczos_run(&l, apply_diagonal, &d, NULL), 0);
        assert_int_equal(l.iterations, limit);
        assert_true(nearest(&d, l.largest) <= l.largest_residual + 1e-12);
        assert_true(nearest(&d, l.smallest) <= l.smallest_residual + 1e-12);
        assert_true(l.largest <= values[SIZE - 1] + 1e-12 && l.smallest >= -1e-12);
        lanczos_release(&l);
    }
}

static void test_lanczos__stops_when_all_is_found(void **state)
{
    (void)state;
    static const double same[5] = {2, 2, 2, 2, 2}, few[5] = {1, 2, 3, 4, 5};
    struct diagonal d = {5, same, 0};
    struct lanczos l = {.size = 5, .limit = 50, .tolerance = 1e-10, .seed = 1};
    assert_int_equal(lanczos_run(&l, apply_diagonal, &d, NULL), 0);
    assert_int_equal(l.iterations, 1);
    assert_true(fabs(l.largest - 2) < 1e-12 && fabs(l.smallest - 2) < 1e-12);
    lanczos_release(&l);
    d.values = few;
    assert_int_equal(lanczos_run(&l, apply_diagonal, &d, NULL), 0);
    assert_int_equal(l.iterations, 5);
    assert_true(fabs(l.largest - 5) < 1e-10 && fabs(l.smallest - 1) < 1e-10);
    lanczos_release(&l);
}

/* Softmax regression on 3 x 4 x 4 pooled pixels: H = mean of (diag p - p p') x x', x with a 1. */

enum { INPUTS = 48, WIDE = INPUTS + 1, PARAMETERS = TINY_CLASSES * WIDE };

static const char regression_net[] = "p avgpool 8\nl linear classes\n";

static void open_surface(struct surface *s, struct lab *l, enum precision precision,
                         enum plan_mode mode, uint32_t images, int batch)
{
    struct err e = {0};
    const struct surface_options o = {precision, mode, images, batch};
    if (surface_open(s, &l->trainer, &o, &e))
        fail_msg("%s", e.text);
}

static void features(const struct lab *l, uint32_t image, double x[WIDE])
{
    const uint8_t *pixels = l->images.train.pixels + image * 3 * IMAGE_AREA;
    memset(x, 0, WIDE * sizeof *x);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < IMAGE_AREA; i++) {
            float v = ((float)pixels[c * IMAGE_AREA + i] - l->images.mean[c]) *
                      (1 / l->images.std[c]);
            x[c * 16 + i / IMAGE_SIDE / 8 * 4 + i % IMAGE_SIDE / 8] += (double)v / 64;
        }
    x[INPUTS] = 1;
}

/* Where class k's weight for input i lies in the vector of parameters: weights, then biases. */
static size_t place(int k, int i)
{
    return i == INPUTS ? (size_t)(TINY_CLASSES * INPUTS + k) : (size_t)(k * INPUTS + i);
}

static void add_image(const double *w, const double x[WIDE], double *h, double share)
{
    double p[TINY_CLASSES], sum = 0;
    for (int k = 0; k < TINY_CLASSES; k++) {
        double z = 0;
        for (int i = 0; i < WIDE; i++)
            z += w[place(k, i)] * x[i];
        sum += p[k] = exp(z);
    }
    for (int a = 0; a < TINY_CLASSES; a++)
        for (int b = 0; b < TINY_CLASSES; b++) {
            double factor = share * (p[a] / sum * (a == b) - p[a] * p[b] / (sum * sum));
            for (int i = 0; i < WIDE; i++)
                for (int j = 0; j < WIDE; j++)
                    h[place(a, i) * PARAMETERS + place(b, j)] += factor * x[i] * x[j];
        }
}

static double *exact_hessian(const struct lab *l, const struct surface *s)
{
    double *h = xcalloc(PARAMETERS * PARAMETERS, sizeof *h), w[PARAMETERS], x[WIDE];
    surface_read(s, w);
    for (uint32_t i = 0; i < s->images; i++) {
        features(l, s->views[i].index, x);
        add_image(w, x, h, 1.0 / s->images);
    }
    return h;
}

/* The product in double, and the estimate of its error, on random directions. The pixels are
 * normalised in single precision before they are widened, so features agree to about 1e-7. */
static void test_hessian__of_softmax_regression(void **state)
{
    (void)state;
    struct lab l;
    struct surface s;
    struct hessian hessian;
    lab_begin(&l, regression_net);
    lab_open(&l, 6);
    open_surface(&s, &l, PRECISION_FP64, PLAN_TRAIN, 90, 40);
    assert_int_equal(s.count, PARAMETERS);
    double *exact = exact_hessian(&l, &s), v[PARAMETERS], got[PARAMETERS], want[PARAMETERS];
    hessian_init(&hessian, &s);
    for (uint32_t trial = 0; trial < 5; trial++) {
        random_unit(v, PARAMETERS, trial);
        hessian_apply(&hessian, v, got);
        for (int i = 0; i < PARAMETERS; i++)
            want[i] = dot(exact + i * PARAMETERS, v, PARAMETERS);
        double size = length(want, PARAMETERS), error = hessian_error(&hessian, v);
        for (int i = 0; i < PARAMETERS; i++)
            want[i] -= got[i];
        if (length(want, PARAMETERS) > 1e-6 * size + 2 * error)
            fail_msg("off by %g of %g; own estimate %g", length(want, PARAMETERS), size, error);
        assert_true(error < 1e-5 * size);
        assert_true(fabs(hessian_curvature(&hessian, v) - dot(v, got, PARAMETERS)) < 1e-12);
    }
    hessian_release(&hessian);
    free(exact);
    surface_close(&s);
    lab_close(&l);
}

/* H v along the gradient, v, at the weights that training reached. Returns the estimated error. */
static double along_gradient(struct lab *l, enum precision precision, const double *v, double *hv)
{
    struct surface s;
    struct hessian hessian;
    open_surface(&s, l, precision, PLAN_TRAIN, 90, 90);
    hessian_init(&hessian, &s);
    hessian_apply(&hessian, v, hv);
    double error = hessian_error(&hessian, v);
    hessian_release(&hessian);
    surface_close(&s);
    return error;
}

/* Where the images are nearly learnt the loss bends soon: single precision finds a step that is
 * short enough, and knows its error. */
static void test_hessian__in_single_precision_where_the_loss_bends(void **state)
{
    (void)state;
    struct lab l;
    struct surface s;
    lab_begin(&l, "p avgpool 4\na conv 3x3 8 pad=1\ns silu\nb conv 3x3 8\nt silu\n"
                  "q avgpool 2\nl linear classes\n");
    l.config.label_smoothing = 0;
    l.config.schedule = SCHEDULE_CONSTANT;
    l.config.lr = 0.2;
    l.config.epochs = 100;
    lab_open(&l, 12);
    open_surface(&s, &l, PRECISION_FP64, PLAN_TRAIN, 90, 90);
    size_t n = s.count;
    double *v = xcalloc(3 * n, sizeof *v), *exact = v + n, *single = exact + n, off = 0;
    double loss = surface_gradient(&s, v), size = length(v, n);
    for (size_t i = 0; i < n; i++)
        v[i] /= size;
    along_gradient(&l, PRECISION_FP64, v, exact);
    double error = along_gradient(&l, PRECISION_FP32, v, single);
    for (size_t i = 0; i < n; i++)
        off += (exact[i] - single[i]) * (exact[i] - single[i]);
    off = sqrt(off);
    print_message("loss %.2g: off by %.2g of %.3g, own estimate %.2g\n", loss, off,
                  length(exact, n), error);
    assert_true(loss < 0.01);
    assert_true(off < 1e-3 * length(exact, n) && off < 3 * error);
    free(v);
    surface_close(&s);
    lab_close(&l);
}

/* Ends of the spectrum against a dense solver, in both precisions. */
static void check_spectrum(enum precision precision, double tolerance)
{
    struct lab l;
    struct surface s;
    struct hessian hessian;
    lab_begin(&l, regression_net);
    lab_open(&l, 6);
    open_surface(&s, &l, precision, PLAN_TRAIN, 90, 40);
    double *exact = exact_hessian(&l, &s), values[PARAMETERS];
    assert_int_equal(
        LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', PARAMETERS, exact, PARAMETERS, values), 0);
    hessian_init(&hessian, &s);
    struct lanczos k = {.size = s.count, .limit = 60, .tolerance = tolerance / 10, .seed = 1};
    assert_int_equal(lanczos_run(&k, hessian_apply, &hessian, NULL), 0);
    double top = values[PARAMETERS - 1];
    if (fabs(k.largest - top) > tolerance * top || fabs(k.smallest - values[0]) > tolerance * top)
        fail_msg("%.8g ... %.8g, dense %.8g ... %.8g", k.smallest, k.largest, values[0], top);
    assert_true(k.largest_residual < 10 * tolerance * top);
    lanczos_release(&k);
    hessian_release(&hessian);
    free(exact);
    surface_close(&s);
    lab_close(&l);
}

static void test_lanczos__on_softmax_regression(void **state)
{
    (void)state;
    check_spectrum(PRECISION_FP64, 1e-4);
    check_spectrum(PRECISION_FP32, 1e-3);
}

/* A network with every kind of layer, its Hessian column by column. */
static void check_dense(enum plan_mode mode)
{
    struct lab l;
    struct surface s;
    struct hessian hessian;
    lab_begin(&l, "p avgpool 4\na conv 3x3 3 pad=1 bias=yes\nn batchnorm\ng gelu\n"
                  "m maxpool 2\nb conv 1x1 4\no batchnorm\nr silu\nc conv 1x1 4\nd add r c\n"
                  "q avgpool global\nl linear classes\n");
    lab_open(&l, 4);
    open_surface(&s, &l, PRECISION_FP64, mode, 24, 24);
    size_t n = s.count;
    double *dense = xcalloc(n * n, sizeof *dense), *values = xcalloc(2 * n, sizeof *values);
    double *unit = values + n;
    hessian_init(&hessian, &s);
    for (size_t i = 0; i < n; i++) {
        unit[i] = 1;
        hessian_apply(&hessian, unit, dense + i * n);
        unit[i] = 0;
    }
    double crooked = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            crooked = fmax(crooked, fabs(dense[i * n + j] - dense[j * n + i]));
    assert_int_equal(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', (int)n, dense, (int)n, values), 0);
    double top = fmax(values[n - 1], -values[0]);
    assert_true(crooked < 1e-7 * top);
    struct lanczos k = {.size = n, .limit = 100, .tolerance = 1e-6, .seed = 1};
    assert_int_equal(lanczos_run(&k, hessian_apply, &hessian, NULL), 0);
    if (fabs(k.largest - values[n - 1]) > 1e-4 * top || fabs(k.smallest - values[0]) > 1e-4 * top)
        fail_msg("%.8g ... %.8g, dense %.8g ... %.8g", k.smallest, k.largest, values[0],
                 values[n - 1]);
    assert_true(k.largest_residual < 1e-4 * top && k.smallest_residual < 1e-4 * top);
    lanczos_release(&k);
    hessian_release(&hessian);
    free(dense);
    free(values);
    surface_close(&s);
    lab_close(&l);
}

static void test_lanczos__against_a_dense_hessian(void **state)
{
    (void)state;
    check_dense(PLAN_TRAIN);
    check_dense(PLAN_FROZEN);
}

/* Every layer type: H v against a formula of higher order over the same gradients,
 * (8 (g(h) - g(-h)) - (g(2h) - g(-2h))) / 12 h, and v'Hv against second differences of the loss. */

struct layer_case {
    const char *name, *text;
};

static void gradient_at(struct surface *s, const double *w, const double *v, double h, double *g)
{
    double *moved = xmalloc(s->count * sizeof *moved);
    for (size_t i = 0; i < s->count; i++)
        moved[i] = w[i] + h * v[i];
    surface_write(s, moved);
    surface_gradient(s, g);
    surface_write(s, w);
    free(moved);
}

static double loss_at(struct surface *s, const double *w, const double *v, double h)
{
    double *moved = xmalloc(s->count * sizeof *moved);
    for (size_t i = 0; i < s->count; i++)
        moved[i] = w[i] + h * v[i];
    surface_write(s, moved);
    double loss = surface_loss(s);
    surface_write(s, w);
    free(moved);
    return loss;
}

static void check_layer(const struct layer_case *c, enum plan_mode mode)
{
    struct lab l;
    struct surface s;
    struct hessian hessian;
    char net[512];
    snprintf(net, sizeof net, "shrink avgpool 4\na conv 3x3 5 pad=1\nsmooth silu\n%s\n"
                              "tail avgpool global\nlinear linear classes\n", c->text);
    lab_begin(&l, net);
    lab_open(&l, 2);
    open_surface(&s, &l, PRECISION_FP64, mode, 6, 6);
    size_t n = s.count;
    double *room = xcalloc(9 * n, sizeof *room), *w = room, *v = w + n, *u = v + n, *hv = u + n;
    double *hu = hv + n, *g[4] = {hu + n, hu + 2 * n, hu + 3 * n, hu + 4 * n};
    surface_read(&s, w);
    hessian_init(&hessian, &s);
    random_unit(v, n, 7);
    random_unit(u, n, 8);
    hessian_apply(&hessian, v, hv);
    hessian_apply(&hessian, u, hu);
    double error = hessian_error(&hessian, v) + hessian_error(&hessian, u);
    double h = 4e-6 * length(w, n), size = length(hv, n) + length(hu, n), off = 0;
    static const double at[4] = {1, -1, 2, -2};
    for (int i = 0; i < 4; i++)
        gradient_at(&s, w, v, at[i] * h, g[i]);
    for (size_t i = 0; i < n; i++) {
        double better = (8 * (g[0][i] - g[1][i]) - (g[2][i] - g[3][i])) / (12 * h);
        off += (better - hv[i]) * (better - hv[i]);
    }
    /* Both have the rounding of gradients, some 100 u |g| / h. */
    double bound = 4 * error + 400 * 0x1p-53 * length(g[0], n) / h;
    if (sqrt(off) > bound || bound > 1e-5 * size)
        fail_msg("%s: off by %g of %g, bound %g", c->name, sqrt(off), size, bound);
    if (fabs(dot(u, hv, n) - dot(v, hu, n)) > bound)
        fail_msg("%s: u'Hv = %.12g, v'Hu = %.12g", c->name, dot(u, hv, n), dot(v, hu, n));
    double wide = 1e-3, middle = loss_at(&s, w, v, 0), second[2];
    for (int i = 0; i < 2; i++, wide /= 2)
        second[i] = (loss_at(&s, w, v, wide) - 2 * middle + loss_at(&s, w, v, -wide)) /
                    (wide * wide);
    double curvature = (4 * second[1] - second[0]) / 3, rounding = 100 * 0x1p-53 / (wide * wide);
    if (fabs(dot(v, hv, n) - curvature) > fabs(second[0] - second[1]) + rounding + bound)
        fail_msg("%s: v'Hv = %.12g, from losses %.12g", c->name, dot(v, hv, n), curvature);
    hessian_release(&hessian);
    free(room);
    surface_close(&s);
    lab_close(&l);
}

static void test_hessian__of_every_layer_type(void **state)
{
    (void)state;
    static const struct layer_case cases[] = {
        {"convolution", "b conv 3x3 6 pad=1 stride=2 bias=yes"},
        {"whitening", "b conv 1x1 2crs bias=yes"},
        {"batch norm", "b batchnorm"},
        {"batch norm, fixed scale", "b batchnorm scale=fixed"},
        {"ghost batch norm", "b batchnorm groups=2"},
        {"frozen batch norm", "b batchnorm statistics=frozen"},
        {"relu", "b relu"},
        {"gelu", "b gelu"},
        {"silu", "b silu"},
        {"celu", "b celu alpha=0.3"},
        {"batch norm with gelu", "b batchnorm\nc gelu"},
        {"max pooling", "b maxpool 2"},
        {"average pooling", "b avgpool 2"},
        {"add", "b conv 1x1 5\nc add b smooth"},
        {"concat", "b conv 1x1 4\nc concat b smooth"},
        {"scale", "b scale 0.3\nc silu"},
        {"linear", "b linear 7\nc silu"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_layer(&cases[i], PLAN_TRAIN);
        if (strstr(cases[i].text, "batchnorm"))
            check_layer(&cases[i], PLAN_FROZEN);
    }
}

/* PLAN_FROZEN of a network is PLAN_TRAIN of one whose batch norms are frozen, to the bit. */
static void test_surface__frozen_plans_use_the_running_statistics(void **state)
{
    (void)state;
    static const char *const nets[2] = {
        "a conv 3x3 8 pad=1 stride=4\nn batchnorm\nr relu\nb conv 3x3 8\nm batchnorm groups=2\n"
        "p avgpool global\nl linear classes\n",
        "a conv 3x3 8 pad=1 stride=4\nn batchnorm statistics=frozen\nr relu\nb conv 3x3 8\n"
        "m batchnorm statistics=frozen\np avgpool global\nl linear classes\n"};
    struct lab l[2];
    struct surface s[2];
    double *g[2];
    for (int i = 0; i < 2; i++) {
        lab_begin(&l[i], nets[i]);
        lab_open(&l[i], i ? 0 : 5);
        open_surface(&s[i], &l[i], PRECISION_FP32, i ? PLAN_TRAIN : PLAN_FROZEN, 50, 40);
        surface_take(&s[i], &l[0].trainer.net.model);
        g[i] = xcalloc(s[i].count, sizeof *g[i]);
    }
    double first = surface_gradient(&s[0], g[0]);
    assert_true(first == surface_gradient(&s[1], g[1]));
    assert_memory_equal(g[0], g[1], s[0].count * sizeof *g[0]);
    assert_true(first == surface_gradient(&s[0], g[0])); /* nothing moved */
    for (int i = 0; i < 2; i++) {
        free(g[i]);
        surface_close(&s[i]);
        lab_close(&l[i]);
    }
}

/* Refreshed statistics of a batch norm that stands first: means over batches of the pixels'. */
static void test_surface__refresh_makes_means_over_batches(void **state)
{
    (void)state;
    struct lab l;
    struct surface s;
    lab_begin(&l, "n batchnorm\np avgpool 16\nl linear classes\n");
    lab_open(&l, 3);
    open_surface(&s, &l, PRECISION_FP64, PLAN_TRAIN, 60, 20);
    surface_refresh(&s);
    double got[2][3], count = 20.0 * IMAGE_AREA;
    int mean = graph_find_tensor(&s.net.graph, "n.running_mean");
    for (int i = 0; i < 2; i++)
        s.net.backend->ops->read_reals(s.net.backend, got[i], model_tensor(&s.net.model, mean + i),
                                       3);
    for (int c = 0; c < 3; c++) {
        double want[2] = {0};
        for (uint32_t k = 0; k < 3; k++) {
            double sum = 0, squares = 0;
            for (uint32_t i = 20 * k; i < 20 * k + 20; i++) {
                const uint8_t *image = l.images.train.pixels + s.views[i].index * 3 * IMAGE_AREA;
                for (int j = 0; j < IMAGE_AREA; j++) {
                    double x = ((double)image[c * IMAGE_AREA + j] - (double)l.images.mean[c]) /
                               (double)l.images.std[c];
                    sum += x;
                    squares += x * x;
                }
            }
            want[0] += sum / count / 3;
            want[1] += (squares - sum * sum / count) / (count - 1) / 3;
        }
        for (int i = 0; i < 2; i++)
            assert_true(fabs(got[i][c] - want[i]) < 1e-6 * (1 + fabs(want[i])));
    }
    surface_close(&s);
    lab_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanczos__finds_both_ends),
        cmocka_unit_test(test_lanczos__residuals_are_honest),
        cmocka_unit_test(test_lanczos__stops_when_all_is_found),
        cmocka_unit_test(test_hessian__of_softmax_regression),
        cmocka_unit_test(test_hessian__in_single_precision_where_the_loss_bends),
        cmocka_unit_test(test_lanczos__on_softmax_regression),
        cmocka_unit_test(test_lanczos__against_a_dense_hessian),
        cmocka_unit_test(test_hessian__of_every_layer_type),
        cmocka_unit_test(test_surface__frozen_plans_use_the_running_statistics),
        cmocka_unit_test(test_surface__refresh_makes_means_over_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
