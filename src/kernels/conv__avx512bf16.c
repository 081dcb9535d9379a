/* conv__avx512bf16.c - the kernels of conv.h in bf16 with dot products of pairs.
 *
 * One instruction multiplies 16 pairs and adds both products to 16 floats. A gather pairs channels
 * of C, as they lie in the map and as the weights are packed. An outer product pairs images, which
 * lie a line apart: each pixel is first copied with the images of a pair interleaved, 6 KiB that
 * stay in the first-level cache (more pixels at a time measured slower). Both hold a block of 8
 * rows by one line of K in 16 accumulators: 8 images by 32 output channels, 8 input channels by 32
 * output channels; a step loads a line and broadcasts eight pairs. */
#include <assert.h>
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/conv.h"
#include "kernels/vector.h"

#include "kernels/conv_bf16_pack_body.h"

#define REAL float
#define MAP struct bf16
#define NAME(name) name##__avx512bf16
#include "kernels/conv_unpack_body.h"

enum {
    CB = LINE / (int)sizeof(struct bf16),
    TILE = IMAGES * CB,
    ROWS = 8,
    HALVES = 2               /* vectors of 16 sums in a line of K */
};

#define UNROLL _Pragma("GCC unroll 16")

INLINE __m512bh load_pairs(const void *p)
{
    return (__m512bh)_mm512_load_si512(p);
}

/* The pair of bf16 at p, 16 times. */
INLINE __m512bh broadcast_pair(const void *p)
{
    int pair;
    memcpy(&pair, p, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

/* Adds `pairs` pairs of channels of one tile to the sums of 8 images; w[h] are their weights. */
INLINE void gather_tile(const struct bf16 *x, const struct bf16 *const *w, int pairs,
                        __m512 sum[ROWS][HALVES])
{
#pragma GCC unroll 1
    for (int p = 0; p < pairs; p++) {
        __m512bh line[HALVES];
        UNROLL for (int h = 0; h < HALVES; h++)
            line[h] = load_pairs(w[h] + p * CB);
        UNROLL for (int i = 0; i < ROWS; i++) {
            __m512bh a = broadcast_pair(x + i * CB + 2 * p);
            UNROLL for (int h = 0; h < HALVES; h++)
                sum[i][h] = _mm512_dpbf16_ps(sum[i][h], a, line[h]);
        }
    }
}

/* The gather of 8 images, `image` images into the tiles, and one line of K. `at` is where the
 * line's weights begin in those of a tap. */
static void gather_rows(int count, const struct conv_tap *taps, int c, int image, size_t at,
                        const float *bias, bool add, struct bf16 *y)
{
    __m512 sum[ROWS][HALVES];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int h = 0; h < HALVES; h++)
            sum[i][h] = add    ? v_load_bf16(y + i * CB + h * 16)
                        : bias ? _mm512_load_ps(bias + h * 16)
                               : _mm512_setzero_ps();
    int pairs = (c + 1) / 2;
    for (int t = 0; t < count; t++) {
        const struct bf16 *x = (const struct bf16 *)taps[t].x + image * CB;
        const struct bf16 *first = (const struct bf16 *)taps[t].w + at;
        const struct bf16 *w[HALVES] = {first, first + (size_t)pairs * CB};
        for (int p = 0; p < pairs; p += CB / 2, x += TILE) {
            int some = pairs - p < CB / 2 ? pairs - p : CB / 2;
            gather_tile(x, w, some, sum);
            w[0] += CB / 2 * CB;
            w[1] += CB / 2 * CB;
        }
    }
    UNROLL for (int i = 0; i < ROWS; i++)
        _mm512_store_si512(y + i * CB, (__m512i)_mm512_cvtne2ps_pbh(sum[i][1], sum[i][0]));
}

static void gather(int count, const struct conv_tap *taps, int c, int images, int lines,
                   const void *bias, bool add, void *y)
{
    size_t line = (size_t)conv_packed_depth(PRECISION_BF16, c) * CB;
    for (int l = 0; l < lines; l++)
        for (int i = 0; i < images; i += ROWS)
            gather_rows(count, taps, c, i, (size_t)l * line,
                        bias ? (const float *)bias + l * CB : NULL, add,
                        (struct bf16 *)y + l * TILE + i * CB);
}

/* Interleaves the lines of images 2p and 2p+1 of one tile: [pair][32 channels][2 images], the
 * first `halves` halves of the channels; images from `images` on become zero. */
INLINE void interleave(const struct bf16 *tile, int images, int halves, struct bf16 *pairs)
{
    static const uint16_t order[2][CB] = {
        {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39,
         8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
        {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55,
         24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
    for (int i = 0; i < images; i += 2, tile += 2 * CB, pairs += 2 * CB) {
        __m512i a = _mm512_load_si512(tile), b = _mm512_setzero_si512();
        if (i + 1 < images)
            b = _mm512_load_si512(tile + CB);
        UNROLL for (int h = 0; h < halves; h++)
            _mm512_store_si512(pairs + h * CB, _mm512_permutex2var_epi16(
                                                   a, _mm512_loadu_si512(order[h]), b));
    }
}

/* One pixel of x and of dy, with interleaved images. */
struct pixel {
    int pairs;
    _Alignas(LINE) struct bf16 x[TILE];
    _Alignas(LINE) struct bf16 dy[PANEL_LINES][TILE];
};

/* dw of `rows` channels of C from `first` on and `lines` lines of K from l0 on. */
INLINE void outer_rows(const struct pixel *g, int first, int rows, int l0, int lines, int width,
                       float *dw)
{
    int vectors = lines * HALVES;
    const struct bf16 *x = g->x + 2 * first, *dy = g->dy[l0];
    __m512 sum[ROWS][PANEL_LINES * HALVES];
    UNROLL for (int c = 0; c < rows; c++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[c][v] = _mm512_setzero_ps();
#pragma GCC unroll 1
    for (int p = 0; p < g->pairs; p++, x += 2 * CB, dy += 2 * CB) {
        __m512bh line[PANEL_LINES * HALVES];
        UNROLL for (int v = 0; v < vectors; v++)
            line[v] = load_pairs(dy + v / HALVES * TILE + v % HALVES * CB);
        UNROLL for (int c = 0; c < rows; c++) {
            __m512bh a = broadcast_pair(x + 2 * c);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[c][v] = _mm512_dpbf16_ps(sum[c][v], a, line[v]);
        }
    }
    UNROLL for (int c = 0; c < rows; c++)
        UNROLL for (int v = 0; v < vectors; v++) {
            float *out = dw + (first + c) * width + l0 * CB + v * 16;
            _mm512_store_ps(out, _mm512_add_ps(_mm512_load_ps(out), sum[c][v]));
        }
}

/* Blocks of 8 channels by one line; what is left (a colour image's three) by all lines at once. */
static void outer_pixel(const struct pixel *g, int c, int lines, float *dw)
{
    int width = lines * CB, first = 0;
    for (; c - first >= ROWS; first += ROWS)
        for (int l = 0; l < lines; l++)
            outer_rows(g, first, ROWS, l, 1, width, dw);
#define REST(rows)                                                                                \
    for (; c - first >= (rows); first += (rows)) {                                                \
        if (lines == 2)                                                                           \
            outer_rows(g, first, rows, 0, 2, width, dw);                                          \
        else                                                                                      \
            outer_rows(g, first, rows, 0, 1, width, dw);                                          \
    }
    REST(3)
    REST(1)
#undef REST
}

static void outer(const struct conv_rect *r, int images, int c, int lines, void *dw)
{
    struct pixel g;
    g.pairs = (images + 1) / 2;
    for (int p = 0; p < r->rows; p++) {
        const struct bf16 *x = (const struct bf16 *)r->x + (size_t)p * r->x_row;
        const struct bf16 *dy = (const struct bf16 *)r->dy + (size_t)p * r->dy_row;
        for (int q = 0; q < r->pixels; q++, x += r->x_pixel, dy += r->dy_pixel) {
            if (c > 16)
                interleave(x, images, 2, g.x);
            else
                interleave(x, images, 1, g.x);
            for (int l = 0; l < lines; l++)
                interleave(dy + l * TILE, images, 2, g.dy[l]);
            outer_pixel(&g, c, lines, dw);
        }
    }
}

static void sum_images(int pixels, int images, const void *dy, size_t dy_step, void *vsum)
{
    __m512 part[HALVES] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    float *sum = vsum;
    for (int p = 0; p < pixels; p++) {
        const struct bf16 *line = (const struct bf16 *)dy + (size_t)p * dy_step;
        for (int i = 0; i < images; i++, line += CB)
            for (int h = 0; h < HALVES; h++)
                part[h] = _mm512_add_ps(part[h], v_load_bf16(line + h * 16));
    }
    for (int h = 0; h < HALVES; h++)
        _mm512_storeu_ps(sum + h * 16, _mm512_add_ps(_mm512_loadu_ps(sum + h * 16), part[h]));
}

void conv_kernels_init_bf16__avx512bf16(struct conv_kernels *k)
{
    k->gather = gather;
    k->outer = outer;
    k->sum_images = sum_images;
    k->pack = pack;
    k->pack_transposed = pack_transposed;
    k->unpack = unpack__avx512bf16;
}
