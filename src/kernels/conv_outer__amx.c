/* conv_outer__amx.c - backward-weights in tile registers: see conv_tiles.h.
 *
 * A product sums over the 32 images of one pixel: x comes transposed, 16 channels by 32 images, dy
 * as pairs of images by 16 channels. Since a sum runs over images and never over pixels, no tap of
 * the filter breaks the pairs. */
#include "kernels/conv_tiles.h"

#include <assert.h>

#include "kernels/tile_lines.h"

#define INLINE static inline __attribute__((always_inline))

#define LOAD_SUMS(t, p, add)                                                                       \
    do {                                                                                           \
        if (add)                                                                                   \
            TILE_LOAD(t, p, LINE);                                                                 \
        else                                                                                       \
            TILE_ZERO(t);                                                                          \
    } while (0)

static void outer_begin(void)
{
    TILE_CONFIGURE();
}

static void outer_end(void)
{
    TILE_RELEASE();
}

/* One pixel of x, under pixel q of dy for tap 0, under the one before for tap 1, and so on: NEW
 * takes pixel q of dy, LAST and BEFORE hold those before it. Asks for two lines of the next call's
 * sums, as long as there are any: all of them at once would hold up the loads of tiles. */
#define SLIDE(NEW, LAST, BEFORE)                                                                   \
    do {                                                                                           \
        if (next < next_end) {                                                                     \
            __builtin_prefetch(next, 1);                                                           \
            __builtin_prefetch(next + LINE, 1);                                                    \
            next += 2 * LINE;                                                                      \
        }                                                                                          \
        TILE_LOAD(6, a + q * x_pixel, LINE);                                                       \
        if (q < pixels) {                                                                          \
            TILE_LOAD(NEW, dy + q * dy_pixel, LINE);                                               \
            TILE_DOT(0, 6, NEW);                                                                   \
        }                                                                                          \
        if (q >= 1 && q <= pixels)                                                                 \
            TILE_DOT(1, 6, LAST);                                                                  \
        if (q >= 2)                                                                                \
            TILE_DOT(2, 6, BEFORE);                                                                \
    } while (0)

/* A row of dy and of x. The sums of the next call begin at `next`, most likely past the
 * second-level cache; returns the first that has not been asked for. */
INLINE const char *slide(const struct tile_outer *o, const char *x, const char *dy,
                         const char *next, const char *next_end)
{
    ptrdiff_t x_pixel = (ptrdiff_t)o->x_pixel, dy_pixel = (ptrdiff_t)o->dy_pixel;
    int pixels = o->pixels, past = o->x_width - o->column;
    int q = o->column < 0 ? -o->column : 0;
    int end = pixels + OUTER_TAPS - 1 < past ? pixels + OUTER_TAPS - 1 : past;
    const char *a = x + o->column * x_pixel;
    if (q >= 1 && q <= pixels)
        TILE_LOAD(5, dy + (q - 1) * dy_pixel, LINE);
    if (q >= 2 && q < end)
        TILE_LOAD(4, dy + (q - 2) * dy_pixel, LINE);
    for (; q < end; q++) {
        SLIDE(3, 5, 4);
        if (++q >= end)
            break;
        SLIDE(4, 3, 5);
        if (++q >= end)
            break;
        SLIDE(5, 4, 3);
    }
    return next;
}

static void outer_row(const struct tile_outer *o, float *dw)
{
    const char *next = (const char *)(dw + OUTER_TAPS * REGISTER_REALS);
    const char *next_end = o->add ? next + OUTER_TAPS * TILE_REGISTER : next;
    LOAD_SUMS(0, dw, o->add);
    LOAD_SUMS(1, dw + REGISTER_REALS, o->add);
    LOAD_SUMS(2, dw + 2 * REGISTER_REALS, o->add);
    for (int g = 0; g < o->blocks; g++)
        for (int i = 0; i < o->rows; i++)
            next = slide(o, o->x + (size_t)g * o->x_block + (size_t)i * o->x_row,
                         o->dy + (size_t)g * o->dy_block + (size_t)i * o->dy_row, next, next_end);
    TILE_STORE(0, dw, LINE);
    TILE_STORE(1, dw + REGISTER_REALS, LINE);
    TILE_STORE(2, dw + 2 * REGISTER_REALS, LINE);
}

static void outer_tap(const struct tile_outer *o, float *dw)
{
    float *c_high = dw + o->dw_c_half, *k_high = dw + o->dw_k_half, *high = c_high + o->dw_k_half;
    LOAD_SUMS(0, dw, o->add);
    LOAD_SUMS(1, c_high, o->add);
    LOAD_SUMS(2, k_high, o->add);
    LOAD_SUMS(3, high, o->add);
    for (int g = 0; g < o->blocks; g++)
        for (int i = 0; i < o->rows; i++) {
            const char *a = o->x + (size_t)g * o->x_block + (size_t)i * o->x_row;
            const char *b = o->dy + (size_t)g * o->dy_block + (size_t)i * o->dy_row;
#pragma GCC unroll 1
            for (int q = 0; q < o->pixels; q++, a += o->x_pixel, b += o->dy_pixel) {
                TILE_LOAD(6, b, LINE);
                TILE_LOAD(4, a, LINE);
                TILE_DOT(0, 4, 6);
                TILE_LOAD(5, a + o->x_half, LINE);
                TILE_DOT(1, 5, 6);
                TILE_LOAD(7, b + o->dy_half, LINE);
                TILE_DOT(2, 4, 7);
                TILE_DOT(3, 5, 7);
            }
        }
    TILE_STORE(0, dw, LINE);
    TILE_STORE(1, c_high, LINE);
    TILE_STORE(2, k_high, LINE);
    TILE_STORE(3, high, LINE);
}

static void transpose(const void *tile, int images, void *out, size_t half)
{
    assert(images > 0 && images <= IMAGES);
    if (images == IMAGES)
        tile_transpose(tile, IMAGES, out, half);
    else
        tile_transpose(tile, images, out, half);
}

static void pair(const void *tile, int images, void *out, size_t half)
{
    assert(images > 0 && images <= IMAGES);
    if (images == IMAGES)
        tile_pair(tile, IMAGES, out, half);
    else
        tile_pair(tile, images, out, half);
}

static void pair_pooled(const void *tile, const uint8_t *argmax, int images, void *out,
                        size_t pixel, size_t row, size_t half)
{
    assert(images > 0 && images <= IMAGES);
    char *const to[] = {(char *)out, (char *)out + pixel, (char *)out + row,
                        (char *)out + row + pixel};
    if (images == IMAGES)
        tile_pair_pooled(tile, argmax, IMAGES, to, half);
    else
        tile_pair_pooled(tile, argmax, images, to, half);
}

static void add(size_t count, float *sum, const float *more)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += more[i];
}

/* REGISTER_REALS numbers from `at` on, added up as a tree over the lanes that there are: in `room`
 * or, of a single lane, its own. */
static const float *add_lanes(const float *const lane[8], size_t at,
                              float room[7][REGISTER_REALS])
{
    const float *sum[8];
    for (int l = 0; l < 8; l++)
        sum[l] = lane[l] ? lane[l] + at : NULL;
    for (int count = 4; count > 0; count /= 2)
        for (int l = 0; l < count; l++) {
            const float *left = sum[2 * l], *right = sum[2 * l + 1];
            sum[l] = left ? left : right;
            if (!left || !right)
                continue;
            for (int i = 0; i < REGISTER_REALS; i++)
                (*room)[i] = left[i] + right[i];
            sum[l] = *room++;
        }
    assert(sum[0]);
    return sum[0];
}

static void unpack(const float *const lane[8], int k, int c, int taps, int k_half, int c_half,
                   bool parity, float *dw)
{
    int k_first = k_half / 2 * CHANNELS, half = k_half % 2;
    int from = c_half / 2 * CHANNELS + c_half % 2 * (parity ? 1 : TILE_ROWS);
    int apart = parity ? 2 : 1, channels = (c - from + apart - 1) / apart;
    channels = channels < TILE_ROWS ? channels : TILE_ROWS;
    for (int tap = 0; tap < taps; tap++) {
        float room[7][REGISTER_REALS];
        const float *sum = add_lanes(lane, (size_t)tap * REGISTER_REALS, room);
        for (int j = 0; j < TILE_ROWS; j++) {
            int to = k_first + (parity ? 2 * j + half : tile_pair_channel(half, j));
            if (to >= k)
                continue;
            float *out = dw + ((size_t)to * (size_t)c + (size_t)from) * (size_t)taps + tap;
            for (int i = 0; i < channels; i++)
                out[i * apart * taps] = sum[i * TILE_ROWS + j];
        }
    }
}

void conv_outer_init__amx(struct conv_tile_kernels *k)
{
    k->outer_begin = outer_begin;
    k->outer_row = outer_row;
    k->outer_tap = outer_tap;
    k->outer_end = outer_end;
    k->transpose = transpose;
    k->pair = pair;
    k->pair_pooled = pair_pooled;
    k->add = add;
    k->unpack = unpack;
}
