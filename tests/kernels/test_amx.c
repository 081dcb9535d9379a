/* test_amx.c - convolution in tile registers, all three passes, against a naive one in double.
 *
 * Everything runs in the plain C registers of tests/tiles, on every machine, and again with the
 * kernels as they were built: in the registers of the processor, or, where it has none but has
 * AVX-512 with bf16, with their instructions emulated. */
#include "kernels/conv_problem.h"

#include <stdio.h>

#include "backend/cpu/conv_algorithm.h"
#include "tiles/tile_kernels.h"

/* Which kernels a test runs. */
static struct conv_tile_kernels kernels;

static int amx_index(struct backend *b)
{
    for (int i = 0; b->ops->conv_algorithm_name(b, i); i++)
        if (strcmp(b->ops->conv_algorithm_name(b, i), "amx") == 0)
            return i;
    fail_msg("there is no algorithm amx");
    return -1;
}

static struct backend *tile_backend(int threads)
{
    struct backend *b = backend_of(TIER_REF, PRECISION_BF16, threads);
    ((struct cpu_backend *)(void *)b)->kernels.tiles = kernels;
    return b;
}

/* What came out of a problem. */
struct outcome {
    struct backend *b;
    struct test_map y, dx;
    struct buffer dw;
};

static struct test_map map_of(struct backend *b, int n, int c, int h, int w, const double *values)
{
    struct test_map m = map_new(b, n, c, h, w);
    if (values) {
        memcpy(m.values, values, values_of(&m) * sizeof *values);
        map_upload(b, &m);
    }
    return m;
}

static struct buffer reals_of(struct backend *b, size_t count, const double *values)
{
    struct buffer r = buffer_new(count * b->real_bytes);
    if (values)
        b->ops->write_reals(b, r.data, values, count);
    return r;
}

static struct buffer workspace_of(struct backend *b, int n, const struct conv_shape *s,
                                  enum conv_pass pass)
{
    return buffer_new(b->ops->conv_workspace(b, n, s, pass));
}

/* Runs all three passes. Images past n of x and dy are NaN: no sum may read them. */
static struct outcome outcome_new(const struct problem *m, int threads, bool with_bias)
{
    struct backend *b = tile_backend(threads);
    struct outcome o = {.b = b};
    struct conv_shape s = m->s;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        s.algorithm[pass] = amx_index(b);
        assert_int_equal(b->ops->conv_choose(b, m->n, &s, (enum conv_pass)pass, amx_index(b)),
                         amx_index(b));
    }
    size_t weights = product(s.k, s.c, s.r, s.s);
    struct test_map x = map_of(b, m->n, s.c, s.h, s.w, m->x);
    struct test_map dy = map_of(b, m->n, s.k, s.p, s.q, m->dy);
    struct buffer w = reals_of(b, weights, m->w), bias = reals_of(b, (size_t)s.k, m->bias);
    struct buffer packed = buffer_new(b->ops->conv_packed_bytes(b, &s, true));
    struct buffer room[] = {workspace_of(b, m->n, &s, CONV_FORWARD),
                            workspace_of(b, m->n, &s, CONV_BACKWARD_DATA),
                            workspace_of(b, m->n, &s, CONV_BACKWARD_WEIGHTS)};
    o.y = map_of(b, m->n, s.k, s.p, s.q, NULL);
    o.dx = map_of(b, m->n, s.c, s.h, s.w, NULL);
    o.dw = reals_of(b, weights, NULL);
    b->ops->conv_pack(b, &s, w.data, true, packed.data);
    b->ops->conv_forward(b, m->n, &s, &x.map, packed.data, with_bias ? bias.data : NULL, &o.y.map,
                         room[0].data);
    b->ops->conv_backward_data(b, m->n, &s, &dy.map, packed.data, &o.dx.map, room[1].data);
    b->ops->conv_backward_weights(b, m->n, &s, &x.map, &dy.map, o.dw.data, NULL, room[2].data);
    for (int i = 0; i < 3; i++)
        buffer_free(&room[i]);
    buffer_free(&packed);
    buffer_free(&bias);
    buffer_free(&w);
    map_free(&dy);
    map_free(&x);
    return o;
}

static void outcome_free(struct outcome *o)
{
    map_free(&o->y);
    map_free(&o->dx);
    buffer_free(&o->dw);
    o->b->ops->free(o->b);
}

static void check_problem(const struct problem *m, const struct expected *e, int threads)
{
    const struct conv_shape *s = &m->s;
    struct outcome o = outcome_new(m, threads, true);
    map_download(o.b, &o.y);
    map_download(o.b, &o.dx);
    check_sums("y", m, o.y.values, e->y, values_of(&o.y), true);
    check_sums("dx", m, o.dx.values, e->dx, values_of(&o.dx), true);
    size_t weights = product(s->k, s->c, s->r, s->s);
    double *dw = malloc(weights * sizeof *dw);
    assert_non_null(dw);
    o.b->ops->read_reals(o.b, dw, o.dw.data, weights);
    check_sums("dw", m, dw, e->dw, weights, false);
    free(dw);
    outcome_free(&o);
}

/* Shapes of real networks, narrow: whitening, the first layer, a trimmed map, several blocks of
 * images in one chunk, one pixel, strides, a filter as large as the map, a pad that leaves outputs
 * without any input, six and seven pixels in a row. The last three do not fit the cache that
 * backward-weights works in: rows in chunks, at both strides, and blocks one by one. */
static const struct {
    int c, h, w, k, r, s, stride, pad, trim, n;
} fixed[] = {
    {3, 5, 6, 24, 2, 2, 1, 0, 0, 33},   {3, 5, 4, 64, 3, 3, 1, 1, 0, 5},
    {24, 4, 7, 33, 3, 3, 1, 1, 1, 3},   {64, 3, 7, 40, 3, 3, 1, 1, 1, 40},
    {65, 3, 3, 34, 3, 3, 1, 1, 0, 300}, {40, 6, 7, 33, 3, 3, 2, 1, 0, 8},
    {33, 5, 4, 65, 1, 1, 2, 0, 0, 70},  {40, 3, 3, 64, 1, 1, 1, 0, 0, 2},
    {65, 1, 1, 10, 1, 1, 1, 0, 0, 300}, {31, 4, 5, 10, 4, 5, 1, 0, 0, 33},
    {34, 3, 8, 36, 3, 3, 1, 0, 0, 1},   {36, 2, 2, 38, 3, 3, 1, 2, 0, 4},
    {70, 2, 6, 35, 2, 3, 1, 1, 2, 65},  {1, 1, 9, 1, 1, 3, 1, 1, 0, 1},
    {35, 2, 3, 37, 2, 3, 1, 1, 3, 9},   {33, 4, 4, 5, 3, 3, 3, 1, 0, 6},
    {2, 16, 16, 97, 3, 3, 1, 1, 0, 1},  {2, 25, 25, 65, 3, 3, 2, 1, 0, 1},
    {2, 9, 8, 65, 1, 3, 1, 1, 0, 257},
};

enum { FIXED = sizeof fixed / sizeof fixed[0], RANDOM = 16, CASES = FIXED + RANDOM };

static struct test_case {
    struct problem m;
    struct expected e;
} cases[CASES];

static int pick(struct rng *r, const int *from, uint32_t count)
{
    return from[rng_below(r, count)];
}

/* At most 400,000 products, and little padding beside them: emulated registers are slow. */
static struct conv_shape random_shape(struct rng *r, int *n)
{
    static const int channels[] = {1, 3, 16, 24, 32, 33, 48, 64, 65, 97};
    static const int images[] = {1, 7, 31, 32, 33, 70, 290};
    for (;;) {
        int h = 1 + (int)rng_below(r, 7), w = 1 + (int)rng_below(r, 9);
        int fr = 1 + (int)rng_below(r, 3), fs = 1 + (int)rng_below(r, 4);
        int pad = (int)rng_below(r, 3);
        if (h + 2 * pad < fr || w + 2 * pad < fs)
            continue;
        struct conv_shape s =
            shape_of(pick(r, channels, 10), h, w, pick(r, channels, 10), fr, fs,
                     1 + (int)rng_below(r, 5) / 4, pad, (int)rng_below(r, 3));
        *n = pick(r, images, 7);
        double products = (double)product(s.p, s.q, s.r, s.s) * s.c * s.k * *n;
        if (products <= 4e5 && products > 2e4)
            return s;
    }
}

static int make_cases(void **state)
{
    (void)state;
    struct rng r = rng_at(3, RNG_TEST, 0, 0);
    for (int i = 0; i < CASES; i++) {
        struct conv_shape s;
        int n;
        if (i < FIXED) {
            s = shape_of(fixed[i].c, fixed[i].h, fixed[i].w, fixed[i].k, fixed[i].r, fixed[i].s,
                         fixed[i].stride, fixed[i].pad, fixed[i].trim);
            n = fixed[i].n;
        } else {
            s = random_shape(&r, &n);
        }
        cases[i].m = problem_new(&s, n, (uint64_t)i, PRECISION_BF16);
        cases[i].e = expected_new(&cases[i].m);
    }
    return 0;
}

static int free_cases(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        problem_free(&cases[i].m);
        expected_free(&cases[i].e);
    }
    return 0;
}

static void take_built_kernels(void)
{
    const char *lacks = tile_kernels_built(&kernels);
    if (lacks) {
        print_message("skipped: %s\n", lacks);
        skip();
    }
}

static void test_amx__plain_registers_match_naive(void **state)
{
    (void)state;
    tile_kernels_plain(&kernels);
    for (int i = 0; i < CASES; i++)
        check_problem(&cases[i].m, &cases[i].e, 1 + i % 3);
}

static void test_amx__as_built_matches_naive(void **state)
{
    (void)state;
    take_built_kernels();
    for (int i = 0; i < CASES; i++)
        check_problem(&cases[i].m, &cases[i].e, 1 + i % 3);
}

static void assert_same_bits(const struct outcome *a, const struct outcome *b)
{
    assert_memory_equal(a->y.memory.base, b->y.memory.base, a->y.memory.bytes + GUARD);
    assert_memory_equal(a->dx.memory.base, b->dx.memory.base, a->dx.memory.bytes + GUARD);
    assert_memory_equal(a->dw.base, b->dw.base, a->dw.bytes + GUARD);
}

/* 300 images are ten blocks: lanes of one and of two. More threads cut finer. */
static void test_amx__threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static const int threads[] = {2, 3, 8, 40};
    tile_kernels_plain(&kernels);
    const struct conv_shape shapes[] = {
        shape_of(97, 3, 6, 70, 3, 3, 1, 1, 1),
        shape_of(65, 4, 4, 33, 3, 3, 2, 1, 0),
    };
    for (int i = 0; i < 2; i++) {
        struct problem m = problem_new(&shapes[i], i ? 300 : 70, 100, PRECISION_BF16);
        struct outcome one = outcome_new(&m, 1, false);
        for (int t = 0; t < 4; t++) {
            struct outcome many = outcome_new(&m, threads[t], false);
            assert_same_bits(&one, &many);
            outcome_free(&many);
        }
        outcome_free(&one);
        problem_free(&m);
    }
}

/* Four pixels at once, or one by one and stored past the caches, in a map of `width` columns: the
 * same bits. `column` is where the first tap of the first pixel falls. */
static void check_row(int count, int width, int column)
{
    enum { LINES = 3, ROWS = 3, HALF = LINES * ROWS * 3 * TILE_REGISTER };
    static _Alignas(64) uint16_t x[2][9][LINES][1024], w[HALF], y[2][4][2][1024];
    static _Alignas(64) float bias[32];
    static _Alignas(64) struct tile_run run;
    struct rng r = rng_at(1, RNG_TEST, (uint32_t)(count * 100 + width), (uint64_t)(column + 9));
    for (size_t i = 0; i < sizeof x / 2; i++)
        (&x[0][0][0][0])[i] = bf16_from_float((float)rng_normal(&r)).bits;
    for (size_t i = 0; i < sizeof w / 2; i++)
        w[i] = bf16_from_float((float)rng_normal(&r)).bits;
    for (int i = 0; i < 32; i++)
        bias[i] = rng_uniform(&r);
    const struct conv_hit rows[] = {{0, 1}, {2, 0}};
    memset(y, 0, sizeof y);
    kernels.begin(&run, false);
    struct tile_pixels four = {
        .x = (char *)x, .x_row = sizeof x[0], .x_pixel = sizeof x[0][0], .x_width = width,
        .column = column, .c_lines = LINES, .w = (char *)w, .r = ROWS, .rows = rows,
        .row_count = 2, .bias = bias, .count = count,
        .y = (char *)y[0][0][1], .y_pixel = sizeof y[0][0],
    };
    for (four.half = 0; four.half < 2; four.half++)
        kernels.row(&run, &four);
    kernels.end(&run);
    kernels.begin(&run, true);
    for (int i = 0; i < count; i++) {
        struct conv_hit columns[3];
        int hits = 0;
        for (int t = 0; t < 3; t++)
            if (column + i + t >= 0 && column + i + t < width)
                columns[hits++] = (struct conv_hit){t, column + i + t};
        struct tile_pixel one = {
            .x = (char *)x, .x_row = sizeof x[0], .x_pixel = sizeof x[0][0], .c_lines = LINES,
            .w = (char *)w, .r = ROWS, .s = 3, .rows = rows, .columns = columns, .row_count = 2,
            .column_count = hits, .bias = bias, .y = (char *)y[1][i][1],
        };
        kernels.pixel(&run, &one);
    }
    kernels.end(&run);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}

static void check_rows(void)
{
    for (int count = 1; count <= ROW_PIXELS; count++)
        for (int width = 1; width <= 9; width += 2)
            for (int column = -3; column <= width; column++)
                check_row(count, width, column);
}

static void test_amx__a_row_is_its_pixels(void **state)
{
    (void)state;
    tile_kernels_plain(&kernels);
    check_rows();
}

static void test_amx__a_row_is_its_pixels_as_built(void **state)
{
    (void)state;
    take_built_kernels();
    check_rows();
}

/* What is emulated multiplies exactly as the plain registers do, so the two builds of a kernel
 * agree in every bit. (Of a real multiplier only the bounds above are asked.) */
static void test_amx__plain_and_built_agree_in_every_bit(void **state)
{
    (void)state;
    if (tier_available(TIER_AMX)) {
        print_message("skipped: this machine has tile registers of its own\n");
        skip();
    }
    take_built_kernels(); /* or skip before there is anything to be freed */
    for (int i = 0; i < CASES; i += 8) {
        tile_kernels_plain(&kernels);
        struct outcome plain = outcome_new(&cases[i].m, 2, true);
        take_built_kernels();
        struct outcome built = outcome_new(&cases[i].m, 2, true);
        assert_same_bits(&plain, &built);
        outcome_free(&plain);
        outcome_free(&built);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amx__plain_registers_match_naive),
        cmocka_unit_test(test_amx__as_built_matches_naive),
        cmocka_unit_test(test_amx__threads_do_not_change_a_bit),
        cmocka_unit_test(test_amx__a_row_is_its_pixels),
        cmocka_unit_test(test_amx__a_row_is_its_pixels_as_built),
        cmocka_unit_test(test_amx__plain_and_built_agree_in_every_bit),
    };
    return cmocka_run_group_tests(tests, make_cases, free_cases);
}
