/* winograd_points4_body.h - Winograd's transforms in one dimension, for winograd_body.h and
 * winograd_weights_body.h.
 *
 * The includer defines NAME(x) x's name, REAL the type P, VEC_REALS the REALs of a vec, the type
 * vec with v_load, v_store (of REALs), v_set, v_add, v_sub, v_mul, v_fma (a b + c) and v_fnma
 * (c - a b); UNROLL and INLINE.
 *
 * Points are in the order of winograd_set4.point[m]. a b = 1 has been used to simplify. Terms are
 * shared between the points p and -p: even and odd parts are computed once. */

#ifndef WINOGRAD_A
#define SET winograd_set4
#define SET_LEAST WINOGRAD_LEAST
#define SET_MOST WINOGRAD_MOST
#define SET_POINTS WINOGRAD_POINTS
/* DEFINE(my, mx) for each size, and a table [my - 2][mx - 2] of NAME(<name>22) to
 * NAME(<name>44). */
#define FOR_SIZES(DEFINE)                                                                          \
    DEFINE(2, 2) DEFINE(2, 3) DEFINE(2, 4)                                                         \
    DEFINE(3, 2) DEFINE(3, 3) DEFINE(3, 4)                                                         \
    DEFINE(4, 2) DEFINE(4, 3) DEFINE(4, 4)
#define SIZES_ROW(name, my) {NAME(name##my##2), NAME(name##my##3), NAME(name##my##4)}
#define SIZES_TABLE(name) {SIZES_ROW(name, 2), SIZES_ROW(name, 3), SIZES_ROW(name, 4)}
#define WINOGRAD_A (2.0 / 3)
#define WINOGRAD_B (3.0 / 2)
#define CONSTANT(x) v_set((REAL)(x))
/* 1 / prod (p - q) for p = +-a and +-b; it is 1 for 0. */
#define WEIGHT_A (1 / (2 * WINOGRAD_A * WINOGRAD_A *                                               \
                       (WINOGRAD_A * WINOGRAD_A - WINOGRAD_B * WINOGRAD_B)))
#define WEIGHT_B (1 / (2 * WINOGRAD_B * WINOGRAD_B *                                               \
                       (WINOGRAD_B * WINOGRAD_B - WINOGRAD_A * WINOGRAD_A)))
#endif

/* The matrix B^T. Its rows for m = 4, with s = a^2 + b^2:
 *      0: 1 - s x^2 + x^4    +-a: (x^4 - b^2 x^2) +- a (x^3 - b^2 x)    infinity: x - s x^3 + x^5
 * and b for a; for m = 3 the same without a factor x; for m = 2, with g = b - a:
 *      0: 1 - g x - x^2   a: -2ag (x^2 + b x)   -b: 2bg (x^2 - a x)   infinity: x^3 + g x^2 - x */
INLINE void NAME(input_1d)(int m, const vec *d, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B, s = a * a + b * b, g = b - a;
    if (m == 4) {
        vec even_a = v_fnma(CONSTANT(b * b), d[2], d[4]);
        vec even_b = v_fnma(CONSTANT(a * a), d[2], d[4]);
        vec odd_a = v_fnma(CONSTANT(b * b), d[1], d[3]);
        vec odd_b = v_fnma(CONSTANT(a * a), d[1], d[3]);
        t[0] = v_fnma(CONSTANT(s), d[2], v_add(d[0], d[4]));
        t[1] = v_fma(CONSTANT(a), odd_a, even_a);
        t[2] = v_fnma(CONSTANT(a), odd_a, even_a);
        t[3] = v_fma(CONSTANT(b), odd_b, even_b);
        t[4] = v_fnma(CONSTANT(b), odd_b, even_b);
        t[5] = v_fnma(CONSTANT(s), d[3], v_add(d[1], d[5]));
    } else if (m == 3) {
        vec even_a = v_sub(v_mul(CONSTANT(a * a), d[2]), d[0]);
        vec even_b = v_sub(v_mul(CONSTANT(b * b), d[2]), d[0]);
        vec odd_a = v_fnma(CONSTANT(b * b), d[1], d[3]);
        vec odd_b = v_fnma(CONSTANT(a * a), d[1], d[3]);
        t[0] = v_fma(CONSTANT(a), odd_a, even_a);
        t[1] = v_fnma(CONSTANT(a), odd_a, even_a);
        t[2] = v_fma(CONSTANT(b), odd_b, even_b);
        t[3] = v_fnma(CONSTANT(b), odd_b, even_b);
        t[4] = v_fnma(CONSTANT(s), d[2], v_add(d[0], d[4]));
    } else {
        t[0] = v_fnma(CONSTANT(g), d[1], v_sub(d[0], d[2]));
        t[1] = v_mul(CONSTANT(-2 * a * g), v_fma(CONSTANT(b), d[1], d[2]));
        t[2] = v_mul(CONSTANT(2 * b * g), v_fnma(CONSTANT(a), d[1], d[2]));
        t[3] = v_fma(CONSTANT(g), d[2], v_sub(d[3], d[1]));
    }
}

/* The matrix A^T: powers of the points. */
INLINE void NAME(output_1d)(int m, const vec *t, vec *y)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    if (m == 2) {
        y[0] = v_add(v_add(t[0], t[1]), t[2]);
        y[1] = v_fma(CONSTANT(a), t[1], v_fnma(CONSTANT(b), t[2], t[3]));
        return;
    }
    const vec *finite = m == 4 ? t + 1 : t, last = t[m + 1];
    vec sum_a = v_add(finite[0], finite[1]), difference_a = v_sub(finite[0], finite[1]);
    vec sum_b = v_add(finite[2], finite[3]), difference_b = v_sub(finite[2], finite[3]);
    y[0] = v_add(sum_a, sum_b);
    y[1] = v_fma(CONSTANT(a), difference_a, v_mul(CONSTANT(b), difference_b));
    if (m == 4) {
        y[0] = v_add(y[0], t[0]);
        y[2] = v_fma(CONSTANT(a * a), sum_a, v_mul(CONSTANT(b * b), sum_b));
        y[3] = v_fma(CONSTANT(a * a * a), difference_a,
                     v_fma(CONSTANT(b * b * b), difference_b, last));
    } else {
        y[2] = v_fma(CONSTANT(a * a), sum_a, v_fma(CONSTANT(b * b), sum_b, last));
    }
}

/* The matrix A. */
INLINE void NAME(gradient_1d)(int m, const vec *d, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    if (m == 2) {
        t[0] = d[0];
        t[1] = v_fma(CONSTANT(a), d[1], d[0]);
        t[2] = v_fnma(CONSTANT(b), d[1], d[0]);
        t[3] = d[1];
        return;
    }
    vec *finite = m == 4 ? t + 1 : t;
    vec even_a = v_fma(CONSTANT(a * a), d[2], d[0]), even_b = v_fma(CONSTANT(b * b), d[2], d[0]);
    vec odd_a = m == 4 ? v_fma(CONSTANT(a * a), d[3], d[1]) : d[1];
    vec odd_b = m == 4 ? v_fma(CONSTANT(b * b), d[3], d[1]) : d[1];
    if (m == 4)
        t[0] = d[0];
    finite[0] = v_fma(CONSTANT(a), odd_a, even_a);
    finite[1] = v_fnma(CONSTANT(a), odd_a, even_a);
    finite[2] = v_fma(CONSTANT(b), odd_b, even_b);
    finite[3] = v_fnma(CONSTANT(b), odd_b, even_b);
    t[m + 1] = d[m - 1];
}

/* The matrix G. */
INLINE void NAME(weights_1d)(const vec *w, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    vec even_a = v_fma(CONSTANT(WEIGHT_A * a * a), w[2], v_mul(CONSTANT(WEIGHT_A), w[0]));
    vec even_b = v_fma(CONSTANT(WEIGHT_B * b * b), w[2], v_mul(CONSTANT(WEIGHT_B), w[0]));
    t[0] = w[0];
    t[1] = v_fma(CONSTANT(WEIGHT_A * a), w[1], even_a);
    t[2] = v_fnma(CONSTANT(WEIGHT_A * a), w[1], even_a);
    t[3] = v_fma(CONSTANT(WEIGHT_B * b), w[1], even_b);
    t[4] = v_fnma(CONSTANT(WEIGHT_B * b), w[1], even_b);
    t[5] = w[2];
}

/* The matrix G^T. */
INLINE void NAME(weights_gradient_1d)(const vec *t, vec *w)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    vec sum_a = v_add(t[1], t[2]), difference_a = v_sub(t[1], t[2]);
    vec sum_b = v_add(t[3], t[4]), difference_b = v_sub(t[3], t[4]);
    w[0] = v_fma(CONSTANT(WEIGHT_A), sum_a, v_fma(CONSTANT(WEIGHT_B), sum_b, t[0]));
    w[1] = v_fma(CONSTANT(WEIGHT_A * a), difference_a,
                 v_mul(CONSTANT(WEIGHT_B * b), difference_b));
    w[2] = v_fma(CONSTANT(WEIGHT_A * a * a), sum_a,
                 v_fma(CONSTANT(WEIGHT_B * b * b), sum_b, t[5]));
}
