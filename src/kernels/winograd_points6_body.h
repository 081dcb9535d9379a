/* winograd_points6_body.h - Winograd's transforms in one dimension for tiles of 4 to 6, in place of
 * winograd_points4_body.h and with its contract. Points are in the order of
 * winograd_set6.point[m]: a = 1/2, 1 and b = 2 with their opposites, and a b = 1. */

#ifndef WINOGRAD6_A
#define SET winograd_set6
#define SET_LEAST WINOGRAD6_LEAST
#define SET_MOST WINOGRAD6_MOST
#define SET_POINTS WINOGRAD6_POINTS
/* DEFINE(my, mx) for each size, and a table [my - 4][mx - 4] of NAME(<name>44) to
 * NAME(<name>66). */
#define FOR_SIZES(DEFINE)                                                                          \
    DEFINE(4, 4) DEFINE(4, 5) DEFINE(4, 6)                                                         \
    DEFINE(5, 4) DEFINE(5, 5) DEFINE(5, 6)                                                         \
    DEFINE(6, 4) DEFINE(6, 5) DEFINE(6, 6)
#define SIZES_ROW(name, my) {NAME(name##my##4), NAME(name##my##5), NAME(name##my##6)}
#define SIZES_TABLE(name) {SIZES_ROW(name, 4), SIZES_ROW(name, 5), SIZES_ROW(name, 6)}
#define WINOGRAD6_A (1.0 / 2)
#define WINOGRAD6_B 2.0
#define CONSTANT(x) v_set((REAL)(x))
/* 1 / prod (p - q) for p = +-a, +-1 and +-b. It is -1 for 0, whose sign is in B^T. */
#define WEIGHT_A (1 / (2 * A2 * (A2 - 1) * (A2 - B2)))
#define WEIGHT_1 (1 / (2 * (1 - A2) * (1 - B2)))
#define WEIGHT_B (1 / (2 * B2 * (B2 - A2) * (B2 - 1)))
#define A2 (WINOGRAD6_A * WINOGRAD6_A)
#define B2 (WINOGRAD6_B * WINOGRAD6_B)
#endif

/* The rows of B^T for p and -p where q and r are the other pairs: of m = 6
 *      x^6 - (q^2 + r^2) x^4 + q^2 r^2 x^2 +- p (x^5 - (q^2 + r^2) x^3 + q^2 r^2 x)
 * and of m = 5, which lacks the point 0, the same divided by x, times +-p. */
INLINE void NAME(input_pair)(int m, double p, double q2, double r2, const vec *d, vec *t)
{
    const vec *e = m == 6 ? d + 2 : d;
    vec even = v_fma(CONSTANT(q2 * r2), e[0], v_fnma(CONSTANT(q2 + r2), e[2], e[4]));
    vec odd = v_fma(CONSTANT(q2 * r2), d[1], v_fnma(CONSTANT(q2 + r2), d[3], d[5]));
    if (m == 5)
        even = v_mul(CONSTANT(p * p), even);
    t[0] = v_fma(CONSTANT(p), odd, even);
    t[1] = v_fnma(CONSTANT(p), odd, even);
}

/* The matrix B^T. With s = a^2 + b^2 its other rows are for m = 6
 *      0: 1 - (s + 1) x^2 + (s + 1) x^4 - x^6     infinity: the same times -x
 * for m = 5 the former, with its sign changed, at infinity; for m = 4, which lacks 1 and -1,
 *      0: 1 - s x^2 + x^4    +-a: (a^2 - 1) (x^4 - b^2 x^2 +- a (x^3 - b^2 x))
 *      infinity: x - s x^3 + x^5 */
INLINE void NAME(input_1d)(int m, const vec *d, vec *t)
{
    const double a = WINOGRAD6_A, b = WINOGRAD6_B, s = A2 + B2;
    if (m == 4) {
        vec even_a = v_mul(CONSTANT(A2 - 1), v_fnma(CONSTANT(B2), d[2], d[4]));
        vec even_b = v_mul(CONSTANT(B2 - 1), v_fnma(CONSTANT(A2), d[2], d[4]));
        vec odd_a = v_fnma(CONSTANT(B2), d[1], d[3]), odd_b = v_fnma(CONSTANT(A2), d[1], d[3]);
        t[0] = v_fnma(CONSTANT(s), d[2], v_add(d[0], d[4]));
        t[1] = v_fma(CONSTANT(a * (A2 - 1)), odd_a, even_a);
        t[2] = v_fnma(CONSTANT(a * (A2 - 1)), odd_a, even_a);
        t[3] = v_fma(CONSTANT(b * (B2 - 1)), odd_b, even_b);
        t[4] = v_fnma(CONSTANT(b * (B2 - 1)), odd_b, even_b);
        t[5] = v_fnma(CONSTANT(s), d[3], v_add(d[1], d[5]));
        return;
    }
    vec *pairs = m == 6 ? t + 1 : t;
    NAME(input_pair)(m, a, 1, B2, d, pairs);
    NAME(input_pair)(m, 1, A2, B2, d, pairs + 2);
    NAME(input_pair)(m, b, A2, 1, d, pairs + 4);
    if (m == 6) {
        t[0] = v_fma(CONSTANT(s + 1), v_sub(d[4], d[2]), v_sub(d[0], d[6]));
        t[7] = v_fma(CONSTANT(s + 1), v_sub(d[3], d[5]), v_sub(d[7], d[1]));
    } else {
        t[6] = v_fma(CONSTANT(s + 1), v_sub(d[2], d[4]), v_sub(d[6], d[0]));
    }
}

/* The matrix A^T: powers of the points. */
INLINE void NAME(output_1d)(int m, const vec *t, vec *y)
{
    const double a = WINOGRAD6_A, b = WINOGRAD6_B;
    const vec *pairs = m == 5 ? t : t + 1, *last = pairs + (m == 4 ? 2 : 4);
    vec sum_a = v_add(pairs[0], pairs[1]), difference_a = v_sub(pairs[0], pairs[1]);
    vec sum_b = v_add(last[0], last[1]), difference_b = v_sub(last[0], last[1]);
    y[0] = v_add(sum_a, sum_b);
    y[1] = v_fma(CONSTANT(a), difference_a, v_mul(CONSTANT(b), difference_b));
    y[2] = v_fma(CONSTANT(A2), sum_a, v_mul(CONSTANT(B2), sum_b));
    y[3] = v_fma(CONSTANT(a * A2), difference_a, v_mul(CONSTANT(b * B2), difference_b));
    if (m >= 5)
        y[4] = v_fma(CONSTANT(A2 * A2), sum_a, v_mul(CONSTANT(B2 * B2), sum_b));
    if (m == 6)
        y[5] = v_fma(CONSTANT(a * A2 * A2), difference_a,
                     v_mul(CONSTANT(b * B2 * B2), difference_b));
    if (m >= 5) {
        vec sum_1 = v_add(pairs[2], pairs[3]), difference_1 = v_sub(pairs[2], pairs[3]);
        UNROLL for (int i = 0; i < m; i++)
            y[i] = v_add(y[i], i % 2 ? difference_1 : sum_1);
    }
    if (m != 5)
        y[0] = v_add(y[0], t[0]);
    y[m - 1] = v_add(y[m - 1], t[m + 1]);
}

/* The matrix A. */
INLINE void NAME(gradient_pair)(int m, double p, const vec *d, vec *t)
{
    vec even = v_fma(CONSTANT(p * p), d[2], d[0]), odd = v_fma(CONSTANT(p * p), d[3], d[1]);
    if (m >= 5)
        even = v_fma(CONSTANT(p * p * p * p), d[4], even);
    if (m == 6)
        odd = v_fma(CONSTANT(p * p * p * p), d[5], odd);
    t[0] = v_fma(CONSTANT(p), odd, even);
    t[1] = v_fnma(CONSTANT(p), odd, even);
}

INLINE void NAME(gradient_1d)(int m, const vec *d, vec *t)
{
    vec *pairs = m == 5 ? t : t + 1;
    NAME(gradient_pair)(m, WINOGRAD6_A, d, pairs);
    if (m >= 5)
        NAME(gradient_pair)(m, 1, d, pairs + 2);
    NAME(gradient_pair)(m, WINOGRAD6_B, d, pairs + (m == 4 ? 2 : 4));
    if (m != 5)
        t[0] = d[0];
    t[m + 1] = d[m - 1];
}

/* The matrix G. */
INLINE void NAME(weights_pair)(double p, double weight, const vec *w, vec *t)
{
    vec even = v_fma(CONSTANT(weight * p * p), w[2], v_mul(CONSTANT(weight), w[0]));
    t[0] = v_fma(CONSTANT(weight * p), w[1], even);
    t[1] = v_fnma(CONSTANT(weight * p), w[1], even);
}

INLINE void NAME(weights_1d)(const vec *w, vec *t)
{
    t[0] = w[0];
    NAME(weights_pair)(WINOGRAD6_A, WEIGHT_A, w, t + 1);
    NAME(weights_pair)(1, WEIGHT_1, w, t + 3);
    NAME(weights_pair)(WINOGRAD6_B, WEIGHT_B, w, t + 5);
    t[7] = w[2];
}

/* Adds a pair's part of G^T. */
INLINE void NAME(weights_gradient_pair)(double p, double weight, const vec *t, vec *w)
{
    vec sum = v_add(t[0], t[1]), difference = v_sub(t[0], t[1]);
    w[0] = v_fma(CONSTANT(weight), sum, w[0]);
    w[1] = v_fma(CONSTANT(weight * p), difference, w[1]);
    w[2] = v_fma(CONSTANT(weight * p * p), sum, w[2]);
}

/* The matrix G^T. */
INLINE void NAME(weights_gradient_1d)(const vec *t, vec *w)
{
    w[0] = t[0];
    w[1] = CONSTANT(0);
    w[2] = t[7];
    NAME(weights_gradient_pair)(WINOGRAD6_A, WEIGHT_A, t + 1, w);
    NAME(weights_gradient_pair)(1, WEIGHT_1, t + 3, w);
    NAME(weights_gradient_pair)(WINOGRAD6_B, WEIGHT_B, t + 5, w);
}
