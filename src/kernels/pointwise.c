/* pointwise.c - the plain versions of pointwise.h: one body, compiled for float and for double. */
#include "kernels/pointwise.h"

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/pointwise_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/pointwise_body.h"

void pointwise_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        pointwise_init_fp32(k);
    else
        pointwise_init_fp64(k);
}
