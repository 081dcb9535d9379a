/* norm.c - the plain versions of batch normalisation: one body, for float and for double. */
#include "kernels/pointwise.h"

#include <assert.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/norm_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/norm_body.h"

void norm_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        norm_init_fp32(k);
    else
        norm_init_fp64(k);
}
