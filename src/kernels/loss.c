/* loss.c - the plain versions of the loss: one body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <math.h>

#define BODY "kernels/loss_body.h"
#include "kernels/each_precision_body.h"

void loss_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, loss_init, k);
}
