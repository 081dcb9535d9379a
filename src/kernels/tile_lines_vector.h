/* tile_lines_vector.h - tile_lines.h in AVX-512 with bf16. Included by tile_lines.h alone. */
#ifndef KILN_KERNELS_TILE_LINES_VECTOR_H
#define KILN_KERNELS_TILE_LINES_VECTOR_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/layout.h"

#define TILE_INLINE static inline __attribute__((always_inline))
#define TILE_UNROLL _Pragma("GCC unroll 32")

TILE_INLINE __m512i line_rounded(const float *low, const float *high, const float *bias)
{
    __m512 l = _mm512_add_ps(_mm512_load_ps(low), _mm512_load_ps(bias));
    __m512 h = _mm512_add_ps(_mm512_load_ps(high), _mm512_load_ps(bias + 16));
    return (__m512i)_mm512_cvtne2ps_pbh(h, l);
}

TILE_INLINE void line_round(void *out, const float *low, const float *high, const float *bias)
{
    _mm512_store_si512(out, line_rounded(low, high, bias));
}

TILE_INLINE void line_round_stream(void *out, const float *low, const float *high,
                                   const float *bias)
{
    _mm512_stream_si512(out, line_rounded(low, high, bias));
}

TILE_INLINE void line_stream_end(void) { _mm_sfence(); }

TILE_INLINE __m512i tile_image(const char *tile, int image, int images)
{
    return image < images ? _mm512_load_si512(tile + image * LINE) : _mm512_setzero_si512();
}

/* Part `part`, 16 bytes, of the images first, first + 8, first + 16 and first + 24. Loads put them
 * there; a shuffle of parts would take a turn of the unit that interleaves. */
TILE_INLINE __m512i tile_parts(const char *tile, int first, int part, int images)
{
    const char *at = tile + first * LINE + part * 16;
    __m512i v = _mm512_setzero_si512();
    if (first < images)
        v = _mm512_zextsi128_si512(_mm_load_si128((const void *)at));
    TILE_UNROLL for (int i = 1; i < 4; i++)
        if (first + 8 * i < images)
            v = _mm512_mask_broadcast_i32x4(
                v, (__mmask16)(0xf << 4 * i), _mm_load_si128((const void *)(at + 8 * i * LINE)));
    return v;
}

/* The channels 8 part .. 8 part + 7: in each 16 bytes 8 x 8 numbers, in three rounds. */
TILE_INLINE void transpose_part(const char *tile, int part, int images, char *out, size_t half)
{
    __m512i two[8], four[8];
    TILE_UNROLL for (int i = 0; i < 4; i++) {
        __m512i a = tile_parts(tile, 2 * i, part, images);
        __m512i b = tile_parts(tile, 2 * i + 1, part, images);
        two[i] = _mm512_unpacklo_epi16(a, b);
        two[4 + i] = _mm512_unpackhi_epi16(a, b);
    }
    TILE_UNROLL for (int i = 0; i < 4; i++) { /* channels 2 i', 2 i' + 1; images 0..3, 4..7 */
        int at = i / 2 * 4 + i % 2;
        four[at] = _mm512_unpacklo_epi32(two[2 * i], two[2 * i + 1]);
        four[at + 2] = _mm512_unpackhi_epi32(two[2 * i], two[2 * i + 1]);
    }
    TILE_UNROLL for (int i = 0; i < 4; i++) {
        char *row = out + (size_t)(part / 2) * half + (8 * (part % 2) + 2 * i) * LINE;
        _mm512_store_si512(row, _mm512_unpacklo_epi64(four[2 * i], four[2 * i + 1]));
        _mm512_store_si512(row + LINE, _mm512_unpackhi_epi64(four[2 * i], four[2 * i + 1]));
    }
}

TILE_INLINE void tile_transpose(const void *tile, int images, void *out, size_t half)
{
    TILE_UNROLL for (int part = 0; part < 4; part++)
        transpose_part(tile, part, images, out, half);
}

TILE_INLINE void tile_pair(const void *tile, int images, void *out, size_t half)
{
    TILE_UNROLL for (int i = 0; i < 16; i++) {
        __m512i a = tile_image(tile, 2 * i, images), b = tile_image(tile, 2 * i + 1, images);
        char *row = (char *)out + i * LINE;
        _mm512_store_si512(row, _mm512_unpacklo_epi16(a, b));
        _mm512_store_si512(row + half, _mm512_unpackhi_epi16(a, b));
    }
}

TILE_INLINE __m512i argmax_image(const uint8_t *argmax, int image)
{
    return _mm512_cvtepu8_epi16(_mm256_load_si256((const void *)(argmax + image * 32)));
}

TILE_INLINE __m512i taken_at(__m512i line, __m512i argmax, int place)
{
    __mmask32 here = _mm512_cmpeq_epi16_mask(argmax, _mm512_set1_epi16((short)place));
    return _mm512_maskz_mov_epi16(here, line);
}

TILE_INLINE void tile_spread(const void *tile, const uint8_t *argmax, char *const out[4])
{
    for (int i = 0; i < 32; i++) {
        __m512i line = tile_image(tile, i, 32), at = argmax_image(argmax, i);
        TILE_UNROLL for (int place = 0; place < 4; place++)
            _mm512_store_si512(out[place] + i * LINE, taken_at(line, at, place));
    }
}

TILE_INLINE void tile_pair_pooled(const void *tile, const uint8_t *argmax, int images,
                                  char *const out[4], size_t half)
{
    for (int i = 0; i < 16; i++) {
        __m512i a = tile_image(tile, 2 * i, images), b = tile_image(tile, 2 * i + 1, images);
        __m512i at_a = argmax_image(argmax, 2 * i), at_b = argmax_image(argmax, 2 * i + 1);
        TILE_UNROLL for (int place = 0; place < 4; place++) {
            __m512i first = taken_at(a, at_a, place), second = taken_at(b, at_b, place);
            char *row = out[place] + i * LINE;
            _mm512_store_si512(row, _mm512_unpacklo_epi16(first, second));
            _mm512_store_si512(row + half, _mm512_unpackhi_epi16(first, second));
        }
    }
}

TILE_INLINE void line_weights(const float *w, size_t step, size_t next, unsigned even,
                              unsigned odd, void *out)
{
    const __m512i count =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i at = _mm512_mullo_epi32(count, _mm512_set1_epi32((int)step));
    const __m512 zero = _mm512_setzero_ps();
    __m512 a = _mm512_mask_i32gather_ps(zero, (__mmask16)even, at, w, 4);
    __m512 b = _mm512_mask_i32gather_ps(zero, (__mmask16)odd, at, w + next, 4);
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(a));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(b));
    _mm512_store_si512(out, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
}

#endif
