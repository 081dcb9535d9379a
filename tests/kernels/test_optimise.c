/* test_optimise.c - the optimiser's passes over vectors, rounding by rounding: every tier and any
 * number of threads give the same bits as one scalar loop. */
#include "kernels/fixture.h"

static const size_t lengths[] = {1, 15, 16, 4097, 40000};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

/* A vector on the device, random, and its values. */
struct vector {
    struct buffer memory;
    double *values;
    size_t count;
};

static struct vector vector_new(struct backend *b, size_t count, uint64_t stream)
{
    struct vector v = {buffer_new(count * b->real_bytes), malloc(count * sizeof(double)), count};
    fill_normal(v.values, count, stream, 0, 1);
    for (size_t i = 0; i < count; i++)
        v.values[i] = rounded(b, v.values[i]);
    b->ops->write_reals(b, v.memory.data, v.values, count);
    return v;
}

/* Its memory must hold `values`. */
static void vector_check_and_free(struct backend *b, struct vector *v)
{
    double *got = malloc(v->count * sizeof *got);
    b->ops->read_reals(b, got, v->memory.data, v->count);
    for (size_t i = 0; i < v->count; i++)
        assert_within(got[i], v->values[i], 0);
    free(got);
    free(v->values);
    buffer_free(&v->memory);
}

static void check_sgd(struct backend *b, size_t count, const struct sgd_step *s, bool has_m)
{
    struct vector w = vector_new(b, count, 1), g = vector_new(b, count, 2);
    struct vector m = vector_new(b, count, 3);
    double lr = rounded(b, s->lr), wd = rounded(b, s->weight_decay);
    double mu = rounded(b, s->momentum);
    b->ops->sgd(b, count, w.memory.data, g.memory.data, has_m ? m.memory.data : NULL, s);
    for (size_t i = 0; i < count; i++) {
        double d = rounded(b, g.values[i] + rounded(b, wd * w.values[i]));
        if (has_m && s->momentum > 0) {
            m.values[i] = rounded(b, rounded(b, mu * m.values[i]) + d);
            d = s->nesterov ? rounded(b, d + rounded(b, mu * m.values[i])) : m.values[i];
        }
        w.values[i] = rounded(b, w.values[i] - rounded(b, lr * d));
    }
    vector_check_and_free(b, &w);
    vector_check_and_free(b, &g);
    vector_check_and_free(b, &m);
}

static void sgd(struct backend *b)
{
    static const struct sgd_step steps[] = {
        {0.1, 0, 0, false},
        {0.1, 5e-4, 0, false},
        {0.3, 5e-4, 0.9, false},
        {0.3, 0.0153, 0.85, true},
    };
    for (int i = 0; i < LENGTHS; i++)
        for (int s = 0; s < 4; s++)
            check_sgd(b, lengths[i], &steps[s], s > 1);
}

static void test_sgd__is_pytorchs_to_the_bit(void **state)
{
    (void)state;
    on_every_tier(sgd);
}

static void averages(struct backend *b)
{
    for (int k = 0; k < LENGTHS; k++) {
        struct vector x = vector_new(b, lengths[k], 1), y = vector_new(b, lengths[k], 2);
        double keep = rounded(b, 0.7), take = rounded(b, 1 - 0.7), factor = rounded(b, 0.3);
        b->ops->average(b, lengths[k], x.memory.data, y.memory.data, 0.7);
        b->ops->multiply(b, lengths[k], y.memory.data, 0.3);
        for (size_t i = 0; i < lengths[k]; i++) {
            x.values[i] = rounded(b, rounded(b, keep * x.values[i]) +
                                         rounded(b, take * y.values[i]));
            y.values[i] = rounded(b, factor * y.values[i]);
        }
        vector_check_and_free(b, &x);
        vector_check_and_free(b, &y);
    }
}

static void test_average__and_multiply(void **state)
{
    (void)state;
    on_every_tier(averages);
}

static void nonfinite(struct backend *b)
{
    static const size_t places[] = {0, 14, 4095, 39999};
    for (int k = 0; k < LENGTHS; k++) {
        struct vector x = vector_new(b, lengths[k], 1);
        size_t bytes = b->real_bytes;
        assert_int_equal(b->ops->first_nonfinite(b, x.count, x.memory.data), x.count);
        for (int p = 3; p >= 0; p--) {
            double bad = p % 2 ? -(double)INFINITY : (double)NAN;
            if (places[p] >= x.count)
                continue;
            b->ops->write_reals(b, x.memory.data + places[p] * bytes, &bad, 1);
            x.values[places[p]] = bad;
            assert_int_equal(b->ops->first_nonfinite(b, x.count, x.memory.data), places[p]);
        }
        vector_check_and_free(b, &x);
    }
    assert_int_equal(b->ops->first_nonfinite(b, 0, NULL), 0);
}

static void test_first_nonfinite__finds_the_first(void **state)
{
    (void)state;
    on_every_tier(nonfinite);
}

/* More than one part, the last a short one; and onto itself. */
static void copies(struct backend *b)
{
    static const size_t counts[] = {1, 131072, 150001};
    for (int k = 0; k < 3; k++) {
        struct vector x = vector_new(b, counts[k], 1), y = vector_new(b, counts[k], 2);
        b->ops->copy(b, y.memory.data, x.memory.data, counts[k] * b->real_bytes);
        b->ops->copy(b, y.memory.data, y.memory.data, counts[k] * b->real_bytes);
        memcpy(y.values, x.values, counts[k] * sizeof *y.values);
        vector_check_and_free(b, &x);
        vector_check_and_free(b, &y);
    }
}

static void test_copy__moves_every_byte(void **state)
{
    (void)state;
    on_every_tier(copies);
}

static void dots(struct backend *b)
{
    enum { ROWS = 5 };
    for (int k = 0; k < LENGTHS; k++) {
        size_t count = lengths[k];
        struct vector x = vector_new(b, ROWS * count, 1), y = vector_new(b, ROWS * count, 2);
        double sums[ROWS];
        b->ops->row_dots(b, ROWS, count, x.memory.data, y.memory.data, sums);
        for (size_t r = 0; r < ROWS; r++) {
            long double sum = 0, size = 0;
            for (size_t i = r * count; i < (r + 1) * count; i++) {
                sum += (long double)x.values[i] * y.values[i];
                size += fabsl((long double)x.values[i] * y.values[i]);
            }
            assert_within(sums[r], (double)sum, (double)size * (double)count * 0x1p-53);
        }
        vector_check_and_free(b, &x);
        vector_check_and_free(b, &y);
    }
}

static void test_row_dots__are_sums_in_double(void **state)
{
    (void)state;
    on_every_tier(dots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd__is_pytorchs_to_the_bit),
        cmocka_unit_test(test_average__and_multiply),
        cmocka_unit_test(test_first_nonfinite__finds_the_first),
        cmocka_unit_test(test_copy__moves_every_byte),
        cmocka_unit_test(test_row_dots__are_sums_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
