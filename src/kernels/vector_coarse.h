/* vector_coarse.h - activations and their slopes as exact as bf16 maps can show.
 *
 * Gelu is even apart from max(x, 0), and its slope odd apart from 1/2:
 *
 *      gelu(x) = max(x, 0) - |x| Phi(-|x|)       gelu'(x) = 1/2 + sign(x) s(|x|)
 *
 * What depends on |x| is a parabola in each of 16 pieces of width 2/7, whose coefficients lie in
 * three registers (from tools/fit-exponentials): about half the work of an exponential. AVX2 has no
 * registers of 16 numbers and takes the functions of vector_math.h, as all other activations do.
 *
 * Errors (tests/kernels/test_activation.c holds to them): gelu within 1.1e-4, its slope within
 * 1.8e-4, absolute, where the rounding of a bf16 near 1 is up to 2^-8 = 4e-3. 0 gives 0, NaN gives
 * NaN.
 */
#ifndef KILN_KERNELS_VECTOR_COARSE_H
#define KILN_KERNELS_VECTOR_COARSE_H

#include "kernels/vector_math.h"

#ifdef __AVX2__
#ifdef __AVX512F__

struct v_pieces {
    float power[3][16];
};

/* The parabola that |x| falls on. In 2^23 + 7/2 a the low bits are the number of the piece. */
INLINE vec v_piecewise(const struct v_pieces *p, vec x)
{
    vec a = v_min(v_set(4.42f), v_abs(x));
    __m512i piece = _mm512_castps_si512(v_fma(a, v_set(3.5f), v_set(0x1p23f)));
    vec c[3];
    for (int i = 0; i < 3; i++)
        c[i] = _mm512_permutexvar_ps(piece, _mm512_loadu_ps(p->power[i]));
    return v_fma(a, v_fma(a, c[2], c[1]), c[0]);
}

static const struct v_pieces v_gelu_tail = {{
    {0, 0.0010732131f, 0.017242543f, 0.07275515f, 0.17426096f, 0.29608923f, 0.39333928f,
     0.43038139f, 0.39908203f, 0.32048598f, 0.22574243f, 0.14080408f, 0.078319468f, 0.039056618f,
     0.01753439f, -0.034439269f},
    {0.49986765f, 0.48833293f, 0.41531608f, 0.26078025f, 0.057261117f, -0.13355669f,
     -0.25873867f, -0.29964933f, -0.27095029f, -0.20634763f, -0.13643825f, -0.079649985f,
     -0.041475039f, -0.01939475f, -0.0081837503f, 0.016294168f},
    {-0.39676464f, -0.3659617f, -0.28287107f, -0.17497371f, -0.072789334f, 0.0020024248f,
     0.042309593f, 0.053604644f, 0.047025867f, 0.033747058f, 0.020847971f, 0.011354349f,
     0.005522755f, 0.0024180557f, 0.00095795054f, -0.0019236377f},
}};

static const struct v_pieces v_gelu_slope = {{
    {0, -0.0044326643f, -0.028530736f, -0.041042984f, 0.028317012f, 0.22325641f, 0.5105111f,
     0.79442394f, 0.98008454f, 1.0280482f, 0.96241921f, 0.84099418f, 0.71744668f, 0.62177163f,
     0.56048518f, 0.34390301f},
    {0.8002013f, 0.85273993f, 0.96853673f, 1.0084008f, 0.87335646f, 0.57148147f, 0.20517375f,
     -0.10230747f, -0.27728829f, -0.31789285f, -0.26998726f, -0.18906544f, -0.11371184f,
     -0.059965767f, -0.02806651f, 0.073752142f},
    {-0.05259376f, -0.21240358f, -0.35267159f, -0.38406348f, -0.31827196f, -0.20129025f,
     -0.084432863f, -0.0011431437f, 0.040097453f, 0.048687533f, 0.039944343f, 0.026459621f,
     0.01496803f, 0.0074190418f, 0.0032677678f, -0.0086959461f},
}};

INLINE vec v_coarse_gelu(vec x)
{
    return v_sub(v_max(v_set(0), x), v_piecewise(&v_gelu_tail, x));
}

/* dy * gelu'(x), the sign of x moved onto the half that is odd. */
INLINE vec v_coarse_gelu_back(vec x, vec dy)
{
    __m512i odd = _mm512_castps_si512(v_piecewise(&v_gelu_slope, x));
    __m512i sign = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(INT32_MIN));
    vec half = _mm512_castsi512_ps(_mm512_xor_si512(odd, sign));
    return v_mul(dy, v_add(half, v_set(0.5f)));
}

#else

INLINE vec v_coarse_gelu(vec x)
{
    return v_mul(x, v_normal(x).below);
}

INLINE vec v_coarse_gelu_back(vec x, vec dy)
{
    return v_act_back(ACT_GELU, v_set(0), x, dy);
}

#endif

/* As v_act and v_act_back. */
INLINE vec v_coarse_act(enum activation act, vec param, vec inverse, vec x)
{
    return act == ACT_GELU ? v_coarse_gelu(x) : v_act(act, param, inverse, x);
}

INLINE vec v_coarse_act_back(enum activation act, vec inverse, vec x, vec dy)
{
    return act == ACT_GELU ? v_coarse_gelu_back(x, dy) : v_act_back(act, inverse, x, dy);
}

#endif
#endif
