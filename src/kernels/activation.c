/* activation.c - the activations in double precision, and the plain kernels made of them: one
 * body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

/* Phi(x), the standard normal distribution function; through erfc, so that its tail keeps its
 * relative precision. */
static double normal_below(double x)
{
    return 0.5 * erfc(x * -0.70710678118654752440); /* 1 / sqrt(2) */
}

static double logistic(double x)
{
    return 1 / (1 + exp(-x));
}

double activation_value(enum activation act, double param, double x)
{
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_RELU:
        return 0 > x ? 0 : x;
    case ACT_GELU:
        return x * normal_below(x);
    case ACT_SILU:
        return x * logistic(x);
    case ACT_CELU:
        return x < 0 ? param * expm1(x / param) : x;
    }
    assert(false && "an activation");
    return 0;
}

double activation_slope(enum activation act, double param, double x)
{
    switch (act) {
    case ACT_NONE:
        return 1;
    case ACT_RELU:
        return x <= 0 ? 0 : 1;
    case ACT_GELU: /* Phi(x) + x * phi(x), phi(x) = exp(-x^2 / 2) / sqrt(2 pi) */
        return normal_below(x) + x * exp(-0.5 * x * x) * 0.39894228040143267794;
    case ACT_SILU:
        return logistic(x) * (1 + x * logistic(-x));
    case ACT_CELU:
        return x < 0 ? exp(x / param) : 1;
    }
    assert(false && "an activation");
    return 0;
}

#define BODY "kernels/activation_body.h"
#include "kernels/each_precision_body.h"

void activation_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, activation_init, k);
}
