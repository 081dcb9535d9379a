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
#include "kernels/winograd_points_body.h"

enum { AHEAD = 4 /* images */ };

INLINE void input_image(int m, bool masked, const void *const *x,
                        const struct winograd_taken *taken, size_t at, char *v, size_t step)
{
    vec in[2][WINOGRAD_POINTS], out[2][WINOGRAD_POINTS];
    UNROLL for (int i = 0; i < m + 2; i++) {
        const uint16_t *from = (const uint16_t *)x[i] + at;
        vec line[2];
        __builtin_prefetch(from + AHEAD * CB, 0, 2);
        if (masked)
            load_one_taken(from, taken->argmax[i] + at, taken->place[i], line);
        else
            load_one(from, line);
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
                         const struct winograd_taken *taken, char *v, size_t step)
{
    for (int i = 0; i < images; i++)
        input_image(m, masked, x, taken, (size_t)(i * CB), v, step);
}

static void row_input(int m, int images, const void *const *x, const struct winograd_taken *taken,
                      void *v, size_t step)
{
    assert(m >= WINOGRAD_LEAST && m <= WINOGRAD_MOST);
    if (taken) {
        if (m == 4)
            input_images(4, true, images, x, taken, v, step);
        else if (m == 3)
            input_images(3, true, images, x, taken, v, step);
        else
            input_images(2, true, images, x, taken, v, step);
    } else if (m == 4) {
        input_images(4, false, images, x, NULL, v, step);
    } else if (m == 3) {
        input_images(3, false, images, x, NULL, v, step);
    } else {
        input_images(2, false, images, x, NULL, v, step);
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

INLINE void row_points(float (*taps)[CB], int row, int half, vec u[WINOGRAD_POINTS])
{
    vec w[3];
    UNROLL for (int t = 0; t < 3; t++)
        w[t] = v_load(&taps[3 * row + t][half * VEC]);
    weights_1d_row(w, u);
}

static void row_pack(int to, int from, bool reverse, const float *w, size_t to_step,
                     size_t from_step, int to_first, void *u, size_t step)
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
                        _mm512_store_si512(at + (size_t)f * step, interleave(first[f], second[f]));
                }
            }
    }
}

void winograd_row_kernels_init__avx512bf16(struct winograd_row_kernels *k)
{
    *k = (struct winograd_row_kernels){
        .input = row_input,
        .output = row_output,
        .pack = row_pack,
    };
}
