/* combine.c - the plain versions of sums and copies of maps: one body, compiled for float
 * and for double. */
#include "kernels/pointwise.h"

#include <assert.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/combine_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/combine_body.h"

void combine_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        combine_init_fp32(k);
    else
        combine_init_fp64(k);
}
