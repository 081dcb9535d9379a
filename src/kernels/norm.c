/* norm.c - the plain versions of batch normalisation: one body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define BODY "kernels/norm_body.h"
#include "kernels/each_precision_body.h"

void norm_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, norm_init, k);
}
