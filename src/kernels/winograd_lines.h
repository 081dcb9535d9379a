/* winograd_lines.h - lines of bf16 in and out of the vectors that Winograd's transforms compute in.
 * Included by the files of tier avx512bf16 alone. */
#ifndef KILN_KERNELS_WINOGRAD_LINES_H
#define KILN_KERNELS_WINOGRAD_LINES_H

#include <stdint.h>
#include <string.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

enum { CB = 32, PAIRS = CB / 2 };

/* 32 numbers, rounded: those of low, then those of high. */
INLINE __m512i join(vec low, vec high)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* The same as 16 pairs (low, high). */
INLINE __m512i interleave(vec low, vec high)
{
    const vec pairs[2] = {low, high};
    return v_round_places(pairs);
}

INLINE void store_pairs(void *p, __m512i pairs, bool stream)
{
    if (stream)
        _mm512_stream_si512((__m512i *)p, pairs);
    else
        _mm512_store_si512(p, pairs);
}

/* One image. */

INLINE void load_one(const uint16_t *p, vec line[2])
{
    v_load_places((const struct bf16 *)p, line);
}

/* Only the channels count whose byte is `place`. */
INLINE void load_one_taken(const uint16_t *p, const uint8_t *argmax, uint8_t place, vec line[2])
{
    v_load_places_taken((const struct bf16 *)p, argmax, place, line);
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

/* Four rows of nine numbers, the first `rows` of which there are, `step` apart: part c holds in its
 * 16 bytes l the numbers 4 l + c of the rows. */
INLINE void interleave_rows(const float *w, size_t step, int rows, __m512 part[4])
{
    __m512 row[4];
    for (int i = 0; i < 4; i++)
        row[i] = _mm512_maskz_loadu_ps((__mmask16)(i < rows ? 0x1ff : 0), w + (size_t)i * step);
    __m512d low = _mm512_castps_pd(_mm512_unpacklo_ps(row[0], row[1]));
    __m512d more_low = _mm512_castps_pd(_mm512_unpacklo_ps(row[2], row[3]));
    __m512d high = _mm512_castps_pd(_mm512_unpackhi_ps(row[0], row[1]));
    __m512d more_high = _mm512_castps_pd(_mm512_unpackhi_ps(row[2], row[3]));
    part[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, more_low));
    part[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, more_low));
    part[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, more_high));
    part[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, more_high));
}

/* Columns of 16 rows of nine numbers: tap t at taps[reverse ? 8 - t : t]. */
INLINE void take_columns(const float *w, size_t step, int rows, bool reverse, float taps[][CB])
{
    __m512 part[4][4], tap[WINOGRAD_TAPS];
    for (int g = 0; g < 4; g++)
        interleave_rows(w + (size_t)(4 * g) * step, step, rows - 4 * g, part[g]);
    for (int c = 0; c < 4; c++) {
        __m512 x = _mm512_shuffle_f32x4(part[0][c], part[1][c], 0x44);
        __m512 y = _mm512_shuffle_f32x4(part[2][c], part[3][c], 0x44);
        tap[c] = _mm512_shuffle_f32x4(x, y, 0x88);
        tap[4 + c] = _mm512_shuffle_f32x4(x, y, 0xdd);
    }
    tap[8] = _mm512_shuffle_f32x4(_mm512_shuffle_f32x4(part[0][0], part[1][0], 0xee),
                                  _mm512_shuffle_f32x4(part[2][0], part[3][0], 0xee), 0x88);
    for (int t = 0; t < WINOGRAD_TAPS; t++)
        _mm512_store_ps(taps[reverse ? WINOGRAD_TAPS - 1 - t : t], tap[t]);
}

/* The nine taps of the first 32 by 32 channels, [from][tap][to], zero past the last of `to` and
 * `from`. Channel i of `to` and j of `from` at w + i * to_step + j * from_step; `reverse`: taps in
 * reverse order. Asks for those of the next 32 channels summed over. */
static inline void take_taps(int to, int from, bool reverse, const float *w, size_t to_step,
                             size_t from_step, float taps[CB][WINOGRAD_TAPS][CB])
{
    if (from < CB)
        memset(taps[from], 0, (size_t)(CB - from) * sizeof *taps);
    for (int j = 0; j < from && j < CB; j++, w += from_step) {
        for (int i = 0; i < to && i < CB; i++)
            __builtin_prefetch(w + (size_t)i * to_step + CB * from_step, 0, 2);
        for (int i = 0; i < CB; i += VEC)
            take_columns(w + (size_t)i * to_step, to_step, to - i, reverse,
                         (float(*)[CB])&taps[j][0][i]);
    }
}

/* Channel of the first and second number of pair p of a line. */
INLINE int pair_channel(int p, int second)
{
    return p < PAIRS / 2 ? 4 * p + 2 * second : 4 * (p - PAIRS / 2) + 1 + 2 * second;
}

#endif
