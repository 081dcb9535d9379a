/* test_sweep_sample.c - Sobol's points against PyTorch's, their evenness under every seed, and the
 * values of axes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sweep/axis.h"
#include "sweep/sample.h"

/* torch.quasirandom.SobolEngine(16, scramble=False), PyTorch 2.15.0, points 3, 7, 15 ... 127 (each
 * one direction number) and 69 as 32 bits (its numbers have 30), 2026-11-24. */
static void test_sobol_bits__are_those_of_pytorch(void **state)
{
    (void)state;
    static const struct {
        uint32_t index, bits[SOBOL_DIMENSIONS];
    } golden[] = {
        {3, {0x40000000, 0xc0000000, 0xc0000000, 0xc0000000, 0x40000000, 0x40000000,
             0xc0000000, 0x40000000, 0x40000000, 0x40000000, 0x40000000, 0x40000000,
             0xc0000000, 0xc0000000, 0x40000000, 0xc0000000}},
        {7, {0x20000000, 0xa0000000, 0x60000000, 0x20000000, 0x20000000, 0x60000000,
             0xa0000000, 0xa0000000, 0xa0000000, 0xe0000000, 0xa0000000, 0x20000000,
             0xa0000000, 0x60000000, 0x20000000, 0x20000000}},
        {15, {0x10000000, 0xf0000000, 0x90000000, 0x50000000, 0xb0000000, 0x30000000,
             0xd0000000, 0x50000000, 0x50000000, 0xb0000000, 0x10000000, 0x30000000,
             0x50000000, 0x90000000, 0xf0000000, 0xd0000000}},
        {31, {0x08000000, 0x88000000, 0xe8000000, 0xf8000000, 0xf8000000, 0xc8000000,
             0x58000000, 0x88000000, 0x28000000, 0x98000000, 0x08000000, 0x58000000,
             0xf8000000, 0x38000000, 0xa8000000, 0xd8000000}},
        {63, {0x04000000, 0xcc000000, 0x5c000000, 0x74000000, 0xdc000000, 0x24000000,
             0x94000000, 0x24000000, 0xd4000000, 0x94000000, 0x6c000000, 0xac000000,
             0x8c000000, 0xc4000000, 0x54000000, 0xc4000000}},
        {127, {0x02000000, 0xaa000000, 0x8e000000, 0xa2000000, 0x7a000000, 0x56000000,
             0x3e000000, 0x12000000, 0x6a000000, 0x8a000000, 0x9e000000, 0x96000000,
             0xe2000000, 0x42000000, 0x9a000000, 0x46000000}},
        {69, {0xe6000000, 0x86000000, 0xf2000000, 0xb6000000, 0x46000000, 0xd2000000,
             0x4a000000, 0x56000000, 0xde000000, 0x3e000000, 0x92000000, 0xda000000,
             0x8e000000, 0xa6000000, 0x2e000000, 0xe2000000}},
    };
    for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
        for (uint32_t d = 0; d < SOBOL_DIMENSIONS; d++)
            assert_int_equal(sobol_bits(golden[i].index, d), golden[i].bits[d]);
}

/* Of the first 2^k points, each of 2^k equal parts of a coordinate has one: with any shift. */
static void test_sample_sobol__fills_every_part_once(void **state)
{
    (void)state;
    enum { POINTS = 64 };
    for (uint64_t seed = 0; seed < 4; seed++) {
        for (uint32_t d = 0; d < SOBOL_DIMENSIONS; d++) {
            int hits[POINTS] = {0};
            for (uint32_t i = 0; i < POINTS; i++)
                hits[(int)(sample_sobol(seed, i, d) * POINTS)]++;
            for (int i = 0; i < POINTS; i++)
                assert_int_equal(hits[i], 1);
        }
    }
    assert_true(sample_sobol(1, 0, 0) != sample_sobol(2, 0, 0));
}

static void test_sample_random__differs_by_point_dimension_and_seed(void **state)
{
    (void)state;
    double x = sample_random(1, 0, 0);
    assert_true(x != sample_random(1, 1, 0) && x != sample_random(1, 0, 1) &&
                x != sample_random(2, 0, 0));
    double sum = 0;
    for (uint32_t i = 0; i < 10000; i++)
        sum += sample_random(1, i, 3);
    /* The mean of 10000 has deviation 1 / sqrt(12 * 10000); six of them. */
    assert_true(fabs(sum / 10000 - 0.5) < 6 / sqrt(12e4));
}

static void check_values(const char *text, const char *const *wanted)
{
    struct arena memory = {0};
    struct axis a;
    struct err e = {0};
    int n = 0;
    assert_int_equal(axis_parse(&a, &memory, text, &e), 0);
    for (; wanted[n]; n++) {
        assert_true(n < a.count);
        assert_string_equal(a.values[n], wanted[n]);
    }
    assert_int_equal(a.count, n);
    arena_release(&memory);
}

#define VALUES(...) (const char *const[]) {__VA_ARGS__, NULL}

static void test_axis_parse__reads_lists_and_ranges(void **state)
{
    (void)state;
    check_values("lr=1e-1,0.20,.4", VALUES("0.1", "0.2", "0.4"));
    check_values("weight-decay=0", VALUES("0"));
    check_values("flip=none,random", VALUES("none", "random"));
    check_values("lr=0.05..1.6:log2", VALUES("0.05", "0.1", "0.2", "0.4", "0.8", "1.6"));
    check_values("lr=0.05..1.5:log2", VALUES("0.05", "0.1", "0.2", "0.4", "0.8"));
    check_values("lr=0.01..1:log5", VALUES("0.01", "0.0316228", "0.1", "0.316228", "1"));
    check_values("momentum=0.8..0.95:lin4", VALUES("0.8", "0.85", "0.9", "0.95"));
    check_values("batch=64..512:log2", VALUES("64", "128", "256", "512"));
    check_values("crop=1..4:lin7", VALUES("1", "2", "3", "4")); /* 1.5 is 2 already */
    check_values("knots=0:0,5:1|0:0,9:1", VALUES("0:0,5:1", "0:0,9:1"));
    check_values("net=resnet9,../nets/dawn.net", VALUES("resnet9", "../nets/dawn.net"));
}

static void test_axis_at__covers_the_range(void **state)
{
    (void)state;
    struct arena memory = {0};
    struct axis lr, batch, flip;
    struct err e;
    assert_int_equal(axis_parse(&lr, &memory, "lr=0.01..1:log", &e), 0);
    assert_int_equal(axis_parse(&batch, &memory, "batch=1..4", &e), 0);
    assert_int_equal(axis_parse(&flip, &memory, "flip=none,random", &e), 0);
    assert_string_equal(axis_at(&lr, &memory, 0), "0.01");
    assert_string_equal(axis_at(&lr, &memory, 0.5), "0.1");
    assert_string_equal(axis_at(&batch, &memory, 0.24), "1");
    assert_string_equal(axis_at(&batch, &memory, 0.26), "2");
    assert_string_equal(axis_at(&batch, &memory, 0.999), "4");
    assert_string_equal(axis_at(&flip, &memory, 0.49), "none");
    assert_string_equal(axis_at(&flip, &memory, 0.51), "random");
    arena_release(&memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sobol_bits__are_those_of_pytorch),
        cmocka_unit_test(test_sample_sobol__fills_every_part_once),
        cmocka_unit_test(test_sample_random__differs_by_point_dimension_and_seed),
        cmocka_unit_test(test_axis_parse__reads_lists_and_ranges),
        cmocka_unit_test(test_axis_at__covers_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
