/* combine.c - the plain versions of sums and copies of maps: one body, compiled for each
 * precision. */
#include "kernels/pointwise.h"

#include <assert.h>

#define BODY "kernels/combine_body.h"
#include "kernels/each_precision_body.h"

void combine_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, combine_init, k);
}
