/* pointwise_vector_body.h - the kernels of pointwise.h in vectors (vector.h): the body of the AVX2
 * and the AVX-512 tiers, in fp32 and bf16. TIER(x) is x's name in the tier, MAP the type of a map's
 * element, LOAD(p) and STORE(p, v) get a vec of them, STREAM(p, v) is STORE past the caches, ACT
 * and ACT_BACK are v_act and v_act_back or what is good enough, and SUMS(x) names one of the two
 * kinds of sums below.
 *
 * What is not here (the optimiser, copies of channels, the loading of images) is as fast in plain
 * C, because memory is the limit.
 */
#include <assert.h>
#include <string.h>

#include "kernels/pointwise.h"
#include "kernels/vector_coarse.h"

/* PART: what is computed of a line at a time, so that stores past the caches fill it in order. */
enum { CB = LINE / (int)sizeof(MAP), TILE = IMAGES * CB, PART = CB < 2 * VEC ? CB : 2 * VEC };

/* The coefficients of VEC channels; zero past the last channel. */
struct fold_vecs {
    vec mean, gain, bias, slope, offset, param, inverse;
};

INLINE vec load_channels(const void *reals, int channels, int c0)
{
    return v_load_some((const float *)reals + c0, channels - c0);
}

INLINE struct fold_vecs fold_load(const struct norm_fold *f, const void *slope,
                                  const void *offset, int channels, int c0)
{
    struct fold_vecs v = {.mean = load_channels(f->mean, channels, c0),
                          .gain = load_channels(f->rstd, channels, c0)};
    if (f->scale)
        v.gain = v_mul(v.gain, load_channels(f->scale, channels, c0));
    v.bias = f->bias ? load_channels(f->bias, channels, c0) : v_set(0);
    v.slope = slope ? load_channels(slope, channels, c0) : v_set(0);
    v.offset = offset ? load_channels(offset, channels, c0) : v_set(0);
    v.param = v_set((float)f->act_param);
    v.inverse = v_set((float)(1 / f->act_param));
    return v;
}

INLINE int lines_of(const struct tiles *t)
{
    assert(t->pixels >= 0 && t->channels > 0);
    assert(0 <= t->first && t->first < t->last && t->last <= IMAGES);
    return (t->channels + CB - 1) / CB;
}

/* Two sums of VEC channels over one tile, in double precision throughout. */
struct double_sums {
    vec_double low[2], high[2];
};

INLINE struct double_sums double_sums_begin(const double *a, const double *b)
{
    return (struct double_sums){{vd_load(a), vd_load(b)},
                                {vd_load(a + VEC / 2), vd_load(b + VEC / 2)}};
}

INLINE void double_sums_end(const struct double_sums *s, double *a, double *b)
{
    vd_store(a, s->low[0]);
    vd_store(b, s->low[1]);
    vd_store(a + VEC / 2, s->high[0]);
    vd_store(b + VEC / 2, s->high[1]);
}

/* Adds u to the first and u * v to the second; the products of floats are exact. */
INLINE void double_sums_add(struct double_sums *s, vec u, vec v)
{
    vec_double low = v_low(u), high = v_high(u);
    s->low[0] = vd_add(s->low[0], low);
    s->high[0] = vd_add(s->high[0], high);
    s->low[1] = vd_fma(low, v_low(v), s->low[1]);
    s->high[1] = vd_fma(high, v_high(v), s->high[1]);
}

/* The same in floats, whose chains are as short as a tile, added to the doubles at its end. */
struct float_sums {
    vec sum[2];
};

INLINE struct float_sums float_sums_begin(const double *a, const double *b)
{
    (void)a, (void)b;
    return (struct float_sums){{v_set(0), v_set(0)}};
}

INLINE void float_sums_end(const struct float_sums *s, double *a, double *b)
{
    vd_store(a, vd_add(vd_load(a), v_low(s->sum[0])));
    vd_store(b, vd_add(vd_load(b), v_low(s->sum[1])));
    vd_store(a + VEC / 2, vd_add(vd_load(a + VEC / 2), v_high(s->sum[0])));
    vd_store(b + VEC / 2, vd_add(vd_load(b + VEC / 2), v_high(s->sum[1])));
}

INLINE void float_sums_add(struct float_sums *s, vec u, vec v)
{
    s->sum[0] = v_add(s->sum[0], u);
    s->sum[1] = v_fma(u, v, s->sum[1]);
}

static void TIER(norm_sums)(const struct tiles *t, const void *vx, double *sums)
{
    int lines = lines_of(t);
    double *squares = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    const MAP *x = vx;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE) {
            for (int h = 0; h < CB; h += VEC) {
                double *sum = sums + l * CB + h, *square = squares + l * CB + h;
                struct SUMS(sums) s = SUMS(sums_begin)(sum, square);
                for (int i = t->first; i < t->last; i++) {
                    vec v = LOAD(x + i * CB + h);
                    SUMS(sums_add)(&s, v, v);
                }
                SUMS(sums_end)(&s, sum, square);
            }
        }
    }
}

/* The coefficients of the PART channels from c0 on. */
INLINE void folds_load(const struct norm_fold *f, const void *slope, const void *offset,
                       int channels, int c0, struct fold_vecs c[PART / VEC])
{
    for (int k = 0; k < PART / VEC; k++)
        c[k] = fold_load(f, slope, offset, channels, c0 + k * VEC);
}

INLINE void forward_act(const struct tiles *t, const struct norm_fold *f, const MAP *x,
                        bool stream, MAP *y, enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, y += TILE) {
            for (int h = 0; h < CB; h += PART) {
                struct fold_vecs c[PART / VEC];
                folds_load(f, NULL, NULL, t->channels, l * CB + h, c);
                for (int at = t->first * CB + h; at < t->last * CB + h; at += CB) {
#pragma GCC unroll 2
                    for (int k = 0; k < PART / VEC; k++) {
                        vec centred = v_sub(LOAD(x + at + k * VEC), c[k].mean);
                        vec z = v_fma(centred, c[k].gain, c[k].bias);
                        vec a = ACT(act, c[k].param, c[k].inverse, z);
                        if (stream)
                            STREAM(y + at + k * VEC, a);
                        else
                            STORE(y + at + k * VEC, a);
                    }
                }
            }
        }
    }
}

static void TIER(norm_forward)(const struct tiles *t, const struct norm_fold *f, const void *x,
                               bool stream, void *y)
{
    if (stream) {
        V_FOR_ACTIVATION(f->act, forward_act, t, f, x, true, y);
        v_stream_end();
    } else {
        V_FOR_ACTIVATION(f->act, forward_act, t, f, x, false, y);
    }
}

INLINE void backward_sums_act(const struct tiles *t, const struct norm_fold *f, const MAP *x,
                              const MAP *dy, MAP *dz, double *sums, enum activation act)
{
    int lines = lines_of(t);
    double *products = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, dy += TILE, dz += dz ? TILE : 0) {
            for (int h = 0; h < CB; h += VEC) {
                struct fold_vecs c = fold_load(f, NULL, NULL, t->channels, l * CB + h);
                double *sum = sums + l * CB + h, *product = products + l * CB + h;
                struct SUMS(sums) s = SUMS(sums_begin)(sum, product);
                for (int i = t->first; i < t->last; i++) {
                    vec centred = v_sub(LOAD(x + i * CB + h), c.mean);
                    vec z = v_fma(centred, c.gain, c.bias);
                    vec d = ACT_BACK(act, c.inverse, z, LOAD(dy + i * CB + h));
                    if (dz)
                        STORE(dz + i * CB + h, d);
                    SUMS(sums_add)(&s, d, centred);
                }
                SUMS(sums_end)(&s, sum, product);
            }
        }
    }
}

static void TIER(norm_backward_sums)(const struct tiles *t, const struct norm_fold *f,
                                     const void *x, const void *dy, void *dz, double *sums)
{
    V_FOR_ACTIVATION(f->act, backward_sums_act, t, f, x, dy, dz, sums);
}

INLINE void backward_act(const struct tiles *t, const struct norm_fold *f, const void *slope,
                         const void *offset, const MAP *x, const MAP *dy, MAP *dx,
                         enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, dy += TILE, dx += TILE) {
            for (int h = 0; h < CB; h += PART) {
                struct fold_vecs c[PART / VEC];
                folds_load(f, slope, offset, t->channels, l * CB + h, c);
                for (int at = t->first * CB + h; at < t->last * CB + h; at += CB) {
#pragma GCC unroll 2
                    for (int k = 0; k < PART / VEC; k++) {
                        vec centred = v_sub(LOAD(x + at + k * VEC), c[k].mean);
                        vec z = v_fma(centred, c[k].gain, c[k].bias);
                        vec d = ACT_BACK(act, c[k].inverse, z, LOAD(dy + at + k * VEC));
                        STORE(dx + at + k * VEC,
                              v_fma(c[k].gain, d, v_fma(c[k].slope, centred, c[k].offset)));
                    }
                }
            }
        }
    }
}

static void TIER(norm_backward)(const struct tiles *t, const struct norm_fold *f,
                                const void *slope, const void *offset, const void *x,
                                const void *dy, void *dx)
{
    assert(!slope == !offset);
    V_FOR_ACTIVATION(f->act, backward_act, t, f, slope, offset, x, dy, dx);
}

INLINE void act_forward_of(double param, size_t count, const MAP *x, MAP *y,
                           enum activation act)
{
    assert(count % CB == 0);
    vec alpha = v_set((float)param), inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += VEC)
        STORE(y + i, ACT(act, alpha, inverse, LOAD(x + i)));
}

static void TIER(act_forward)(enum activation act, double param, size_t count, const void *x,
                              void *y)
{
    V_FOR_ACTIVATION(act, act_forward_of, param, count, x, y);
}

INLINE void act_backward_of(double param, size_t count, const MAP *x, const MAP *dy,
                            MAP *dx, enum activation act)
{
    assert(count % CB == 0);
    vec inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += VEC)
        STORE(dx + i, ACT_BACK(act, inverse, LOAD(x + i), LOAD(dy + i)));
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
                vmask better = v_or(v_less(best, v), v_is_nan(v));
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

/* VEC elements of dy where the maximum was element k of the window. */
INLINE vec maxpool_part(const MAP *dy, const uint8_t *argmax, int k)
{
    return v_select(v_bytes_equal(argmax, k), LOAD(dy), v_set(0));
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
    for (size_t i = 0; i < count; i += VEC)
        STORE(y + i, v_add(LOAD(a + i), LOAD(b + i)));
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
