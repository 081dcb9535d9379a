/* peak__avx2.c - twelve chains of 8 numbers. */
#include <immintrin.h>

#include "kernels/peak.h"

float peak_multiply_add__avx2(const float *values, long rounds)
{
    __m256 a[PEAK_CHAINS];
    __m256 x = _mm256_loadu_ps(values + PEAK_CHAINS * 16), y = _mm256_set1_ps(values[0]);
    for (int i = 0; i < PEAK_CHAINS; i++)
        a[i] = _mm256_loadu_ps(values + i * 16);
    for (long r = 0; r < rounds; r++)
        for (int i = 0; i < PEAK_CHAINS; i++)
            a[i] = _mm256_fmadd_ps(a[i], x, y);
    __m256 total = a[0];
    for (int i = 1; i < PEAK_CHAINS; i++)
        total = _mm256_add_ps(total, a[i]);
    float sums[8], sum = 0;
    _mm256_storeu_ps(sums, total);
    for (int i = 0; i < 8; i++)
        sum += sums[i];
    return sum;
}
