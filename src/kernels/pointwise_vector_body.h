/* pointwise_vector_body.h - the kernels of pointwise.h in vectors (vector.h): the body of the AVX2
 * and the AVX-512 tier. TIER(x) is x's name in the tier.
 *
 * What is not here (sums of maps, the optimiser, average pooling, the loading of images) is as fast
 * in plain C, because memory is the limit or because it is rare.
 */
#include <assert.h>

#include "kernels/pointwise.h"
#include "kernels/vector_math.h"

enum { CB = LINE / (int)sizeof(float), TILE = IMAGES * CB };

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

/* Two sums of VEC channels in double precision. */
struct pair_sums {
    vec_double low[2], high[2];
};

INLINE struct pair_sums sums_load(const double *a, const double *b)
{
    return (struct pair_sums){{vd_load(a), vd_load(b)},
                              {vd_load(a + VEC / 2), vd_load(b + VEC / 2)}};
}

INLINE void sums_store(const struct pair_sums *s, double *a, double *b)
{
    vd_store(a, s->low[0]);
    vd_store(b, s->low[1]);
    vd_store(a + VEC / 2, s->high[0]);
    vd_store(b + VEC / 2, s->high[1]);
}

/* Adds u to the first and u * v to the second; the products of floats are exact. */
INLINE void sums_add(struct pair_sums *s, vec u, vec v)
{
    vec_double low = v_low(u), high = v_high(u);
    s->low[0] = vd_add(s->low[0], low);
    s->high[0] = vd_add(s->high[0], high);
    s->low[1] = vd_fma(low, v_low(v), s->low[1]);
    s->high[1] = vd_fma(high, v_high(v), s->high[1]);
}

static void TIER(norm_sums)(const struct tiles *t, const void *vx, double *sums)
{
    int lines = lines_of(t);
    double *squares = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    const float *x = vx;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE) {
            for (int h = 0; h < CB; h += VEC) {
                struct pair_sums s = sums_load(sums + l * CB + h, squares + l * CB + h);
                for (int i = t->first; i < t->last; i++) {
                    const float *v = x + i * CB + h;
                    vec_double low = v_load_half(v), high = v_load_half(v + VEC / 2);
                    s.low[0] = vd_add(s.low[0], low);
                    s.high[0] = vd_add(s.high[0], high);
                    s.low[1] = vd_fma(low, low, s.low[1]);
                    s.high[1] = vd_fma(high, high, s.high[1]);
                }
                sums_store(&s, sums + l * CB + h, squares + l * CB + h);
            }
        }
    }
}

INLINE void forward_act(const struct tiles *t, const struct norm_fold *f, const float *x,
                        float *y, enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, y += TILE) {
            for (int h = 0; h < CB; h += VEC) {
                struct fold_vecs c = fold_load(f, NULL, NULL, t->channels, l * CB + h);
                for (int i = t->first; i < t->last; i++) {
                    vec z = v_fma(v_sub(v_load(x + i * CB + h), c.mean), c.gain, c.bias);
                    v_store(y + i * CB + h, v_act(act, c.param, c.inverse, z));
                }
            }
        }
    }
}

static void TIER(norm_forward)(const struct tiles *t, const struct norm_fold *f, const void *x,
                               void *y)
{
    V_FOR_ACTIVATION(f->act, forward_act, t, f, x, y);
}

INLINE void backward_sums_act(const struct tiles *t, const struct norm_fold *f, const float *x,
                              const float *dy, float *dz, double *sums, enum activation act)
{
    int lines = lines_of(t);
    double *products = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, dy += TILE, dz += dz ? TILE : 0) {
            for (int h = 0; h < CB; h += VEC) {
                struct fold_vecs c = fold_load(f, NULL, NULL, t->channels, l * CB + h);
                struct pair_sums s = sums_load(sums + l * CB + h, products + l * CB + h);
                for (int i = t->first; i < t->last; i++) {
                    vec centred = v_sub(v_load(x + i * CB + h), c.mean);
                    vec z = v_fma(centred, c.gain, c.bias);
                    vec d = v_act_back(act, c.inverse, z, v_load(dy + i * CB + h));
                    if (dz)
                        v_store(dz + i * CB + h, d);
                    sums_add(&s, d, centred);
                }
                sums_store(&s, sums + l * CB + h, products + l * CB + h);
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
                         const void *offset, const float *x, const float *dy, float *dx,
                         enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, dy += TILE, dx += TILE) {
            for (int h = 0; h < CB; h += VEC) {
                struct fold_vecs c = fold_load(f, slope, offset, t->channels, l * CB + h);
                for (int i = t->first; i < t->last; i++) {
                    vec centred = v_sub(v_load(x + i * CB + h), c.mean);
                    vec z = v_fma(centred, c.gain, c.bias);
                    vec d = v_act_back(act, c.inverse, z, v_load(dy + i * CB + h));
                    v_store(dx + i * CB + h,
                            v_fma(c.gain, d, v_fma(c.slope, centred, c.offset)));
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

INLINE void act_forward_of(double param, size_t count, const float *x, float *y,
                           enum activation act)
{
    assert(count % CB == 0);
    vec alpha = v_set((float)param), inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += VEC)
        v_store(y + i, v_act(act, alpha, inverse, v_load(x + i)));
}

static void TIER(act_forward)(enum activation act, double param, size_t count, const void *x,
                              void *y)
{
    V_FOR_ACTIVATION(act, act_forward_of, param, count, x, y);
}

INLINE void act_backward_of(double param, size_t count, const float *x, const float *dy,
                            float *dx, enum activation act)
{
    assert(count % CB == 0);
    vec inverse = v_set((float)(1 / param));
    for (size_t i = 0; i < count; i += VEC)
        v_store(dx + i, v_act_back(act, inverse, v_load(x + i), v_load(dy + i)));
}

static void TIER(act_backward)(enum activation act, double param, size_t count, const void *x,
                               const void *dy, void *dx)
{
    V_FOR_ACTIVATION(act, act_backward_of, param, count, x, dy, dx);
}

/* All tiles of one pixel, in floats. */
INLINE size_t pool_pixel(const struct pool_shape *s)
{
    return (size_t)((s->c + CB - 1) / CB) * TILE;
}

/* One output row; window is a constant where it matters. */
INLINE void maxpool_row(const struct pool_shape *s, int p, const float *x, float *y,
                        uint8_t *argmax, int window)
{
    size_t size = pool_pixel(s), row = (size_t)s->w * size;
    for (int q = 0; q < s->q; q++) {
        const float *corner = x + (size_t)(p * s->stride) * row + (size_t)(q * s->stride) * size;
        size_t at = ((size_t)p * (size_t)s->q + (size_t)q) * size;
        for (size_t e = 0; e < size; e += VEC) {
            vec best = v_load(corner + e), where = v_set_number(0);
            for (int k = 1; k < window * window; k++) {
                vec v = v_load(corner + (size_t)(k / window) * row +
                               (size_t)(k % window) * size + e);
                vmask better = v_or(v_less(best, v), v_is_nan(v));
                best = v_select(better, v, best);
                where = v_select(better, v_set_number(k), where);
            }
            v_store(y + at + e, best);
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

INLINE void maxpool_backward_pixel(const struct pool_shape *s, int y, int column,
                                   const float *dy, const uint8_t *argmax, float *dx)
{
    size_t size = pool_pixel(s);
    int p0, p1, q0, q1;
    windows_of(s, y, s->p, &p0, &p1);
    windows_of(s, column, s->q, &q0, &q1);
    if (p0 >= p1 || q0 >= q1)
        memset(dx, 0, size * sizeof *dx);
    for (int p = p0; p < p1; p++) {
        for (int q = q0; q < q1; q++) {
            size_t at = ((size_t)p * (size_t)s->q + (size_t)q) * size;
            int k = (y - p * s->stride) * s->window + column - q * s->stride;
            bool begun = p > p0 || q > q0;
            for (size_t e = 0; e < size; e += VEC) {
                vec sum = begun ? v_load(dx + e) : v_set(0);
                vec part = v_select(v_bytes_equal(argmax + at + e, k), v_load(dy + at + e),
                                    v_set(0));
                v_store(dx + e, v_add(sum, part));
            }
        }
    }
}

static void TIER(maxpool_backward)(const struct pool_shape *s, int first, int last,
                                   const void *dy, const uint8_t *argmax, void *dx)
{
    assert(0 <= first && first <= last && last <= s->h);
    for (int y = first; y < last; y++)
        for (int column = 0; column < s->w; column++) {
            size_t pixel = (size_t)y * (size_t)s->w + (size_t)column;
            maxpool_backward_pixel(s, y, column, dy, argmax, (float *)dx + pixel * pool_pixel(s));
        }
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
}
