/* vector_math.h - activations and their slopes for a vec of floats.
 *
 * Method. e^x = 2^n e^r with n = round(x / ln 2), r = x - n ln 2 in two parts (Cody and Waite
 * 1980), and e^r a polynomial. The normal distribution function is Phi(-a) = e^(-a^2/2) R(a) for
 * a >= 0, R a polynomial in 1 / (1 + k a): so the tail keeps its relative precision, and gelu and
 * its slope share the exponential. The polynomials are our own, from tools/fit-exponentials.
 *
 * Errors, found by trying floats (tests/kernels/test_activation.c holds to them): value and slope
 * are within 8 units of 2^-24, relative to act(x) and to max(1, |slope|); results below 2^-126
 * may be flushed to zero. NaN gives NaN.
 */
#ifndef KILN_KERNELS_VECTOR_MATH_H
#define KILN_KERNELS_VECTOR_MATH_H

#include "kernels/shapes.h"
#include "kernels/vector.h"

#ifdef __AVX2__

/* x = n ln 2 + r, |r| <= ln(2)/2 and a little. */
struct v_reduced {
    vec n, r;
};

INLINE struct v_reduced v_reduce(vec x)
{
    struct v_reduced s;
    s.n = v_round(v_mul(x, v_set(0x1.715476p+0f)));
    s.r = v_fnma(s.n, v_set(0x1.62e4p-1f), x); /* ln 2, its first 15 bits ... */
    s.r = v_fnma(s.n, v_set(0x1.7f7d1cp-20f), s.r); /* ... and the rest */
    return s;
}

/* e^r - 1; relative error of 1 + this 3e-9 before rounding. */
INLINE vec v_expm1_reduced(vec r)
{
    vec q = v_fma(r, v_set(0x1.6a244cp-10f), v_set(0x1.1239d4p-7f));
    q = v_fma(r, q, v_set(0x1.5558f2p-5f));
    q = v_fma(r, q, v_set(0x1.555492p-3f));
    q = v_fma(r, q, v_set(0x1.fffffcp-2f));
    return v_fma(v_mul(r, r), q, r);
}

/* x to [-150, 150], where e^x is already 0 or infinite; NaN stays. */
INLINE vec v_exp_range(vec x)
{
    return v_min(v_set(150), v_max(v_set(-150), x));
}

INLINE vec v_exp(vec x)
{
    struct v_reduced s = v_reduce(v_exp_range(x));
    return v_scale2(v_add(v_expm1_reduced(s.r), v_set(1)), s.n);
}

/* e^x - 1 for x <= 0: 2^n (e^r - 1) + (2^n - 1), exact in its second half. */
INLINE vec v_expm1(vec x)
{
    struct v_reduced s = v_reduce(v_exp_range(x));
    vec power = v_scale2(v_set(1), s.n);
    return v_fma(v_expm1_reduced(s.r), power, v_sub(power, v_set(1)));
}

/* Phi(x) and e^(-x^2/2). */
struct v_normal {
    vec below, bell;
};

INLINE struct v_normal v_normal(vec x)
{
    vec a = v_min(v_set(15), v_abs(x)); /* where Phi(-a) is below the smallest float */
    vec square = v_mul(a, a), rest = v_fnma(a, a, square); /* a^2 = square - rest */
    struct v_reduced s = v_reduce(v_mul(square, v_set(-0.5f)));
    s.r = v_fma(rest, v_set(0.5f), s.r);
    struct v_normal y;
    y.bell = v_scale2(v_add(v_expm1_reduced(s.r), v_set(1)), s.n);

    vec t = v_inverse(v_fma(a, v_set(0x1.1p-2f), v_set(1)));
    vec p = v_fma(t, v_set(0x1.f30c54p-6f), v_set(-0x1.216e94p-3f));
    p = v_fma(t, p, v_set(0x1.ae77fep-3f));
    p = v_fma(t, p, v_set(-0x1.bc3b46p-4f));
    p = v_fma(t, p, v_set(0x1.0fdbfcp-3f));
    p = v_fma(t, p, v_set(0x1.ff4eecp-5f));
    p = v_fma(t, p, v_set(0x1.a3894ap-4f));
    p = v_fma(t, p, v_set(0x1.b05ca6p-4f));
    p = v_fma(t, p, v_set(0x1.b22002p-4f));
    vec tail = v_mul(v_mul(y.bell, t), p);
    y.below = v_select(v_less(x, v_set(0)), tail, v_sub(v_set(1), tail));
    return y;
}

/* 1 / (1 + e^-x) and 1 / (1 + e^x), each with its relative precision. */
struct v_logistic {
    vec below, above;
};

INLINE struct v_logistic v_logistic(vec x)
{
    vec e = v_exp(v_sub(v_set(0), v_abs(x)));
    vec great = v_inverse(v_add(v_set(1), e)), small = v_mul(e, great);
    vmask negative = v_less(x, v_set(0));
    return (struct v_logistic){v_select(negative, small, great), v_select(negative, great, small)};
}

/* act(x). param and inverse are alpha and 1 / alpha of celu. */
INLINE vec v_act(enum activation act, vec param, vec inverse, vec x)
{
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return v_max(v_set(0), x);
    case ACT_GELU:
        return v_mul(x, v_normal(x).below);
    case ACT_SILU:
        return v_mul(x, v_logistic(x).below);
    case ACT_CELU:
        return v_select(v_less(x, v_set(0)), v_mul(param, v_expm1(v_mul(x, inverse))), x);
    }
    return x;
}

/* dy * act'(x). */
INLINE vec v_act_back(enum activation act, vec inverse, vec x, vec dy)
{
    switch (act) {
    case ACT_NONE:
        return dy;
    case ACT_RELU:
        return v_select(v_at_most(x, v_set(0)), v_set(0), dy);
    case ACT_GELU: {
        struct v_normal y = v_normal(x);
        vec density = v_mul(y.bell, v_set(0.398942280f)); /* 1 / sqrt(2 pi) */
        return v_mul(dy, v_fma(x, density, y.below));
    }
    case ACT_SILU: {
        struct v_logistic s = v_logistic(x);
        return v_mul(dy, v_fma(v_mul(x, s.below), s.above, s.below));
    }
    case ACT_CELU: {
        vec slope = v_exp(v_mul(x, inverse));
        return v_mul(dy, v_select(v_less(x, v_set(0)), slope, v_set(1)));
    }
    }
    return dy;
}

/* Calls f(..., act) with act a constant, so that f is compiled once for each. */
#define V_FOR_ACTIVATION(act, f, ...)                                                         \
    do {                                                                                      \
        switch (act) {                                                                        \
        case ACT_NONE: f(__VA_ARGS__, ACT_NONE); break;                                       \
        case ACT_RELU: f(__VA_ARGS__, ACT_RELU); break;                                       \
        case ACT_GELU: f(__VA_ARGS__, ACT_GELU); break;                                       \
        case ACT_SILU: f(__VA_ARGS__, ACT_SILU); break;                                       \
        case ACT_CELU: f(__VA_ARGS__, ACT_CELU); break;                                       \
        }                                                                                     \
    } while (0)

#endif
#endif
