/* pool.c - the plain versions of pooling: one body, compiled for float and for double. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/pool_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/pool_body.h"

void pool_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        pool_init_fp32(k);
    else
        pool_init_fp64(k);
}
