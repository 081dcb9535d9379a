/* test_activation.c - activations of every tier, over the whole range of floats, against the same
 * functions in double.
 *
 * Bounds: the plain tier rounds a result computed in double, 1 unit (2^-24 in fp32) and the error
 * of libm. The vector tiers promise 8 units (kernels/vector_math.h): of act(x), and for the slope
 * of max(1, |slope|). In bf16 the result is rounded once more, and gelu may be coarse
 * (kernels/vector_coarse.h). In fp64 the naive value is itself rounded, and what is rounded inside
 * an exponential of x^2/2 counts x^2 times.
 */
#include "kernels/fixture.h"

static const enum activation all[] = {ACT_NONE, ACT_RELU, ACT_GELU, ACT_SILU, ACT_CELU};
enum { ALL = sizeof all / sizeof all[0] };

static const double ALPHA = 0.3;

/* Numbers of all sizes and both signs: a fine grid where the functions bend, and powers. */
static void fill_range(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double share = (double)(i / 2) / (double)(count / 2);
        double v = i % 4 < 2 ? share * 20 : exp2(-100 + share * 200);
        values[i] = i % 2 ? -v : v;
    }
}

static void range(struct backend *b)
{
    bool plain = b->tier == TIER_REF;
    struct test_map x = map_new(b, 64, 24, 20, 4), y = map_new(b, 64, 24, 20, 4);
    struct test_map dy = map_random(b, 64, 24, 20, 4, 1, 0, 1), dx = map_new(b, 64, 24, 20, 4);
    fill_range(x.values, values_of(&x));
    map_upload(b, &x);
    for (int a = 0; a < ALL; a++) {
        b->ops->act_forward(b, x.n, all[a], ALPHA, &x.map, &y.map);
        b->ops->act_backward(b, x.n, all[a], ALPHA, &x.map, &dy.map, &dx.map);
        map_download(b, &y);
        map_download(b, &dx);
        for (size_t i = 0; i < values_of(&x); i++) {
            double v = x.values[i], want = act_value(all[a], v, ALPHA);
            double s = act_slope(all[a], v, ALPHA);
            bool fp64 = b->precision == PRECISION_FP64;
            double units = (plain ? 4 : 8) * unit(b) * (fp64 ? 1 + fmin(v * v, 1e3) : 1);
            /* A float of 1/alpha moves celu's argument, x / alpha, by its own rounding. */
            double moved = all[a] == ACT_CELU && v < 0 ? fabs(v / ALPHA) * 2 * unit(b) : 0;
            double bound = units * fabs(want) + moved * ALPHA * s + 16 * tiny(b);
            double off = units * fmax(1, fabs(s)) + moved * s, want_dx = s * dy.values[i];
            if (all[a] == ACT_GELU && coarse(b)) {
                bound += COARSE_VALUE;
                off += COARSE_SLOPE;
            }
            double bound_dx = off * fabs(dy.values[i]);
            assert_within(y.values[i], want, bound + storing(b, fabs(want) + bound));
            assert_within(dx.values[i], want_dx,
                          bound_dx + tiny(b) + storing(b, fabs(want_dx) + bound_dx));
        }
    }
    map_free(&x);
    map_free(&y);
    map_free(&dy);
    map_free(&dx);
}

static void test_activation__is_accurate_over_the_whole_range(void **state)
{
    (void)state;
    on_every_tier(range);
}

static void special(struct backend *b)
{
    static const double in[] = {0, -0.0, 1e30, -1e30, 87, -87, -104, 1e-42, -1e-42};
    enum { COUNT = sizeof in / sizeof in[0] };
    struct test_map x = map_new(b, 1, COUNT + 2, 1, 1), y = map_new(b, 1, COUNT + 2, 1, 1);
    memcpy(x.values, in, sizeof in);
    x.values[COUNT] = (double)NAN;
    x.values[COUNT + 1] = (double)INFINITY;
    map_upload(b, &x);
    for (int a = 0; a < ALL; a++) {
        b->ops->act_forward(b, 1, all[a], ALPHA, &x.map, &y.map);
        map_download(b, &y);
        for (int i = 0; i < COUNT; i++) {
            double want = act_value(all[a], x.values[i], ALPHA);
            double off = all[a] == ACT_GELU && coarse(b) && x.values[i] < 0 ? COARSE_VALUE : 0;
            assert_within(y.values[i], want, 8 * unit(b) * fabs(want) + 256 * tiny(b) + off +
                                                 storing(b, fabs(want) + off));
        }
        assert_true(y.values[0] == 0 && y.values[1] == 0);
        assert_true(isnan(y.values[COUNT]));
        assert_false(isfinite(y.values[COUNT + 1]));
    }
    map_free(&x);
    map_free(&y);
}

static void test_activation__of_zero_huge_tiny_and_broken_numbers(void **state)
{
    (void)state;
    on_every_tier(special);
}

static void in_place(struct backend *b)
{
    struct test_map x = map_random(b, 33, 31, 3, 5, 3, 0, 2), y = map_new(b, 33, 31, 3, 5);
    struct test_map dy = map_random(b, 33, 31, 3, 5, 4, 0, 2);
    size_t bytes = values_of(&x) * sizeof(double);
    for (int a = 0; a < ALL; a++) {
        b->ops->act_backward(b, x.n, all[a], ALPHA, &x.map, &dy.map, &y.map);
        map_download(b, &y);
        double *want = malloc(bytes);
        memcpy(want, y.values, bytes);
        memcpy(y.memory.data, dy.memory.data, y.memory.bytes);
        b->ops->act_backward(b, x.n, all[a], ALPHA, &x.map, &y.map, &y.map);
        map_download(b, &y);
        assert_memory_equal(y.values, want, bytes);

        b->ops->act_forward(b, x.n, all[a], ALPHA, &x.map, &y.map);
        map_download(b, &y);
        memcpy(want, y.values, bytes);
        memcpy(y.memory.data, x.memory.data, y.memory.bytes);
        b->ops->act_forward(b, x.n, all[a], ALPHA, &y.map, &y.map);
        map_download(b, &y);
        assert_memory_equal(y.values, want, bytes);
        free(want);
    }
    map_free(&x);
    map_free(&y);
    map_free(&dy);
}

static void test_activation__works_in_place(void **state)
{
    (void)state;
    on_every_tier(in_place);
}

/* A map of 16 MB or more is written past the caches, the first block of it alone is not. */
static void large(struct backend *b)
{
    struct test_map x = map_random(b, 64, 33, 48, 48, 5, 0, 2), y = map_new(b, 64, 33, 48, 48);
    size_t bytes = layout_bytes(b->precision, IMAGES, 48, 48, 33);
    assert_true(2 * bytes >= 16 << 20);
    char *streamed = malloc(bytes);
    for (int a = 0; a < ALL; a++) {
        b->ops->act_forward(b, 64, all[a], ALPHA, &x.map, &y.map);
        memcpy(streamed, y.map.data, bytes);
        memset(y.map.data, 0xff, bytes);
        b->ops->act_forward(b, IMAGES, all[a], ALPHA, &x.map, &y.map);
        assert_memory_equal(streamed, y.map.data, bytes);
    }
    free(streamed);
    map_free(&x);
    map_free(&y);
}

static void test_activation__large_maps_get_the_same_numbers(void **state)
{
    (void)state;
    on_every_tier(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_activation__is_accurate_over_the_whole_range),
        cmocka_unit_test(test_activation__of_zero_huge_tiny_and_broken_numbers),
        cmocka_unit_test(test_activation__works_in_place),
        cmocka_unit_test(test_activation__large_maps_get_the_same_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
