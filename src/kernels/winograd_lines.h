/* winograd_lines.h - lines of bf16 in and out of the vectors that Winograd's transforms compute in.
 * Included by the files of tier avx512bf16 alone. */
#ifndef KILN_KERNELS_WINOGRAD_LINES_H
#define KILN_KERNELS_WINOGRAD_LINES_H

#include <stdint.h>
#include <string.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

enum { CB = 32, PAIRS = CB / 2 };

/* 32 channels as the even and the odd ones; a bf16 number is the upper half of a float. */
INLINE void split(__m512i both, vec *even, vec *odd)
{
    *even = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    *odd = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000)));
}

/* A line, and one of which only the channels count whose byte is `place`. */
INLINE __m512i load_line(const uint16_t *p)
{
    return _mm512_load_si512(p);
}

INLINE __m512i load_line_taken(const uint16_t *p, const uint8_t *argmax, uint8_t place)
{
    __m256i bytes = _mm256_load_si256((const void *)argmax);
    __mmask32 counts = _mm256_cmpeq_epi8_mask(bytes, _mm256_set1_epi8((char)place));
    return _mm512_maskz_loadu_epi16(counts, p);
}

/* 32 numbers, rounded: those of low, then those of high. */
INLINE __m512i join(vec low, vec high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* The same as 16 pairs (low, high). */
INLINE __m512i interleave(vec low, vec high)
{
    static const _Alignas(LINE) uint16_t order[32] = {
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), join(low, high));
}

/* One image. */

INLINE void load_one(const uint16_t *p, vec line[2])
{
    split(load_line(p), &line[0], &line[1]);
}

INLINE void load_one_taken(const uint16_t *p, const uint8_t *argmax, uint8_t place, vec line[2])
{
    split(load_line_taken(p, argmax, place), &line[0], &line[1]);
}

INLINE void store_one(uint16_t *p, const vec line[2])
{
    _mm512_store_si512(p, join(line[0], line[1]));
}

INLINE void stream_one(uint16_t *p, const vec line[2])
{
    _mm512_stream_si512((__m512i *)(void *)p, join(line[0], line[1]));
}

/* Weights. */

/* The nine taps of the first 32 by 32 channels, [from][tap][to], zero past the last of `to` and
 * `from`. Channel i of `to` and j of `from` at w + i * to_step + j * from_step; `reverse`: taps in
 * reverse order. Asks for those of the next 32 channels summed over. */
static inline void take_taps(int to, int from, bool reverse, const float *w, size_t to_step,
                             size_t from_step, float taps[CB][WINOGRAD_TAPS][CB])
{
    memset(taps, 0, CB * sizeof *taps);
    for (int j = 0; j < from && j < CB; j++)
        for (int i = 0; i < to && i < CB; i++) {
            const float *nine = w + (size_t)i * to_step + (size_t)j * from_step;
            __builtin_prefetch(nine + CB * from_step, 0, 2);
            for (int t = 0; t < WINOGRAD_TAPS; t++)
                taps[j][reverse ? WINOGRAD_TAPS - 1 - t : t][i] = nine[t];
        }
}

/* Channel of the first and second number of pair p of a line. */
INLINE int pair_channel(int p, int second)
{
    return p < PAIRS / 2 ? 4 * p + 2 * second : 4 * (p - PAIRS / 2) + 1 + 2 * second;
}

#endif
