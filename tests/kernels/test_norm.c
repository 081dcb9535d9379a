/* test_norm.c - batch normalisation of every tier against a naive one in double.
 *
 * Bounds. u is the rounding unit of the precision. z takes a difference, a product with a rounded
 * gain, and a sum: |error| <= 4u |(x-mean) gain| + u |z|. An activation carries it on with the
 * largest slope of act (below 1.2) and its own error of a few ulp; its slope carries it on with the
 * largest curvature (1.2, 1 / alpha for celu). Sums are exact next to that; in bf16 up to 32 terms
 * are first added up in floats, 32u of the sum of their sizes, maps are rounded to bf16 when they
 * are stored, dz of the first pass among them, and gelu may be coarse.
 */
#include "kernels/fixture.h"

struct norm_case {
    int n, c, h, w, groups;
    enum activation act;
    bool scale, bias, frozen;
};

static const struct norm_case cases[] = {
    {1, 3, 2, 3, 1, ACT_NONE, true, true, false},
    {5, 10, 3, 3, 1, ACT_RELU, true, true, false},
    {33, 24, 2, 2, 1, ACT_GELU, true, true, false},
    {70, 31, 1, 5, 1, ACT_SILU, false, true, false},
    {70, 64, 3, 1, 1, ACT_CELU, true, false, false},
    {70, 10, 2, 3, 2, ACT_GELU, true, true, false},
    {70, 16, 3, 4, 7, ACT_RELU, true, true, false},
    {33, 3, 2, 2, 33, ACT_NONE, false, false, false},
    {300, 17, 1, 1, 5, ACT_CELU, true, true, false},
    {40, 24, 5, 3, 1, ACT_GELU, true, true, true},
    {33, 33, 2, 2, 3, ACT_RELU, true, true, true},
    {9, 8, 4, 4, 1, ACT_NONE, false, false, true},
};

/* The relative error of sums beyond that of doubles. */
static double short_sums(const struct backend *b)
{
    return b->precision == PRECISION_BF16 ? 33 * unit(b) : 0;
}

enum { CASES = sizeof cases / sizeof cases[0] };

static const double ALPHA = 0.3;

/* Everything that one case reads and writes. */
struct norm_rig {
    struct norm_shape s;
    struct test_map x, dy, y, dx;
    struct buffer mean, rstd, scale, bias, running_mean, running_var, dscale, dbias, workspace;
    struct norm_tensors t;
};

static struct buffer reals_random(struct backend *b, size_t count, uint64_t stream, double mean,
                                  double deviation)
{
    struct buffer m = buffer_new(count * b->real_bytes);
    double *values = malloc(count * sizeof *values);
    fill_normal(values, count, stream, mean, deviation);
    for (size_t i = 0; i < count; i++)
        values[i] = fabs(values[i]) + 0.1; /* variances, and gains that hide nothing */
    b->ops->write_reals(b, m.data, values, count);
    free(values);
    return m;
}

static struct norm_rig rig_new(struct backend *b, const struct norm_case *k)
{
    struct norm_rig r = {.s = {k->c, k->h, k->w, k->groups, 1e-5, 0.3, k->frozen, k->act, ALPHA}};
    size_t c = (size_t)k->c, gc = c * (size_t)k->groups;
    r.x = map_random(b, k->n, k->c, k->h, k->w, 1, 0.7, 2);
    r.dy = map_random(b, k->n, k->c, k->h, k->w, 2, 0.1, 1);
    r.y = map_new(b, k->n, k->c, k->h, k->w);
    r.dx = map_new(b, k->n, k->c, k->h, k->w);
    r.mean = buffer_new(gc * b->real_bytes);
    r.rstd = buffer_new(gc * b->real_bytes);
    r.scale = reals_random(b, c, 3, 1, 0.3);
    r.bias = reals_random(b, c, 4, 0, 0.5);
    r.running_mean = reals_random(b, c, 5, 0.5, 0.3);
    r.running_var = reals_random(b, c, 6, 2, 0.5);
    r.dscale = buffer_new(c * b->real_bytes);
    r.dbias = buffer_new(c * b->real_bytes);
    r.workspace = buffer_new(b->ops->norm_workspace(b, k->n, &r.s));
    memset(r.workspace.data, 0xff, r.workspace.bytes); /* NaN: nothing may be read unwritten */
    r.t = (struct norm_tensors){k->scale ? r.scale.data : NULL, k->bias ? r.bias.data : NULL,
                                r.mean.data, r.rstd.data, r.running_mean.data,
                                r.running_var.data};
    return r;
}

static void rig_free(struct norm_rig *r)
{
    map_free(&r->x);
    map_free(&r->dy);
    map_free(&r->y);
    map_free(&r->dx);
    buffer_free(&r->mean);
    buffer_free(&r->rstd);
    buffer_free(&r->scale);
    buffer_free(&r->bias);
    buffer_free(&r->running_mean);
    buffer_free(&r->running_var);
    buffer_free(&r->dscale);
    buffer_free(&r->dbias);
    buffer_free(&r->workspace);
}

static double real_of(struct backend *b, const void *reals, int i)
{
    double v = 0;
    if (reals)
        b->ops->read_reals(b, &v, (const char *)reals + (size_t)i * b->real_bytes, 1);
    return v;
}

static int group_start(const struct norm_rig *r, int g)
{
    return g * r->x.n / r->s.groups;
}

/* Statistics the naive way, in two passes: mean and biased variance of channel c in group g, and
 * the mean square that bounds the error of the way by squares. */
struct moments {
    double count, mean, variance, square;
};

static struct moments moments_of(const struct norm_rig *r, int g, int c)
{
    struct moments m = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = group_start(r, g); i < group_start(r, g + 1); i++) {
            for (int y = 0; y < r->s.h; y++) {
                for (int x = 0; x < r->s.w; x++) {
                    double v = r->x.values[value_at(&r->x, i, c, y, x)];
                    if (pass == 0)
                        m.mean += v, m.square += v * v, m.count++;
                    else
                        m.variance += (v - m.mean) * (v - m.mean);
                }
            }
        }
        if (pass == 0)
            m.mean /= m.count, m.square /= m.count;
    }
    m.variance /= m.count;
    return m;
}

static void check_statistics(struct backend *b, const struct norm_case *k)
{
    struct norm_rig r = rig_new(b, k);
    double before_mean[64], before_var[64];
    b->ops->read_reals(b, before_mean, r.t.running_mean, (size_t)k->c);
    b->ops->read_reals(b, before_var, r.t.running_var, (size_t)k->c);
    b->ops->norm_statistics(b, k->n, &r.s, &r.x.map, &r.t, r.workspace.data);
    for (int c = 0; c < k->c; c++) {
        double mean = 0, variance = 0, error = 0;
        for (int g = 0; g < k->groups; g++) {
            struct moments m = moments_of(&r, g, c);
            double rounding = ((2 * m.count + 4) * 0x1p-53 + 2 * short_sums(b)) *
                              (m.square + 1);
            double rstd = 1 / sqrt(m.variance + r.s.eps);
            assert_within(real_of(b, r.t.mean, g * k->c + c), m.mean,
                          unit(b) * fabs(m.mean) + rounding);
            assert_within(real_of(b, r.t.rstd, g * k->c + c), rstd,
                          2 * unit(b) * rstd + rounding * rstd / (m.variance + r.s.eps));
            mean += m.mean / k->groups;
            variance += m.count > 1 ? m.variance * m.count / (m.count - 1) / k->groups : 0;
            error += 4 * rounding;
        }
        double want_mean = 0.7 * before_mean[c] + 0.3 * mean;
        double want_var = 0.7 * before_var[c] + 0.3 * variance;
        assert_within(real_of(b, r.t.running_mean, c), want_mean,
                      2 * unit(b) * (fabs(before_mean[c]) + fabs(mean)) + error);
        assert_within(real_of(b, r.t.running_var, c), want_var,
                      2 * unit(b) * (before_var[c] + variance) + error);
    }
    rig_free(&r);
}

static void statistics(struct backend *b)
{
    for (int i = 0; i < CASES; i++)
        if (!cases[i].frozen)
            check_statistics(b, &cases[i]);
}

static void test_norm_statistics__are_those_of_the_batch(void **state)
{
    (void)state;
    on_every_tier(statistics);
}

/* What the naive way makes of one element, and how far a tier may be from it. */
struct element {
    double xc, gain, rstd, z, z_error, y, y_error, dz, dz_error;
};

static struct element element_of(struct backend *b, const struct norm_rig *r, int g, int i,
                                 int c, int y, int x)
{
    struct element e = {0};
    double u = unit(b), dy = r->dy.values[value_at(&r->dy, i, c, y, x)];
    enum activation a = r->s.act;
    e.rstd = real_of(b, r->t.rstd, g * r->s.c + c);
    e.xc = r->x.values[value_at(&r->x, i, c, y, x)] - real_of(b, r->t.mean, g * r->s.c + c);
    e.gain = e.rstd * (r->t.scale ? real_of(b, r->t.scale, c) : 1);
    e.z = e.xc * e.gain + real_of(b, r->t.bias, c);
    e.z_error = 4 * u * fabs(e.xc * e.gain) + u * fabs(e.z);
    e.y = act_value(a, e.z, ALPHA);
    e.y_error = 1.2 * e.z_error + 4 * u * fabs(e.y) + tiny(b);
    e.y_error += a == ACT_GELU && coarse(b) ? COARSE_VALUE : 0;
    e.y_error += storing(b, fabs(e.y) + e.y_error);
    e.dz = dy * act_slope(a, e.z, ALPHA);
    e.dz_error = 1.2 / (a == ACT_CELU ? ALPHA : 1) * e.z_error * fabs(dy) + 8 * u * fabs(dy);
    e.dz_error += a == ACT_GELU && coarse(b) ? COARSE_SLOPE * fabs(dy) : 0;
    if (a == ACT_NONE)
        e.dz_error = 0;
    if (a == ACT_RELU)
        e.dz_error = fabs(e.z) <= e.z_error ? fabs(dy) : 0;
    return e;
}

static void fill_statistics(struct backend *b, const struct norm_case *k, struct norm_rig *r)
{
    b->ops->norm_statistics(b, k->n, &r->s, &r->x.map, &r->t, r->workspace.data);
}

static void check_forward(struct backend *b, const struct norm_case *k)
{
    struct norm_rig r = rig_new(b, k);
    fill_statistics(b, k, &r);
    b->ops->norm_forward(b, k->n, &r.s, &r.x.map, &r.t, &r.y.map);
    map_download(b, &r.y);
    for (int g = 0; g < k->groups; g++)
        for (int i = group_start(&r, g); i < group_start(&r, g + 1); i++)
            for (int c = 0; c < k->c; c++)
                for (int p = 0; p < k->h * k->w; p++) {
                    struct element e = element_of(b, &r, g, i, c, p / k->w, p % k->w);
                    assert_within(r.y.values[value_at(&r.y, i, c, p / k->w, p % k->w)], e.y,
                                  e.y_error);
                }
    rig_free(&r);
}

static void forward(struct backend *b)
{
    for (int i = 0; i < CASES; i++)
        check_forward(b, &cases[i]);
}

static void test_norm_forward__normalises_and_activates(void **state)
{
    (void)state;
    on_every_tier(forward);
}

/* A map of 16 MB or more is written past the caches, the first block of it alone is not. */
static void large(struct backend *b)
{
    static const struct norm_case k = {64, 33, 48, 48, 1, ACT_RELU, true, true, false};
    struct norm_rig r = rig_new(b, &k);
    fill_statistics(b, &k, &r);
    b->ops->norm_forward(b, k.n, &r.s, &r.x.map, &r.t, &r.y.map);
    map_download(b, &r.y);
    size_t count = value_at(&r.y, IMAGES, 0, 0, 0);
    double *streamed = malloc(count * sizeof *streamed);
    memcpy(streamed, r.y.values, count * sizeof *streamed);
    memset(r.y.map.data, 0xff, layout_bytes(b->precision, IMAGES, k.h, k.w, k.c));
    b->ops->norm_forward(b, IMAGES, &r.s, &r.x.map, &r.t, &r.y.map);
    map_download(b, &r.y);
    assert_memory_equal(streamed, r.y.values, count * sizeof *streamed);
    free(streamed);
    rig_free(&r);
}

static void test_norm_forward__large_maps_get_the_same_numbers(void **state)
{
    (void)state;
    on_every_tier(large);
}

/* Sums over one group and channel, with their errors, from which dx follows. */
struct back_sums {
    double dz, dz_error, dzx, dzx_error, count;
};

static struct back_sums back_sums_of(struct backend *b, const struct norm_rig *r, int g, int c)
{
    struct back_sums s = {0};
    for (int i = group_start(r, g); i < group_start(r, g + 1); i++) {
        for (int p = 0; p < r->s.h * r->s.w; p++) {
            struct element e = element_of(b, r, g, i, c, p / r->s.w, p % r->s.w);
            s.dz += e.dz;
            s.dz_error += e.dz_error + (0x1p-45 + short_sums(b)) * fabs(e.dz);
            s.dzx += e.dz * e.xc;
            s.dzx_error += e.dz_error * fabs(e.xc) + 2 * unit(b) * fabs(e.dz * e.xc) +
                           (0x1p-45 + short_sums(b)) * fabs(e.dz * e.xc);
            s.count++;
        }
    }
    return s;
}

static void check_dx(struct backend *b, const struct norm_rig *r, int g, int c,
                     const struct back_sums *s)
{
    bool frozen = r->s.frozen;
    for (int i = group_start(r, g); i < group_start(r, g + 1); i++) {
        for (int p = 0; p < r->s.h * r->s.w; p++) {
            int y = p / r->s.w, x = p % r->s.w;
            struct element e = element_of(b, r, g, i, c, y, x);
            double slope = frozen ? 0 : e.rstd * e.rstd * s->dzx / s->count;
            double offset = frozen ? 0 : s->dz / s->count;
            double want = e.gain * (e.dz - e.xc * slope - offset);
            double size = fabs(e.dz) + fabs(e.xc * slope) + fabs(offset), error = e.dz_error;
            if (!frozen)
                error += fabs(e.xc) * e.rstd * e.rstd * s->dzx_error / s->count +
                         s->dz_error / s->count;
            error += storing(b, fabs(e.dz) + e.dz_error);
            error = fabs(e.gain) * (error + 8 * unit(b) * size);
            assert_within(r->dx.values[value_at(&r->dx, i, c, y, x)], want,
                          error + storing(b, fabs(want) + error));
        }
    }
}

static void check_backward(struct backend *b, const struct norm_case *k, bool in_place)
{
    struct norm_rig r = rig_new(b, k);
    fill_statistics(b, k, &r);
    if (in_place)
        memcpy(r.dx.memory.data, r.dy.memory.data, r.dx.memory.bytes);
    b->ops->norm_backward(b, k->n, &r.s, &r.x.map, &r.t, in_place ? &r.dx.map : &r.dy.map,
                          NULL, r.dscale.data, r.dbias.data, &r.dx.map, r.workspace.data);
    map_download(b, &r.dx);
    for (int c = 0; c < k->c; c++) {
        double dscale = 0, dbias = 0, dscale_error = 0, dbias_error = 0;
        for (int g = 0; g < k->groups; g++) {
            struct back_sums s = back_sums_of(b, &r, g, c);
            double rstd = real_of(b, r.t.rstd, g * k->c + c);
            dbias += s.dz;
            dbias_error += s.dz_error;
            dscale += s.dzx * rstd;
            dscale_error += s.dzx_error * rstd;
            check_dx(b, &r, g, c, &s);
        }
        assert_within(real_of(b, r.dscale.data, c), dscale,
                      dscale_error + 2 * unit(b) * fabs(dscale));
        assert_within(real_of(b, r.dbias.data, c), dbias,
                      dbias_error + 2 * unit(b) * fabs(dbias));
    }
    rig_free(&r);
}

static void backward(struct backend *b)
{
    for (int i = 0; i < CASES; i++) {
        check_backward(b, &cases[i], false);
        check_backward(b, &cases[i], true);
    }
}

static void test_norm_backward__is_right_and_works_in_place(void **state)
{
    (void)state;
    on_every_tier(backward);
}

/* Without dx the sums are the same; without dscale and dbias dx is the same. */
static void partial_backward(struct backend *b)
{
    for (int i = 0; i < CASES; i++) {
        const struct norm_case *k = &cases[i];
        struct norm_rig r = rig_new(b, k);
        size_t bytes = (size_t)k->c * b->real_bytes;
        struct map none = {NULL, k->c, k->h, k->w};
        fill_statistics(b, k, &r);
        b->ops->norm_backward(b, k->n, &r.s, &r.x.map, &r.t, &r.dy.map, NULL, r.dscale.data,
                              r.dbias.data, &r.dx.map, r.workspace.data);
        map_download(b, &r.dx);
        void *dscale = malloc(bytes), *dx = malloc(values_of(&r.dx) * sizeof(double));
        memcpy(dscale, r.dscale.data, bytes);
        memcpy(dx, r.dx.values, values_of(&r.dx) * sizeof(double));

        memset(r.dscale.data, 0, bytes);
        b->ops->norm_backward(b, k->n, &r.s, &r.x.map, &r.t, &r.dy.map, NULL, r.dscale.data,
                              NULL, &none, r.workspace.data);
        assert_memory_equal(r.dscale.data, dscale, bytes);
        b->ops->norm_backward(b, k->n, &r.s, &r.x.map, &r.t, &r.dy.map, NULL, NULL, NULL,
                              &r.dx.map, r.workspace.data);
        map_download(b, &r.dx);
        assert_memory_equal(r.dx.values, dx, values_of(&r.dx) * sizeof(double));
        free(dscale);
        free(dx);
        rig_free(&r);
    }
}

static void test_norm_backward__leaves_out_what_is_not_wanted(void **state)
{
    (void)state;
    on_every_tier(partial_backward);
}

/* All bytes that one case makes, on some number of threads. */
static struct norm_rig run_case(enum tier tier, enum precision precision,
                                const struct norm_case *k, int threads)
{
    struct backend *b = backend_of(tier, precision, threads);
    struct norm_rig r = rig_new(b, k);
    fill_statistics(b, k, &r);
    b->ops->norm_forward(b, k->n, &r.s, &r.x.map, &r.t, &r.y.map);
    b->ops->norm_backward(b, k->n, &r.s, &r.x.map, &r.t, &r.dy.map, NULL, r.dscale.data,
                          r.dbias.data, &r.dx.map, r.workspace.data);
    map_download(b, &r.y);
    map_download(b, &r.dx);
    b->ops->free(b);
    return r;
}

static void same_bytes(const struct buffer *a, const struct buffer *b)
{
    assert_memory_equal(a->data, b->data, a->bytes);
}

static void check_threads(enum tier tier, enum precision p, const struct norm_case *k, int threads)
{
    struct norm_rig one = run_case(tier, p, k, 1), more = run_case(tier, p, k, threads);
    same_bytes(&one.mean, &more.mean);
    same_bytes(&one.rstd, &more.rstd);
    same_bytes(&one.running_mean, &more.running_mean);
    same_bytes(&one.running_var, &more.running_var);
    same_bytes(&one.dscale, &more.dscale);
    same_bytes(&one.dbias, &more.dbias);
    assert_memory_equal(one.y.values, more.y.values, values_of(&one.y) * sizeof(double));
    assert_memory_equal(one.dx.values, more.dx.values, values_of(&one.dx) * sizeof(double));
    rig_free(&one);
    rig_free(&more);
}

static void test_norm__gives_the_same_bits_on_any_number_of_threads(void **state)
{
    (void)state;
    static const struct norm_case big[] = {
        {70, 31, 3, 3, 1, ACT_GELU, true, true, false},
        {300, 16, 2, 2, 7, ACT_RELU, true, true, false},
        {64, 64, 4, 4, 2, ACT_CELU, true, true, true},
    };
    static const int threads[] = {2, 3, 8};
    for (enum tier tier = TIER_REF; tier < TIER_COUNT; tier++)
        for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++)
            for (size_t i = 0; i < sizeof big / sizeof big[0] && tier_available(tier); i++)
                for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++)
                    check_threads(tier, p, &big[i], threads[t]);
}

/* Sums of what is the same are the same in every tier, bit for bit. */
static void test_norm_statistics__are_the_same_bits_in_every_tier(void **state)
{
    (void)state;
    static const struct norm_case k = {300, 31, 3, 5, 2, ACT_NONE, true, true, false};
    for (enum precision p = PRECISION_FP32; p <= PRECISION_BF16; p++) {
        struct norm_rig plain = run_case(TIER_REF, p, &k, 2);
        for (enum tier tier = TIER_AVX2; tier < TIER_COUNT; tier++) {
            if (!tier_available(tier))
                continue;
            struct norm_rig r = run_case(tier, p, &k, 2);
            same_bytes(&plain.mean, &r.mean);
            same_bytes(&plain.rstd, &r.rstd);
            rig_free(&r);
        }
        rig_free(&plain);
    }
}

/* One value a group: variance 0 in the running statistics, nothing divided by zero. More groups
 * than images: those without images are left out. */
static void single_values(struct backend *b)
{
    const struct norm_case one = {1, 3, 1, 1, 1, ACT_NONE, true, true, false};
    struct norm_rig r = rig_new(b, &one);
    double before[3], var[3], mean[3];
    b->ops->read_reals(b, before, r.t.running_var, 3);
    fill_statistics(b, &one, &r);
    b->ops->read_reals(b, var, r.t.running_var, 3);
    for (int c = 0; c < 3; c++) {
        assert_within(real_of(b, r.t.mean, c), r.x.values[c], 0);
        assert_within(real_of(b, r.t.rstd, c), 1 / sqrt(1e-5), 400 * unit(b));
        assert_within(var[c], 0.7 * before[c], 2 * unit(b) * before[c]);
    }
    rig_free(&r);

    const struct norm_case few = {2, 3, 1, 1, 4, ACT_NONE, true, true, false};
    r = rig_new(b, &few);
    b->ops->read_reals(b, before, r.t.running_mean, 3);
    fill_statistics(b, &few, &r);
    b->ops->read_reals(b, mean, r.t.running_mean, 3);
    for (int c = 0; c < 3; c++) {
        double batch = (r.x.values[c] + r.x.values[3 + c]) / 2;
        assert_within(mean[c], 0.7 * before[c] + 0.3 * batch, 4 * unit(b) * (1 + fabs(batch)));
    }
    rig_free(&r);
}

static void test_norm_statistics__of_single_values_and_empty_groups(void **state)
{
    (void)state;
    on_every_tier(single_values);
}

/* A NaN in an image of the batch must show, so that a broken run is seen. */
static void nan_shows(struct backend *b)
{
    const struct norm_case k = {5, 3, 2, 2, 1, ACT_GELU, true, true, false};
    struct norm_rig r = rig_new(b, &k);
    r.x.values[value_at(&r.x, 4, 1, 1, 0)] = (double)NAN;
    map_upload(b, &r.x);
    fill_statistics(b, &k, &r);
    b->ops->norm_forward(b, k.n, &r.s, &r.x.map, &r.t, &r.y.map);
    map_download(b, &r.y);
    for (int c = 0; c < 3; c++) {
        assert_int_equal(isnan(real_of(b, r.t.mean, c)) != 0, c == 1);
        assert_int_equal(isnan(real_of(b, r.t.running_var, c)) != 0, c == 1);
        assert_int_equal(isnan(r.y.values[value_at(&r.y, 0, c, 0, 0)]) != 0, c == 1);
    }
    rig_free(&r);
}

static void test_norm__does_not_hide_a_nan(void **state)
{
    (void)state;
    on_every_tier(nan_shows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_statistics__are_those_of_the_batch),
        cmocka_unit_test(test_norm_statistics__of_single_values_and_empty_groups),
        cmocka_unit_test(test_norm_forward__normalises_and_activates),
        cmocka_unit_test(test_norm_forward__large_maps_get_the_same_numbers),
        cmocka_unit_test(test_norm_backward__is_right_and_works_in_place),
        cmocka_unit_test(test_norm_backward__leaves_out_what_is_not_wanted),
        cmocka_unit_test(test_norm__gives_the_same_bits_on_any_number_of_threads),
        cmocka_unit_test(test_norm_statistics__are_the_same_bits_in_every_tier),
        cmocka_unit_test(test_norm__does_not_hide_a_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
