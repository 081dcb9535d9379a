/* conv.c - the plain versions of conv.h: one body, compiled for each precision. */
#include "kernels/conv.h"

#include <assert.h>
#include <string.h>

#define BODY "kernels/conv_unpack_body.h"
#include "kernels/each_precision_body.h"
#define BODY "kernels/conv_body.h"
#include "kernels/each_precision_body.h"

void conv_kernels_init(struct conv_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, conv_init, k);
}
