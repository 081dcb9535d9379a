/* peak__avx512.c - twelve chains of 16 numbers. */
#include <immintrin.h>

#include "kernels/peak.h"

float peak_multiply_add__avx512(const float *values, long rounds)
{
    __m512 a[PEAK_CHAINS];
    __m512 x = _mm512_loadu_ps(values + PEAK_CHAINS * 16), y = _mm512_set1_ps(values[0]);
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = _mm512_loadu_ps(values + i * 16);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < PEAK_CHAINS; i++)
            a[i] = _mm512_fmadd_ps(a[i], x, y);
    __m512 total = a[0];
    for (int i = 1; i < PEAK_CHAINS; i++)
        total = _mm512_add_ps(total, a[i]);
    float sums[16], sum = 0;
    _mm512_storeu_ps(sums, total);
    for (int i = 0; i < 16; i++)
        sum += sums[i];
    return sum;
}
