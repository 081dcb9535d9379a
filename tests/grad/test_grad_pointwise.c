/* test_grad_pointwise.c - the backward of every operation beside convolution against directional
 * finite differences in double precision, through the backend.
 *
 * For f(x) = sum of r * y(x) with random r, and a random direction d, the gradient g that backward
 * makes of dy = r must satisfy g . d = (f(x + h d) - f(x - h d)) / 2h, up to h^2 times the third
 * derivative and the rounding of f divided by h: with h = 1e-5 and values around 1, some 1e-9 of
 * the sum of |r y|.
 */
#include "kernels/fixture.h"

enum { N = 37, C = 10, H = 4, W = 5, REALS = 64 };

static const double STEP = 1e-5, BOUND = 2e-8;

/* An operation under test: forward reads x (and p, a vector of parameters) and makes y. */
struct subject {
    struct backend *b;
    struct test_map x, y, dy, dx;
    void *p, *dp;        /* REALS doubles each: what the operation makes of them is its own */
    void *scratch;
    void (*forward)(struct subject *s);
    void (*backward)(struct subject *s);
    const void *shape;
};

static double dot(const double *a, const double *b, size_t count, double *size)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
        *size += fabs(a[i] * b[i]);
    }
    return sum;
}

/* f at x + step * direction (and p likewise). */
static double probe(struct subject *s, const double *x, const double *dx, const double *p,
                    const double *dp, double step, double *size)
{
    double moved[REALS];
    for (size_t i = 0; i < values_of(&s->x); i++)
        s->x.values[i] = x[i] + step * dx[i];
    map_upload(s->b, &s->x);
    for (int i = 0; i < REALS; i++)
        moved[i] = p[i] + step * dp[i];
    s->b->ops->write_reals(s->b, s->p, moved, REALS);
    s->forward(s);
    map_download(s->b, &s->y);
    return dot(s->y.values, s->dy.values, values_of(&s->y), size);
}

static void check(struct subject *s, int params)
{
    size_t count = values_of(&s->x);
    double *x = malloc(2 * count * sizeof *x), *d = x + count;
    double p[REALS], dp[REALS] = {0}, gradient[REALS], size = 0;
    memcpy(x, s->x.values, count * sizeof *x);
    s->b->ops->read_reals(s->b, p, s->p, REALS);
    fill_normal(d, count, 77, 0, 1);
    if (params)
        fill_normal(dp, (size_t)params, 78, 0, 1);

    s->forward(s);
    s->backward(s);
    map_download(s->b, &s->dx);
    s->b->ops->read_reals(s->b, gradient, s->dp, REALS);
    double ignored = 0;
    double got = dot(s->dx.values, d, count, &ignored) +
                 dot(gradient, dp, (size_t)params, &ignored);
    double want = (probe(s, x, d, p, dp, STEP, &size) - probe(s, x, d, p, dp, -STEP, &size)) /
                  (2 * STEP);
    assert_true(size > 0);
    assert_within(got, want, BOUND * size);
    assert_true(fabs(got) > 10 * BOUND * size); /* else a zero would have passed */
    free(x);
}

static struct subject subject_new(int c, int h, int w, int p, int q, const void *shape,
                                  void (*forward)(struct subject *),
                                  void (*backward)(struct subject *))
{
    struct subject s = {.b = backend_of(TIER_REF, PRECISION_FP64, 2)};
    struct err e;
    s.x = map_random(s.b, N, c, h, w, 1, 0.2, 1.5);
    s.y = map_new(s.b, N, c, p, q);
    s.dy = map_random(s.b, N, c, p, q, 2, 0.1, 1);
    s.dx = map_new(s.b, N, c, h, w);
    s.p = s.b->ops->memory_new(s.b, REALS * sizeof(double), "parameters", &e);
    s.dp = s.b->ops->memory_new(s.b, REALS * sizeof(double), "gradients", &e);
    s.scratch = s.b->ops->memory_new(s.b, 1 << 22, "scratch", &e);
    double values[REALS];
    fill_normal(values, REALS, 3, 1, 0.3);
    s.b->ops->write_reals(s.b, s.p, values, REALS);
    s.shape = shape;
    s.forward = forward;
    s.backward = backward;
    return s;
}

static void subject_free(struct subject *s)
{
    map_free(&s->x);
    map_free(&s->y);
    map_free(&s->dy);
    map_free(&s->dx);
    s->b->ops->memory_free(s->b, s->p, REALS * sizeof(double));
    s->b->ops->memory_free(s->b, s->dp, REALS * sizeof(double));
    s->b->ops->memory_free(s->b, s->scratch, 1 << 22);
    s->b->ops->free(s->b);
}

/* The norm's scale and bias are the parameters 0..C-1 and C..2C-1; its statistics lie in scratch,
 * and running statistics of 1 (mean and variance) after them. */
static struct norm_tensors norm_tensors_of(struct subject *s)
{
    const struct norm_shape *shape = s->shape;
    double ones[2 * C];
    for (int i = 0; i < 2 * C; i++)
        ones[i] = 1;
    double *room = s->scratch, *running = room + 2 * C * shape->groups;
    s->b->ops->write_reals(s->b, running, ones, 2 * C);
    return (struct norm_tensors){s->p, (double *)s->p + C, room, room + C * shape->groups,
                                 running, running + C};
}

static char *norm_workspace_of(struct subject *s)
{
    return (char *)s->scratch + (1 << 16);
}

static void norm_forward(struct subject *s)
{
    struct norm_tensors t = norm_tensors_of(s);
    s->b->ops->norm_statistics(s->b, N, s->shape, &s->x.map, &t, norm_workspace_of(s));
    s->b->ops->norm_forward(s->b, N, s->shape, &s->x.map, &t, &s->y.map);
}

static void norm_backward(struct subject *s)
{
    struct norm_tensors t = norm_tensors_of(s);
    s->b->ops->norm_backward(s->b, N, s->shape, &s->x.map, &t, &s->dy.map, NULL, s->dp,
                             (double *)s->dp + C, &s->dx.map, norm_workspace_of(s));
}

static void test_norm__gradient(void **state)
{
    (void)state;
    static const enum activation acts[] = {ACT_NONE, ACT_GELU, ACT_SILU, ACT_CELU};
    for (int a = 0; a < 4; a++) {
        for (int groups = 1; groups <= 3; groups += 2) {
            for (int frozen = 0; frozen <= 1; frozen++) {
                struct norm_shape shape = {C, H, W, groups, 1e-5, 0.1, frozen != 0, acts[a], 0.3};
                struct subject s = subject_new(C, H, W, H, W, &shape, norm_forward,
                                               norm_backward);
                check(&s, 2 * C);
                subject_free(&s);
            }
        }
    }
}

/* relu is not smooth: with a gain of 0.01 and a bias of 1 no z comes near its corner. */
static void test_norm__gradient_with_relu(void **state)
{
    (void)state;
    struct norm_shape shape = {C, H, W, 1, 1e-5, 0.1, false, ACT_RELU, 0};
    struct subject s = subject_new(C, H, W, H, W, &shape, norm_forward, norm_backward);
    double values[REALS];
    for (int i = 0; i < REALS; i++)
        values[i] = i < C ? 0.01 : i % 2 ? 1 : -1;
    s.b->ops->write_reals(s.b, s.p, values, REALS);
    check(&s, 2 * C);
    subject_free(&s);
}

static void act_forward(struct subject *s)
{
    s->b->ops->act_forward(s->b, N, *(const enum activation *)s->shape, 0.3, &s->x.map,
                           &s->y.map);
}

static void act_backward(struct subject *s)
{
    s->b->ops->act_backward(s->b, N, *(const enum activation *)s->shape, 0.3, &s->x.map,
                            &s->dy.map, &s->dx.map);
}

static void test_activation__gradient(void **state)
{
    (void)state;
    static const enum activation acts[] = {ACT_NONE, ACT_GELU, ACT_SILU, ACT_CELU};
    for (int a = 0; a < 4; a++) {
        struct subject s = subject_new(C, H, W, H, W, &acts[a], act_forward, act_backward);
        check(&s, 0);
        subject_free(&s);
    }
}

static void max_forward(struct subject *s)
{
    s->b->ops->maxpool_forward(s->b, N, s->shape, &s->x.map, &s->y.map, s->scratch);
}

static void max_backward(struct subject *s)
{
    s->b->ops->maxpool_backward(s->b, N, s->shape, &s->dy.map, s->scratch, &s->dx.map);
}

static void avg_forward(struct subject *s)
{
    s->b->ops->avgpool_forward(s->b, N, s->shape, &s->x.map, &s->y.map);
}

static void avg_backward(struct subject *s)
{
    s->b->ops->avgpool_backward(s->b, N, s->shape, &s->dy.map, &s->dx.map);
}

static void test_pool__gradient(void **state)
{
    (void)state;
    static const struct pool_shape shapes[] = {
        {C, H, W, 2, 2, 2, 2}, {C, H, W, 2, 3, 3, 1}, {C, H, H, 1, 1, 4, 4},
    };
    for (int i = 0; i < 3; i++) {
        const struct pool_shape *k = &shapes[i];
        struct subject s = subject_new(C, k->h, k->w, k->p, k->q, k, avg_forward, avg_backward);
        check(&s, 0);
        subject_free(&s);
        s = subject_new(C, k->h, k->w, k->p, k->q, k, max_forward, max_backward);
        /* Numbers a hundred steps apart, so that no step changes which is the greatest. */
        uint32_t order[N * C * H * W];
        size_t count = values_of(&s.x);
        for (uint32_t j = 0; j < count; j++)
            order[j] = j;
        struct rng r = rng_at(9, RNG_TEST, 0, 0);
        rng_shuffle(&r, order, (uint32_t)count);
        for (size_t j = 0; j < count; j++)
            s.x.values[j] = order[j] * 100 * STEP;
        map_upload(s.b, &s.x);
        check(&s, 0);
        subject_free(&s);
    }
}

/* y = 3 * split(concat(x, x + x), 0): the adjoint of each is another of them. */
static void combine_forward(struct subject *s)
{
    struct map whole = {s->scratch, 2 * C, H, W};
    s->b->ops->concat(s->b, N, &s->x.map, 0, &whole);
    s->b->ops->add(s->b, N, &s->x.map, &s->x.map, &s->y.map);
    s->b->ops->concat(s->b, N, &s->y.map, C, &whole);
    s->b->ops->split(s->b, N, &whole, C, &s->y.map);
    s->b->ops->scale(s->b, N, 3, &s->y.map, &s->y.map);
}

static void combine_backward(struct subject *s)
{
    struct map whole = {s->scratch, 2 * C, H, W};
    s->b->ops->concat(s->b, N, &s->dy.map, C, &whole);
    s->b->ops->split(s->b, N, &whole, C, &s->dx.map);
    s->b->ops->add(s->b, N, &s->dx.map, &s->dx.map, &s->dx.map);
    s->b->ops->scale(s->b, N, 3, &s->dx.map, &s->dx.map);
}

static void test_combine__gradient(void **state)
{
    (void)state;
    struct subject s = subject_new(C, H, W, H, W, NULL, combine_forward, combine_backward);
    check(&s, 0);
    subject_free(&s);
}

/* The losses are y (a map of one channel) as far as the test is concerned: dy is all ones. */
static void loss_forward(struct subject *s)
{
    uint8_t labels[N], hits[N];
    double losses[N];
    for (int i = 0; i < N; i++)
        labels[i] = (uint8_t)(i % C);
    struct map none = {NULL, C, 1, 1};
    s->b->ops->cross_entropy(s->b, N, C, 0.2, 1, &s->x.map, labels, losses, hits, &none);
    for (size_t i = 0; i < values_of(&s->y); i++)
        s->y.values[i] = i % C ? 0 : losses[i / C];
    map_upload(s->b, &s->y);
}

static void loss_backward(struct subject *s)
{
    uint8_t labels[N], hits[N];
    double losses[N];
    for (int i = 0; i < N; i++)
        labels[i] = (uint8_t)(i % C);
    s->b->ops->cross_entropy(s->b, N, C, 0.2, 1, &s->x.map, labels, losses, hits, &s->dx.map);
}

static void test_cross_entropy__gradient(void **state)
{
    (void)state;
    struct subject s = subject_new(C, 1, 1, 1, 1, NULL, loss_forward, loss_backward);
    for (size_t i = 0; i < values_of(&s.dy); i++)
        s.dy.values[i] = 1;
    check(&s, 0);
    subject_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm__gradient),
        cmocka_unit_test(test_norm__gradient_with_relu),
        cmocka_unit_test(test_activation__gradient),
        cmocka_unit_test(test_pool__gradient),
        cmocka_unit_test(test_combine__gradient),
        cmocka_unit_test(test_cross_entropy__gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
