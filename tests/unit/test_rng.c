/* test_rng.c - the random numbers: known answers of Philox, and streams that do not depend on
 * call order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

/* Known answers of Random123 1.14 (kat_vectors, philox4x32 10). */
static void test_philox__matches_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t out[4];
        philox4x32(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void test_rng_at__streams_do_not_depend_on_each_other(void **state)
{
    (void)state;
    struct rng a = rng_at(7, RNG_AUGMENT, 3, 41), b = rng_at(7, RNG_AUGMENT, 3, 42);
    uint32_t first[8], second[8];
    for (int i = 0; i < 8; i++) {
        first[i] = rng_u32(&a);
        second[i] = rng_u32(&b);
    }
    struct rng again = rng_at(7, RNG_AUGMENT, 3, 42);
    for (int i = 0; i < 8; i++)
        assert_int_equal(rng_u32(&again), second[i]);
    assert_memory_not_equal(first, second, sizeof first);
    struct rng other = rng_at(7, RNG_SHUFFLE, 3, 42);
    assert_int_not_equal(rng_u32(&other), second[0]);
}

static void test_rng_below__stays_below_and_meets_every_value(void **state)
{
    (void)state;
    struct rng r = rng_at(1, RNG_TEST, 0, 0);
    int seen[7] = {0};
    for (int i = 0; i < 7000; i++) {
        uint32_t v = rng_below(&r, 7);
        assert_true(v < 7);
        seen[v]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 850, 1150); /* 1000 expected, sd 29 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox__matches_published_answers),
        cmocka_unit_test(test_rng_at__streams_do_not_depend_on_each_other),
        cmocka_unit_test(test_rng_below__stays_below_and_meets_every_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
