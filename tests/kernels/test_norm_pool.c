/* test_norm_pool.c - batch normalisation that pools its outputs itself, of every tier, against the
 * same two operations one after the other: they give the same bits. (Behind a gelu in bf16 the
 * gradients may differ, because norm_backward rounds dz on its way; no plan does this.) */
#include "kernels/fixture.h"

struct norm_pool_case {
    int n, c, h, w, groups;
    enum activation act;
    bool scale, frozen, in_place;
};

static const struct norm_pool_case cases[] = {
    {1, 3, 2, 2, 1, ACT_NONE, true, false, false},
    {5, 10, 4, 6, 1, ACT_RELU, true, false, true},
    {33, 33, 6, 2, 1, ACT_RELU, true, false, false},
    {70, 64, 2, 8, 1, ACT_NONE, false, false, true},
    {70, 16, 6, 6, 7, ACT_RELU, true, false, true},
    {40, 24, 10, 4, 3, ACT_RELU, true, true, false},
    {33, 17, 18, 2, 33, ACT_RELU, true, false, true},
    {35, 40, 4, 4, 1, ACT_GELU, true, false, false},
};

/* Everything that one case reads and writes; the maps of the pool are `half` as large. */
struct rig {
    struct norm_shape norm;
    struct pool_shape pool;
    struct norm_tensors t;
    struct test_map x, y, dx, half, dhalf;
    struct buffer argmax, reals, workspace;
    void *dscale, *dbias;
    size_t channel_bytes;
};

static struct rig rig_new(struct backend *b, const struct norm_pool_case *k)
{
    struct rig r = {
        .norm = {k->c, k->h, k->w, k->groups, 1e-5, 0.3, k->frozen, k->act, 0.3},
        .pool = {k->c, k->h, k->w, k->h / 2, k->w / 2, 2, 2},
        .x = map_random(b, k->n, k->c, k->h, k->w, 1, 0.7, 2),
        .y = map_new(b, k->n, k->c, k->h, k->w),
        .dx = map_new(b, k->n, k->c, k->h, k->w),
        .half = map_new(b, k->n, k->c, k->h / 2, k->w / 2),
        .dhalf = map_random(b, k->n, k->c, k->h / 2, k->w / 2, 2, 0.1, 1),
        .channel_bytes = (size_t)k->c * b->real_bytes,
    };
    size_t c = (size_t)k->c, moments = c * (size_t)k->groups;
    r.argmax = buffer_new(r.half.memory.bytes / precision_bytes(b->precision));
    r.reals = buffer_new((6 * c + 2 * moments) * b->real_bytes);
    r.workspace = buffer_new(b->ops->norm_workspace(b, k->n, &r.norm));
    double *values = malloc(4 * c * sizeof *values);
    fill_normal(values, 4 * c, 3, 0, 1); /* gains of both signs, whose maxima are minima of x */
    for (size_t i = 3 * c; i < 4 * c; i++)
        values[i] = fabs(values[i]) + 0.1;
    b->ops->write_reals(b, r.reals.data, values, 4 * c);
    free(values);
    char *at = r.reals.data;
    r.t = (struct norm_tensors){k->scale ? at : NULL,
                                at + r.channel_bytes,
                                at + 6 * r.channel_bytes,
                                at + 6 * r.channel_bytes + moments * b->real_bytes,
                                at + 2 * r.channel_bytes,
                                at + 3 * r.channel_bytes};
    r.dscale = at + 4 * r.channel_bytes;
    r.dbias = at + 5 * r.channel_bytes;
    b->ops->norm_statistics(b, k->n, &r.norm, &r.x.map, &r.t, r.workspace.data);
    return r;
}

static void rig_free(struct rig *r)
{
    struct test_map *maps[] = {&r->x, &r->y, &r->dx, &r->half, &r->dhalf};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        map_free(maps[i]);
    buffer_free(&r->argmax);
    buffer_free(&r->reals);
    buffer_free(&r->workspace);
}

static void one_after_the_other(struct backend *b, int n, struct rig *r)
{
    b->ops->norm_forward(b, n, &r->norm, &r->x.map, &r->t, &r->y.map);
    b->ops->maxpool_forward(b, n, &r->pool, &r->y.map, &r->half.map, (uint8_t *)r->argmax.data);
    b->ops->maxpool_backward(b, n, &r->pool, &r->dhalf.map, (uint8_t *)r->argmax.data,
                             &r->dx.map);
    b->ops->norm_backward(b, n, &r->norm, &r->x.map, &r->t, &r->dx.map, NULL, r->dscale,
                          r->dbias, &r->dx.map, r->workspace.data);
}

static void at_once(struct backend *b, int n, struct rig *r, bool in_place)
{
    struct map dx = in_place ? r->x.map : r->dx.map;
    b->ops->norm_pool_forward(b, n, &r->norm, &r->x.map, &r->t, &r->half.map,
                              (uint8_t *)r->argmax.data);
    b->ops->norm_backward(b, n, &r->norm, &r->x.map, &r->t, &r->dhalf.map,
                          (uint8_t *)r->argmax.data, r->dscale, r->dbias, &dx,
                          r->workspace.data);
    if (in_place)
        memcpy(r->dx.memory.data, r->x.memory.data, r->x.memory.bytes);
}

static void same_map(struct backend *b, struct test_map *want, struct test_map *got)
{
    map_download(b, want);
    map_download(b, got);
    assert_memory_equal(want->values, got->values, values_of(want) * sizeof(double));
}

/* The places of the maxima that `n` images have; those of the others may be anything. */
static void same_places(struct backend *b, const struct rig *want, const struct rig *got)
{
    const struct test_map *m = &want->half;
    for (int i = 0; i < m->n; i++)
        for (int y = 0; y < m->map.h; y++)
            for (int x = 0; x < m->map.w; x++)
                for (int c = 0; c < m->map.c; c++) {
                    size_t at =
                        layout_at(b->precision, m->map.h, m->map.w, m->map.c, i, y, x, c);
                    assert_int_equal((uint8_t)want->argmax.data[at],
                                     (uint8_t)got->argmax.data[at]);
                }
}

static void check(struct backend *b, const struct norm_pool_case *k)
{
    struct rig want = rig_new(b, k), got = rig_new(b, k);
    one_after_the_other(b, k->n, &want);
    at_once(b, k->n, &got, k->in_place);
    same_map(b, &want.half, &got.half);
    same_places(b, &want, &got);
    if (k->act == ACT_NONE || k->act == ACT_RELU || b->precision != PRECISION_BF16) {
        same_map(b, &want.dx, &got.dx);
        assert_memory_equal(want.dscale, got.dscale, want.channel_bytes);
        assert_memory_equal(want.dbias, got.dbias, want.channel_bytes);
    }
    b->ops->norm_pool_forward(b, k->n, &got.norm, &want.x.map, &want.t, &got.half.map, NULL);
    same_map(b, &want.half, &got.half);
    rig_free(&want);
    rig_free(&got);
}

static void all(struct backend *b)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check(b, &cases[i]);
}

static void test_norm_pool__gives_the_bits_of_norm_and_pool(void **state)
{
    (void)state;
    on_every_tier(all);
}

/* A NaN in a window comes out of it, and its place has the gradient. */
static void nan_shows(struct backend *b)
{
    static const struct norm_pool_case k = {3, 5, 4, 4, 1, ACT_RELU, true, true, false};
    struct rig want = rig_new(b, &k), got = rig_new(b, &k);
    want.x.values[value_at(&want.x, 2, 1, 1, 2)] = (double)NAN;
    map_upload(b, &want.x);
    memcpy(got.x.memory.data, want.x.memory.data, want.x.memory.bytes);
    one_after_the_other(b, k.n, &want);
    at_once(b, k.n, &got, false);
    same_places(b, &want, &got);
    map_download(b, &got.half);
    for (int c = 0; c < k.c; c++)
        assert_int_equal(isnan(got.half.values[value_at(&got.half, 2, c, 0, 1)]) != 0, c == 1);
    rig_free(&want);
    rig_free(&got);
}

static void test_norm_pool__does_not_hide_a_nan(void **state)
{
    (void)state;
    on_every_tier(nan_shows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_pool__gives_the_bits_of_norm_and_pool),
        cmocka_unit_test(test_norm_pool__does_not_hide_a_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
