/* conv.c - the plain versions of conv.h: one body, compiled for float and for double. */
#include "kernels/conv.h"

#include <assert.h>
#include <string.h>

#define REAL float
#define NAME(name) name##_fp32
#include "kernels/conv_pack_body.h"
#include "kernels/conv_body.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(name) name##_fp64
#include "kernels/conv_pack_body.h"
#include "kernels/conv_body.h"

void conv_kernels_init(struct conv_kernels *k, enum precision p)
{
    if (p == PRECISION_FP32)
        conv_init_fp32(k);
    else
        conv_init_fp64(k);
}
