/* conv_bf16__avx2.c - the kernels of conv.h that are faster in AVX2, in bf16. */
#define TIER(name) name##_bf16__avx2
enum { ROWS = 4 };
#include "kernels/conv_bf16_body.h"

void conv_kernels_init_bf16__avx2(struct conv_kernels *k)
{
    TIER(conv_init)(k);
}
