/* winograd__avx512.c - the transforms of winograd.h in the vectors of vector.h. */
#include <assert.h>

#include "kernels/vector.h"
#include "kernels/winograd.h"

#define REAL float
#define ELEMENT float
#define NAME(name) name##__avx512
#include "kernels/winograd_fp32_body.h"
#include "kernels/winograd_points4_body.h"
#include "kernels/winograd_body.h"
#include "kernels/winograd_gradient_body.h"
#include "kernels/winograd_output_body.h"
#include "kernels/winograd_weights_body.h"

void winograd_kernels_init__avx512(struct winograd_kernels *k)
{
    fill__avx512(k);
}
