/* pointwise_vector_body.h - the kernels of pointwise.h in vectors (vector.h): the body of the AVX2
 * and the AVX-512 tiers, in fp32 and bf16. TIER(x) is x's name in the tier, MAP the type of a map's
 * element, LOAD(p) and STORE(p, v) get a vec of them, STREAM(p, v) is STORE past the caches,
 * ROUND(v) is what LOAD gives after STORE, ACT and ACT_BACK are v_act and v_act_back or what is
 * good enough, and SUMS(x) names one of the two kinds of sums below. PLACES, where it is defined:
 * lines of bf16 are taken apart into even and odd channels (vector.h), not into halves.
 *
 * What is not here (the optimiser, copies of channels, the loading of images) is as fast in plain
 * C, because memory is the limit.
 */
#include <assert.h>
#include <string.h>

#include "kernels/pointwise.h"
#include "kernels/vector_coarse.h"

/* PART: what is computed of a line at a time, so that stores past the caches fill it in order; and
 * SUMMED: of sums, which take more registers. */
#ifdef PLACES
enum { SUMMED = 2 * VEC };
#else
enum { SUMMED = VEC };
#endif
enum { CB = LINE / (int)sizeof(MAP), TILE = IMAGES * CB, PART = CB < 2 * VEC ? CB : 2 * VEC };

/* `count` elements, PART or SUMMED, in the order of channels or, with PLACES, even before odd; then
 * a part is a line. */

INLINE void load_part(const MAP *p, int count, vec *v)
{
#ifdef PLACES
    assert(count == CB);
    v_load_places(p, v);
#else
#pragma GCC unroll 2
    for (int k = 0; k < count / VEC; k++)
        v[k] = LOAD(p + k * VEC);
#endif
}

INLINE void store_part(MAP *p, int count, bool stream, const vec *v)
{
#ifdef PLACES
    assert(count == CB);
    if (stream)
        v_stream_places(p, v);
    else
        v_store_places(p, v);
#else
#pragma GCC unroll 2
    for (int k = 0; k < count / VEC; k++)
        if (stream)
            STREAM(p + k * VEC, v[k]);
        else
            STORE(p + k * VEC, v[k]);
#endif
}

/* The elements of dy where the maximum was element k of the window: VEC, and `count` as above. */

INLINE vec maxpool_part(const MAP *dy, const uint8_t *argmax, int k)
{
    return v_select(v_bytes_equal(argmax, k), LOAD(dy), v_set(0));
}

INLINE void load_taken(const MAP *dy, const uint8_t *argmax, int k, int count, vec *v)
{
#ifdef PLACES
    assert(count == CB);
    v_load_places_taken(dy, argmax, k, v);
#else
#pragma GCC unroll 2
    for (int i = 0; i < count / VEC; i++)
        v[i] = maxpool_part(dy + i * VEC, argmax + i * VEC, k);
#endif
}

#include "kernels/norm_vector_body.h"

INLINE void act_forward_of(double param, size_t count, const MAP *x, bool stream, MAP *y,
                           enum activation act)
{
    assert(count % CB == 0);
    vec alpha = v_set((float)param), inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += PART) {
        vec v[PART / VEC];
        v_ask_ahead(x + i);
        load_part(x + i, PART, v);
#pragma GCC unroll 2
        for (int k = 0; k < PART / VEC; k++)
            v[k] = ACT(act, alpha, inverse, v[k]);
        store_part(y + i, PART, stream, v);
    }
}

static void TIER(act_forward)(enum activation act, double param, size_t count, const void *x,
                              bool stream, void *y)
{
    if (stream) {
        V_FOR_ACTIVATION(act, act_forward_of, param, count, x, true, y);
        v_stream_end();
    } else {
        V_FOR_ACTIVATION(act, act_forward_of, param, count, x, false, y);
    }
}

INLINE void act_backward_of(double param, size_t count, const MAP *x, const MAP *dy,
                            MAP *dx, enum activation act)
{
    assert(count % CB == 0);
    vec inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += PART) {
        vec v[PART / VEC], d[PART / VEC];
        v_ask_ahead(x + i);
        v_ask_ahead(dy + i);
        load_part(x + i, PART, v);
        load_part(dy + i, PART, d);
#pragma GCC unroll 2
        for (int k = 0; k < PART / VEC; k++)
            d[k] = ACT_BACK(act, inverse, v[k], d[k]);
        store_part(dx + i, PART, false, d);
    }
}

static void TIER(act_backward)(enum activation act, double param, size_t count, const void *x,
                               const void *dy, void *dx)
{
    V_FOR_ACTIVATION(act, act_backward_of, param, count, x, dy, dx);
}

/* All tiles of one pixel, in elements. */
INLINE size_t pool_pixel(const struct pool_shape *s)
{
    return (size_t)((s->c + CB - 1) / CB) * TILE;
}

/* One output row; window is a constant where it matters. */
INLINE void maxpool_row(const struct pool_shape *s, int p, const MAP *x, MAP *y,
                        uint8_t *argmax, int window)
{
    size_t size = pool_pixel(s), row = (size_t)s->w * size;
    for (int q = 0; q < s->q; q++) {
        const MAP *corner = x + (size_t)(p * s->stride) * row + (size_t)(q * s->stride) * size;
        size_t at = ((size_t)p * (size_t)s->q + (size_t)q) * size;
        for (size_t e = 0; e < size; e += VEC) {
            vec best = LOAD(corner + e), where = v_set_number(0);
            for (int k = 1; k < window * window; k++) {
                vec v = LOAD(corner + (size_t)(k / window) * row +
                               (size_t)(k % window) * size + e);
                vmask better = v_takes_over(best, v);
                best = v_select(better, v, best);
                where = v_select(better, v_set_number(k), where);
            }
            STORE(y + at + e, best);
            if (argmax)
                v_store_bytes(argmax + at + e, where);
        }
    }
}

static void TIER(maxpool_forward)(const struct pool_shape *s, int first, int last, const void *x,
                                  void *y, uint8_t *argmax)
{
    assert(0 <= first && first <= last && last <= s->p && s->window * s->window <= 256);
    for (int p = first; p < last; p++) {
        if (s->window == 2)
            maxpool_row(s, p, x, y, argmax, 2);
        else if (s->window == 3)
            maxpool_row(s, p, x, y, argmax, 3);
        else
            maxpool_row(s, p, x, y, argmax, s->window);
    }
}

/* The windows [*begin, *end) along one axis that hold input position i. */
INLINE void windows_of(const struct pool_shape *s, int i, int windows, int *begin, int *end)
{
    *begin = i < s->window ? 0 : (i - s->window) / s->stride + 1;
    *end = i / s->stride + 1 < windows ? i / s->stride + 1 : windows;
}

/* The windows that hold one input pixel: rows p0 .. p1-1, columns q0 .. q1-1; may be none. */
struct windows {
    int p0, p1, q0, q1;
};

INLINE struct windows windows_at(const struct pool_shape *s, int y, int column)
{
    struct windows w;
    windows_of(s, y, s->p, &w.p0, &w.p1);
    windows_of(s, column, s->q, &w.q0, &w.q1);
    return w;
}

/* Where the elements of window (p, q) begin. */
INLINE size_t window_start(const struct pool_shape *s, int p, int q)
{
    return ((size_t)p * (size_t)s->q + (size_t)q) * pool_pixel(s);
}

INLINE void maxpool_backward_pixel(const struct pool_shape *s, int y, int column,
                                   const MAP *dy, const uint8_t *argmax, bool stream, MAP *dx)
{
    size_t size = pool_pixel(s);
    struct windows w = windows_at(s, y, column);
    if (w.p1 - w.p0 == 1 && w.q1 - w.q0 == 1) {
        size_t at = window_start(s, w.p0, w.q0);
        int k = (y - w.p0 * s->stride) * s->window + column - w.q0 * s->stride;
        for (size_t e = 0; e < size; e += VEC) {
            vec part = maxpool_part(dy + at + e, argmax + at + e, k);
            if (stream)
                STREAM(dx + e, part);
            else
                STORE(dx + e, part);
        }
        return;
    }
    for (size_t e = 0; e < size; e += VEC) {
        vec sum = v_set(0);
        for (int p = w.p0; p < w.p1; p++) {
            for (int q = w.q0; q < w.q1; q++) {
                size_t at = window_start(s, p, q) + e;
                int k = (y - p * s->stride) * s->window + column - q * s->stride;
                sum = v_add(sum, maxpool_part(dy + at, argmax + at, k));
            }
        }
        STORE(dx + e, sum);
    }
}

static void TIER(maxpool_backward)(const struct pool_shape *s, int first, int last,
                                   const void *dy, const uint8_t *argmax, bool stream, void *dx)
{
    assert(0 <= first && first <= last && last <= s->h);
    for (int y = first; y < last; y++)
        for (int column = 0; column < s->w; column++) {
            size_t pixel = (size_t)y * (size_t)s->w + (size_t)column;
            maxpool_backward_pixel(s, y, column, dy, argmax, stream,
                                   (MAP *)dx + pixel * pool_pixel(s));
        }
    v_stream_end();
}

static void TIER(avgpool_forward)(const struct pool_shape *s, int first, int last, const void *vx,
                                  void *y)
{
    assert(0 <= first && first <= last && last <= s->p);
    size_t size = pool_pixel(s), row = (size_t)s->w * size;
    vec area = v_set((float)(s->window * s->window));
    for (int p = first; p < last; p++) {
        for (int q = 0; q < s->q; q++) {
            const MAP *x = (const MAP *)vx + (size_t)(p * s->stride) * row +
                           (size_t)(q * s->stride) * size;
            MAP *out = (MAP *)y + window_start(s, p, q);
            for (size_t e = 0; e < size; e += VEC) {
                vec sum = v_set(0);
                for (int r = 0; r < s->window; r++)
                    for (int c = 0; c < s->window; c++)
                        sum = v_add(sum, LOAD(x + (size_t)r * row + (size_t)c * size + e));
                STORE(out + e, v_div(sum, area));
            }
        }
    }
}

static void TIER(avgpool_backward)(const struct pool_shape *s, int first, int last,
                                   const void *dy, void *vdx)
{
    assert(0 <= first && first <= last && last <= s->h);
    size_t size = pool_pixel(s);
    vec area = v_set((float)(s->window * s->window));
    for (int i = first * s->w; i < last * s->w; i++) {
        struct windows w = windows_at(s, i / s->w, i % s->w);
        MAP *dx = (MAP *)vdx + (size_t)i * size;
        for (size_t e = 0; e < size; e += VEC) {
            vec sum = v_set(0);
            for (int p = w.p0; p < w.p1; p++)
                for (int q = w.q0; q < w.q1; q++)
                    sum = v_add(sum, v_div(LOAD((const MAP *)dy + window_start(s, p, q) + e),
                                           area));
            STORE(dx + e, sum);
        }
    }
}

static void TIER(add)(size_t count, const void *va, const void *vb, void *vy)
{
    const MAP *a = va, *b = vb;
    MAP *y = vy;
    assert(count % CB == 0);
    for (size_t i = 0; i < count; i += VEC) {
        v_ask_ahead(a + i);
        v_ask_ahead(b + i);
        STORE(y + i, v_add(LOAD(a + i), LOAD(b + i)));
    }
}

static void TIER(scale)(size_t count, double factor, const void *vx, void *vy)
{
    const MAP *x = vx;
    MAP *y = vy;
    vec f = v_set((float)factor);
    assert(count % CB == 0);
    for (size_t i = 0; i < count; i += VEC)
        STORE(y + i, v_mul(f, LOAD(x + i)));
}

static void TIER(pointwise_init)(struct pointwise_kernels *k)
{
    k->norm_sums = TIER(norm_sums);
    k->norm_forward = TIER(norm_forward);
    k->norm_pool_forward = TIER(norm_pool_forward);
    k->norm_backward_sums = TIER(norm_backward_sums);
    k->norm_backward = TIER(norm_backward);
    k->act_forward = TIER(act_forward);
    k->act_backward = TIER(act_backward);
    k->maxpool_forward = TIER(maxpool_forward);
    k->maxpool_backward = TIER(maxpool_backward);
    k->avgpool_forward = TIER(avgpool_forward);
    k->avgpool_backward = TIER(avgpool_backward);
    k->add = TIER(add);
    k->scale = TIER(scale);
}
