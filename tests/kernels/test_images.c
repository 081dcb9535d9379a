/* test_images.c - images cut, mirrored and normalised, against a naive padded copy. */
#include "kernels/fixture.h"

#include "backend/cpu/cpu.h"

enum { STORED = 40, SIDE = 32, PAD = 5, WIDE = SIDE + 2 * PAD };

/* Pixel (y, x) of the image with PAD reflected pixels on each side, y and x from 0. */
static uint8_t padded_pixel(const uint8_t *plane, int y, int x)
{
    y -= PAD;
    x -= PAD;
    if (y < 0)
        y = -y;
    if (y > SIDE - 1)
        y = SIDE - 1 - (y - (SIDE - 1));
    if (x < 0)
        x = -x;
    if (x > SIDE - 1)
        x = SIDE - 1 - (x - (SIDE - 1));
    return plane[y * SIDE + x];
}

static struct image_view draw_view(struct rng *r)
{
    struct image_view v = {.index = rng_below(r, STORED)};
    v.dy = (int8_t)((int)rng_below(r, 2 * PAD + 1) - PAD);
    v.dx = (int8_t)((int)rng_below(r, 2 * PAD + 1) - PAD);
    v.flip = (uint8_t)rng_below(r, 2);
    v.cut = (uint8_t)(rng_below(r, 2) * 12);
    v.cut_y = (uint8_t)rng_below(r, SIDE);
    v.cut_x = (uint8_t)rng_below(r, SIDE);
    return v;
}

/* Maps that are too large for the caches are written in another way. */
static void expect_same_past_the_caches(struct backend *b, const struct image_store *s,
                                        const struct image_view *views, const struct test_map *x)
{
    const struct pointwise_kernels *k = &cpu_of(b)->kernels.pointwise;
    double levels[4][256];
    struct buffer row = buffer_new(layout_bytes(b->precision, 1, 1, SIDE, s->c));
    k->image_levels(s, levels);
    for (int block = 0; block < layout_blocks(x->n); block++)
        for (int y = 0; y < SIDE; y++) {
            k->load_images(s, levels, cpu_block_images(x->n, block), views + block * IMAGES, y,
                           true, row.data);
            assert_memory_equal(row.data,
                                x->memory.data + (size_t)(block * SIDE + y) * row.bytes,
                                row.bytes);
        }
    buffer_free(&row);
}

static void check_views(struct backend *b, const struct image_store *s,
                        const struct image_view *views, struct test_map *x)
{
    b->ops->load_images(b, x->n, s, views, &x->map);
    map_download(b, x);
    for (int i = 0; i < x->n; i++)
        for (int c = 0; c < s->c; c++)
            for (int p = 0; p < SIDE * SIDE; p++) {
                const struct image_view *v = &views[i];
                int y = p / SIDE, column = p % SIDE;
                int source = v->flip ? SIDE - 1 - column : column;
                const uint8_t *plane = s->pixels + ((int)v->index * s->c + c) * SIDE * SIDE;
                double stored = padded_pixel(plane, y + v->dy + PAD, source + v->dx + PAD);
                double want = (stored - (double)s->mean[c]) * (double)s->inv_std[c];
                bool cut = y >= v->cut_y && y < v->cut_y + v->cut && column >= v->cut_x &&
                           column < v->cut_x + v->cut;
                assert_within(x->values[value_at(x, i, c, y, column)], cut ? 0 : want,
                              3 * unit(b) * fabs(want) + storing(b, 1.0001 * want));
            }
    expect_same_past_the_caches(b, s, views, x);
    int channels = layout_cblocks(b->precision, s->c) * layout_cb(b->precision);
    for (int i = x->n; i < layout_blocks(x->n) * IMAGES; i++)
        for (int p = 0; p < SIDE * SIDE; p++)
            for (int c = 0; c < channels; c++)
                assert_true(element_at(b, &x->map,
                                       layout_at(b->precision, SIDE, SIDE, s->c, i, p / SIDE,
                                                 p % SIDE, c)) == 0);
}

static void views(struct backend *b)
{
    static const int counts[] = {1, 5, 33, 70};
    struct rng r = rng_at(3, RNG_TEST, 0, 0);
    for (int c = 1; c <= 3; c += 2) {
        size_t bytes = (size_t)(STORED * c * SIDE * SIDE);
        struct buffer pixels = buffer_new(bytes);
        for (size_t i = 0; i < bytes; i++)
            pixels.data[i] = (char)rng_below(&r, 256);
        struct image_store s = {(const uint8_t *)pixels.data, c, SIDE, SIDE,
                                {125.3f, 123.0f, 113.9f}, {1 / 63.0f, 1 / 62.1f, 1 / 66.7f}};
        for (int k = 0; k < 4; k++) {
            struct image_view drawn[70];
            for (int i = 0; i < counts[k]; i++)
                drawn[i] = draw_view(&r);
            struct test_map x = map_new(b, counts[k], c, SIDE, SIDE);
            check_views(b, &s, drawn, &x);
            map_free(&x);
        }
        buffer_free(&pixels);
    }
}

static void test_load_images__shifts_flips_cuts_and_normalises(void **state)
{
    (void)state;
    on_every_tier(views);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_images__shifts_flips_cuts_and_normalises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
