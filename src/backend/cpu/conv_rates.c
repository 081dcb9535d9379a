/* conv_rates.c - the built-in rates that convolution algorithms are chosen by.
 *
 * Measured with `kiln bench` on one core of a Zen 4 processor at 3.7 GHz. What matters is the
 * proportion between the numbers of a row. */
#include <assert.h>

#include "backend/cpu/conv_algorithm.h"

/* Multiply-adds a second: gather, outer, product, product_outer, product6; lines a second; tiles,
 * tiles_outer. product6 was compared with product on AVX2 (Zen 3) and nowhere else: 1e9 keeps it
 * from being chosen. `tiles` of bf16 lies between what a Xeon did alone, about 850e9, and beside a
 * neighbour on the same core, a third of that; tiles_outer is in proportion. fp32 has no tiles. */
static const struct conv_rates fp32[TIER_COUNT] = {
    [TIER_REF] = {1e9, 1e9, 1e9, 1e9, 1e9, 1e7, 0, 0},
    [TIER_AVX2] = {55e9, 55e9, 52e9, 52e9, 52e9, 3e8, 0, 0},
    [TIER_AVX512] = {57e9, 57e9, 55e9, 55e9, 1e9, 5e8, 0, 0},
    [TIER_AVX512BF16] = {57e9, 57e9, 55e9, 55e9, 1e9, 5e8, 0, 0},
    [TIER_AMX] = {57e9, 57e9, 55e9, 55e9, 1e9, 5e8, 0, 0},
};

/* Below avx512bf16 there is no Winograd in bf16. */
static const struct conv_rates bf16[TIER_COUNT] = {
    [TIER_REF] = {1e9, 1e9, 1e9, 1e9, 1e9, 1e7, 0, 0},
    [TIER_AVX2] = {48e9, 30e9, 1e9, 1e9, 1e9, 3e8, 0, 0},
    [TIER_AVX512] = {53e9, 49e9, 1e9, 1e9, 1e9, 3e8, 0, 0},
    [TIER_AVX512BF16] = {105e9, 90e9, 110e9, 100e9, 1e9, 3e8, 0, 0},
    [TIER_AMX] = {55e9, 50e9, 55e9, 50e9, 1e9, 3.5e8, 600e9, 500e9},
};

struct conv_rates conv_builtin_rates(enum tier tier, enum precision precision)
{
    assert(tier > TIER_AUTO && tier < TIER_COUNT);
    return precision == PRECISION_BF16 ? bf16[tier] : fp32[tier];
}
