/* pointwise__avx2.c - the kernels of pointwise.h that are faster in AVX2. */
#include <string.h>

#define TIER(name) name##__avx2
#include "kernels/pointwise_vector_body.h"

void pointwise_kernels_init__avx2(struct pointwise_kernels *k)
{
    TIER(pointwise_init)(k);
}
