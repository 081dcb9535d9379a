/* test_golden_zoo.c - the big networks against PyTorch: norms and random projections of logits,
 * every gradient, and every tensor after ten optimiser steps; see test_golden.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/golden.h"

static void test_golden__dawn_on_avx512(void **state)
{
    (void)state;
    golden_check("dawn", TIER_AVX512, PRECISION_FP32, 10);
}

static void test_golden__dawn_on_avx2(void **state)
{
    (void)state;
    golden_check("dawn", TIER_AVX2, PRECISION_FP32, 1);
}

static void test_golden__airbench94_on_avx512(void **state)
{
    (void)state;
    golden_check("airbench94", TIER_AVX512, PRECISION_FP32, 10);
}

static void test_golden__airbench94_on_avx2(void **state)
{
    (void)state;
    golden_check("airbench94", TIER_AVX2, PRECISION_FP32, 10);
}

static void test_golden__resnet9_on_avx512(void **state)
{
    (void)state;
    golden_check("resnet9", TIER_AVX512, PRECISION_FP32, 10);
}

static void test_golden__resnet9_on_avx2(void **state)
{
    (void)state;
    golden_check("resnet9", TIER_AVX2, PRECISION_FP32, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden__dawn_on_avx512),
        cmocka_unit_test(test_golden__dawn_on_avx2),
        cmocka_unit_test(test_golden__airbench94_on_avx512),
        cmocka_unit_test(test_golden__airbench94_on_avx2),
        cmocka_unit_test(test_golden__resnet9_on_avx512),
        cmocka_unit_test(test_golden__resnet9_on_avx2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
