/* test_conv_pool.c - a convolution and the max pool behind it as one operation give what the two
 * give one after the other, bit for bit. */
#include "fixture.h"

#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "tiles/tile_kernels.h"

/* The outputs of the convolution are twice as many as the pool's in each direction. The weights of
 * the last are too many for the cache (conv_amx.c). */
static const struct {
    int c, k, p, q, pad, trim, n;
} cases[] = {
    {24, 33, 14, 14, 1, 1, 3}, {17, 40, 6, 6, 1, 0, 33}, {5, 3, 2, 2, 1, 0, 40},
    {3, 20, 8, 10, 1, 0, 2},   {40, 70, 4, 6, 0, 0, 9},  {9, 31, 6, 4, 2, 0, 31},
    {64, 64, 2, 14, 1, 1, 70}, {260, 250, 4, 4, 1, 0, 2}, {20, 33, 12, 16, 1, 1, 9},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static const char *const algorithms[] = {"direct", "winograd4", "winograd3", "winograd2",
                                         "winograd6", "amx", "amx4"};

static struct conv_shape shape_of_case(int i)
{
    int over = cases[i].trim + 2 - 2 * cases[i].pad;
    return (struct conv_shape){.c = cases[i].c, .h = cases[i].p + over, .w = cases[i].q + over,
                               .k = cases[i].k, .p = cases[i].p, .q = cases[i].q, .r = 3, .s = 3,
                               .stride = 1, .pad = cases[i].pad};
}

/* Names the algorithm in the shape; false if it cannot compute forward and backward-data. */
static bool take(struct backend *b, struct conv_shape *s, const char *name)
{
    for (int a = 0; b->ops->conv_algorithm_name(b, a); a++)
        for (int pass = 0; strcmp(b->ops->conv_algorithm_name(b, a), name) == 0 &&
                           pass < CONV_PASSES; pass++) {
            s->algorithm[pass] = b->ops->conv_choose(b, 1, s, (enum conv_pass)pass, a);
            if (s->algorithm[pass] != a && pass != CONV_BACKWARD_WEIGHTS)
                return false;
        }
    return true;
}

/* Images past n are NaN in a test's map. Here those past the next multiple of 8, which some
 * algorithms compute in vain and others not at all, are zero: see expect_finite_images. */
static void clear_rest(struct backend *b, const struct test_map *m)
{
    int channels = layout_cblocks(b->precision, m->map.c) * layout_cb(b->precision);
    for (int i = (m->n + 7) / 8 * 8; i < layout_blocks(m->n) * IMAGES; i++)
        for (int y = 0; y < m->map.h; y++)
            for (int x = 0; x < m->map.w; x++)
                for (int c = 0; c < channels; c++)
                    element_put(b, &m->map, layout_at(b->precision, m->map.h, m->map.w, m->map.c,
                                                      i, y, x, c), 0);
}

/* Small whole numbers, so that windows often hold a maximum twice; the first one counts. */
static struct test_map whole_numbers(struct backend *b, int n, int c, int h, int w,
                                     uint64_t stream)
{
    struct test_map m = map_new(b, n, c, h, w);
    struct rng r = rng_at(9, RNG_TEST, 0, stream);
    for (size_t i = 0; i < values_of(&m); i++)
        m.values[i] = (double)rng_below(&r, 5) - 2;
    map_upload(b, &m);
    clear_rest(b, &m);
    return m;
}

static struct buffer real_numbers(struct backend *b, size_t count, uint64_t stream)
{
    struct buffer buffer = buffer_new(count * b->real_bytes);
    struct rng r = rng_at(9, RNG_TEST, 1, stream);
    double *v = calloc(count, sizeof *v);
    assert_non_null(v);
    for (size_t i = 0; i < count; i++)
        v[i] = (double)rng_below(&r, 5) / 2 - 1;
    b->ops->write_reals(b, buffer.data, v, count);
    free(v);
    return buffer;
}

/* What the passes share. */
struct subject {
    struct backend *b;
    struct conv_shape s;
    struct pool_shape pool;
    int n;
    struct buffer w, bias, packed, workspace;
    struct test_map x;
};

static struct subject subject_new(struct backend *b, const struct conv_shape *s, int n)
{
    struct subject t = {.b = b, .s = *s, .n = n};
    size_t bytes = 0;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        size_t more = b->ops->conv_workspace(b, n, s, (enum conv_pass)pass);
        bytes = more > bytes ? more : bytes;
    }
    t.pool = (struct pool_shape){.c = s->k, .h = s->p, .w = s->q, .p = s->p / 2, .q = s->q / 2,
                                 .window = 2, .stride = 2};
    t.w = real_numbers(b, (size_t)(s->k * s->c * 9), 0);
    t.bias = real_numbers(b, (size_t)s->k, 1);
    t.packed = buffer_new(b->ops->conv_packed_bytes(b, s, true));
    t.workspace = buffer_new(bytes);
    memset(t.workspace.data, 0xff, bytes); /* NaN in every precision */
    b->ops->conv_pack(b, s, t.w.data, true, t.packed.data);
    t.x = whole_numbers(b, n, s->c, s->h, s->w, 2);
    return t;
}

static void subject_free(struct subject *t)
{
    buffer_free(&t->w);
    buffer_free(&t->bias);
    buffer_free(&t->packed);
    buffer_free(&t->workspace);
    map_free(&t->x);
}

static struct buffer argmax_new(const struct subject *t)
{
    enum precision p = t->b->precision;
    return buffer_new(layout_bytes(p, t->n, t->pool.p, t->pool.q, t->pool.c) /
                      precision_bytes(p));
}

/* Those up to a multiple of 8 have NaN in x and are computed in vain; the rest of the block must
 * not show what the workspace held. Of channel 2, as 0 and 1 may have weights that are NaN. */
static void expect_finite_images(struct backend *b, const struct test_map *m)
{
    for (int i = (m->n + 7) / 8 * 8; i < layout_blocks(m->n) * IMAGES; i++)
        for (int y = 0; y < m->map.h; y++)
            for (int x = 0; x < m->map.w; x++)
                assert_true(isfinite(element_at(
                    b, &m->map,
                    layout_at(b->precision, m->map.h, m->map.w, m->map.c, i, y, x, 2))));
}

/* The map and the maxima of the pool, by one operation or by two. */
static void forward(struct subject *t, bool fused, struct test_map *y, struct buffer *argmax)
{
    const struct backend_ops *ops = t->b->ops;
    *y = map_new(t->b, t->n, t->s.k, t->pool.p, t->pool.q);
    *argmax = argmax_new(t);
    if (fused) {
        memset(y->memory.data, 0xff, y->memory.bytes); /* NaN in every precision */
        ops->conv_pool_forward(t->b, t->n, &t->s, &t->x.map, t->packed.data, t->bias.data,
                               &y->map, (uint8_t *)argmax->data, t->workspace.data);
        expect_finite_images(t->b, y);
    } else {
        struct test_map u = map_new(t->b, t->n, t->s.k, t->s.p, t->s.q);
        ops->conv_forward(t->b, t->n, &t->s, &t->x.map, t->packed.data, t->bias.data, &u.map,
                          t->workspace.data);
        ops->maxpool_forward(t->b, t->n, &t->pool, &u.map, &y->map, (uint8_t *)argmax->data);
        map_free(&u);
    }
    map_download(t->b, y);
}

/* Where a byte of the argmax of image i stands: as its element in the map. */
static void expect_same_maxima(const struct subject *t, const struct buffer *a,
                               const struct buffer *b)
{
    for (int i = 0; i < t->n; i++)
        for (int p = 0; p < t->pool.p; p++)
            for (int q = 0; q < t->pool.q; q++)
                for (int c = 0; c < t->pool.c; c++) {
                    size_t at = layout_at(t->b->precision, t->pool.p, t->pool.q, t->pool.c, i, p,
                                          q, c);
                    if (a->data[at] != b->data[at])
                        fail_msg("maximum of image %d, window %d %d, channel %d: %d and %d", i, p,
                                 q, c, a->data[at], b->data[at]);
                }
}

static void expect_same_values(const struct subject *t, const char *what, const struct test_map *a,
                               const struct test_map *b)
{
    for (size_t i = 0; i < values_of(a); i++)
        if (a->values[i] != b->values[i] && !(isnan(a->values[i]) && isnan(b->values[i])))
            fail_msg("%s[%zu] is %.9g and %.9g (tier %s, %s, %dx%dx%d -> %dx%dx%d, n %d)", what, i,
                     a->values[i], b->values[i], tier_name(t->b->tier),
                     precision_name(t->b->precision), t->s.c, t->s.h, t->s.w, t->s.k, t->s.p,
                     t->s.q, t->n);
}

static void compare_forward(struct subject *t)
{
    struct test_map y, z;
    struct buffer one, two;
    forward(t, true, &y, &one);
    forward(t, false, &z, &two);
    expect_same_values(t, "y", &y, &z);
    expect_same_maxima(t, &one, &two);
    t->b->ops->conv_pool_forward(t->b, t->n, &t->s, &t->x.map, t->packed.data, t->bias.data,
                                 &z.map, NULL, t->workspace.data);
    map_download(t->b, &z);
    expect_same_values(t, "y without maxima", &y, &z);
    map_free(&y);
    map_free(&z);
    buffer_free(&one);
    buffer_free(&two);
}

/* Writes one weight of the first input channel and packs them all. */
static void set_weight(struct subject *t, int k, int tap, double value)
{
    size_t at = (size_t)k * (size_t)(t->s.c * 9) + (size_t)tap;
    t->b->ops->write_reals(t->b, t->w.data + at * t->b->real_bytes, &value, 1);
    t->b->ops->conv_pack(t->b, &t->s, t->w.data, true, t->packed.data);
}

/* Also with weights that are not numbers, of the first and of the last row of the filter: where
 * they leave the map, windows begin or end with numbers. A NaN is a maximum, the last one counts.
 */
static void check_forward(struct subject *t)
{
    double first, last;
    size_t bytes = t->b->real_bytes, next = (size_t)(t->s.c * 9) + 8;
    t->b->ops->read_reals(t->b, &first, t->w.data, 1);
    t->b->ops->read_reals(t->b, &last, t->w.data + next * bytes, 1);
    compare_forward(t);
    set_weight(t, 0, 0, (double)NAN);
    set_weight(t, 1, 8, (double)NAN);
    compare_forward(t);
    set_weight(t, 0, 0, first);
    set_weight(t, 1, 8, last);
}

/* dw and dx from the gradient of the pool and its maxima, by one operation or by two. */
static struct buffer backward_weights(struct subject *t, bool fused, const struct map *dy,
                                      const uint8_t *argmax)
{
    const struct backend_ops *ops = t->b->ops;
    struct buffer dw = buffer_new(t->w.bytes);
    if (fused) {
        ops->conv_pool_backward_weights(t->b, t->n, &t->s, &t->x.map, dy, argmax, dw.data,
                                        t->workspace.data);
        return dw;
    }
    struct test_map du = map_new(t->b, t->n, t->s.k, t->s.p, t->s.q);
    ops->maxpool_backward(t->b, t->n, &t->pool, dy, argmax, &du.map);
    ops->conv_backward_weights(t->b, t->n, &t->s, &t->x.map, &du.map, dw.data, NULL,
                               t->workspace.data);
    map_free(&du);
    return dw;
}

static struct test_map backward_data(struct subject *t, bool fused, const struct map *dy,
                                     const uint8_t *argmax)
{
    const struct backend_ops *ops = t->b->ops;
    struct test_map dx = map_new(t->b, t->n, t->s.c, t->s.h, t->s.w);
    if (fused) {
        ops->conv_pool_backward_data(t->b, t->n, &t->s, dy, argmax, t->packed.data, &dx.map,
                                     t->workspace.data);
    } else {
        struct test_map du = map_new(t->b, t->n, t->s.k, t->s.p, t->s.q);
        ops->maxpool_backward(t->b, t->n, &t->pool, dy, argmax, &du.map);
        ops->conv_backward_data(t->b, t->n, &t->s, &du.map, t->packed.data, &dx.map,
                                t->workspace.data);
        map_free(&du);
    }
    map_download(t->b, &dx);
    return dx;
}

static void check_backward(struct subject *t, enum conv_pass pass)
{
    enum precision p = t->b->precision;
    struct test_map dy = whole_numbers(t->b, t->n, t->s.k, t->pool.p, t->pool.q, 3);
    struct buffer argmax = argmax_new(t);
    struct rng r = rng_at(9, RNG_TEST, 2, 0);
    for (size_t i = 0; i < argmax.bytes; i++)
        argmax.data[i] = (char)rng_below(&r, 4);
    assert_int_equal(argmax.bytes * precision_bytes(p), dy.memory.bytes);
    if (pass == CONV_BACKWARD_WEIGHTS) {
        struct buffer one = backward_weights(t, true, &dy.map, (const uint8_t *)argmax.data);
        struct buffer two = backward_weights(t, false, &dy.map, (const uint8_t *)argmax.data);
        assert_memory_equal(one.data, two.data, one.bytes);
        buffer_free(&one);
        buffer_free(&two);
    } else {
        struct test_map one = backward_data(t, true, &dy.map, (const uint8_t *)argmax.data);
        struct test_map two = backward_data(t, false, &dy.map, (const uint8_t *)argmax.data);
        expect_same_values(t, "dx", &one, &two);
        map_free(&one);
        map_free(&two);
    }
    map_free(&dy);
    buffer_free(&argmax);
}

/* Every case by every algorithm; counts the passes that pool. */
static void check_cases(struct backend *b, int *checked)
{
    for (size_t a = 0; a < sizeof algorithms / sizeof algorithms[0]; a++)
        for (int i = 0; i < CASES; i++) {
            struct conv_shape s = shape_of_case(i);
            if (!take(b, &s, algorithms[a]))
                continue;
            struct subject t = subject_new(b, &s, cases[i].n);
            for (int pass = 0; pass < CONV_PASSES; pass++) {
                if (!b->ops->conv_pools(b, &s, (enum conv_pass)pass))
                    continue;
                checked[pass]++;
                if (pass == CONV_FORWARD)
                    check_forward(&t);
                else
                    check_backward(&t, (enum conv_pass)pass);
            }
            subject_free(&t);
        }
}

/* Winograd's tiles of 4 to 6 make any number of outputs from 4 on but 7. */
static bool cut_by_six(int outputs)
{
    return outputs >= 4 && outputs != 7;
}

static int cases_of_six(void)
{
    int count = 0;
    for (int i = 0; i < CASES; i++) {
        struct conv_shape s = shape_of_case(i);
        count += cut_by_six(s.p) && cut_by_six(s.q) && cut_by_six(s.h) && cut_by_six(s.w);
    }
    return count;
}

static void on_tier(struct backend *b)
{
    int checked[CONV_PASSES] = {0};
    check_cases(b, checked);
    int winograd = b->precision != PRECISION_BF16 || b->tier >= TIER_AVX512BF16 ? CASES : 0;
    int six = b->precision != PRECISION_BF16 ? cases_of_six() : 0;
    int amx = b->precision == PRECISION_BF16 && cpu_of(b)->kernels.tiles.begin ? CASES : 0;
    int rows = winograd ? amx : 0;
    /* Forward not winograd3, whose tiles are odd. */
    assert_int_equal(checked[CONV_FORWARD], 2 * winograd + six + amx + rows);
    assert_int_equal(checked[CONV_BACKWARD_DATA], 3 * winograd + six + amx + rows);
    assert_int_equal(checked[CONV_BACKWARD_WEIGHTS], 3 * winograd + six + amx + rows);
}

static void test_conv_pool__is_the_pool_of_the_convolution(void **state)
{
    (void)state;
    on_every_tier(on_tier);
}

static void test_conv_pool__is_the_pool_of_the_convolution_in_plain_tiles(void **state)
{
    (void)state;
    for (enum tier t = TIER_REF; t <= TIER_AVX512BF16; t += TIER_AVX512BF16 - TIER_REF) {
        if (!tier_available(t)) {
            print_message("skipped: this machine has not %s\n", tier_name(t));
            continue;
        }
        struct backend *b = backend_of(t, PRECISION_BF16, 2);
        tile_kernels_plain(&cpu_of(b)->kernels.tiles);
        on_tier(b);
        b->ops->free(b);
    }
}

static void test_conv_pool__is_not_offered_where_windows_leave_outputs_over(void **state)
{
    (void)state;
    struct backend *b = backend_of(TIER_REF, PRECISION_FP32, 1);
    struct conv_shape s = shape_of_case(0);
    assert_true(take(b, &s, "winograd4"));
    assert_true(b->ops->conv_pools(b, &s, CONV_FORWARD));
    s.p--;
    assert_false(b->ops->conv_pools(b, &s, CONV_FORWARD));
    b->ops->free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv_pool__is_the_pool_of_the_convolution),
        cmocka_unit_test(test_conv_pool__is_the_pool_of_the_convolution_in_plain_tiles),
        cmocka_unit_test(test_conv_pool__is_not_offered_where_windows_leave_outputs_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
