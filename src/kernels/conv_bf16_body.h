/* conv_bf16_body.h - the kernels of conv.h in bf16 without dot products: every pair is taken apart
 * into floats. The body of the AVX2 and the AVX-512 tier; TIER(x) is x's name in the tier, ROWS the
 * images of a gather and the channels of an outer product that its registers have room for. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/conv.h"
#include "kernels/vector.h"

#include "kernels/conv_bf16_pack_body.h"

#define REAL float
#define MAP struct bf16
#define NAME(name) TIER(name)
#include "kernels/conv_unpack_body.h"

enum { CB = LINE / (int)sizeof(struct bf16), TILE = IMAGES * CB, VECS = 2, STEP = VECS * VEC };

#define UNROLL _Pragma("GCC unroll 16")

/* The sums of `rows` images and STEP channels of K. w[v] are the weights of VEC channels. */
INLINE void gather_tile(int rows, const struct bf16 *x, const struct bf16 *const *w, int pairs,
                        vec sum[ROWS][VECS])
{
#pragma GCC unroll 1
    for (int p = 0; p < pairs; p++) {
        vec first[VECS], second[VECS];
        UNROLL for (int v = 0; v < VECS; v++) {
            vec both = v_load((const float *)(const void *)(w[v] + p * 2 * 16));
            first[v] = v_first_of_pair(both);
            second[v] = v_second_of_pair(both);
        }
        UNROLL for (int i = 0; i < rows; i++) {
            vec both = v_set_pair(x + i * CB + 2 * p);
            vec a = v_first_of_pair(both), b = v_second_of_pair(both);
            UNROLL for (int v = 0; v < VECS; v++)
                sum[i][v] = v_fma(b, second[v], v_fma(a, first[v], sum[i][v]));
        }
    }
}

/* The gather of some images, `image` images into the tiles, and channels j .. j+STEP-1 of a panel;
 * y is where they are in the tile. */
INLINE void gather_rows(int rows, int count, const struct conv_tap *taps, int c, int image, int j,
                        const float *bias, bool add, struct bf16 *y)
{
    vec sum[ROWS][VECS];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < VECS; v++)
            sum[i][v] = add    ? v_load_bf16(y + i * CB + v * VEC)
                        : bias ? v_load(bias + j + v * VEC)
                               : v_set(0);
    int pairs = (c + 1) / 2;
    for (int t = 0; t < count; t++) {
        const struct bf16 *x = (const struct bf16 *)taps[t].x + image * CB, *w[VECS];
        for (int v = 0; v < VECS; v++)
            w[v] = (const struct bf16 *)taps[t].w +
                   conv_packed_at(PRECISION_BF16, c, 0, 0, j + v * VEC);
        for (int p = 0; p < pairs; p += CB / 2, x += TILE) {
            int some = pairs - p < CB / 2 ? pairs - p : CB / 2;
            gather_tile(rows, x, w, some, sum);
            for (int v = 0; v < VECS; v++)
                w[v] += CB / 2 * 2 * 16;
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < VECS; v++)
            v_store_bf16(y + i * CB + v * VEC, sum[i][v]);
}

static void TIER(gather)(int count, const struct conv_tap *taps, int c, int images, int lines,
                         const void *bias, bool add, void *y)
{
    for (int j = 0; j < lines * CB; j += STEP)
        for (int i = 0; i < images; i += ROWS)
            gather_rows(ROWS, count, taps, c, i, j, bias, add,
                        (struct bf16 *)y + j / CB * TILE + i * CB + j % CB);
}

/* dw of `rows` channels of C from `first` on and STEP channels of K from j on; dy is where those
 * are in the tile. */
INLINE void outer_rows(const struct conv_rect *r, int images, int first, int rows, int j,
                       int width, float *dw)
{
    vec sum[ROWS][VECS];
    UNROLL for (int c = 0; c < rows; c++)
        UNROLL for (int v = 0; v < VECS; v++)
            sum[c][v] = v_set(0);
    for (int q = 0; q < r->rows * r->pixels; q++) {
        size_t row = (size_t)(q / r->pixels), column = (size_t)(q % r->pixels);
        const struct bf16 *x = (const struct bf16 *)r->x + row * r->x_row + column * r->x_pixel;
        const struct bf16 *dy = (const struct bf16 *)r->dy + row * r->dy_row +
                                column * r->dy_pixel + j / CB * TILE + j % CB;
        for (int i = 0; i < images; i++) {
            vec line[VECS];
            UNROLL for (int v = 0; v < VECS; v++)
                line[v] = v_load_bf16(dy + i * CB + v * VEC);
            UNROLL for (int c = 0; c < rows; c++) {
                vec a = v_set(bf16_to_float(x[i * CB + first + c]));
                UNROLL for (int v = 0; v < VECS; v++)
                    sum[c][v] = v_fma(a, line[v], sum[c][v]);
            }
        }
    }
    UNROLL for (int c = 0; c < rows; c++)
        UNROLL for (int v = 0; v < VECS; v++) {
            float *out = dw + (first + c) * width + j + v * VEC;
            v_store(out, v_add(v_load(out), sum[c][v]));
        }
}

static void TIER(outer)(const struct conv_rect *r, int images, int c, int lines, void *dw)
{
    for (int j = 0; j < lines * CB; j += STEP) {
        int first = 0;
        for (; c - first >= ROWS; first += ROWS)
            outer_rows(r, images, first, ROWS, j, lines * CB, dw);
        for (; first < c; first++)
            outer_rows(r, images, first, 1, j, lines * CB, dw);
    }
}

static void TIER(conv_init)(struct conv_kernels *k)
{
    k->gather = TIER(gather);
    k->outer = TIER(outer);
    k->pack = pack;
    k->pack_transposed = pack_transposed;
    k->unpack = TIER(unpack);
}
