/* peak__avx512bf16.c - twelve chains of 16 sums of bf16 pairs. */
#include <immintrin.h>

#include "kernels/peak.h"

/* 32 bf16 numbers out of 32 floats. */
static __m512bh pairs(const float *values)
{
    return _mm512_cvtne2ps_pbh(_mm512_loadu_ps(values), _mm512_loadu_ps(values + 16));
}

float peak_dot__avx512bf16(const float *values, long rounds)
{
    __m512 a[PEAK_CHAINS];
    __m512bh x = pairs(values + (PEAK_CHAINS - 1) * 16), y = pairs(values);
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = _mm512_loadu_ps(values + i * 16);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < PEAK_CHAINS; i++)
            a[i] = _mm512_dpbf16_ps(a[i], x, y);
    __m512 total = a[0];
    for (int i = 1; i < PEAK_CHAINS; i++)
        total = _mm512_add_ps(total, a[i]);
    float sums[16], sum = 0;
    _mm512_storeu_ps(sums, total);
    for (int i = 0; i < 16; i++)
        sum += sums[i];
    return sum;
}
