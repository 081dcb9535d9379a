/* conv_bf16__avx512.c - the kernels of conv.h that are faster in AVX-512, in bf16. */
#define TIER(name) name##_bf16__avx512
enum { ROWS = 8 };
#include "kernels/conv_bf16_body.h"

void conv_kernels_init_bf16__avx512(struct conv_kernels *k)
{
    TIER(conv_init)(k);
}
