/* vector.h - vectors of floats under one name for AVX2 and AVX-512, for kernels that are the same
 * in both. It takes the widest that the including file is compiled for, and is empty elsewhere.
 *
 * A vec holds VEC floats, a vmask a truth value for each, a vec_double the lower or upper half of
 * a vec in double precision. A line of floats of layout.h is LINE_VECS vecs.
 */
#ifndef KILN_KERNELS_VECTOR_H
#define KILN_KERNELS_VECTOR_H

#ifdef __AVX2__

#include <immintrin.h>
#include <stdint.h>

#include "kernels/bf16.h"
#include "kernels/layout.h"

#define INLINE static inline __attribute__((always_inline))

INLINE void v_stream_end(void) { _mm_sfence(); }

/* Asks for what a kernel that goes through memory in order reads a little later. Some processors
 * look ahead no further than a page of 4 KB, and then wait at each. It may lie behind the end. */
INLINE void v_ask_ahead(const void *p)
{
    enum { AHEAD = 8192 };
    __builtin_prefetch((const char *)p + AHEAD, 0, 2);
}

#ifdef __AVX512F__

enum { VEC = 16, LINE_VECS = 1 };
typedef __m512 vec;
typedef __m512d vec_double;
typedef __mmask16 vmask;

INLINE vec v_load(const float *p) { return _mm512_load_ps(p); }
INLINE void v_store(float *p, vec a) { _mm512_store_ps(p, a); }
/* A store past the caches; after v_stream_end, as after any store, others may read it. */
INLINE void v_stream(float *p, vec a) { _mm512_stream_ps(p, a); }
/* VEC elements of a bf16 map; v_store_bf16 rounds as bf16_from_float, and may make numbers below
 * 2^-126 zero. */
INLINE vec v_load_bf16(const struct bf16 *p)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_load_si256((const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* The pair of bf16 at p, VEC times; and of VEC pairs the first and the second numbers. */
INLINE vec v_set_pair(const struct bf16 *p)
{
    float pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_ps(pair);
}

INLINE vec v_first_of_pair(vec pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

INLINE vec v_second_of_pair(vec pairs)
{
    __m512i upper = _mm512_set1_epi32(-65536);
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), upper));
}

#ifdef __AVX512BF16__
INLINE __m256i v_round_bf16(vec a)
{
    return (__m256i)_mm512_cvtneps_pbh(a);
}
#else
/* The upper halves are those of the nearest bf16. */
INLINE __m512i v_rounded_bits(vec a)
{
    __m512i bits = _mm512_castps_si512(a), odd = _mm512_srli_epi32(bits, 16);
    odd = _mm512_and_si512(odd, _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    return _mm512_mask_mov_epi32(up, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), quiet);
}

INLINE __m256i v_round_bf16(vec a)
{
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(v_rounded_bits(a), 16));
}
#endif
INLINE void v_store_bf16(struct bf16 *p, vec a)
{
    _mm256_store_si256((void *)p, v_round_bf16(a));
}
INLINE void v_stream_bf16(struct bf16 *p, vec a)
{
    _mm256_stream_si256((void *)p, v_round_bf16(a));
}
/* What v_load_bf16 gives after v_store_bf16. */
INLINE vec v_as_bf16(vec a)
{
    __m512i wide = _mm512_cvtepu16_epi32(v_round_bf16(a));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* A line of bf16 as the vecs of its even and of its odd channels, which takes one instruction each
 * where halves take two; `taken`: only the channels count whose byte is k. v_store_places rounds
 * as v_store_bf16. Between that order and the order of channels: to_ and from_. */
INLINE void v_split(__m512i line, vec v[2])
{
    v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(line, 16));
    v[1] = _mm512_castsi512_ps(_mm512_and_si512(line, _mm512_set1_epi32(-65536)));
}

INLINE void v_load_places(const struct bf16 *p, vec v[2])
{
    v_split(_mm512_load_si512(p), v);
}

INLINE void v_load_places_taken(const struct bf16 *p, const uint8_t *bytes, int k, vec v[2])
{
    __m256i places = _mm256_load_si256((const void *)bytes);
    __mmask32 counts = _mm256_cmpeq_epi8_mask(places, _mm256_set1_epi8((char)k));
    v_split(_mm512_maskz_loadu_epi16(counts, p), v);
}

INLINE __m512i v_round_places(const vec v[2])
{
#ifdef __AVX512BF16__
    static const _Alignas(LINE) uint16_t order[32] = {
        0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(order),
                                    (__m512i)_mm512_cvtne2ps_pbh(v[1], v[0]));
#else
    __m512i even = v_rounded_bits(v[0]), odd = v_rounded_bits(v[1]);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(even, 16), odd);
#endif
}

INLINE void v_store_places(struct bf16 *p, const vec v[2])
{
    _mm512_store_si512(p, v_round_places(v));
}

INLINE void v_stream_places(struct bf16 *p, const vec v[2])
{
    _mm512_stream_si512((void *)p, v_round_places(v));
}

INLINE void v_to_places(vec v[2])
{
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    vec low = v[0], high = v[1];
    v[0] = _mm512_permutex2var_ps(low, even, high);
    v[1] = _mm512_permutex2var_ps(low, _mm512_add_epi32(even, _mm512_set1_epi32(1)), high);
}

INLINE void v_from_places(vec v[2])
{
    const __m512i low = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    vec even = v[0], odd = v[1];
    v[0] = _mm512_permutex2var_ps(even, low, odd);
    v[1] = _mm512_permutex2var_ps(even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), odd);
}

INLINE vec v_set(float a) { return _mm512_set1_ps(a); }
INLINE vec v_add(vec a, vec b) { return _mm512_add_ps(a, b); }
INLINE vec v_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
INLINE vec v_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
INLINE vec v_div(vec a, vec b) { return _mm512_div_ps(a, b); }
/* 1 / a within a unit and a half, for a from 1 to 2^20. */
INLINE vec v_inverse(vec a)
{
    vec guess = _mm512_rcp14_ps(a);
    return _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(a, guess, _mm512_set1_ps(1)), guess);
}
/* a * b + c and c - a * b, rounded once. */
INLINE vec v_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
INLINE vec v_fnma(vec a, vec b, vec c) { return _mm512_fnmadd_ps(a, b, c); }
/* The lesser and the greater; b if one is NaN. */
INLINE vec v_min(vec a, vec b) { return _mm512_min_ps(a, b); }
INLINE vec v_max(vec a, vec b) { return _mm512_max_ps(a, b); }
INLINE vec v_abs(vec a) { return _mm512_abs_ps(a); }
INLINE vec v_round(vec a) { return _mm512_roundscale_ps(a, 0); }
/* a < b and a <= b: false if one is NaN. a > b or b is NaN. */
INLINE vmask v_less(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
INLINE vmask v_at_most(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
INLINE vmask v_is_nan(vec a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
INLINE vmask v_or(vmask a, vmask b) { return (vmask)(a | b); }
INLINE vec v_select(vmask m, vec yes, vec no) { return _mm512_mask_blend_ps(m, no, yes); }

/* a * 2^n for a whole n; 0 and infinity where it leaves the range. */
INLINE vec v_scale2(vec a, vec n) { return _mm512_scalef_ps(a, n); }

/* The first `count` floats at p, zero in place of the others; count may be negative. */
INLINE vec v_load_some(const float *p, int count)
{
    unsigned mask = count >= VEC ? 0xffff : count > 0 ? (1u << count) - 1 : 0;
    return _mm512_maskz_loadu_ps((vmask)mask, p);
}

/* Which of VEC bytes are equal to k, and VEC whole numbers held in floats' places as bytes. */
INLINE vmask v_bytes_equal(const uint8_t *p, int k)
{
    return _mm_cmpeq_epi8_mask(_mm_loadu_si128((const void *)p), _mm_set1_epi8((char)k));
}

INLINE void v_store_bytes(uint8_t *p, vec numbers)
{
    _mm_storeu_si128((void *)p, _mm512_cvtepi32_epi8(_mm512_castps_si512(numbers)));
}

INLINE vec v_set_number(int k) { return _mm512_castsi512_ps(_mm512_set1_epi32(k)); }

INLINE vec_double v_low(vec a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
INLINE vec_double v_high(vec a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
/* Half a vec, straight from memory. */
INLINE vec_double v_load_half(const float *p) { return _mm512_cvtps_pd(_mm256_load_ps(p)); }
INLINE vec_double vd_load(const double *p) { return _mm512_loadu_pd(p); }
INLINE void vd_store(double *p, vec_double a) { _mm512_storeu_pd(p, a); }
INLINE vec_double vd_add(vec_double a, vec_double b) { return _mm512_add_pd(a, b); }
INLINE vec_double vd_fma(vec_double a, vec_double b, vec_double c)
{
    return _mm512_fmadd_pd(a, b, c);
}

#else

enum { VEC = 8, LINE_VECS = 2 };
typedef __m256 vec;
typedef __m256d vec_double;
typedef __m256 vmask;

INLINE vec v_load(const float *p) { return _mm256_load_ps(p); }
INLINE void v_store(float *p, vec a) { _mm256_store_ps(p, a); }
INLINE void v_stream(float *p, vec a) { _mm256_stream_ps(p, a); }
INLINE vec v_load_bf16(const struct bf16 *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_load_si128((const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE vec v_set_pair(const struct bf16 *p)
{
    float pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_ps(pair);
}

INLINE vec v_first_of_pair(vec pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}

INLINE vec v_second_of_pair(vec pairs)
{
    __m256i upper = _mm256_set1_epi32(-65536);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(pairs), upper));
}

INLINE __m128i v_round_bf16(vec a)
{
    __m256i bits = _mm256_castps_si256(a), odd = _mm256_srli_epi32(bits, 16);
    odd = _mm256_and_si256(odd, _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    up = _mm256_srli_epi32(_mm256_blendv_epi8(up, quiet, nan), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(up), _mm256_extracti128_si256(up, 1));
}

INLINE void v_store_bf16(struct bf16 *p, vec a)
{
    _mm_store_si128((void *)p, v_round_bf16(a));
}

INLINE void v_stream_bf16(struct bf16 *p, vec a)
{
    _mm_stream_si128((void *)p, v_round_bf16(a));
}

INLINE vec v_as_bf16(vec a)
{
    __m256i wide = _mm256_cvtepu16_epi32(v_round_bf16(a));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE vec v_set(float a) { return _mm256_set1_ps(a); }
INLINE vec v_add(vec a, vec b) { return _mm256_add_ps(a, b); }
INLINE vec v_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
INLINE vec v_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
INLINE vec v_div(vec a, vec b) { return _mm256_div_ps(a, b); }
INLINE vec v_inverse(vec a) { return _mm256_div_ps(_mm256_set1_ps(1), a); }
INLINE vec v_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
INLINE vec v_fnma(vec a, vec b, vec c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE vec v_min(vec a, vec b) { return _mm256_min_ps(a, b); }
INLINE vec v_max(vec a, vec b) { return _mm256_max_ps(a, b); }
INLINE vec v_abs(vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE vec v_round(vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
INLINE vmask v_less(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
INLINE vmask v_at_most(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
INLINE vmask v_is_nan(vec a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
INLINE vmask v_or(vmask a, vmask b) { return _mm256_or_ps(a, b); }
INLINE vec v_select(vmask m, vec yes, vec no) { return _mm256_blendv_ps(no, yes, m); }

/* 2^n for a whole n in [-126, 127]: an exponent and nothing else. */
INLINE vec v_power2(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two steps, because one power cannot reach all of the range. */
INLINE vec v_scale2(vec a, vec n)
{
    n = v_min(v_set(252), v_max(v_set(-252), n));
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    return v_mul(v_mul(a, v_power2(half)), v_power2(_mm256_sub_epi32(whole, half)));
}

INLINE vec v_load_some(const float *p, int count)
{
    __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), order));
}

INLINE vmask v_bytes_equal(const uint8_t *p, int k)
{
    __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(bytes, _mm256_set1_epi32(k)));
}

INLINE void v_store_bytes(uint8_t *p, vec numbers)
{
    __m256i n = _mm256_castps_si256(numbers);
    __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(n), _mm256_extracti128_si256(n, 1));
    _mm_storel_epi64((void *)p, _mm_packus_epi16(words, words));
}

INLINE vec v_set_number(int k) { return _mm256_castsi256_ps(_mm256_set1_epi32(k)); }

INLINE vec_double v_low(vec a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
INLINE vec_double v_high(vec a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
INLINE vec_double v_load_half(const float *p) { return _mm256_cvtps_pd(_mm_load_ps(p)); }
INLINE vec_double vd_load(const double *p) { return _mm256_loadu_pd(p); }
INLINE void vd_store(double *p, vec_double a) { _mm256_storeu_pd(p, a); }
INLINE vec_double vd_add(vec_double a, vec_double b) { return _mm256_add_pd(a, b); }
INLINE vec_double vd_fma(vec_double a, vec_double b, vec_double c)
{
    return _mm256_fmadd_pd(a, b, c);
}

#endif

/* Where v, which comes later, is the maximum in place of best: a NaN stays. */
INLINE vmask v_takes_over(vec best, vec v)
{
    return v_or(v_less(best, v), v_is_nan(v));
}

#endif
#endif
