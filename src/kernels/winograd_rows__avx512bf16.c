/* winograd_rows__avx512bf16.c - Winograd along the rows of a map alone, in bf16: the transforms
 * around products in tile registers. See winograd.h. */
#include <assert.h>

#include "kernels/conv_tiles.h"
#include "kernels/winograd.h"
#include "kernels/winograd_lines.h"

#define REAL float
#define VEC_REALS VEC
#define UNROLL _Pragma("GCC unroll 16")
#define NAME(name) name##_row
#include "kernels/winograd_points4_body.h"

INLINE void input_image(int m, bool masked, const void *const *x,
                        const struct winograd_taken *taken, ptrdiff_t ahead, size_t at, char *v,
                        size_t step)
{
    vec in[2][WINOGRAD_POINTS], out[2][WINOGRAD_POINTS];
    UNROLL for (int i = 0; i < m + 2; i++) {
        const uint16_t *from = (const uint16_t *)x[i] + at;
        vec line[2];
        __builtin_prefetch(from + ahead / 2, 0, 2);
        if (masked) {
            __builtin_prefetch(taken->argmax[i] + at + ahead / 2, 0, 2);
            load_one_taken(from, taken->argmax[i] + at, taken->place[i], line);
        } else {
            load_one(from, line);
        }
        in[0][i] = line[0];
        in[1][i] = line[1];
    }
    input_1d_row(m, in[0], out[0]);
    input_1d_row(m, in[1], out[1]);
    UNROLL for (int i = 0; i < m + 2; i++) {
        const vec line[2] = {out[0][i], out[1][i]};
        store_one((uint16_t *)(void *)(v + (size_t)i * step) + at, line);
    }
}

INLINE void input_images(int m, bool masked, int images, const void *const *x,
                         const struct winograd_taken *taken, ptrdiff_t ahead, char *v, size_t step)
{
    for (int i = 0; i < images; i++)
        input_image(m, masked, x, taken, ahead, (size_t)(i * CB), v, step);
}

static void row_input(int m, int images, const void *const *x, const struct winograd_taken *taken,
                      ptrdiff_t ahead, void *v, size_t step)
{
    assert(m >= WINOGRAD_LEAST && m <= WINOGRAD_MOST);
    if (taken) {
        if (m == 4)
            input_images(4, true, images, x, taken, ahead, v, step);
        else if (m == 3)
            input_images(3, true, images, x, taken, ahead, v, step);
        else
            input_images(2, true, images, x, taken, ahead, v, step);
    } else if (m == 4) {
        input_images(4, false, images, x, NULL, ahead, v, step);
    } else if (m == 3) {
        input_images(3, false, images, x, NULL, ahead, v, step);
    } else {
        input_images(2, false, images, x, NULL, ahead, v, step);
    }
}

INLINE void output_images(int m, int images, const char *sums, size_t step, const float *bias,
                          bool stream, void *const *y)
{
    const vec added[2] = {v_load(bias), v_load(bias + VEC)};
    for (int i = 0; i < images; i++) {
        vec out[2][WINOGRAD_MOST];
        UNROLL for (int part = 0; part < 2; part++) {
            vec in[WINOGRAD_POINTS];
            UNROLL for (int j = 0; j < m + 2; j++)
                in[j] = v_load((const float *)(const void *)(sums + (size_t)j * step) +
                               i * CB + part * VEC);
            output_1d_row(m, in, out[part]);
        }
        UNROLL for (int j = 0; j < m; j++) {
            const vec line[2] = {v_add(out[0][j], added[0]), v_add(out[1][j], added[1])};
            uint16_t *to = (uint16_t *)y[j] + i * CB;
            if (stream)
                stream_one(to, line);
            else
                store_one(to, line);
        }
    }
    if (stream)
        v_stream_end();
}

static void row_output(int m, int images, const void *sums, size_t step, const float *bias,
                       bool stream, void *const *y)
{
    assert(m >= WINOGRAD_LEAST && m <= WINOGRAD_MOST);
    if (stream) {
        if (m == 4)
            output_images(4, images, sums, step, bias, true, y);
        else if (m == 3)
            output_images(3, images, sums, step, bias, true, y);
        else
            output_images(2, images, sums, step, bias, true, y);
    } else if (m == 4) {
        output_images(4, images, sums, step, bias, false, y);
    } else if (m == 3) {
        output_images(3, images, sums, step, bias, false, y);
    } else {
        output_images(2, images, sums, step, bias, false, y);
    }
}

/* Window w of two rows of outputs, [row][even or odd places of their lines][pixel]; the positions
 * of the maxima as maxpool_forward finds them: the first, or the last NaN. */
INLINE void pool_window(vec out[2][2][WINOGRAD_MOST], int w, uint16_t *y, uint8_t *argmax)
{
    vec best[2] = {v_set(0), v_set(0)};
    __m512i where[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    UNROLL for (int k = 0; k < 4; k++) {
        vec v[2];
        v_split(join(out[k / 2][0][2 * w + k % 2], out[k / 2][1][2 * w + k % 2]), v);
        UNROLL for (int h = 0; h < 2; h++) {
            vmask better = v_takes_over(best[h], v[h]);
            best[h] = k == 0 ? v[h] : v_select(better, v[h], best[h]);
            if (k > 0)
                where[h] = _mm512_mask_mov_epi32(where[h], better, _mm512_set1_epi32(k << 16 * h));
        }
    }
    __m512i low = _mm512_srli_epi32(_mm512_castps_si512(best[0]), 16);
    _mm512_store_si512(y, _mm512_or_si512(low, _mm512_castps_si512(best[1])));
    if (argmax)
        _mm256_store_si256((void *)argmax,
                           _mm512_cvtepi16_epi8(_mm512_or_si512(where[0], where[1])));
}

INLINE void pooled_images(int m, int images, const char *sums, size_t step, size_t row,
                          const float *bias, void *const *y, uint8_t *const *argmax)
{
    const vec added[2] = {v_load(bias), v_load(bias + VEC)};
    for (int i = 0; i < images; i++) {
        vec out[2][2][WINOGRAD_MOST];
        UNROLL for (int r = 0; r < 2; r++)
            UNROLL for (int part = 0; part < 2; part++) {
                const char *from = sums + (size_t)r * row;
                vec in[WINOGRAD_POINTS];
                UNROLL for (int j = 0; j < m + 2; j++)
                    in[j] = v_load((const float *)(const void *)(from + (size_t)j * step) +
                                   i * CB + part * VEC);
                output_1d_row(m, in, out[r][part]);
                UNROLL for (int j = 0; j < m; j++)
                    out[r][part][j] = v_add(out[r][part][j], added[part]);
            }
        UNROLL for (int w = 0; w < m / 2; w++)
            pool_window(out, w, (uint16_t *)y[w] + i * CB, argmax ? argmax[w] + i * CB : NULL);
    }
    for (int w = 0; w < m / 2; w++) {
        memset((uint16_t *)y[w] + images * CB, 0, (size_t)(IMAGES - images) * LINE);
        if (argmax)
            memset(argmax[w] + images * CB, 0, (size_t)(IMAGES - images) * CB);
    }
}

static void row_output_pooled(int m, int images, const void *sums, size_t step, size_t row,
                              const float *bias, void *const *y, uint8_t *const *argmax)
{
    assert(m == 2 || m == 4);
    if (m == 4)
        pooled_images(4, images, sums, step, row, bias, y, argmax);
    else
        pooled_images(2, images, sums, step, row, bias, y, argmax);
}

/* Images `at` and the next, or zeros in its place if it does not count. */
INLINE void gradient_pair(int m, bool masked, bool both, const void *const *dy,
                          const struct winograd_taken *taken, ptrdiff_t ahead, size_t at,
                          void *const *d, size_t to, size_t half)
{
    vec in[4][WINOGRAD_MOST], out[4][WINOGRAD_POINTS];
    UNROLL for (int i = 0; i < m; i++)
        UNROLL for (int image = 0; image < 2; image++) {
            const uint16_t *from = (const uint16_t *)dy[i] + at + image * CB;
            vec line[2] = {v_set(0), v_set(0)};
            __builtin_prefetch(from + ahead / 2, 0, 2);
            if (image == 0 || both) {
                if (masked) {
                    const uint8_t *argmax = taken->argmax[i] + at + image * CB;
                    __builtin_prefetch(argmax + ahead / 2, 0, 2);
                    load_one_taken(from, argmax, taken->place[i], line);
                } else {
                    load_one(from, line);
                }
            }
            in[image][i] = line[0];
            in[2 + image][i] = line[1];
        }
    UNROLL for (int part = 0; part < 4; part++)
        gradient_1d_row(m, in[part], out[part]);
    UNROLL for (int i = 0; i < m + 2; i++) {
        char *even = (char *)d[i] + to;
        _mm512_store_si512(even, interleave(out[0][i], out[1][i]));
        _mm512_store_si512(even + half, interleave(out[2][i], out[3][i]));
    }
}

INLINE void gradient_images(int m, bool masked, int images, const void *const *dy,
                            const struct winograd_taken *taken, ptrdiff_t ahead, void *const *d,
                            size_t half)
{
    int i = 0;
    for (; i + 1 < images; i += 2)
        gradient_pair(m, masked, true, dy, taken, ahead, (size_t)(i * CB), d,
                      (size_t)(i / 2 * LINE), half);
    if (i < images) {
        gradient_pair(m, masked, false, dy, taken, ahead, (size_t)(i * CB), d,
                      (size_t)(i / 2 * LINE), half);
        i += 2;
    }
    for (; i < IMAGES; i += 2)
        for (int f = 0; f < m + 2; f++)
            for (int h = 0; h < 2; h++)
                memset((char *)d[f] + i / 2 * LINE + (size_t)h * half, 0, LINE);
}

static void row_gradient(int m, int images, const void *const *dy,
                         const struct winograd_taken *taken, ptrdiff_t ahead, void *const *d,
                         size_t half)
{
    assert(m >= WINOGRAD_LEAST && m <= WINOGRAD_MOST);
    if (taken) {
        if (m == 4)
            gradient_images(4, true, images, dy, taken, ahead, d, half);
        else if (m == 3)
            gradient_images(3, true, images, dy, taken, ahead, d, half);
        else
            gradient_images(2, true, images, dy, taken, ahead, d, half);
    } else if (m == 4) {
        gradient_images(4, false, images, dy, NULL, ahead, d, half);
    } else if (m == 3) {
        gradient_images(3, false, images, dy, NULL, ahead, d, half);
    } else {
        gradient_images(2, false, images, dy, NULL, ahead, d, half);
    }
}

static void row_weights_gradient(int count, const float *du, size_t du_step, float *dw,
                                 size_t dw_step)
{
    for (int at = 0; at < count; at += VEC) {
        vec in[WINOGRAD_POINTS], out[3];
        UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++)
            in[i] = v_load(du + (size_t)i * du_step + at);
        weights_gradient_1d_row(in, out);
        UNROLL for (int s = 0; s < 3; s++)
            v_store(dw + (size_t)s * dw_step + at, out[s]);
    }
}

INLINE void row_points(float (*taps)[CB], int row, int half, vec u[WINOGRAD_POINTS])
{
    vec w[3];
    UNROLL for (int t = 0; t < 3; t++)
        w[t] = v_load(&taps[3 * row + t][half * VEC]);
    weights_1d_row(w, u);
}

static void row_pack(int to, int from, bool reverse, const float *w, size_t to_step,
                     size_t from_step, int to_first, bool stream, void *u, size_t step)
{
    _Alignas(LINE) float taps[CB][WINOGRAD_TAPS][CB];
    int lines = (from + CB - 1) / CB;
    w += (size_t)to_first * to_step;
    for (int line = 0; line < lines; line++, w += CB * from_step) {
        take_taps(to - to_first, from - line * CB, reverse, w, to_step, from_step, taps);
        for (int half = 0; half < 2; half++)
            for (int row = 0; row < 3; row++) {
                char *at = (char *)u +
                           (size_t)((half * lines + line) * 3 + row) * TILE_REGISTER;
                for (int p = 0; p < PAIRS; p++, at += LINE) {
                    vec first[WINOGRAD_POINTS], second[WINOGRAD_POINTS];
                    row_points(taps[pair_channel(p, 0)], row, half, first);
                    row_points(taps[pair_channel(p, 1)], row, half, second);
                    UNROLL for (int f = 0; f < WINOGRAD_POINTS; f++)
                        store_pairs(at + (size_t)f * step, interleave(first[f], second[f]), stream);
                }
            }
    }
    if (stream)
        v_stream_end();
}

void winograd_row_kernels_init__avx512bf16(struct winograd_row_kernels *k)
{
    *k = (struct winograd_row_kernels){
        .input = row_input,
        .output = row_output,
        .output_pooled = row_output_pooled,
        .pack = row_pack,
        .gradient = row_gradient,
        .weights_gradient = row_weights_gradient,
    };
}
