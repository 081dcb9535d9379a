/* peak.c - the plain version, one number a chain, and the choice by tier. */
#include "kernels/peak.h"

#include <stddef.h>

float peak_multiply_add(const float *values, long rounds)
{
    float a[PEAK_CHAINS], x = values[PEAK_CHAINS * 16], y = values[PEAK_CHAINS * 16 + 1], sum = 0;
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = values[i];
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < PEAK_CHAINS; i++)
            a[i] = a[i] * x + y;
    for (int i = 0; i < PEAK_CHAINS; i++)
        sum += a[i];
    return sum;
}

peak_fn *peak_select(enum tier tier, double *flops)
{
    int width = tier >= TIER_AVX512 ? 16 : tier == TIER_AVX2 ? 8 : 1;
    *flops = 2.0 * PEAK_CHAINS * width;
    return tier >= TIER_AVX512 ? peak_multiply_add__avx512
           : tier == TIER_AVX2 ? peak_multiply_add__avx2
                               : peak_multiply_add;
}

peak_fn *peak_select_bf16(enum tier tier, double *flops)
{
    if (tier >= TIER_AMX) {
        *flops = 4.0 * 2 * 16 * 16 * 32;
        return peak_tiles__amx;
    }
    *flops = 2.0 * PEAK_CHAINS * 32;
    return tier == TIER_AVX512BF16 ? peak_dot__avx512bf16 : NULL;
}
