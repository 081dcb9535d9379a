/* test_golden.c - a small network with every type of layer against PyTorch: logits, loss, every
 * gradient, ten optimiser steps and running statistics, in every precision and tier that the
 * machine has.
 *
 * The golden files (tools/make-golden.py) hold PyTorch's results in double precision, and for each
 * tensor how far a single-precision implementation may be from them (docs/numerics.md). The
 * weights and batches are made here, from the same random streams as there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/golden.h"

static void test_golden__every_layer_in_double(void **state)
{
    (void)state;
    golden_check("every_layer", TIER_REF, PRECISION_FP64, 10);
    golden_check("every_layer_sum", TIER_REF, PRECISION_FP64, 10);
}

static void test_golden__every_layer_on_the_reference_tier(void **state)
{
    (void)state;
    golden_check("every_layer", TIER_REF, PRECISION_FP32, 10);
    golden_check("every_layer_sum", TIER_REF, PRECISION_FP32, 10);
}

static void test_golden__every_layer_on_avx2(void **state)
{
    (void)state;
    golden_check("every_layer", TIER_AVX2, PRECISION_FP32, 10);
    golden_check("every_layer_sum", TIER_AVX2, PRECISION_FP32, 10);
}

static void test_golden__every_layer_on_avx512(void **state)
{
    (void)state;
    golden_check("every_layer", TIER_AVX512, PRECISION_FP32, 10);
    golden_check("every_layer_sum", TIER_AVX512, PRECISION_FP32, 10);
}

/* One step: bf16 goes its own way after some. */
static void test_golden__every_layer_in_bf16(void **state)
{
    (void)state;
    for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++) {
        if (!tier_available(tier)) {
            print_message("skipped: this machine has no %s\n", tier_name(tier));
            continue;
        }
        golden_check("every_layer", tier, PRECISION_BF16, 1);
        golden_check("every_layer_sum", tier, PRECISION_BF16, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden__every_layer_in_double),
        cmocka_unit_test(test_golden__every_layer_on_the_reference_tier),
        cmocka_unit_test(test_golden__every_layer_on_avx2),
        cmocka_unit_test(test_golden__every_layer_on_avx512),
        cmocka_unit_test(test_golden__every_layer_in_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
