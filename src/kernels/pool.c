/* pool.c - the plain versions of pooling: one body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define BODY "kernels/pool_body.h"
#include "kernels/each_precision_body.h"

void pool_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, pool_init, k);
}
