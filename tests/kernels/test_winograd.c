/* test_winograd.c - Winograd's convolution, every size of tile, tier and pass, against a naive
 * convolution in double precision.
 *
 * Bounds. y = A^T M A is computed from U = G w G^T and V = B^T x B. In absolute values the whole
 * chain is at most a^2 C max|x| max|w| with a = max over rows i of sum over points p of
 * |A^T[i][p]| (sum_j |G[p][j]|) (sum_j |B^T[p][j]|); a chain of k roundings on the way is off by
 * gamma_k times that (Higham 2002, lemma 3.1), k being the products added up and at most 40
 * operations of the transforms. Likewise for dw, with the roles exchanged. The matrices are made
 * here from the points. In double this bound is some 1e-9 of the result and shows any slip; in
 * single precision it is too loose for that, so the error of a whole tensor must stay below (10 +
 * sqrt(k)) units of roundoff in the Euclidean norm, where rounding errors are taken as
 * independent; with tiles of six, whose points amplify rounding 4.4 times as much
 * (tools/winograd-errors), 4.4 times that. */
#include "fixture.h"

#include <stdio.h>

#include "backend/cpu/cpu.h"
#include "kernels/bf16.h"
#include "tiles/tile_kernels.h"

enum { ROUNDINGS = 40, RANDOM_CASES = 12 };

/* The finite points of a set of tiles, and those that a tile of m uses. */
struct point_set {
    int least, most, count;
    double points[7];
    int used[7][7];
};

static const struct point_set set4 = {
    2, 4, 5, {0, 2.0 / 3, -2.0 / 3, 1.5, -1.5},
    {[2] = {0, 1, 4}, [3] = {1, 2, 3, 4}, [4] = {0, 1, 2, 3, 4}},
};
static const struct point_set set6 = {
    4, 6, 7, {0, 0.5, -0.5, 1, -1, 2, -2},
    {[4] = {0, 1, 2, 5, 6}, [5] = {1, 2, 3, 4, 5, 6}, [6] = {0, 1, 2, 3, 4, 5, 6}},
};

/* Sum of the magnitudes of the coefficients of prod (x - root), times `factor`. */
static double polynomial_sum(const double *roots, int count, double factor)
{
    double c[8] = {1}, sum = 0;
    for (int r = 0; r < count; r++)
        for (int i = r + 1; i >= 0; i--)
            c[i] = (i > 0 ? c[i - 1] : 0) - roots[r] * (i <= r ? c[i] : 0);
    for (int i = 0; i <= count; i++)
        sum += fabs(c[i] * factor);
    return sum;
}

/* The row sums of B^T and G, and the elements of A^T, of a tile of m; points in order, infinity
 * last. */
struct matrices {
    int count;              /* finite points */
    double b[8], g[8], a[6][8], g_at[8][3];
};

static void matrices_init(struct matrices *x, const struct point_set *set, int m)
{
    const double *points = set->points;
    const int *used = set->used[m];
    *x = (struct matrices){.count = m + 1};
    double roots[8];
    for (int p = 0; p < x->count; p++) {
        double point = points[used[p]], factor = 1, divisor = 1;
        int count = 0;
        for (int q = 0; q < set->count; q++) {
            bool in = false;
            for (int k = 0; k < x->count; k++)
                in = in || used[k] == q;
            if (q != used[p])
                divisor *= point - points[q];
            if (in && q != used[p])
                roots[count++] = points[q];
            if (!in)
                factor *= point - points[q];
        }
        x->b[p] = polynomial_sum(roots, count, factor);
        for (int j = 0; j < 3; j++) {
            x->g_at[p][j] = pow(point, j) / divisor;
            x->g[p] += fabs(x->g_at[p][j]);
        }
        for (int i = 0; i < m; i++)
            x->a[i][p] = pow(point, i);
    }
    for (int p = 0; p < x->count; p++)
        roots[p] = points[used[p]];
    x->b[m + 1] = polynomial_sum(roots, x->count, 1);
    x->g[m + 1] = x->g_at[m + 1][2] = x->a[m - 1][m + 1] = 1;
}

/* The largest amplification of any size of tile: outputs, and gradient of the weights. */
static void amplification(const struct point_set *set, double *outputs, double *weights)
{
    *outputs = *weights = 0;
    for (int m = set->least; m <= set->most; m++) {
        struct matrices x;
        matrices_init(&x, set, m);
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int p = 0; p < m + 2; p++)
                sum += fabs(x.a[i][p]) * x.g[p] * x.b[p];
            *outputs = fmax(*outputs, sum);
        }
        for (int j = 0; j < 3; j++) {
            double sum = 0;
            for (int p = 0; p < m + 2; p++) {
                double powers = 0;
                for (int i = 0; i < m; i++)
                    powers += fabs(x.a[i][p]);
                sum += fabs(x.g_at[p][j]) * x.b[p] * powers;
            }
            *weights = fmax(*weights, sum);
        }
    }
    *outputs *= *outputs;
    *weights *= *weights;
}

/* A problem in PyTorch's dense order, all numbers exact in bf16, and what is expected
 * of it; x and dy of the images as maps come with each backend. */
struct problem {
    struct conv_shape s;
    int n;
    double *x, *dy, *w, *bias;
    double *y, *dx, *dw;
};

static size_t weight_count(const struct conv_shape *s)
{
    return (size_t)(s->k * s->c * s->r * s->s);
}

static size_t x_count(const struct problem *m)
{
    return (size_t)(m->n * m->s.c * m->s.h * m->s.w);
}

static size_t y_count(const struct problem *m)
{
    return (size_t)(m->n * m->s.k * m->s.p * m->s.q);
}

static void expect(struct problem *m)
{
    const struct conv_shape *s = &m->s;
    for (int i = 0; i < m->n; i++)
    for (int k = 0; k < s->k; k++)
    for (int p = 0; p < s->p; p++)
    for (int q = 0; q < s->q; q++) {
        size_t at = (size_t)(((i * s->k + k) * s->p + p) * s->q + q);
        double dy = m->dy[at], sum = m->bias[k];
        for (int c = 0; c < s->c; c++)
        for (int r = 0; r < 3; r++)
        for (int t = 0; t < 3; t++) {
            int h = p + r - s->pad, w = q + t - s->pad;
            if (h < 0 || h >= s->h || w < 0 || w >= s->w)
                continue;
            size_t at_x = (size_t)(((i * s->c + c) * s->h + h) * s->w + w);
            size_t at_w = (size_t)(((k * s->c + c) * 3 + r) * 3 + t);
            sum += m->x[at_x] * m->w[at_w];
            m->dx[at_x] += dy * m->w[at_w];
            m->dw[at_w] += dy * m->x[at_x];
        }
        m->y[at] = sum;
    }
}

static double *zeros(size_t count)
{
    double *v = calloc(count, sizeof *v);
    assert_non_null(v);
    return v;
}

static double *normal_values(size_t count, uint64_t stream)
{
    double *v = zeros(count);
    fill_normal(v, count, stream, 0, 1);
    for (size_t i = 0; i < count; i++)
        v[i] = (double)bf16_to_float(bf16_from_float((float)v[i]));
    return v;
}

static void problem_init(struct problem *m, const struct conv_shape *s, int n)
{
    *m = (struct problem){.s = *s, .n = n};
    m->x = normal_values(x_count(m), 1);
    m->dy = normal_values(y_count(m), 2);
    m->w = normal_values(weight_count(s), 3);
    m->bias = normal_values((size_t)s->k, 4);
    m->y = zeros(y_count(m));
    m->dx = zeros(x_count(m));
    m->dw = zeros(weight_count(s));
}

static void problem_release(struct problem *m)
{
    double *const all[] = {m->x, m->dy, m->w, m->bias, m->y, m->dx, m->dw};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

static double greatest(const double *v, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

/* In bf16 each of the two factors of every product is rounded to 8 bits, and so is a map; what is
 * added to that in single precision is small beside it. The error of a tensor: see docs/kernels.md,
 * 1.2 % of the norm for the points used here; 2 % are allowed, as small tensors scatter. Along rows
 * alone it is half as much. */
enum { BF16_ROUNDINGS = 2 };
static const double BF16_UNIT = 0x1p-8, BF16_ERROR = 0.02, BF16_ROWS_ERROR = 0.01;

static bool takes(struct backend *b, const struct problem *m, enum conv_pass pass,
                  const char *name)
{
    return strcmp(b->ops->conv_algorithm_name(b, m->s.algorithm[pass]), name) == 0;
}

/* Of a tensor, in the Euclidean norm. */
static double allowed_error(struct backend *b, const struct problem *m, enum conv_pass pass,
                            double terms)
{
    if (b->precision == PRECISION_BF16)
        return takes(b, m, pass, "amx4") ? BF16_ROWS_ERROR : BF16_ERROR;
    double u = b->precision == PRECISION_FP64 ? 0x1p-53 : 0x1p-24;
    return (takes(b, m, pass, "winograd6") ? 4.4 : 1) * (10 + sqrt(terms)) * u;
}

/* chain: the sum of magnitudes that the roundings act on; terms: products of one sum. */
static void compare(struct backend *b, enum conv_pass pass, const struct problem *m,
                    const double *got, const double *want, size_t count, double chain,
                    double terms)
{
    static const char *const names[CONV_PASSES] = {"y", "dx", "dw"};
    const char *what = names[pass];
    bool bf16 = b->precision == PRECISION_BF16;
    double u = b->precision == PRECISION_FP64 ? 0x1p-53 : 0x1p-24, k = terms + ROUNDINGS;
    double bound = (k * u + 9 * terms * 0x1p-53 + bf16 * BF16_ROUNDINGS * 1.01 * BF16_UNIT) * chain;
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = got[i] - want[i];
        if (!(fabs(difference) <= bound + bf16 * BF16_UNIT * fabs(want[i])))
            fail_msg("%s[%zu] is %.9g, not %.9g +- %.2g (tier %s, %s, n %d, %dx%dx%d -> %dx%dx%d, "
                     "pad %d, algorithm %d)", what, i, got[i], want[i], bound, tier_name(b->tier),
                     precision_name(b->precision), m->n, m->s.c, m->s.h, m->s.w, m->s.k, m->s.p,
                     m->s.q, m->s.pad, m->s.algorithm[pass]);
        error += difference * difference;
        norm += want[i] * want[i];
    }
    if (!(sqrt(error) <= allowed_error(b, m, pass, terms) * sqrt(norm)))
        fail_msg("%s is off by %.2g of its norm (tier %s, %s, n %d, %dx%dx%d -> %dx%dx%d)", what,
                 sqrt(error / norm), tier_name(b->tier), precision_name(b->precision), m->n, m->s.c,
                 m->s.h, m->s.w, m->s.k, m->s.p, m->s.q);
}

/* Results of all passes, for comparisons of bits. */
struct outcome {
    struct test_map y, dx;
    struct buffer dw;
};

/* Images past n of x and dy are NaN: no sum may read them. */
static void outcome_init(struct outcome *o, struct backend *b, const struct problem *m)
{
    const struct conv_shape *s = &m->s;
    size_t real = b->real_bytes, bytes = 0;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        size_t more = b->ops->conv_workspace(b, m->n, s, (enum conv_pass)pass);
        bytes = more > bytes ? more : bytes;
    }
    struct buffer workspace = buffer_new(bytes);
    struct buffer packed = buffer_new(b->ops->conv_packed_bytes(b, s, true));
    struct buffer w = buffer_new(weight_count(s) * real), bias = buffer_new((size_t)s->k * real);
    struct test_map x = map_new(b, m->n, s->c, s->h, s->w), dy = map_new(b, m->n, s->k, s->p, s->q);
    memcpy(x.values, m->x, values_of(&x) * sizeof(double));
    memcpy(dy.values, m->dy, values_of(&dy) * sizeof(double));
    map_upload(b, &x);
    map_upload(b, &dy);
    o->y = map_new(b, m->n, s->k, s->p, s->q);
    o->dx = map_new(b, m->n, s->c, s->h, s->w);
    o->dw = buffer_new(weight_count(s) * real);
    b->ops->write_reals(b, w.data, m->w, weight_count(s));
    b->ops->write_reals(b, bias.data, m->bias, (size_t)s->k);
    b->ops->conv_pack(b, s, w.data, true, packed.data);
    b->ops->conv_forward(b, m->n, s, &x.map, packed.data, bias.data, &o->y.map, workspace.data);
    b->ops->conv_backward_data(b, m->n, s, &dy.map, packed.data, &o->dx.map, workspace.data);
    b->ops->conv_backward_weights(b, m->n, s, &x.map, &dy.map, o->dw.data, NULL,
                                  workspace.data);
    map_free(&x);
    map_free(&dy);
    buffer_free(&workspace);
    buffer_free(&packed);
    buffer_free(&w);
    buffer_free(&bias);
}

static void outcome_release(struct outcome *o)
{
    map_free(&o->y);
    map_free(&o->dx);
    buffer_free(&o->dw);
}

/* The largest amplification of the tiles that the pass takes. */
static double amplifies(struct backend *b, const struct problem *m, enum conv_pass pass)
{
    double outputs, weights;
    amplification(takes(b, m, pass, "winograd6") ? &set6 : &set4, &outputs, &weights);
    return pass == CONV_BACKWARD_WEIGHTS ? weights : outputs;
}

static void check(struct backend *b, const struct problem *m)
{
    const struct conv_shape *s = &m->s;
    double x = greatest(m->x, x_count(m)), w = greatest(m->w, weight_count(s));
    double dy = greatest(m->dy, y_count(m)), pixels = (double)m->n * s->p * s->q;
    struct outcome o;
    outcome_init(&o, b, m);
    map_download(b, &o.y);
    map_download(b, &o.dx);
    compare(b, CONV_FORWARD, m, o.y.values, m->y, values_of(&o.y),
            amplifies(b, m, CONV_FORWARD) * s->c * x * w, s->c);
    compare(b, CONV_BACKWARD_DATA, m, o.dx.values, m->dx, values_of(&o.dx),
            amplifies(b, m, CONV_BACKWARD_DATA) * s->k * dy * w, s->k);
    double *dw = calloc(weight_count(s), sizeof *dw);
    b->ops->read_reals(b, dw, o.dw.data, weight_count(s));
    compare(b, CONV_BACKWARD_WEIGHTS, m, dw, m->dw, weight_count(s),
            amplifies(b, m, CONV_BACKWARD_WEIGHTS) * pixels * x * dy, pixels);
    free(dw);
    outcome_release(&o);
}

static struct conv_shape shape_of(int c, int h, int w, int k, int pad, int trim)
{
    struct conv_shape s = {.c = c, .h = h, .w = w, .k = k, .r = 3, .s = 3, .stride = 1,
                           .pad = pad};
    s.p = h + 2 * pad - 2;
    s.q = w + 2 * pad - 2;
    s.p -= s.p > 2 + trim ? trim : 0;
    s.q -= s.q > 2 + trim ? trim : 0;
    return s;
}

static void take(struct backend *b, struct conv_shape *s, int algorithm)
{
    for (int pass = 0; pass < CONV_PASSES; pass++)
        s->algorithm[pass] = b->ops->conv_choose(b, 1, s, (enum conv_pass)pass, algorithm);
}

static int find_algorithm(struct backend *b, const char *name)
{
    for (int i = 0; b->ops->conv_algorithm_name(b, i); i++)
        if (strcmp(b->ops->conv_algorithm_name(b, i), name) == 0)
            return i;
    fail_msg("no algorithm is called %s", name);
    return -1;
}

/* The shapes of the networks, narrow, and every way in which a dimension is cut. */
static const struct {
    int c, h, w, k, pad, trim, n;
} fixed[] = {
    {24, 15, 15, 33, 1, 1, 3},  {17, 7, 7, 40, 1, 0, 33}, {16, 7, 7, 16, 1, 1, 5},
    {65, 3, 3, 31, 1, 0, 40},   {3, 9, 10, 20, 1, 0, 2},  {8, 4, 8, 70, 1, 0, 1},
    {5, 5, 6, 7, 0, 0, 31},     {9, 4, 4, 9, 2, 0, 8},    {100, 2, 2, 100, 1, 0, 9},
    {16, 4, 4, 16, 1, 0, 300},  {40, 8, 8, 40, 1, 0, 34}, {9, 45, 6, 20, 1, 0, 33},
    {20, 31, 31, 33, 1, 1, 3},  {33, 6, 6, 40, 1, 0, 33}, {16, 15, 14, 16, 1, 0, 5},
    {12, 13, 11, 40, 1, 0, 9},  {18, 5, 12, 20, 1, 0, 2},
};

static struct conv_shape random_shape(struct rng *r, int *n)
{
    static const int channels[] = {1, 3, 10, 16, 31, 32, 33, 48};
    static const int images[] = {1, 5, 8, 31, 33};
    *n = images[rng_below(r, 5)];
    int c = channels[rng_below(r, 8)], k = channels[rng_below(r, 8)];
    int h = 4 + (int)rng_below(r, 9), w = 4 + (int)rng_below(r, 9), pad = (int)rng_below(r, 3);
    return shape_of(c, h, w, k, pad, (int)rng_below(r, 2));
}

enum { FIXED_CASES = sizeof fixed / sizeof fixed[0], CASES = FIXED_CASES + RANDOM_CASES };

static struct problem cases[CASES];

static int make_cases(void **state)
{
    (void)state;
    struct rng r = rng_at(7, RNG_TEST, 0, 0);
    for (int i = 0; i < CASES; i++) {
        int n = i < FIXED_CASES ? fixed[i].n : 0;
        const struct conv_shape s =
            i < FIXED_CASES ? shape_of(fixed[i].c, fixed[i].h, fixed[i].w, fixed[i].k,
                                       fixed[i].pad, fixed[i].trim)
                            : random_shape(&r, &n);
        problem_init(&cases[i], &s, n);
        expect(&cases[i]);
    }
    return 0;
}

static int free_cases(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        problem_release(&cases[i]);
    return 0;
}

/* Tiles of 4 to 6 make any number from 4 on but 7. */
static bool cut_by(const char *name, int outputs)
{
    return strcmp(name, "winograd6") != 0 || (outputs >= 4 && outputs != 7);
}

static void check_algorithm(struct backend *b, const char *name)
{
    int algorithm = find_algorithm(b, name);
    take(b, &cases[FIXED_CASES - 1].s, algorithm);
    if (b->precision == PRECISION_BF16 && !cases[FIXED_CASES - 1].s.algorithm[CONV_FORWARD]) {
        print_message("skipped: %s has no kernels for bf16\n", name);
        return;
    }
    for (int i = 0; i < CASES; i++) {
        struct conv_shape *s = &cases[i].s;
        take(b, s, algorithm);
        bool outputs = cut_by(name, s->p) && cut_by(name, s->q);
        bool inputs = cut_by(name, s->h) && cut_by(name, s->w);
        assert_int_equal(s->algorithm[CONV_FORWARD], outputs ? algorithm : 0);
        assert_int_equal(s->algorithm[CONV_BACKWARD_DATA], inputs ? algorithm : 0);
        assert_int_equal(s->algorithm[CONV_BACKWARD_WEIGHTS], outputs ? algorithm : 0);
        check(b, &cases[i]);
    }
}

/* Every tier in fp32, the plain one in fp64, and those that have it in bf16. */
static void check_everywhere(const char *name)
{
    for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++)
        for (enum precision p = PRECISION_FP32; p < PRECISION_COUNT; p++) {
            if ((p == PRECISION_FP64 && tier != TIER_REF) ||
                (p == PRECISION_BF16 && tier < TIER_AVX512BF16))
                continue;
            if (!tier_available(tier)) {
                print_message("skipped: this machine has not %s\n", tier_name(tier));
                break;
            }
            struct backend *b = backend_of(tier, p, 2);
            check_algorithm(b, name);
            b->ops->free(b);
        }
}

static void test_winograd__tiles_of_four_match_naive(void **state)
{
    (void)state;
    check_everywhere("winograd4");
}

static void test_winograd__tiles_of_six_match_naive(void **state)
{
    (void)state;
    check_everywhere("winograd6");
}

static void test_winograd__tiles_of_three_match_naive(void **state)
{
    (void)state;
    check_everywhere("winograd3");
}

static void test_winograd__tiles_of_two_match_naive(void **state)
{
    (void)state;
    check_everywhere("winograd2");
}

/* The problem on one thread and on more. */
static void check_threads(enum tier tier, enum precision p, const struct problem *m)
{
    static const int threads[] = {2, 3, 8};
    struct outcome one, many;
    struct backend *b = backend_of(tier, p, 1);
    outcome_init(&one, b, m);
    b->ops->free(b);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        b = backend_of(tier, p, threads[t]);
        outcome_init(&many, b, m);
        b->ops->free(b);
        assert_memory_equal(one.y.map.data, many.y.map.data, one.y.memory.bytes);
        assert_memory_equal(one.dx.map.data, many.dx.map.data, one.dx.memory.bytes);
        assert_memory_equal(one.dw.data, many.dw.data, one.dw.bytes);
        outcome_release(&many);
    }
    outcome_release(&one);
}

/* A backend whose products along rows run in the plain C registers, or in those that were built. */
static struct backend *rows_backend(const struct conv_tile_kernels *tiles, int threads)
{
    struct backend *b = backend_of(TIER_AVX512BF16, PRECISION_BF16, threads);
    cpu_of(b)->kernels.tiles = *tiles;
    return b;
}

static void check_rows(const struct conv_tile_kernels *tiles)
{
    if (!tier_available(TIER_AVX512BF16)) {
        print_message("skipped: this machine has not avx512bf16, which transforms rows\n");
        skip();
    }
    struct backend *b = rows_backend(tiles, 2);
    check_algorithm(b, "amx4");
    b->ops->free(b);
}

static void test_winograd__rows_match_naive_in_plain_tiles(void **state)
{
    (void)state;
    struct conv_tile_kernels tiles;
    tile_kernels_plain(&tiles);
    check_rows(&tiles);
}

static void test_winograd__rows_match_naive_as_built(void **state)
{
    (void)state;
    struct conv_tile_kernels tiles;
    const char *lacks = tile_kernels_built(&tiles);
    if (lacks) {
        print_message("skipped: %s\n", lacks);
        skip();
    }
    check_rows(&tiles);
}

/* Whether 1 and more threads give the same bits. */
static void check_rows_of_threads(const struct conv_tile_kernels *tiles,
                                  const struct conv_shape *shape, int n)
{
    static const int threads[] = {2, 3, 8, 40};
    struct problem m;
    struct outcome one, many;
    struct backend *b = rows_backend(tiles, 1);
    problem_init(&m, shape, n);
    take(b, &m.s, find_algorithm(b, "amx4"));
    outcome_init(&one, b, &m);
    b->ops->free(b);
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
        b = rows_backend(tiles, threads[t]);
        outcome_init(&many, b, &m);
        b->ops->free(b);
        assert_memory_equal(one.y.map.data, many.y.map.data, one.y.memory.bytes);
        assert_memory_equal(one.dx.map.data, many.dx.map.data, one.dx.memory.bytes);
        assert_memory_equal(one.dw.data, many.dw.data, one.dw.bytes);
        outcome_release(&many);
    }
    outcome_release(&one);
    problem_release(&m);
}

/* Maps of 520 channels are cut between tiles and between rows; for more threads between lines. 300
 * images are lanes of one block and of two, which the gradient of the weights shares out in another
 * way for each number of threads. */
static void test_winograd__rows_of_threads_have_the_same_bits(void **state)
{
    (void)state;
    struct conv_tile_kernels tiles;
    tile_kernels_plain(&tiles);
    if (!tier_available(TIER_AVX512BF16)) {
        print_message("skipped: this machine has not avx512bf16, which transforms rows\n");
        skip();
    }
    const struct conv_shape wide = shape_of(520, 8, 10, 65, 1, 0);
    const struct conv_shape small = shape_of(70, 5, 5, 40, 1, 0);
    check_rows_of_threads(&tiles, &wide, 2);
    check_rows_of_threads(&tiles, &small, 300);
}

/* On every tier. */
static void check_threads_of(const char *name, const struct conv_shape *shape, int n)
{
    for (enum tier tier = TIER_REF + 1; tier < TIER_COUNT; tier++) {
        enum precision p = tier < TIER_AVX512BF16 ? PRECISION_FP32 : PRECISION_BF16;
        if (!tier_available(tier))
            continue;
        struct conv_shape s = *shape;
        struct backend *b = backend_of(tier, p, 1);
        struct problem m;
        take(b, &s, find_algorithm(b, name));
        b->ops->free(b);
        problem_init(&m, &s, n);
        check_threads(tier, p, &m);
        problem_release(&m);
    }
}

/* 600 images are 19 blocks: lanes of two and three; 64 channels of 15 x 15 make several chunks of a
 * lane, and 33 images one. */
static void test_winograd__threads_do_not_change_a_bit(void **state)
{
    (void)state;
    const struct conv_shape small = shape_of(20, 7, 7, 65, 1, 0);
    const struct conv_shape large = shape_of(40, 15, 7, 65, 1, 0);
    const struct conv_shape flat = shape_of(20, 6, 8, 65, 1, 0);
    const struct conv_shape oblong = shape_of(40, 15, 8, 65, 1, 0);
    check_threads_of("winograd4", &small, 600);
    check_threads_of("winograd4", &large, 33);
    check_threads_of("winograd6", &flat, 600);
    check_threads_of("winograd6", &oblong, 33);
}

/* The sums of 160 by 160 channels are worked on by all threads together. The positions of 8 x 8
 * outputs fit one chunk, those of 24 x 24 do not. */
static void test_winograd__large_gradients_match_naive(void **state)
{
    (void)state;
    for (int size = 8; size <= 24; size += 16) {
        struct conv_shape s = shape_of(160, size, size, 160, 1, 0);
        struct problem m;
        problem_init(&m, &s, 1);
        expect(&m);
        for (enum tier tier = TIER_AVX2; tier <= TIER_AVX512BF16; tier++) {
            enum precision p = tier < TIER_AVX512BF16 ? PRECISION_FP32 : PRECISION_BF16;
            if (!tier_available(tier))
                continue;
            static const char *const names[] = {"winograd4", "winograd6"};
            for (int i = 0; i < (p == PRECISION_BF16 ? 1 : 2); i++) {
                struct backend *b = backend_of(tier, p, 2);
                take(b, &m.s, find_algorithm(b, names[i]));
                check(b, &m);
                b->ops->free(b);
                check_threads(tier, p, &m);
            }
        }
        problem_release(&m);
    }
}

/* Outputs of 200 images are written past the caches, those of 40 are not. */
static void test_winograd__large_maps_have_the_same_bits(void **state)
{
    (void)state;
    enum { MANY = 200, FEW = 40 };
    const struct conv_shape shape = shape_of(3, 22, 23, 65, 1, 0);
    for (enum tier tier = TIER_AVX2; tier <= TIER_AVX512BF16; tier++) {
        enum precision p = tier < TIER_AVX512BF16 ? PRECISION_FP32 : PRECISION_BF16;
        if (!tier_available(tier))
            continue;
        struct backend *b = backend_of(tier, p, 2);
        struct problem m;
        struct outcome many, few;
        problem_init(&m, &shape, MANY);
        take(b, &m.s, find_algorithm(b, "winograd4"));
        outcome_init(&many, b, &m);
        m.n = FEW;
        outcome_init(&few, b, &m);
        map_download(b, &many.y);
        map_download(b, &few.y);
        for (size_t i = 0; i < values_of(&few.y); i++)
            if (many.y.values[i] != few.y.values[i])
                fail_msg("y[%zu] is %.9g among many images, %.9g among few", i,
                         many.y.values[i], few.y.values[i]);
        outcome_release(&many);
        outcome_release(&few);
        problem_release(&m);
        b->ops->free(b);
    }
}

static void test_winograd__takes_only_what_it_can(void **state)
{
    (void)state;
    struct backend *b = backend_of(TIER_REF, PRECISION_FP32, 1);
    int winograd = find_algorithm(b, "winograd4");
    struct conv_shape s = shape_of(8, 8, 8, 8, 1, 0), strided = s, wide = s, low = s;
    strided.stride = 2;
    strided.p = strided.q = 4;
    wide.s = 5;
    wide.q = 6;
    low.h = 1;
    low.p = 1;
    assert_int_equal(b->ops->conv_choose(b, 1, &s, CONV_FORWARD, winograd), winograd);
    assert_int_equal(b->ops->conv_choose(b, 1, &strided, CONV_FORWARD, winograd), 0);
    assert_int_equal(b->ops->conv_choose(b, 1, &wide, CONV_BACKWARD_DATA, winograd), 0);
    assert_int_equal(b->ops->conv_choose(b, 1, &low, CONV_BACKWARD_WEIGHTS, winograd), 0);
    b->ops->free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_winograd__tiles_of_six_match_naive),
        cmocka_unit_test(test_winograd__tiles_of_four_match_naive),
        cmocka_unit_test(test_winograd__tiles_of_three_match_naive),
        cmocka_unit_test(test_winograd__tiles_of_two_match_naive),
        cmocka_unit_test(test_winograd__rows_match_naive_in_plain_tiles),
        cmocka_unit_test(test_winograd__rows_match_naive_as_built),
        cmocka_unit_test(test_winograd__rows_of_threads_have_the_same_bits),
        cmocka_unit_test(test_winograd__threads_do_not_change_a_bit),
        cmocka_unit_test(test_winograd__large_gradients_match_naive),
        cmocka_unit_test(test_winograd__large_maps_have_the_same_bits),
        cmocka_unit_test(test_winograd__takes_only_what_it_can),
    };
    return cmocka_run_group_tests(tests, make_cases, free_cases);
}
