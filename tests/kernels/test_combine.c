/* test_combine.c - sums, multiples and concatenations of maps; one rounding each (in bf16 of a
 * float), or none. */
#include "kernels/fixture.h"

static const int counts[] = {1, 5, 33, 70};

static void sums(struct backend *b)
{
    for (int k = 0; k < 4; k++) {
        struct test_map x = map_random(b, counts[k], 24, 3, 5, 1, 0, 1);
        struct test_map z = map_random(b, counts[k], 24, 3, 5, 2, 0, 1);
        struct test_map y = map_new(b, counts[k], 24, 3, 5);
        b->ops->add(b, x.n, &x.map, &z.map, &y.map);
        map_download(b, &y);
        for (size_t i = 0; i < values_of(&x); i++)
            assert_within(y.values[i],
                          rounded_to_map(b, rounded(b, x.values[i] + z.values[i])), 0);
        b->ops->scale(b, x.n, 0.125, &x.map, &y.map);
        map_download(b, &y);
        for (size_t i = 0; i < values_of(&x); i++)
            assert_within(y.values[i], 0.125 * x.values[i], 0);
        b->ops->add(b, x.n, &x.map, &y.map, &y.map);
        b->ops->scale(b, x.n, 2, &y.map, &y.map);
        map_download(b, &y);
        for (size_t i = 0; i < values_of(&x); i++)
            assert_within(y.values[i],
                          2 * rounded_to_map(b, rounded(b, 1.125 * x.values[i])), 0);
        map_free(&x);
        map_free(&z);
        map_free(&y);
    }
}

static void test_combine__adds_and_scales(void **state)
{
    (void)state;
    on_every_tier(sums);
}

static void parts(struct backend *b)
{
    static const int channels[][3] = {{3, 10, 24}, {16, 16, 32}, {31, 64, 1}};
    for (int k = 0; k < 3; k++) {
        int all = channels[k][0] + channels[k][1] + channels[k][2], first = 0;
        struct test_map whole = map_new(b, 33, all, 2, 3);
        for (int j = 0; j < 3; first += channels[k][j++]) {
            struct test_map part = map_random(b, 33, channels[k][j], 2, 3, (uint64_t)j, 0, 1);
            b->ops->concat(b, 33, &part.map, first, &whole.map);
            map_free(&part);
        }
        map_download(b, &whole);
        first = 0;
        for (int j = 0; j < 3; first += channels[k][j++]) {
            struct test_map part = map_random(b, 33, channels[k][j], 2, 3, (uint64_t)j, 0, 1);
            struct test_map back = map_new(b, 33, channels[k][j], 2, 3);
            b->ops->split(b, 33, &whole.map, first, &back.map);
            map_download(b, &back);
            for (int i = 0; i < 33; i++)
                for (int c = 0; c < channels[k][j]; c++)
                    for (int p = 0; p < 6; p++) {
                        double want = part.values[value_at(&part, i, c, p / 3, p % 3)];
                        assert_within(whole.values[value_at(&whole, i, first + c, p / 3, p % 3)],
                                      want, 0);
                        assert_within(back.values[value_at(&back, i, c, p / 3, p % 3)], want, 0);
                    }
            map_free(&part);
            map_free(&back);
        }
        map_free(&whole);
    }
}

static void test_combine__concatenates_and_splits(void **state)
{
    (void)state;
    on_every_tier(parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_combine__adds_and_scales),
        cmocka_unit_test(test_combine__concatenates_and_splits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
