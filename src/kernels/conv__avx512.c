/* conv__avx512.c - the kernels of conv.h that are faster in AVX-512.
 *
 * Both hold a block of 8 rows by two lines in 16 accumulators: 8 images by 32 output channels in a
 * gather, 8 input channels by 32 output channels in an outer product. A step loads two lines and
 * broadcasts eight numbers from memory, which costs no more than naming them as operands. */
#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/conv.h"

#define REAL float
#define MAP float
#define NAME(name) name##__avx512
#include "kernels/conv_pack_body.h"
#include "kernels/conv_unpack_body.h"

enum { CB = LINE / (int)sizeof(float), ROWS = 8 };

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* Adds one tile's worth of channels, c <= CB, to the sums of 8 images; `next` is where the images'
 * lines will be read after these. */
INLINE void gather_line(const float *x, const float *w, int c, int lines, const float *next,
                        __m512 sum[ROWS][PANEL_LINES])
{
    UNROLL for (int i = 0; i < ROWS; i++)
        _mm_prefetch((const char *)(next + i * CB), _MM_HINT_T0);
#pragma GCC unroll 1
    for (int cc = 0; cc < c; cc++) {
        __m512 line[PANEL_LINES];
        UNROLL for (int l = 0; l < lines; l++)
            line[l] = _mm512_load_ps(w + (cc * lines + l) * CB);
        UNROLL for (int i = 0; i < ROWS; i++) {
            __m512 a = _mm512_set1_ps(x[i * CB + cc]);
            UNROLL for (int l = 0; l < lines; l++)
                sum[i][l] = _mm512_fmadd_ps(a, line[l], sum[i][l]);
        }
    }
}

/* The gather of 8 images, `image` images into the tiles. */
INLINE void gather_rows(int count, const struct conv_tap *taps, int c, int image, int lines,
                        const float *bias, bool add, float *y)
{
    __m512 sum[ROWS][PANEL_LINES];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int l = 0; l < lines; l++)
            sum[i][l] = add    ? _mm512_load_ps(y + (l * IMAGES + i) * CB)
                        : bias ? _mm512_load_ps(bias + l * CB)
                               : _mm512_setzero_ps();
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int l = 0; l < lines; l++)
            __builtin_prefetch(y + (l * IMAGES + i) * CB, 1);
    for (int t = 0; t < count; t++) {
        const float *x = (const float *)taps[t].x + image * CB, *w = taps[t].w;
        int cc = c;
        for (; cc > CB; cc -= CB, x += IMAGES * CB, w += CB * lines * CB)
            gather_line(x, w, CB, lines, x + IMAGES * CB, sum);
        const float *next = taps[t + 1 < count ? t + 1 : t].x;
        gather_line(x, w, cc, lines, next + image * CB, sum);
    }
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int l = 0; l < lines; l++)
            _mm512_store_ps(y + (l * IMAGES + i) * CB, sum[i][l]);
}

static void gather(int count, const struct conv_tap *taps, int c, int images, int lines,
                   const void *bias, bool add, void *y)
{
    for (int i = 0; i < images; i += ROWS) {
        float *out = (float *)y + i * CB;
        if (lines == 2)
            gather_rows(count, taps, c, i, 2, bias, add, out);
        else
            gather_rows(count, taps, c, i, 1, bias, add, out);
    }
}

/* `c` channels of x from `first` on. The lines of the next pixel are asked for while this one is
 * worked on: they come from L2 or beyond the first time. */
INLINE void outer_rows(const struct conv_rect *r, int images, int first, int c, int lines,
                       float *dw)
{
    __m512 sum[ROWS][PANEL_LINES];
    UNROLL for (int cc = 0; cc < c; cc++)
        UNROLL for (int l = 0; l < lines; l++)
            sum[cc][l] = _mm512_setzero_ps();
    for (int p = 0; p < r->rows; p++) {
        const float *x = (const float *)r->x + (size_t)p * r->x_row + first;
        const float *dy = (const float *)r->dy + (size_t)p * r->dy_row;
        for (int q = 0; q < r->pixels; q++, x += r->x_pixel, dy += r->dy_pixel) {
#pragma GCC unroll 1
            for (int i = 0; i < images; i++) {
                __m512 line[PANEL_LINES];
                _mm_prefetch((const char *)(x + r->x_pixel + i * CB), _MM_HINT_T0);
                UNROLL for (int l = 0; l < lines; l++) {
                    const float *at = dy + (l * IMAGES + i) * CB;
                    line[l] = _mm512_load_ps(at);
                    _mm_prefetch((const char *)(at + r->dy_pixel), _MM_HINT_T0);
                }
                UNROLL for (int cc = 0; cc < c; cc++) {
                    __m512 a = _mm512_set1_ps(x[i * CB + cc]);
                    UNROLL for (int l = 0; l < lines; l++)
                        sum[cc][l] = _mm512_fmadd_ps(a, line[l], sum[cc][l]);
                }
            }
        }
    }
    UNROLL for (int cc = 0; cc < c; cc++)
        UNROLL for (int l = 0; l < lines; l++) {
            float *out = dw + ((first + cc) * lines + l) * CB;
            _mm512_store_ps(out, _mm512_add_ps(_mm512_load_ps(out), sum[cc][l]));
        }
}

/* Channels that do not fill 8 rows: three at a time (a colour image's), then one. */
static void outer(const struct conv_rect *r, int images, int c, int lines, void *dw)
{
    int first = 0;
#define OUTER(rows)                                                                                \
    for (; c - first >= (rows); first += (rows)) {                                                 \
        if (lines == 2)                                                                            \
            outer_rows(r, images, first, rows, 2, dw);                                             \
        else                                                                                       \
            outer_rows(r, images, first, rows, 1, dw);                                             \
    }
    OUTER(8)
    OUTER(3)
    OUTER(1)
#undef OUTER
}

void conv_kernels_init__avx512(struct conv_kernels *k)
{
    k->gather = gather;
    k->outer = outer;
    k->pack = pack__avx512;
    k->pack_transposed = pack_transposed__avx512;
    k->unpack = unpack__avx512;
}
