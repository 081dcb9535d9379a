/* winograd6__avx2.c - the transforms of winograd.h for winograd_set6 in the vectors of vector.h. */
#include <assert.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

#define REAL float
#define ELEMENT float
#define NAME(name) name##__avx2
#include "kernels/winograd_fp32_body.h"
#include "kernels/winograd_points6_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"

void winograd6_kernels_init__avx2(struct winograd_kernels *k)
{
    fill__avx2(k);
}
