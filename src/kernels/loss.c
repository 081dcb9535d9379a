/* loss.c - the plain versions of the loss: one body, compiled for float and for double. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/loss_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/loss_body.h"

void loss_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        loss_init_fp32(k);
    else
        loss_init_fp64(k);
}
