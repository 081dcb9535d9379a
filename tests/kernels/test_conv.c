/* test_conv.c - the convolution of the CPU backend, every tier, all three passes, against a naive
 * convolution in double precision.
 *
 * Tolerance: a sum of m products in precision eps, in any order, is off by at most
 * gamma_m * sum |a| |b|, gamma_m = m eps / (1 - m eps) (Higham, Accuracy and Stability of Numerical
 * Algorithms, 2002, eq. 3.5); the naive sum in double by gamma_m with eps = 2^-53. In bf16 operands
 * are numbers of bf16, so that only sums (eps of fp32) and the maps that are written are rounded,
 * these by 2^-8 for each kernel call of up to 64 taps. */
#include <stdio.h>

#include "base/arena.h"
#include "kernels/conv_problem.h"
#include "kernels/kernels.h"

enum { RANDOM_CASES = 80, NAN_BYTE = 0xff };

static double gamma_bound(int m, double eps)
{
    return m * eps / (1 - m * eps);
}

/* The relative error of what the kernels store besides that of the sums. */
static double storing_taps(const struct backend *b, const struct conv_shape *s, bool map)
{
    return map && b->precision == PRECISION_BF16 ? (s->r * s->s + 63) / 64 * 0x1.01p-8 : 0;
}

static void check(const char *what, const struct backend *b, const struct problem *m,
                  const double *got, const struct sum *want, size_t count, bool map)
{
    const struct conv_shape *s = &m->s;
    double eps = b->precision == PRECISION_FP64 ? 0x1p-53 : 0x1p-24;
    for (size_t i = 0; i < count; i++) {
        double bound = (gamma_bound(want[i].terms, eps) + gamma_bound(want[i].terms, 0x1p-53)) *
                       want[i].magnitude;
        bool once = s->r * s->s <= 64;
        bound += storing_taps(b, s, map) * (once ? fabs(want[i].value) + bound : want[i].magnitude);
        if (fabs(got[i] - want[i].value) <= bound)
            continue;
        fail_msg("%s[%zu] of tier %s %s is %.9g, not %.9g +- %.1e (n %d, %dx%dx%d -> %dx%dx%d, "
                 "filter %dx%d, stride %d, pad %d)", what, i, tier_name(b->tier),
                 precision_name(b->precision), got[i], want[i].value, bound, m->n, s->c, s->h, s->w,
                 s->k, s->p, s->q, s->r, s->s, s->stride, s->pad);
    }
}

/* What the backend made of a problem, still in its own layout. */
struct outcome {
    struct backend *b;
    struct buffer memory[8];
    int used;
    struct map y, dx;
    void *dw, *dbias;
};

static void *outcome_memory(struct outcome *o, size_t bytes)
{
    assert_true(o->used < 8);
    return (o->memory[o->used++] = buffer_of(bytes, NAN_BYTE)).data;
}

static struct map outcome_map(struct outcome *o, int n, int c, int h, int w)
{
    return (struct map){outcome_memory(o, layout_bytes(o->b->precision, n, h, w, c)), c, h, w};
}

/* Enough for each pass. */
static size_t workspace_bytes(struct backend *b, int n, const struct conv_shape *s)
{
    size_t most = 0;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        size_t bytes = b->ops->conv_workspace(b, n, s, (enum conv_pass)pass);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Runs all three passes. Images past n of x and dy are NaN: no sum may read them. */
static void outcome_init(struct outcome *o, const struct problem *m, enum tier tier,
                         enum precision precision, int threads)
{
    const struct conv_shape *s = &m->s;
    struct backend_options options = {.tier = tier, .precision = precision, .threads = threads};
    struct err e;
    struct backend *b = backend_cpu_new(&options, &e);
    assert_non_null(b);
    o->b = b;
    o->used = 0;
    size_t weights = product(s->k, s->c, s->r, s->s), real = b->real_bytes;
    const size_t bytes[6] = {
        layout_bytes(precision, m->n, s->h, s->w, s->c),
        layout_bytes(precision, m->n, s->p, s->q, s->k),
        weights * real,
        (size_t)s->k * real,
        b->ops->conv_packed_bytes(b, s, true),
        workspace_bytes(b, m->n, s),
    };
    struct buffer held[6];
    for (int i = 0; i < 6; i++)
        held[i] = buffer_of(bytes[i], NAN_BYTE);
    struct map x = {held[0].data, s->c, s->h, s->w}, dy = {held[1].data, s->k, s->p, s->q};
    void *w = held[2].data, *bias = held[3].data, *packed = held[4].data;
    void *workspace = held[5].data;
    o->y = outcome_map(o, m->n, s->k, s->p, s->q);
    o->dx = outcome_map(o, m->n, s->c, s->h, s->w);
    o->dw = outcome_memory(o, weights * real);
    o->dbias = outcome_memory(o, (size_t)s->k * real);
    b->ops->write_map(b, m->n, &x, m->x);
    b->ops->write_map(b, m->n, &dy, m->dy);
    b->ops->write_reals(b, w, m->w, weights);
    b->ops->write_reals(b, bias, m->bias, (size_t)s->k);

    b->ops->conv_pack(b, s, w, true, packed);
    b->ops->conv_forward(b, m->n, s, &x, packed, bias, &o->y, workspace);
    b->ops->conv_backward_data(b, m->n, s, &dy, packed, &o->dx, workspace);
    b->ops->conv_backward_weights(b, m->n, s, &x, &dy, o->dw, o->dbias, workspace);
    for (int i = 0; i < 6; i++)
        buffer_free(&held[i]);
}

static void outcome_release(struct outcome *o)
{
    for (int i = 0; i < o->used; i++)
        buffer_free(&o->memory[i]);
    o->b->ops->free(o->b);
}

static void check_map(const char *what, const struct outcome *o, const struct problem *m,
                      const struct map *map, const struct sum *want)
{
    size_t count = product(m->n, map->c, map->h, map->w);
    double *got = xmalloc(count * sizeof *got);
    o->b->ops->read_map(o->b, m->n, got, map);
    check(what, o->b, m, got, want, count, true);
    free(got);
    enum precision p = o->b->precision;
    int channels = layout_cblocks(p, map->c) * layout_cb(p);
    for (int i = 0; i < m->n; i++)
        for (int y = 0; y < map->h; y++)
            for (int x = 0; x < map->w; x++)
                for (int c = map->c; c < channels; c++) {
                    size_t at = layout_at(p, map->h, map->w, map->c, i, y, x, c);
                    static const char zero[8];
                    assert_memory_equal((char *)map->data + at * precision_bytes(p), zero,
                                        precision_bytes(p));
                }
}

static void check_reals(const char *what, const struct outcome *o, const struct problem *m,
                        const void *reals, const struct sum *want, size_t count)
{
    double *got = xmalloc(count * sizeof *got);
    o->b->ops->read_reals(o->b, got, reals, count);
    check(what, o->b, m, got, want, count, false);
    free(got);
}

static void check_problem(const struct problem *m, const struct expected *e, enum tier tier,
                          enum precision precision, int threads)
{
    const struct conv_shape *s = &m->s;
    struct outcome o;
    outcome_init(&o, m, tier, precision, threads);
    check_map("y", &o, m, &o.y, e->y);
    check_map("dx", &o, m, &o.dx, e->dx);
    check_reals("dw", &o, m, o.dw, e->dw, product(s->k, s->c, s->r, s->s));
    check_reals("dbias", &o, m, o.dbias, e->dbias, (size_t)s->k);
    outcome_release(&o);
}

static int pick(struct rng *r, const int *from, uint32_t count)
{
    return from[rng_below(r, count)];
}

static double products(const struct conv_shape *s, int n)
{
    return (double)product(s->p, s->q, s->r, s->s) * s->c * s->k * n;
}

/* A random shape of at most a million products. */
static struct conv_shape random_shape(struct rng *r, int *n)
{
    static const int channels[] = {1, 3, 10, 16, 24, 31, 32, 33, 48, 64, 65};
    static const int images[] = {1, 5, 8, 31, 32, 33, 70};
    for (;;) {
        int h = 1 + (int)rng_below(r, 9), w = 1 + (int)rng_below(r, 9);
        int kind = (int)rng_below(r, 5), pad = (int)rng_below(r, 2);
        int fr = kind < 4 ? 1 + (int)rng_below(r, 3) : h, fs = kind < 3 ? fr : kind < 4 ? 2 : w;
        if (kind == 4)
            pad = 0;
        if (h + 2 * pad < fr || w + 2 * pad < fs)
            continue;
        struct conv_shape s =
            shape_of(pick(r, channels, 11), h, w, pick(r, channels, 11), fr, fs,
                     1 + (int)rng_below(r, 2), pad, (int)rng_below(r, 3) == 0);
        *n = pick(r, images, 7);
        if (products(&s, *n) <= 1e6)
            return s;
    }
}

/* Shapes of real networks, narrow; whole-map filters of more taps than one kernel call takes. */
static const struct {
    int c, h, w, k, r, s, stride, pad, trim, n;
} fixed[] = {
    {3, 9, 9, 24, 2, 2, 1, 0, 0, 33},   {24, 9, 9, 64, 3, 3, 1, 1, 1, 5},
    {64, 3, 3, 64, 3, 3, 1, 1, 0, 40},  {32, 8, 8, 64, 3, 3, 2, 1, 0, 8},
    {32, 8, 8, 64, 1, 1, 2, 0, 0, 8},   {65, 1, 1, 10, 1, 1, 1, 0, 0, 300},
    {31, 9, 9, 10, 9, 9, 1, 0, 0, 33},  {2, 20, 13, 3, 20, 13, 1, 0, 0, 9},
    {3, 17, 9, 64, 3, 3, 1, 1, 0, 1},   {100, 2, 2, 70, 3, 3, 1, 1, 0, 70},
    {130, 1, 2, 100, 1, 1, 1, 0, 0, 65}, {16, 5, 5, 16, 3, 3, 1, 0, 0, 260},
};

enum { FIXED_CASES = sizeof fixed / sizeof fixed[0], CASES = FIXED_CASES + RANDOM_CASES };

static struct test_case {
    struct problem m;
    struct expected e;
} cases[CASES], bf16_cases[CASES];

static void fill_cases(struct test_case *to, enum precision p)
{
    struct rng r = rng_at(1, RNG_TEST, 0, 0);
    for (int i = 0; i < CASES; i++) {
        struct conv_shape s;
        int n;
        if (i < FIXED_CASES) {
            s = shape_of(fixed[i].c, fixed[i].h, fixed[i].w, fixed[i].k, fixed[i].r, fixed[i].s,
                         fixed[i].stride, fixed[i].pad, fixed[i].trim);
            n = fixed[i].n;
        } else {
            s = random_shape(&r, &n);
        }
        to[i].m = problem_new(&s, n, (uint64_t)i, p);
        to[i].e = expected_new(&to[i].m);
    }
}

static int make_cases(void **state)
{
    (void)state;
    fill_cases(cases, PRECISION_FP32);
    fill_cases(bf16_cases, PRECISION_BF16);
    return 0;
}

static int free_cases(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        problem_free(&cases[i].m);
        expected_free(&cases[i].e);
        problem_free(&bf16_cases[i].m);
        expected_free(&bf16_cases[i].e);
    }
    return 0;
}

static void check_tier(enum tier tier, enum precision precision)
{
    if (!tier_available(tier)) {
        printf("skipped: this machine cannot run tier %s\n", tier_name(tier));
        skip();
    }
    const struct test_case *some = precision == PRECISION_BF16 ? bf16_cases : cases;
    for (int i = 0; i < CASES; i++)
        check_problem(&some[i].m, &some[i].e, tier, precision, 1 + i % 3);
}

static void test_conv__reference_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_REF, PRECISION_FP32);
}

static void test_conv__double_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_REF, PRECISION_FP64);
}

static void test_conv__avx2_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_AVX2, PRECISION_FP32);
}

static void test_conv__avx512_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_AVX512, PRECISION_FP32);
}

static void test_conv__bf16_reference_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_REF, PRECISION_BF16);
}

static void test_conv__bf16_avx2_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_AVX2, PRECISION_BF16);
}

static void test_conv__bf16_avx512_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_AVX512, PRECISION_BF16);
}

static void test_conv__bf16_avx512bf16_matches_naive(void **state)
{
    (void)state;
    check_tier(TIER_AVX512BF16, PRECISION_BF16);
}

static void assert_same_bits(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->used, b->used);
    for (int i = 0; i < a->used; i++)
        assert_memory_equal(a->memory[i].base, b->memory[i].base, a->memory[i].bytes + 2 * GUARD);
}

static void check_threads(const struct problem *m, enum tier tier, enum precision p)
{
    static const int threads[] = {2, 3, 8};
    struct outcome one, many;
    outcome_init(&one, m, tier, p, 1);
    for (size_t t = 0; t < 3; t++) {
        outcome_init(&many, m, tier, p, threads[t]);
        assert_same_bits(&one, &many);
        outcome_release(&many);
    }
    outcome_release(&one);
}

/* 300 images are ten blocks: lanes of one and of two. */
static void test_conv__threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const struct conv_shape shapes[] = {
        shape_of(24, 4, 5, 65, 3, 3, 1, 1, 0),
        shape_of(65, 3, 3, 10, 3, 3, 2, 1, 0),
    };
    static const int images[] = {300, 33};
    for (size_t i = 0; i < 2; i++) {
        struct problem m = problem_new(&shapes[i], images[i], i, PRECISION_FP32);
        for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++)
            for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++)
                if (tier_available(tier))
                    check_threads(&m, tier, p);
        problem_free(&m);
    }
}

static void put(enum precision p, void *map, int i, float v)
{
    if (p == PRECISION_BF16)
        ((struct bf16 *)map)[i] = bf16_from_float(v);
    else
        ((float *)map)[i] = v;
}

/* Whole numbers: every tier must give exactly what the plain kernel gives. Channels of x past c are
 * NaN, and rows of dw past c must stay as they were. */
static void check_outer(const struct kernels *k, const struct kernels *plain, int c, int lines,
                        int images)
{
    enum { CB_MAX = LINE / 2, PIXELS = 3, ROWS = 2, TILES = ROWS * PIXELS, GUARDED = CB_MAX + 8 };
    static _Alignas(LINE) char x[TILES * IMAGES * LINE], dy[2 * TILES * IMAGES * LINE];
    static _Alignas(LINE) float got[GUARDED * 2 * CB_MAX], want[GUARDED * 2 * CB_MAX];
    int cb = layout_cb(k->precision), tile = IMAGES * cb;
    for (int i = 0; i < TILES * tile; i++)
        put(k->precision, x, i,
            i % cb < c && i / cb % IMAGES < images ? (float)(i * 7 % 13 - 6) : NAN);
    for (int i = 0; i < 2 * TILES * tile; i++)
        put(k->precision, dy, i, i / cb % IMAGES < images ? (float)(i * 5 % 11 - 5) : NAN);
    for (int i = 0; i < GUARDED * 2 * CB_MAX; i++)
        got[i] = want[i] = (float)(i % 17);
    struct conv_rect r = {
        .rows = ROWS, .pixels = PIXELS, .x = x, .dy = dy,
        .x_pixel = (size_t)tile, .x_row = (size_t)(PIXELS * tile),
        .dy_pixel = (size_t)(2 * tile), .dy_row = (size_t)(PIXELS * 2 * tile),
    };
    k->conv.outer(&r, images, c, lines, got);
    plain->conv.outer(&r, images, c, lines, want);
    assert_memory_equal(got, want, sizeof got);
}

static void check_outers(enum tier tier, enum precision p)
{
    struct kernels k, plain;
    kernels_init(&plain, TIER_REF, p);
    kernels_init(&k, tier, p);
    static const int images[] = {1, 2, 17, 32};
    for (int c = 1; c <= layout_cb(p); c++)
        for (int i = 0; i < 4; i++)
            for (int lines = 1; lines <= 2; lines++)
                check_outer(&k, &plain, c, lines, images[i]);
}

static void test_conv__outer_product_keeps_to_its_channels(void **state)
{
    (void)state;
    for (enum tier tier = TIER_AVX2; tier < TIER_COUNT; tier++) {
        if (!tier_available(tier)) {
            printf("skipped: this machine cannot run tier %s\n", tier_name(tier));
            continue;
        }
        check_outers(tier, PRECISION_FP32);
        check_outers(tier, PRECISION_BF16);
    }
}

static void check_gather(enum tier tier, enum precision p)
{
    enum { C = 5 };
    static _Alignas(LINE) char x[IMAGES * LINE], w[6 * 2 * LINE], y[2 * IMAGES * LINE];
    const struct conv_tap tap = {x, w, NULL};
    struct kernels k;
    kernels_init(&k, tier, p);
    for (int images = 1; images <= IMAGES; images++) {
        memset(y, GUARD_BYTE, sizeof y);
        k.conv.gather(1, &tap, C, images, 2, NULL, false, y);
        int most = (images + 7) / 8 * 8;
        for (int line = 0; line < 2; line++)
            for (size_t i = (size_t)(most * LINE); i < IMAGES * LINE; i++)
                assert_int_equal((unsigned char)y[line * IMAGES * LINE + (int)i], GUARD_BYTE);
    }
}

/* A gather may go on to a multiple of eight images, never further. */
static void test_conv__gather_keeps_to_its_images(void **state)
{
    (void)state;
    for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++) {
        if (!tier_available(tier))
            continue;
        check_gather(tier, PRECISION_FP32);
        check_gather(tier, PRECISION_BF16);
    }
}

/* Packing only moves and rounds numbers: every tier packs the same bytes. */
static void check_pack(enum tier tier, int k, int c, int taps)
{
    struct kernels plain, fast;
    kernels_init(&plain, TIER_REF, PRECISION_BF16);
    kernels_init(&fast, tier, PRECISION_BF16);
    size_t count = product(k, c, taps, 1), bytes = conv_packed_bytes(PRECISION_BF16, 2,
                                                                     k > c ? k : c, taps);
    float *w = xmalloc(count * sizeof *w);
    struct rng r = rng_at(1, RNG_TEST, 77, 1);
    for (size_t i = 0; i < count; i++)
        w[i] = rng_uniform(&r) - 0.5f;
    struct buffer want = buffer_of(bytes, NAN_BYTE), got = buffer_of(bytes, NAN_BYTE);
    char *a = want.data, *b = got.data;
    plain.conv.pack(k, c, taps, w, 0, 2, a);
    fast.conv.pack(k, c, taps, w, 0, 2, b);
    assert_memory_equal(a, b, bytes);
    plain.conv.pack_transposed(k, c, taps, w, 0, 2, a);
    fast.conv.pack_transposed(k, c, taps, w, 0, 2, b);
    assert_memory_equal(a, b, bytes);
    buffer_free(&want);
    buffer_free(&got);
    free(w);
}

static void test_conv__bf16_packs_alike_in_every_tier(void **state)
{
    (void)state;
    static const int shapes[][3] = {{64, 64, 9}, {33, 3, 9}, {40, 7, 1}, {5, 50, 25}, {64, 1, 81}};
    for (enum tier tier = TIER_AVX2; tier < TIER_COUNT; tier++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0] && tier_available(tier); i++)
            check_pack(tier, shapes[i][0], shapes[i][1], shapes[i][2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv__reference_matches_naive),
        cmocka_unit_test(test_conv__double_matches_naive),
        cmocka_unit_test(test_conv__avx2_matches_naive),
        cmocka_unit_test(test_conv__avx512_matches_naive),
        cmocka_unit_test(test_conv__bf16_reference_matches_naive),
        cmocka_unit_test(test_conv__bf16_avx2_matches_naive),
        cmocka_unit_test(test_conv__bf16_avx512_matches_naive),
        cmocka_unit_test(test_conv__bf16_avx512bf16_matches_naive),
        cmocka_unit_test(test_conv__bf16_packs_alike_in_every_tier),
        cmocka_unit_test(test_conv__threads_do_not_change_a_bit),
        cmocka_unit_test(test_conv__outer_product_keeps_to_its_channels),
        cmocka_unit_test(test_conv__gather_keeps_to_its_images),
    };
    return cmocka_run_group_tests(tests, make_cases, free_cases);
}
