/* test_pool.c - pooling of every tier. Max pooling moves numbers and must be exact; average pooling
 * adds window^2 numbers: window^2 units of the sum of their sizes. What is stored in bf16 is
 * rounded once more. */
#include "kernels/fixture.h"

struct pool_case {
    int n, c, h, w, window, stride;
};

static const struct pool_case cases[] = {
    {1, 3, 2, 2, 2, 2},   {5, 10, 7, 5, 2, 2},  {33, 24, 4, 6, 2, 2}, {70, 31, 3, 3, 3, 3},
    {33, 64, 4, 4, 4, 4}, {70, 10, 5, 6, 3, 2}, {5, 24, 6, 5, 3, 1},  {33, 3, 7, 7, 2, 3},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static struct pool_shape shape_of(const struct pool_case *k)
{
    return (struct pool_shape){k->c, k->h, k->w, (k->h - k->window) / k->stride + 1,
                               (k->w - k->window) / k->stride + 1, k->window, k->stride};
}

/* The maximum's place in a window, as PyTorch finds it. */
static int naive_argmax(const struct test_map *x, const struct pool_shape *s, int i, int c, int p,
                        int q)
{
    int best = 0;
    double top = -(double)INFINITY;
    for (int k = 0; k < s->window * s->window; k++) {
        double v = x->values[value_at(x, i, c, p * s->stride + k / s->window,
                                      q * s->stride + k % s->window)];
        if (v > top || isnan(v)) {
            top = v;
            best = k;
        }
    }
    return best;
}

/* Numbers with many ties and some NaN and infinities. */
static void fill_ties(struct backend *b, struct test_map *x)
{
    struct rng r = rng_at(5, RNG_TEST, 0, 0);
    for (size_t i = 0; i < values_of(x); i++) {
        uint32_t draw = rng_below(&r, 64);
        x->values[i] = draw == 0   ? (double)NAN
                       : draw == 1 ? -(double)INFINITY
                       : draw == 2 ? (double)INFINITY
                                   : (double)(draw % 5) - 2;
    }
    map_upload(b, x);
}

static void check_max(struct backend *b, const struct pool_case *k)
{
    struct pool_shape s = shape_of(k);
    struct test_map x = map_new(b, k->n, k->c, k->h, k->w);
    struct test_map y = map_new(b, k->n, k->c, s.p, s.q), again = map_new(b, k->n, k->c, s.p, s.q);
    struct test_map dy = map_random(b, k->n, k->c, s.p, s.q, 1, 0, 1);
    struct test_map dx = map_new(b, k->n, k->c, k->h, k->w);
    struct buffer argmax = buffer_new(y.memory.bytes / precision_bytes(b->precision));
    double *want = calloc(values_of(&x), sizeof *want);
    fill_ties(b, &x);
    b->ops->maxpool_forward(b, k->n, &s, &x.map, &y.map, (uint8_t *)argmax.data);
    b->ops->maxpool_forward(b, k->n, &s, &x.map, &again.map, NULL);
    b->ops->maxpool_backward(b, k->n, &s, &dy.map, (uint8_t *)argmax.data, &dx.map);
    map_download(b, &y);
    map_download(b, &again);
    map_download(b, &dx);
    buffer_check(&argmax);
    for (int i = 0; i < k->n; i++)
        for (int c = 0; c < k->c; c++)
            for (int o = 0; o < s.p * s.q; o++) {
                int p = o / s.q, q = o % s.q, best = naive_argmax(&x, &s, i, c, p, q);
                size_t from = value_at(&x, i, c, p * s.stride + best / s.window,
                                       q * s.stride + best % s.window);
                size_t to = value_at(&y, i, c, p, q);
                assert_within(y.values[to], x.values[from], 0);
                assert_within(again.values[to], x.values[from], 0);
                assert_int_equal(((uint8_t *)argmax.data)[layout_at(b->precision, s.p, s.q, k->c,
                                                                    i, p, q, c)], best);
                want[from] = rounded(b, want[from] + dy.values[to]);
            }
    for (size_t i = 0; i < values_of(&dx); i++)
        assert_within(dx.values[i], rounded_to_map(b, want[i]), 0);
    free(want);
    buffer_free(&argmax);
    map_free(&x);
    map_free(&y);
    map_free(&again);
    map_free(&dy);
    map_free(&dx);
}

static void max(struct backend *b)
{
    for (int i = 0; i < CASES; i++)
        check_max(b, &cases[i]);
}

static void test_maxpool__takes_the_first_maximum_and_nan_wins(void **state)
{
    (void)state;
    on_every_tier(max);
}

/* A map of 16 MB or more is written past the caches, the first block of it alone is not. */
static void large(struct backend *b)
{
    static const struct pool_case k = {64, 33, 48, 48, 2, 2};
    struct pool_shape s = shape_of(&k);
    struct test_map x = map_random(b, k.n, k.c, k.h, k.w, 2, 0, 1);
    struct test_map y = map_random(b, k.n, k.c, s.p, s.q, 1, 0, 1);
    struct buffer argmax = buffer_new(y.memory.bytes / precision_bytes(b->precision));
    b->ops->maxpool_forward(b, k.n, &s, &x.map, &y.map, (uint8_t *)argmax.data);
    b->ops->maxpool_backward(b, k.n, &s, &y.map, (uint8_t *)argmax.data, &x.map);
    map_download(b, &x);
    size_t count = value_at(&x, IMAGES, 0, 0, 0);
    double *streamed = malloc(count * sizeof *streamed);
    memcpy(streamed, x.values, count * sizeof *streamed);
    memset(x.map.data, 0xff, layout_bytes(b->precision, IMAGES, k.h, k.w, k.c));
    b->ops->maxpool_backward(b, IMAGES, &s, &y.map, (uint8_t *)argmax.data, &x.map);
    map_download(b, &x);
    assert_memory_equal(streamed, x.values, count * sizeof *streamed);
    free(streamed);
    buffer_free(&argmax);
    map_free(&x);
    map_free(&y);
}

static void test_maxpool_backward__large_maps_get_the_same_numbers(void **state)
{
    (void)state;
    on_every_tier(large);
}

static void check_avg(struct backend *b, const struct pool_case *k)
{
    struct pool_shape s = shape_of(k);
    struct test_map x = map_random(b, k->n, k->c, k->h, k->w, 2, 0.3, 1);
    struct test_map y = map_new(b, k->n, k->c, s.p, s.q);
    struct test_map dy = map_random(b, k->n, k->c, s.p, s.q, 3, 0, 1);
    struct test_map dx = map_new(b, k->n, k->c, k->h, k->w);
    size_t count = values_of(&x);
    double *want = calloc(2 * count, sizeof *want), *size = want + count, area = 0;
    b->ops->avgpool_forward(b, k->n, &s, &x.map, &y.map);
    b->ops->avgpool_backward(b, k->n, &s, &dy.map, &dx.map);
    map_download(b, &y);
    map_download(b, &dx);
    area = s.window * s.window;
    for (int i = 0; i < k->n; i++)
        for (int c = 0; c < k->c; c++)
            for (int o = 0; o < s.p * s.q; o++) {
                size_t to = value_at(&y, i, c, o / s.q, o % s.q);
                double sum = 0, sizes = 0;
                for (int e = 0; e < s.window * s.window; e++) {
                    size_t from = value_at(&x, i, c, o / s.q * s.stride + e / s.window,
                                           o % s.q * s.stride + e % s.window);
                    sum += x.values[from];
                    sizes += fabs(x.values[from]);
                    want[from] += dy.values[to] / area;
                    size[from] += fabs(dy.values[to]) / area;
                }
                assert_within(y.values[to], sum / area,
                              ((area + 2) * unit(b) + storing(b, 1)) * sizes / area);
            }
    for (size_t i = 0; i < count; i++)
        assert_within(dx.values[i], want[i], ((area + 2) * unit(b) + storing(b, 1)) * size[i]);
    free(want);
    map_free(&x);
    map_free(&y);
    map_free(&dy);
    map_free(&dx);
}

static void avg(struct backend *b)
{
    for (int i = 0; i < CASES; i++)
        check_avg(b, &cases[i]);
}

static void test_avgpool__is_the_mean_of_the_window(void **state)
{
    (void)state;
    on_every_tier(avg);
}

static void test_pool__gives_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 8};
    const struct pool_case k = {70, 10, 5, 6, 3, 2};
    struct pool_shape s = shape_of(&k);
    double *first = NULL;
    for (int t = 0; t < 4; t++) {
        struct backend *b = backend_of(TIER_AUTO, PRECISION_FP32, threads[t]);
        struct test_map dy = map_random(b, k.n, k.c, s.p, s.q, 3, 0, 1);
        struct test_map dx = map_new(b, k.n, k.c, k.h, k.w);
        b->ops->avgpool_backward(b, k.n, &s, &dy.map, &dx.map);
        map_download(b, &dx);
        size_t bytes = values_of(&dx) * sizeof *first;
        if (!first)
            first = memcpy(malloc(bytes), dx.values, bytes);
        assert_memory_equal(first, dx.values, bytes);
        map_free(&dy);
        map_free(&dx);
        b->ops->free(b);
    }
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maxpool__takes_the_first_maximum_and_nan_wins),
        cmocka_unit_test(test_maxpool_backward__large_maps_get_the_same_numbers),
        cmocka_unit_test(test_avgpool__is_the_mean_of_the_window),
        cmocka_unit_test(test_pool__gives_the_same_bits_on_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
