/* conv_outer__amx.c - backward-weights in tile registers: see conv_tiles.h.
 *
 * A product sums over the 32 images of one pixel: x comes transposed, 16 channels by 32 images, dy
 * as pairs of images by 16 channels. Since a sum runs over images and never over pixels, no tap of
 * the filter breaks the pairs. */
#include "kernels/conv_tiles.h"

#include <assert.h>
#include <string.h>

#include "kernels/tile_lines.h"

#define INLINE static inline __attribute__((always_inline))

enum { HALF = TILE_REGISTER };

/* Which of the taps of a pixel of dy fall into the map. */
enum { TAP_0 = 1, TAP_1 = 2, TAP_2 = 4, EVERY_TAP = 7 };

/* Both halves of C of the taps, for one pixel: `a` is x under tap 0. */
INLINE void outer_pixel(const int taps, const char *a, size_t x_pixel, const char *b)
{
    TILE_LOAD(7, b, LINE);
    if (taps & TAP_0) {
        TILE_LOAD(6, a, LINE);
        TILE_DOT(0, 6, 7);
    }
    if (taps & TAP_1) {
        TILE_LOAD(6, a + x_pixel, LINE);
        TILE_DOT(2, 6, 7);
    }
    if (taps & TAP_2) {
        TILE_LOAD(6, a + 2 * x_pixel, LINE);
        TILE_DOT(4, 6, 7);
    }
    if (taps & TAP_0) {
        TILE_LOAD(6, a + HALF, LINE);
        TILE_DOT(1, 6, 7);
    }
    if (taps & TAP_1) {
        TILE_LOAD(6, a + x_pixel + HALF, LINE);
        TILE_DOT(3, 6, 7);
    }
    if (taps & TAP_2) {
        TILE_LOAD(6, a + 2 * x_pixel + HALF, LINE);
        TILE_DOT(5, 6, 7);
    }
}

static int taps_inside(int column, int width)
{
    int taps = 0;
    for (int s = 0; s < OUTER_TAPS; s++)
        if (column + s >= 0 && column + s < width)
            taps |= TAP_0 << s;
    return taps;
}

static void outer_pixels(const struct tile_outer *o, const char *x, const char *dy)
{
    int q = 0;
    for (; q < o->pixels && o->column + q < 0; q++)
        outer_pixel(taps_inside(o->column + q, o->x_width),
                    x + (ptrdiff_t)(o->column + q) * (ptrdiff_t)o->x_pixel, o->x_pixel,
                    dy + (size_t)q * o->dy_pixel);
    int inside = o->x_width - (OUTER_TAPS - 1) - o->column; /* pixels that have every tap */
    inside = inside < o->pixels ? inside : o->pixels;
    const char *a = x + (ptrdiff_t)(o->column + q) * (ptrdiff_t)o->x_pixel;
    const char *b = dy + (size_t)q * o->dy_pixel;
#pragma GCC unroll 1
    for (; q < inside; q++, a += o->x_pixel, b += o->dy_pixel)
        outer_pixel(EVERY_TAP, a, o->x_pixel, b);
    for (; q < o->pixels; q++, a += o->x_pixel, b += o->dy_pixel)
        outer_pixel(taps_inside(o->column + q, o->x_width), a, o->x_pixel, b);
}

/* The sums of the next call lie right behind these, most likely in the third-level cache. */
INLINE void prefetch(const float *dw)
{
    for (int i = 0; i < 2 * OUTER_TAPS * TILE_REGISTER; i += LINE)
        __builtin_prefetch((const char *)dw + i, 1);
}

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

static void outer_row(const struct tile_outer *o, float *dw)
{
    if (o->add)
        prefetch(dw + 2 * OUTER_TAPS * REGISTER_REALS);
    LOAD_SUMS(0, dw, o->add);
    LOAD_SUMS(1, dw + REGISTER_REALS, o->add);
    LOAD_SUMS(2, dw + 2 * REGISTER_REALS, o->add);
    LOAD_SUMS(3, dw + 3 * REGISTER_REALS, o->add);
    LOAD_SUMS(4, dw + 4 * REGISTER_REALS, o->add);
    LOAD_SUMS(5, dw + 5 * REGISTER_REALS, o->add);
    for (int g = 0; g < o->blocks; g++)
        for (int i = 0; i < o->rows; i++)
            outer_pixels(o, o->x + (size_t)g * o->x_block + (size_t)i * o->x_row,
                         o->dy + (size_t)g * o->dy_block + (size_t)i * o->dy_row);
    TILE_STORE(0, dw, LINE);
    TILE_STORE(1, dw + REGISTER_REALS, LINE);
    TILE_STORE(2, dw + 2 * REGISTER_REALS, LINE);
    TILE_STORE(3, dw + 3 * REGISTER_REALS, LINE);
    TILE_STORE(4, dw + 4 * REGISTER_REALS, LINE);
    TILE_STORE(5, dw + 5 * REGISTER_REALS, LINE);
}

static void outer_tap(const struct tile_outer *o, float *dw)
{
    float *high = dw + o->dw_half;
    LOAD_SUMS(0, dw, o->add);
    LOAD_SUMS(1, dw + REGISTER_REALS, o->add);
    LOAD_SUMS(2, high, o->add);
    LOAD_SUMS(3, high + REGISTER_REALS, o->add);
    for (int g = 0; g < o->blocks; g++)
        for (int i = 0; i < o->rows; i++) {
            const char *a = o->x + (size_t)g * o->x_block + (size_t)i * o->x_row;
            const char *b = o->dy + (size_t)g * o->dy_block + (size_t)i * o->dy_row;
#pragma GCC unroll 1
            for (int q = 0; q < o->pixels; q++, a += o->x_pixel, b += o->dy_pixel) {
                TILE_LOAD(6, b, LINE);
                TILE_LOAD(4, a, LINE);
                TILE_DOT(0, 4, 6);
                TILE_LOAD(5, a + HALF, LINE);
                TILE_DOT(1, 5, 6);
                TILE_LOAD(7, b + o->dy_half, LINE);
                TILE_DOT(2, 4, 7);
                TILE_DOT(3, 5, 7);
            }
        }
    TILE_STORE(0, dw, LINE);
    TILE_STORE(1, dw + REGISTER_REALS, LINE);
    TILE_STORE(2, high, LINE);
    TILE_STORE(3, high + REGISTER_REALS, LINE);
}

static void transpose(const void *tile, int images, void *out)
{
    assert(images > 0 && images <= IMAGES);
    if (images == IMAGES)
        tile_transpose(tile, IMAGES, out);
    else
        tile_transpose(tile, images, out);
}

static void pair(const void *tile, int images, void *out)
{
    assert(images > 0 && images <= IMAGES);
    if (images == IMAGES)
        tile_pair(tile, IMAGES, out);
    else
        tile_pair(tile, images, out);
}

static void pair_pooled(const void *tile, const uint8_t *argmax, int images, void *out,
                        size_t pixel, size_t row)
{
    assert(images > 0 && images <= IMAGES);
    char *const to[] = {(char *)out, (char *)out + pixel, (char *)out + row,
                        (char *)out + row + pixel};
    if (images == IMAGES)
        tile_pair_pooled(tile, argmax, IMAGES, to);
    else
        tile_pair_pooled(tile, argmax, images, to);
}

static void add(size_t count, float *sum, const float *more)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += more[i];
}

/* sum[count] = the tree over lanes [first, first + lanes) from `at` on; false without any lane. */
static bool add_lanes(const float *const *lane, int first, int lanes, size_t at, int count,
                      float *sum)
{
    if (lanes == 1) {
        if (lane[first])
            memcpy(sum, lane[first] + at, (size_t)count * sizeof *sum);
        return lane[first] != NULL;
    }
    float right[REGISTER_REALS];
    bool has_left = add_lanes(lane, first, lanes / 2, at, count, sum);
    bool has_right = add_lanes(lane, first + lanes / 2, lanes / 2, at, count,
                               has_left ? right : sum);
    if (has_left && has_right)
        for (int i = 0; i < count; i++)
            sum[i] += right[i];
    return has_left || has_right;
}

static void unpack(const float *const lane[8], int k, int c, int taps, int line, int half, int c0,
                   float *dw)
{
    for (int tap = 0; tap < taps; tap++)
        for (int first = c0; first < c0 + CHANNELS && first < c; first += TILE_ROWS) {
            float sum[TILE_ROWS][TILE_ROWS];
            size_t at = (size_t)(2 * tap + (first > c0)) * REGISTER_REALS;
            bool any = add_lanes(lane, 0, 8, at, REGISTER_REALS, sum[0]);
            assert(any);
            (void)any;
            int rows = c - first < TILE_ROWS ? c - first : TILE_ROWS;
            for (int j = 0; j < TILE_ROWS; j++) {
                int to = line * CHANNELS + tile_pair_channel(half, j);
                if (to >= k)
                    continue;
                float *out = dw + ((size_t)to * (size_t)c + (size_t)first) * (size_t)taps + tap;
                for (int i = 0; i < rows; i++)
                    out[(size_t)i * (size_t)taps] = sum[i][j];
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
