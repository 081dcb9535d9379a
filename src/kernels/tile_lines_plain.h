/* tile_lines_plain.h - tile_lines.h in plain C. Included by tile_lines.h alone. */
#ifndef KILN_KERNELS_TILE_LINES_PLAIN_H
#define KILN_KERNELS_TILE_LINES_PLAIN_H

#include <float.h>
#include <math.h>
#include <stdint.h>

#include "kernels/bf16.h"
#include "kernels/tile_lines.h"

static inline uint16_t line_bf16(float v)
{
    return bf16_from_float(fabsf(v) < FLT_MIN ? copysignf(0, v) : v).bits;
}

static inline void line_round(void *out, const float *low, const float *high, const float *bias)
{
    uint16_t *line = out;
    for (int j = 0; j < 16; j++) {
        line[j] = line_bf16(low[j] + bias[j]);
        line[16 + j] = line_bf16(high[j] + bias[16 + j]);
    }
}

static inline void line_round_stream(void *out, const float *low, const float *high,
                                     const float *bias)
{
    line_round(out, low, high, bias);
}

static inline void line_stream_end(void) {}

static inline void tile_transpose(const void *tile, int images, void *out, size_t half)
{
    const uint16_t(*from)[32] = (const uint16_t(*)[32])tile;
    for (int c = 0; c < 32; c++) {
        uint16_t *to = (uint16_t *)(void *)((char *)out + (size_t)(c / 16) * half) + c % 16 * 32;
        for (int i = 0; i < 32; i++)
            to[i] = i < images ? from[i][c] : 0;
    }
}

static inline void tile_pair(const void *tile, int images, void *out, size_t half)
{
    const uint16_t(*from)[32] = (const uint16_t(*)[32])tile;
    for (int h = 0; h < 2; h++) {
        uint16_t(*to)[32] = (uint16_t(*)[32])(void *)((char *)out + (size_t)h * half);
        for (int i = 0; i < 32; i++)
            for (int j = 0; j < 16; j++)
                to[i / 2][2 * j + i % 2] = i < images ? from[i][tile_pair_channel(h, j)] : 0;
    }
}

static inline void tile_spread(const void *tile, const uint8_t *argmax, char *const out[4])
{
    const uint16_t *from = tile;
    for (int place = 0; place < 4; place++) {
        uint16_t *to = (uint16_t *)(void *)out[place];
        for (int i = 0; i < 32 * 32; i++)
            to[i] = argmax[i] == place ? from[i] : 0;
    }
}

static inline void tile_pair_pooled(const void *tile, const uint8_t *argmax, int images,
                                    char *const out[4], size_t half)
{
    _Alignas(LINE) char taken[4][32 * 64];
    tile_spread(tile, argmax, (char *const[]){taken[0], taken[1], taken[2], taken[3]});
    for (int place = 0; place < 4; place++)
        tile_pair(taken[place], images, out[place], half);
}

static inline void line_weights(const float *w, size_t step, size_t next, unsigned even,
                                unsigned odd, void *out)
{
    uint16_t *line = out;
    for (size_t j = 0; j < 16; j++) {
        line[2 * j] = even >> j & 1 ? line_bf16(w[j * step]) : 0;
        line[2 * j + 1] = odd >> j & 1 ? line_bf16(w[j * step + next]) : 0;
    }
}

#endif
