/* fixture.h - what the tests of the backend's operations share: backends of every tier, buffers
 * between guards, maps whose unused images are NaN, and random numbers. */
#ifndef KILN_TESTS_KERNELS_FIXTURE_H
#define KILN_TESTS_KERNELS_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/rng.h"
#include "kernels/bf16.h"

enum { GUARD = 4096, GUARD_BYTE = 0xa5 };

/* Bytes between two guards, aligned to 64. */
struct buffer {
    char *base, *data;
    size_t bytes;
};

/* Filled with so many times the same byte. */
static inline struct buffer buffer_of(size_t bytes, int byte)
{
    struct buffer b = {.bytes = bytes};
    size_t room = (bytes + 2 * GUARD + 63) / 64 * 64;
    b.base = aligned_alloc(64, room);
    assert_non_null(b.base);
    memset(b.base, GUARD_BYTE, room);
    b.data = b.base + GUARD;
    memset(b.data, byte, bytes);
    return b;
}

/* Filled with a finite number of every precision. */
static inline struct buffer buffer_new(size_t bytes)
{
    return buffer_of(bytes, 0x3f);
}

/* Fails the test if something wrote around the buffer. */
static inline void buffer_check(const struct buffer *b)
{
    for (size_t i = 0; i < GUARD; i++) {
        assert_int_equal((uint8_t)b->base[i], GUARD_BYTE);
        assert_int_equal((uint8_t)b->data[b->bytes + i], GUARD_BYTE);
    }
}

static inline void buffer_free(struct buffer *b)
{
    buffer_check(b);
    free(b->base);
    *b = (struct buffer){0};
}

static inline struct backend *backend_of(enum tier tier, enum precision precision, int threads)
{
    struct backend_options o = {.tier = tier, .precision = precision, .threads = threads};
    struct err e;
    struct backend *b = backend_cpu_new(&o, &e);
    assert_non_null(b);
    return b;
}

/* Runs a test on the plain tier in fp64 and on every tier of this machine in fp32 and bf16. */
static inline void on_every_tier(void (*test)(struct backend *b))
{
    struct backend *b = backend_of(TIER_REF, PRECISION_FP64, 2);
    test(b);
    b->ops->free(b);
    for (enum tier t = TIER_REF; t < TIER_COUNT; t++) {
        if (!tier_available(t)) {
            print_message("skipped: this machine has not %s\n", tier_name(t));
            continue;
        }
        for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++) {
            b = backend_of(t, p, 2);
            test(b);
            b->ops->free(b);
        }
    }
}

/* Half the distance from 1 to the next number: the largest relative error of one rounding in
 * arithmetic (P). */
static inline double unit(const struct backend *b)
{
    return b->precision == PRECISION_FP64 ? 0x1p-53 : 0x1p-24;
}

/* The smallest number with full precision. */
static inline double tiny(const struct backend *b)
{
    return b->precision == PRECISION_FP64 ? 0x1p-1022 : 0x1p-126;
}

/* v as a number of P, and as the element of a map. */
static inline double rounded(const struct backend *b, double v)
{
    return b->precision == PRECISION_FP64 ? v : (double)(float)v;
}

static inline double rounded_to_map(const struct backend *b, double v)
{
    if (b->precision == PRECISION_BF16)
        return (double)bf16_to_float(bf16_from_float((float)v));
    return rounded(b, v);
}

/* An activation and its slope; alpha is celu's. */
static inline double act_value(enum activation a, double x, double alpha)
{
    switch (a) {
    case ACT_NONE: return x;
    case ACT_RELU: return x > 0 ? x : 0;
    case ACT_GELU: return x * 0.5 * erfc(-x / sqrt(2));
    case ACT_SILU: return x / (1 + exp(-x));
    case ACT_CELU: return x > 0 ? x : alpha * expm1(x / alpha);
    }
    return 0;
}

static inline double act_slope(enum activation a, double x, double alpha)
{
    double s = 1 / (1 + exp(-x));
    switch (a) {
    case ACT_NONE: return 1;
    case ACT_RELU: return x > 0;
    case ACT_GELU: return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * acos(-1));
    case ACT_SILU: return s + x * s * (1 - s);
    case ACT_CELU: return x > 0 ? 1 : exp(x / alpha);
    }
    return 0;
}

/* How far storing v in a map may move it, beyond the rounding to P. */
static inline double storing(const struct backend *b, double v)
{
    return b->precision == PRECISION_BF16 ? 0x1p-8 * fabs(v) + 0x1p-126 : 0;
}

/* Whether the backend takes gelu from kernels/vector_coarse.h, and what that may be off, in value
 * and slope. */
static inline bool coarse(const struct backend *b)
{
    return b->precision == PRECISION_BF16 && b->tier >= TIER_AVX512;
}

static const double COARSE_VALUE = 1.1e-4, COARSE_SLOPE = 1.8e-4;

/* A map of n images, its memory, and its values as doubles [n, c, h, w]. */
struct test_map {
    struct map map;
    struct buffer memory;
    double *values;
    int n;
};

static inline size_t values_of(const struct test_map *m)
{
    return (size_t)m->n * (size_t)m->map.c * (size_t)m->map.h * (size_t)m->map.w;
}

static inline void element_put(struct backend *b, const struct map *m, size_t at, double v)
{
    if (b->precision == PRECISION_FP64)
        ((double *)m->data)[at] = v;
    else if (b->precision == PRECISION_BF16)
        ((struct bf16 *)m->data)[at] = bf16_from_float((float)v);
    else
        ((float *)m->data)[at] = (float)v;
}

static inline double element_at(struct backend *b, const struct map *m, size_t at)
{
    return b->precision == PRECISION_FP64   ? ((double *)m->data)[at]
           : b->precision == PRECISION_BF16 ? (double)bf16_to_float(((struct bf16 *)m->data)[at])
                                            : (double)((float *)m->data)[at];
}

static inline struct test_map map_new(struct backend *b, int n, int c, int h, int w)
{
    struct test_map m = {.map = {NULL, c, h, w}, .n = n};
    m.memory = buffer_new(layout_bytes(b->precision, n, h, w, c));
    m.map.data = m.memory.data;
    m.values = calloc(values_of(&m), sizeof(double));
    assert_non_null(m.values);
    return m;
}

static inline void map_free(struct test_map *m)
{
    buffer_free(&m->memory);
    free(m->values);
}

/* Puts the values into the map, and NaN into the images past n. */
static inline void map_upload(struct backend *b, struct test_map *m)
{
    for (size_t i = 0; i < values_of(m); i++)
        m->values[i] = rounded_to_map(b, m->values[i]);
    b->ops->write_map(b, m->n, &m->map, m->values);
    int channels = layout_cblocks(b->precision, m->map.c) * layout_cb(b->precision);
    for (int i = m->n; i < layout_blocks(m->n) * IMAGES; i++)
        for (int y = 0; y < m->map.h; y++)
            for (int x = 0; x < m->map.w; x++)
                for (int c = 0; c < channels; c++)
                    element_put(b, &m->map,
                                layout_at(b->precision, m->map.h, m->map.w, m->map.c, i, y, x, c),
                                (double)NAN);
}

/* Gets the values out of the map; its channels past c must be zero and its guards whole. */
static inline void map_download(struct backend *b, struct test_map *m)
{
    buffer_check(&m->memory);
    b->ops->read_map(b, m->n, m->values, &m->map);
    int channels = layout_cblocks(b->precision, m->map.c) * layout_cb(b->precision);
    for (int i = 0; i < m->n; i++)
        for (int y = 0; y < m->map.h; y++)
            for (int x = 0; x < m->map.w; x++)
                for (int c = m->map.c; c < channels; c++) {
                    size_t at = layout_at(b->precision, m->map.h, m->map.w, m->map.c, i, y, x, c);
                    assert_true(element_at(b, &m->map, at) == 0);
                }
}

/* Normal numbers with a mean and deviation, from a stream of the test's own. */
static inline void fill_normal(double *values, size_t count, uint64_t stream, double mean,
                               double deviation)
{
    struct rng r = rng_at(2024, RNG_TEST, 0, stream);
    for (size_t i = 0; i < count; i++)
        values[i] = mean + deviation * rng_normal(&r);
}

static inline struct test_map map_random(struct backend *b, int n, int c, int h, int w,
                                         uint64_t stream, double mean, double deviation)
{
    struct test_map m = map_new(b, n, c, h, w);
    fill_normal(m.values, values_of(&m), stream, mean, deviation);
    map_upload(b, &m);
    return m;
}

/* Index of (image, channel, y, x) in a map's values. */
static inline size_t value_at(const struct test_map *m, int i, int c, int y, int x)
{
    return (((size_t)i * (size_t)m->map.c + (size_t)c) * (size_t)m->map.h + (size_t)y) *
               (size_t)m->map.w +
           (size_t)x;
}

/* Fails unless |got - want| <= bound; a NaN is equal to a NaN only. */
#define assert_within(got, want, bound)                                                       \
    do {                                                                                      \
        double got_ = (got), want_ = (want), bound_ = (bound);                                \
        if (!(fabs(got_ - want_) <= bound_) && !(isnan(got_) && isnan(want_)) &&              \
            got_ != want_)                                                                    \
            fail_msg("%.17g where %.17g +- %.3g was expected", got_, want_, bound_);          \
    } while (0)

#endif
