/* winograd.c - the plain versions of winograd.h: a vec is one number. */
#include "kernels/winograd.h"

#include <assert.h>

#include "kernels/winograd_plain_body.h"

#define REAL float
#define NAME(name) name##_fp32
#define LINE_ELEMENTS 16
#include "kernels/winograd_points4_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"
#undef REAL
#undef NAME
#undef LINE_ELEMENTS

#define REAL double
#define NAME(name) name##_fp64
#define LINE_ELEMENTS 8
#include "kernels/winograd_points4_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"

void winograd_kernels_init(struct winograd_kernels *k, enum precision p)
{
    *k = (struct winograd_kernels){0};
    if (p == PRECISION_FP64)
        fill_fp64(k);
    else if (p == PRECISION_FP32)
        fill_fp32(k);
}
