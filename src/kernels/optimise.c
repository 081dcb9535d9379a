/* optimise.c - the plain versions of the optimiser: one body, compiled for float and for double,
 * because parameters are never anything else. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/optimise_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/optimise_body.h"

void optimise_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP64)
        optimise_init_fp64(k);
    else
        optimise_init_fp32(k);
}
