/* conv__avx2.c - the kernels of conv.h that are faster in AVX2.
 *
 * As conv__avx512.c, with blocks for 16 registers of 8 numbers: 6 rows by one line (12 sums, 2
 * parts of a line, a broadcast), so 32 images are 6+6+6+6+4+4 and 16 channels 6+6+4. */
#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/conv.h"

#define REAL float
#define MAP float
#define NAME(name) name##__avx2
#include "kernels/conv_pack_body.h"
#include "kernels/conv_unpack_body.h"

enum {
    CB = LINE / (int)sizeof(float), VECTOR = 8, PARTS = 2, ROWS = 6,
    AHEAD_LINES = 3 /* asked for with each tile: by its end a gather of 32 images has them all */
};

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* Adds one tile's worth of channels, c <= CB, to the sums of `rows` images; `step` lies between the
 * weights of neighbouring channels, `next` is where the images' lines will be read after these.
 * Asks for some of the weights at `ahead`, if there is one. */
INLINE void gather_line(int rows, const float *x, const float *w, int c, int step,
                        const float *next, const char *ahead, __m256 sum[ROWS][PARTS])
{
    UNROLL for (int i = 0; i < rows; i++)
        _mm_prefetch((const char *)(next + i * CB), _MM_HINT_T0);
    if (ahead)
        UNROLL for (int i = 0; i < AHEAD_LINES; i++)
            _mm_prefetch(ahead + i * LINE, _MM_HINT_T1);
#pragma GCC unroll 1
    for (int cc = 0; cc < c; cc++, w += step) {
        __m256 low = _mm256_load_ps(w), high = _mm256_load_ps(w + VECTOR);
        UNROLL for (int i = 0; i < rows; i++) {
            __m256 a = _mm256_broadcast_ss(&x[i * CB + cc]);
            sum[i][0] = _mm256_fmadd_ps(a, low, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(a, high, sum[i][1]);
        }
    }
}

/* What of a tap's `ahead` the so many-th turn over `c` channels asks for; NULL: nothing. */
INLINE const char *ahead_part(const struct conv_tap *tap, int turn, int c)
{
    size_t bytes = (size_t)((c + CB - 1) / CB * AHEAD_LINES * LINE);
    return tap->ahead ? (const char *)tap->ahead + (size_t)turn * bytes : NULL;
}

/* The gather of `rows` images, `image` images into the tiles, and of line `line` of the panel: the
 * so many-th turn through the taps. */
INLINE void gather_rows(int rows, int count, const struct conv_tap *taps, int c, int image,
                        int line, int lines, int turn, const float *bias, bool add, float *y)
{
    __m256 sum[ROWS][PARTS];
    y += (line * IMAGES + image) * CB;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < PARTS; v++)
            sum[i][v] = add    ? _mm256_load_ps(y + i * CB + v * VECTOR)
                        : bias ? _mm256_load_ps(bias + line * CB + v * VECTOR)
                               : _mm256_setzero_ps();
    UNROLL for (int i = 0; i < rows; i++)
        __builtin_prefetch(y + i * CB, 1);
    for (int t = 0; t < count; t++) {
        const float *x = (const float *)taps[t].x + image * CB;
        const float *w = (const float *)taps[t].w + line * CB;
        const char *ahead = ahead_part(&taps[t], turn, c);
        int cc = c, step = lines * CB;
        for (; cc > CB; cc -= CB, x += IMAGES * CB, w += CB * step) {
            gather_line(rows, x, w, CB, step, x + IMAGES * CB, ahead, sum);
            ahead += ahead ? AHEAD_LINES * LINE : 0;
        }
        const float *next = taps[t + 1 < count ? t + 1 : t].x;
        gather_line(rows, x, w, cc, step, next + image * CB, ahead, sum);
    }
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < PARTS; v++)
            _mm256_store_ps(y + i * CB + v * VECTOR, sum[i][v]);
}

/* Images are rounded up to a multiple of four; the blocks below then leave no rest. */
static void gather(int count, const struct conv_tap *taps, int c, int images, int lines,
                   const void *bias, bool add, void *y)
{
    int end = (images + 3) / 4 * 4, turn = 0;
    for (int i = 0, rows; i < end; i += rows) {
        rows = end - i >= 6 && end - i != 8 ? 6 : 4;
        for (int line = 0; line < lines; line++, turn++) {
            if (rows == 6)
                gather_rows(6, count, taps, c, i, line, lines, turn, bias, add, y);
            else
                gather_rows(4, count, taps, c, i, line, lines, turn, bias, add, y);
        }
    }
}

/* `rows` channels of x from `first` on, and line `line` of dy. The lines of the next pixel are
 * asked for while this one is worked on. */
INLINE void outer_rows(int rows, const struct conv_rect *r, int images, int first, int line,
                       int lines, float *dw)
{
    __m256 sum[ROWS][PARTS];
    UNROLL for (int cc = 0; cc < rows; cc++)
        UNROLL for (int v = 0; v < PARTS; v++)
            sum[cc][v] = _mm256_setzero_ps();
    for (int p = 0; p < r->rows; p++) {
        const float *x = (const float *)r->x + (size_t)p * r->x_row + first;
        const float *dy = (const float *)r->dy + (size_t)p * r->dy_row + line * IMAGES * CB;
        for (int q = 0; q < r->pixels; q++, x += r->x_pixel, dy += r->dy_pixel) {
#pragma GCC unroll 1
            for (int i = 0; i < images; i++) {
                __m256 low = _mm256_load_ps(dy + i * CB);
                __m256 high = _mm256_load_ps(dy + i * CB + VECTOR);
                _mm_prefetch((const char *)(x + r->x_pixel + i * CB), _MM_HINT_T0);
                _mm_prefetch((const char *)(dy + r->dy_pixel + i * CB), _MM_HINT_T0);
                UNROLL for (int cc = 0; cc < rows; cc++) {
                    __m256 a = _mm256_broadcast_ss(&x[i * CB + cc]);
                    sum[cc][0] = _mm256_fmadd_ps(a, low, sum[cc][0]);
                    sum[cc][1] = _mm256_fmadd_ps(a, high, sum[cc][1]);
                }
            }
        }
    }
    UNROLL for (int cc = 0; cc < rows; cc++)
        UNROLL for (int v = 0; v < PARTS; v++) {
            float *out = dw + ((first + cc) * lines + line) * CB + v * VECTOR;
            _mm256_store_ps(out, _mm256_add_ps(_mm256_load_ps(out), sum[cc][v]));
        }
}

static void outer(const struct conv_rect *r, int images, int c, int lines, void *dw)
{
    for (int first = 0, rows; first < c; first += rows) {
        int rest = c - first;
        rows = rest >= 6 && rest != 8 ? 6 : rest >= 4 ? 4 : rest == 3 ? 3 : 1;
        for (int line = 0; line < lines; line++) {
            switch (rows) {
            case 6:
                outer_rows(6, r, images, first, line, lines, dw);
                break;
            case 4:
                outer_rows(4, r, images, first, line, lines, dw);
                break;
            case 3:
                outer_rows(3, r, images, first, line, lines, dw);
                break;
            default:
                outer_rows(1, r, images, first, line, lines, dw);
            }
        }
    }
}

void conv_kernels_init__avx2(struct conv_kernels *k)
{
    k->gather = gather;
    k->outer = outer;
    k->pack = pack__avx2;
    k->pack_transposed = pack_transposed__avx2;
    k->unpack = unpack__avx2;
}
