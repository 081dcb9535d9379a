/* pointwise__avx512.c - the kernels of pointwise.h that are faster in AVX-512. */
#include <string.h>

#define TIER(name) name##__avx512
#include "kernels/pointwise_vector_body.h"

void pointwise_kernels_init__avx512(struct pointwise_kernels *k)
{
    TIER(pointwise_init)(k);
}
