/* winograd__avx512bf16.c - Winograd in bf16: transforms in fp32 between bf16 lines, products by the
 * instruction that adds two bf16 products to a float. See the arrangements in winograd.h.
 *
 * A product holds 8 rows by 32 columns of sums in 16 registers; a step loads two lines of U,
 * broadcasts eight pairs and starts 16 instructions. */
#include <assert.h>
#include <string.h>

#include "kernels/winograd.h"
#include "kernels/winograd_lines.h"

#define REAL float
#define ELEMENT uint16_t
#define STREAMS_POINTS 0
#define VEC_REALS VEC
#define UNROLL _Pragma("GCC unroll 16")

enum { ROWS = 8, PAIR_BYTES = 2 * LINE };

/* One image a turn: V for product, and outputs. */

#define NAME(name) name##_one
#define TURN_IMAGES 1
#define PARTS 2
#define LINE_ELEMENTS 32
#define line_load load_one
#define line_load_taken load_one_taken
#define line_store store_one
#define line_stream stream_one
#define line_stream_end v_stream_end
#include "kernels/winograd_points4_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_output_body.h"
#undef NAME
#undef TURN_IMAGES
#undef PARTS
#undef LINE_ELEMENTS
#undef line_load
#undef line_load_taken
#undef line_stream
#undef line_stream_end
#undef line_store

/* Two images a turn: V and D for outer. */

INLINE void load_two(const uint16_t *p, vec line[4])
{
    load_one(p, line);
    load_one(p + CB, line + 2);
}

INLINE void load_two_taken(const uint16_t *p, const uint8_t *argmax, uint8_t place, vec line[4])
{
    load_one_taken(p, argmax, place, line);
    load_one_taken(p + CB, argmax + CB, place, line + 2);
}

INLINE void store_two(uint16_t *p, const vec line[4])
{
    _mm512_store_si512(p, interleave(line[0], line[2]));
    _mm512_store_si512(p + CB, interleave(line[1], line[3]));
}

#define NAME(name) name##_two
#define TURN_IMAGES 2
#define PARTS 4
#define LINE_ELEMENTS 64
#define line_load load_two
#define line_load_taken load_two_taken
#define line_store store_two
#define line_stream store_two
#define line_stream_end() ((void)0)
#include "kernels/winograd_points4_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#undef NAME
#undef TURN_IMAGES
#undef PARTS
#undef LINE_ELEMENTS
#undef line_load
#undef line_load_taken
#undef line_stream
#undef line_stream_end
#undef line_store

typedef void (*transform_fn)(int my, int mx, int images, const void *const *x,
                             const struct winograd_taken *taken, bool stream, void *v, size_t step);

/* An odd last image is transformed together with an image of zeros. */
static void transform_pairs(transform_fn transform, int count, int my, int mx, int images,
                            const void *const *x, const struct winograd_taken *taken, void *v,
                            size_t step)
{
    _Alignas(LINE) uint8_t maxima[WINOGRAD_FREQUENCIES][2 * CB];
    struct winograd_taken pair;
    _Alignas(LINE) uint16_t last[WINOGRAD_FREQUENCIES][2 * CB];
    const void *pixels[WINOGRAD_FREQUENCIES];
    int whole = images / 2 * 2;
    transform(my, mx, whole, x, taken, false, v, step);
    if (whole == images)
        return;
    for (int i = 0; i < count; i++) {
        memcpy(last[i], (const uint16_t *)x[i] + whole * CB, LINE);
        memset(last[i] + CB, 0, LINE);
        pixels[i] = last[i];
        if (taken) {
            memcpy(maxima[i], taken->argmax[i] + whole * CB, CB);
            memset(maxima[i] + CB, 0, CB);
            pair.argmax[i] = maxima[i];
            pair.place[i] = taken->place[i];
        }
    }
    transform(my, mx, 2, pixels, taken ? &pair : NULL, false, (char *)v + (size_t)(whole * LINE),
              step);
}

static void input_rows(int my, int mx, int images, const void *const *x,
                       const struct winograd_taken *taken, bool stream, void *v, size_t step)
{
    (void)stream;
    transform_pairs(input_two, (my + 2) * (mx + 2), my, mx, images, x, taken, v, step);
}

static void gradient_rows(int my, int mx, int images, const void *const *dy,
                          const struct winograd_taken *taken, bool stream, void *d, size_t step)
{
    (void)stream;
    transform_pairs(gradient_two, my * mx, my, mx, images, dy, taken, d, step);
}

/* Weights. */

/* All frequencies of 16 weights that follow on each other. */
INLINE void weights_points(float (*taps)[CB], int to, vec *u)
{
    vec half[3][WINOGRAD_POINTS];
    UNROLL for (int j = 0; j < 3; j++) {
        const vec column[3] = {v_load(&taps[j][to]), v_load(&taps[3 + j][to]),
                               v_load(&taps[6 + j][to])};
        weights_1d_one(column, half[j]);
    }
    UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++) {
        const vec row[3] = {half[0][i], half[1][i], half[2][i]};
        weights_1d_one(row, u + i * WINOGRAD_POINTS);
    }
}

INLINE void pack_points(float (*taps)[WINOGRAD_TAPS][CB], bool stream, char *u, size_t step)
{
    for (int p = 0; p < PAIRS; p++)
        for (int part = 0; part < 2; part++) {
            vec first[WINOGRAD_FREQUENCIES], second[WINOGRAD_FREQUENCIES];
            char *at = u + p * PAIR_BYTES + part * LINE;
            weights_points(taps[pair_channel(p, 0)], part * VEC, first);
            weights_points(taps[pair_channel(p, 1)], part * VEC, second);
            for (int f = 0; f < WINOGRAD_FREQUENCIES; f++)
                store_pairs(at + (size_t)f * step, interleave(first[f], second[f]), stream);
        }
}

static void pack(int to, int from, bool transposed, const float *w, int line, bool stream, void *u,
                 size_t step)
{
    _Alignas(LINE) float taps[CB][WINOGRAD_TAPS][CB];
    size_t to_step = WINOGRAD_TAPS, from_step = WINOGRAD_TAPS;
    *(transposed ? &from_step : &to_step) *= (size_t)(transposed ? to : from);
    w += (size_t)(line * CB) * to_step;
    for (int from_line = 0; from_line * CB < from; from_line++, w += CB * from_step) {
        take_taps(to - line * CB, from - from_line * CB, transposed, w, to_step, from_step, taps);
        char *at = (char *)u + (size_t)(from_line * PAIRS) * PAIR_BYTES;
        if (stream)
            pack_points(taps, true, at, step);
        else
            pack_points(taps, false, at, step);
    }
    if (stream)
        v_stream_end();
}

/* Products. */

INLINE __m512 multiply_add(__m512 sum, __m512i a, __m512i b)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* Adds `pairs` pairs of channels, from pair `first` of a line on, to the sums of eight images. */
INLINE void product_pairs(const char *v, const char *u, size_t u_step, int first, int pairs,
                          __m512 sum[ROWS][2])
{
    v += first * 4;
    u += first * PAIR_BYTES;
#pragma GCC unroll 1
    for (int p = 0; p < pairs; p++, v += 4, u += PAIR_BYTES) {
        __m512i low = _mm512_load_si512(u), high = _mm512_load_si512(u + LINE);
        _mm_prefetch(u + u_step, _MM_HINT_T1);
        _mm_prefetch(u + u_step + LINE, _MM_HINT_T1);
        UNROLL for (int i = 0; i < ROWS; i++) {
            __m512i a = _mm512_set1_epi32(*(const int *)(const void *)(v + i * LINE));
            sum[i][0] = multiply_add(sum[i][0], a, low);
            sum[i][1] = multiply_add(sum[i][1], a, high);
        }
    }
}

static void product(int c, int images, const void *v, const void *u, size_t u_step, void *m)
{
    int tail = (c % CB + 3) / 4; /* pairs of each half of a last line that is not full */
    for (int image = 0; image < images; image += ROWS) {
        const char *x = (const char *)v + image * LINE, *w = u;
        float *out = (float *)m + image * CB;
        __m512 sum[ROWS][2];
        UNROLL for (int i = 0; i < ROWS; i++)
            sum[i][0] = sum[i][1] = _mm512_setzero_ps();
        for (int cc = c; cc >= CB; cc -= CB, x += IMAGES * LINE, w += PAIRS * PAIR_BYTES)
            product_pairs(x, w, u_step, 0, PAIRS, sum);
        if (tail) {
            product_pairs(x, w, u_step, 0, tail, sum);
            product_pairs(x, w, u_step, PAIRS / 2, tail, sum);
        }
        UNROLL for (int i = 0; i < ROWS; i++) {
            _mm512_store_ps(out + i * CB, sum[i][0]);
            _mm512_store_ps(out + i * CB + VEC, sum[i][1]);
        }
    }
}

/* `rows` channels of C of one half of a line, from `first` on. */
INLINE void outer_rows(int rows, int pixels, int images, bool add, const char *v, size_t v_step,
                       const char *d, size_t d_step, float *du)
{
    __m512 sum[12][2];
    UNROLL for (int i = 0; i < rows; i++)
        sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (int p = 0; p < pixels; p++, v += IMAGES * LINE, d += IMAGES * LINE) {
        const char *a = v, *b = d;
#pragma GCC unroll 1
        for (int i = 0; i < images; i += 2, a += PAIR_BYTES, b += PAIR_BYTES) {
            __m512i even = _mm512_load_si512(b), odd = _mm512_load_si512(b + LINE);
            _mm_prefetch(a + v_step, _MM_HINT_T0);
            _mm_prefetch(b + d_step, _MM_HINT_T0);
            UNROLL for (int j = 0; j < rows; j++) {
                __m512i pair = _mm512_set1_epi32(*(const int *)(const void *)(a + 4 * j));
                sum[j][0] = multiply_add(sum[j][0], pair, even);
                sum[j][1] = multiply_add(sum[j][1], pair, odd);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int part = 0; part < 2; part++) {
            float *at = du + i * CB + part * VEC;
            v_store(at, add ? v_add(v_load(at), sum[i][part]) : sum[i][part]);
        }
}

/* A line of 24 channels or less takes 12 of each half at once. */
static void outer(int pixels, int images, int c, bool add, const void *v, size_t v_step,
                  const void *d, size_t d_step, void *du)
{
    for (int part = 0; part < 2; part++, d_step += LINE) {
        const char *x = (const char *)v + part * LINE;
        float *at = (float *)du + part * VEC * CB;
        if (c > 16 && c <= 24) {
            outer_rows(12, pixels, images, add, x, v_step, d, d_step, at);
            continue;
        }
        outer_rows(ROWS, pixels, images, add, x, v_step, d, d_step, at);
        if (c > 16)
            outer_rows(ROWS, pixels, images, add, x + ROWS * 4, v_step, d, d_step, at + ROWS * CB);
    }
}

/* 16 even and 16 odd numbers to 32 in order. */
INLINE void store_mixed(float *p, vec even, vec odd, bool stream)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    vec first = _mm512_permutex2var_ps(even, low, odd);
    vec second = _mm512_permutex2var_ps(even, high, odd);
    if (stream) {
        v_stream(p, first);
        v_stream(p + VEC, second);
    } else {
        v_store(p, first);
        v_store(p + VEC, second);
    }
}

INLINE void weights_gradient_points(const char *du, size_t du_step, vec dw[3][3])
{
    vec half[3][WINOGRAD_POINTS];
    UNROLL for (int j = 0; j < WINOGRAD_POINTS; j++) {
        vec column[WINOGRAD_POINTS], out[3];
        UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++)
            column[i] = v_load((const float *)(const void *)(
                du + (size_t)(i * WINOGRAD_POINTS + j) * du_step));
        weights_gradient_1d_one(column, out);
        UNROLL for (int i = 0; i < 3; i++)
            half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < 3; i++)
        weights_gradient_1d_one(half[i], dw[i]);
}

static void weights_gradient(int c, int lines, const void *du, size_t du_step, bool stream,
                             void *dw, size_t dw_step, size_t dw_row)
{
    assert(lines == 1);
    (void)lines;
    for (int channel = 0; channel < c; channel++) {
        int row = channel / CB * CB + channel % 2 * VEC + channel % CB / 2;
        const char *from = (const char *)du + (size_t)(row * CB) * sizeof(float);
        char *to = (char *)dw + (size_t)channel * dw_row;
        vec even[3][3], odd[3][3];
        weights_gradient_points(from, du_step, even);
        weights_gradient_points(from + LINE, du_step, odd);
        UNROLL for (int t = 0; t < WINOGRAD_TAPS; t++)
            store_mixed((float *)(void *)(to + (size_t)t * dw_step), even[t / 3][t % 3],
                        odd[t / 3][t % 3], stream);
    }
    v_stream_end();
}

void winograd_kernels_init__avx512bf16(struct winograd_kernels *k)
{
    *k = (struct winograd_kernels){
        .set = &winograd_set4,
        .input = input_one,
        .output = output_one,
        .gradient = gradient_rows,
        .weights_gradient = weights_gradient,
        .input_rows = input_rows,
        .pack = pack,
        .product = product,
        .outer = outer,
    };
}
