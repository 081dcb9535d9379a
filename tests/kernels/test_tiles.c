/* test_tiles.c - the plain C tile registers against a naive definition, and the shapes that lines
 * are brought into for them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "kernels/peak.h"
#include "kernels/tile.h"
#include "kernels/tile_lines.h"
#include "tiles/tile_kernels.h"

typedef uint16_t tile_of_bf16[32][32];

static float widened(uint16_t half)
{
    union {
        uint32_t bits;
        float value;
    } u = {.bits = (uint32_t)half << 16};
    return u.value;
}

/* All bit patterns alike, but for what is not finite. */
static uint16_t any_finite(struct rng *r)
{
    for (;;) {
        uint16_t half = (uint16_t)rng_u32(r);
        if ((half & 0x7f80) != 0x7f80)
            return half;
    }
}

/* -1 to 1, a fifth of them zero or too small to count. */
static uint16_t moderate(struct rng *r)
{
    if (rng_below(r, 5) == 0)
        return (uint16_t)(rng_below(r, 2) << 15 | rng_below(r, 0x80));
    union {
        float value;
        uint32_t bits;
    } u = {.value = rng_uniform(r) * 2 - 1};
    return (uint16_t)(u.bits >> 16);
}

static float normal_or_zero(float v)
{
    return fpclassify(v) == FP_SUBNORMAL ? copysignf(0, v) : v;
}

/* One element, straight from the manual's text, with the library's fused multiply-add. */
static float dot_of(const uint16_t *a_row, const uint16_t (*b)[32], int column, float acc)
{
    float even = 0, odd = 0;
    for (int k = 0; k < 16; k++) {
        even = normal_or_zero(fmaf(normal_or_zero(widened(a_row[2 * k])),
                                   normal_or_zero(widened(b[k][2 * column])), even));
        odd = normal_or_zero(fmaf(normal_or_zero(widened(a_row[2 * k + 1])),
                                  normal_or_zero(widened(b[k][2 * column + 1])), odd));
    }
    return normal_or_zero(normal_or_zero(acc) + normal_or_zero(even + odd));
}

static bool same_number(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void check_dot(uint16_t (*draw)(struct rng *r), uint32_t seed)
{
    static uint16_t a[16][32], b[16][32];
    static float acc[16][16], got[16][16];
    struct rng r = rng_at(1, RNG_TEST, seed, 0);
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 32; j++) {
            a[i][j] = draw(&r);
            b[i][j] = draw(&r);
            if (j < 16)
                acc[i][j] = widened(draw(&r)) * (1 + rng_uniform(&r));
        }
    TILE_CONFIGURE();
    TILE_LOAD(0, acc, 64);
    TILE_LOAD(4, a, 64);
    TILE_LOAD(6, b, 64);
    TILE_DOT(0, 4, 6);
    TILE_STORE(0, got, 64);
    TILE_RELEASE();
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float want = dot_of(a[i], (const uint16_t(*)[32])b, j, acc[i][j]);
            if (!same_number(got[i][j], want))
                fail_msg("[%d][%d] is %a, not %a", i, j, (double)got[i][j], (double)want);
        }
}

static void test_tiles__a_product_is_what_the_manual_says(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 50; i++) {
        check_dot(moderate, i);
        check_dot(any_finite, i);
    }
}

/* Whole numbers, exact in any order: a product of matrices, rows of a by pairs of b. */
static void test_tiles__a_product_is_a_matrix_product(void **state)
{
    (void)state;
    static const uint16_t small[] = {0x0000, 0x3f80, 0xbf80, 0x4000, 0xc040}; /* 0 1 -1 2 -3 */
    static uint16_t a[16][32], b[16][32];
    static float got[16][16];
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 32; j++) {
            a[i][j] = small[(i * 7 + j * 3) % 5];
            b[i][j] = small[(i * 2 + j * 11 + 1) % 5];
        }
    TILE_CONFIGURE();
    TILE_ZERO(3);
    TILE_LOAD(1, a, 64);
    TILE_LOAD(2, b, 64);
    TILE_DOT(3, 1, 2);
    TILE_DOT(3, 1, 2);
    TILE_STORE(3, got, 64);
    TILE_RELEASE();
    for (int m = 0; m < 16; m++)
        for (int n = 0; n < 16; n++) {
            float want = 0;
            for (int j = 0; j < 32; j++)
                want += widened(a[m][j]) * widened(b[j / 2][2 * n + j % 2]);
            assert_true(got[m][n] == 2 * want);
        }
}

static void test_tiles__loads_and_stores_go_by_the_step(void **state)
{
    (void)state;
    enum { STEP = 192 };
    static unsigned char from[16 * STEP], to[16 * STEP];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (unsigned char)(i * 37 + i / 256);
    memset(to, 0x5a, sizeof to);
    TILE_CONFIGURE();
    assert_true(tile_plain_in_use());
    TILE_LOAD(5, from, STEP);
    TILE_STORE(5, to + 15 * STEP, -STEP);
    TILE_RELEASE();
    assert_false(tile_plain_in_use());
    for (int i = 0; i < 16; i++) {
        assert_memory_equal(to + i * STEP, from + (15 - i) * STEP, 64);
        for (int j = 64; j < STEP; j++)
            assert_int_equal(to[i * STEP + j], 0x5a);
    }
}

/* Lines. `both` runs a test on the plain kernels and on the program's. */

static void both(void (*test)(const struct conv_tile_kernels *k))
{
    struct conv_tile_kernels k;
    tile_kernels_plain(&k);
    test(&k);
    const char *lacks = tile_kernels_built(&k);
    if (lacks)
        print_message("skipped for the kernels as built: %s\n", lacks);
    else
        test(&k);
}

static void random_tile(tile_of_bf16 tile, int images, uint32_t seed)
{
    struct rng r = rng_at(1, RNG_TEST, seed, 1);
    for (int i = 0; i < 32; i++)
        for (int c = 0; c < 32; c++)
            tile[i][c] = i < images ? any_finite(&r) : 0x7fc0; /* NaN past the last */
}

static void check_shapes(const struct conv_tile_kernels *k)
{
    enum { APART = 3 }; /* registers from half to half */
    static _Alignas(64) tile_of_bf16 tile;
    static _Alignas(64) uint16_t turned[2 * APART][16][32], pairs[2 * APART][16][32];
    for (int images = 1; images <= 32; images++) {
        random_tile(tile, images, (uint32_t)images);
        k->transpose(tile, images, turned, APART * TILE_REGISTER);
        k->pair(tile, images, pairs, APART * TILE_REGISTER);
        for (int i = 0; i < 32; i++)
            for (int c = 0; c < 32; c++)
                assert_int_equal(turned[c / 16 * APART][c % 16][i], i < images ? tile[i][c] : 0);
        bool seen[32] = {false};
        for (int h = 0; h < 2; h++)
            for (int j = 0; j < 16; j++) {
                int c = tile_pair_channel(h, j);
                seen[c] = true;
                for (int i = 0; i < 32; i++)
                    assert_int_equal(pairs[h * APART][i / 2][2 * j + i % 2],
                                     i < images ? tile[i][c] : 0);
            }
        for (int c = 0; c < 32; c++)
            assert_true(seen[c]);
    }
}

static void test_tiles__transposes_and_pairs(void **state)
{
    (void)state;
    both(check_shapes);
}

/* Nearest, of two as near the even one, by the distance to its neighbours. */
static bool is_rounded(uint16_t half, float v)
{
    if (isnan(v))
        return isnan(widened(half));
    if (fpclassify(v) == FP_SUBNORMAL || v == 0)
        return half == (signbit(v) ? 0x8000 : 0);
    if (isinf(v))
        return widened(half) == v;
    double off = fabs((double)widened(half) - (double)v);
    double up = fabs((double)widened((uint16_t)(half + 1)) - (double)v);
    double down = fabs((double)widened((uint16_t)(half - 1)) - (double)v);
    return off < up && off < down ? true : off <= up && off <= down && half % 2 == 0;
}

/* The weights of a 1x1 filter, so that a register is 16 pairs of channels by 16 of K. */
static void check_pack(const struct conv_tile_kernels *k)
{
    static float w[40][33];
    static _Alignas(64) uint16_t packed[2][16][16][2];
    struct rng r = rng_at(1, RNG_TEST, 0, 2);
    for (int i = 0; i < 40; i++)
        for (int c = 0; c < 33; c++) {
            union {
                uint32_t bits;
                float value;
            } u = {.bits = rng_u32(&r)};
            w[i][c] = fabsf(u.value) < 1e38f || rng_below(&r, 2) ? u.value : 1;
        }
    for (int k0 = 0; k0 < 48; k0 += 16) {
        k->pack(40, 33, 1, 1, w[0], 33, 1, k0, false, packed);
        for (int c = 0; c < 64; c++)
            for (int j = 0; j < 16; j++) {
                uint16_t half = packed[c / 32][c % 32 / 2][j][c % 2];
                if (c < 33 && k0 + j < 40 && fabsf(w[k0 + j][c]) < 3.3e38f)
                    assert_true(is_rounded(half, w[k0 + j][c]));
                else if (c >= 33 || k0 + j >= 40)
                    assert_int_equal(half, 0);
            }
    }
}

static void test_tiles__packed_weights_are_rounded_to_nearest(void **state)
{
    (void)state;
    both(check_pack);
}

/* What measures the tile registers multiplies random numbers, neither zeros nor garbage: sums of
 * 32 products a round, each below 1, that are not all alike. */
static void test_tiles__the_peak_is_measured_on_real_products(void **state)
{
    (void)state;
    struct conv_tile_kernels k;
    const char *lacks = tile_kernels_built(&k);
    if (lacks) {
        print_message("skipped: %s\n", lacks);
        skip();
    }
    float values[PEAK_VALUES];
    struct rng r = rng_at(1, RNG_TEST, 0, 3);
    for (int i = 0; i < PEAK_VALUES; i++)
        values[i] = rng_uniform(&r) * 2 - 1;
    double flops;
    peak_fn *peak = peak_select_bf16(TIER_AMX, &flops);
    assert_true(flops == 4 * 16 * 16 * 32 * 2);
    float once = peak(values, 4), twice = peak(values, 8);
    assert_true(once != 0 && fabsf(once) < 4 * 4 * 32);
    assert_true(fabsf(twice - 2 * once) <= 1e-5f * 8 * 4 * 32);
    assert_false(tile_plain_in_use());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles__a_product_is_what_the_manual_says),
        cmocka_unit_test(test_tiles__a_product_is_a_matrix_product),
        cmocka_unit_test(test_tiles__loads_and_stores_go_by_the_step),
        cmocka_unit_test(test_tiles__transposes_and_pairs),
        cmocka_unit_test(test_tiles__packed_weights_are_rounded_to_nearest),
        cmocka_unit_test(test_tiles__the_peak_is_measured_on_real_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
