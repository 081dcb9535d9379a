/* test_loss.c - cross-entropy. Both sides compute in double: the bound is some roundings of the
 * logits' size, and of the gradient's storage. */
#include "kernels/fixture.h"

static void check_loss(struct backend *b, int n, int classes, double smoothing, double shift)
{
    struct test_map z = map_random(b, n, classes, 1, 1, 7, shift, 3);
    struct test_map dz = map_new(b, n, classes, 1, 1);
    uint8_t *labels = malloc((size_t)n), *hits = malloc((size_t)n);
    double *losses = malloc((size_t)n * sizeof *losses);
    const double scale = 1 / 3.0;
    for (int i = 0; i < n; i++)
        labels[i] = (uint8_t)(i * 7 % classes);
    b->ops->cross_entropy(b, n, classes, smoothing, scale, &z.map, labels, losses, hits, &dz.map);
    map_download(b, &dz);
    for (int i = 0; i < n; i++) {
        const double *row = z.values + i * classes;
        double sum = 0, loss = 0;
        int best = 0;
        for (int k = 0; k < classes; k++) {
            sum += exp(row[k] - row[0]);
            best = row[k] > row[best] ? k : best;
        }
        for (int k = 0; k < classes; k++) {
            double log_softmax = row[k] - row[0] - log(sum);
            double target = smoothing / classes + (k == labels[i] ? 1 - smoothing : 0);
            double want = scale * (exp(log_softmax) - target);
            loss -= target * log_softmax;
            assert_within(dz.values[i * classes + k], want,
                          unit(b) * fabs(want) + 0x1p-46 * (1 + fabs(shift)) +
                              storing(b, 1.0001 * want));
        }
        assert_within(losses[i], loss, 0x1p-44 * (1 + fabs(shift) + fabs(loss)));
        assert_int_equal(hits[i], best == labels[i]);
    }
    int channels = layout_cblocks(b->precision, classes) * layout_cb(b->precision);
    for (int i = n; i < layout_blocks(n) * IMAGES; i++)
        for (int c = 0; c < channels; c++)
            assert_true(element_at(b, &dz.map, layout_at(b->precision, 1, 1, classes, i, 0, 0,
                                                         c)) == 0);
    free(labels);
    free(hits);
    free(losses);
    map_free(&z);
    map_free(&dz);
}

static void losses(struct backend *b)
{
    check_loss(b, 1, 10, 0, 0);
    check_loss(b, 5, 3, 0.2, 1);
    check_loss(b, 33, 10, 0.2, -3);
    check_loss(b, 70, 100, 0.1, 1000); /* exp(1000) is not a number of any precision */
}

static void test_cross_entropy__is_pytorchs_with_label_smoothing(void **state)
{
    (void)state;
    on_every_tier(losses);
}

static void special(struct backend *b)
{
    struct test_map z = map_new(b, 3, 4, 1, 1);
    static const double rows[3][4] = {{2, 5, 5, 1}, {0, 0, 0, 0}, {1, 2, 3, 4}};
    memcpy(z.values, rows, sizeof rows);
    z.values[9] = (double)NAN;
    map_upload(b, &z);
    uint8_t labels[3] = {1, 1, 3}, hits[3];
    double losses_of[3];
    struct map none = {NULL, 4, 1, 1};
    b->ops->cross_entropy(b, 3, 4, 0, 1, &z.map, labels, losses_of, hits, &none);
    assert_int_equal(hits[0], 1); /* the first of two equal logits */
    assert_int_equal(hits[1], 0);
    assert_within(losses_of[1], log(4), 1e-15);
    assert_true(isnan(losses_of[2]));
    map_free(&z);
}

static void test_cross_entropy__of_ties_nan_and_without_gradient(void **state)
{
    (void)state;
    on_every_tier(special);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy__is_pytorchs_with_label_smoothing),
        cmocka_unit_test(test_cross_entropy__of_ties_nan_and_without_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
