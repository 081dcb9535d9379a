/* pointwise_bf16__avx512.c - the kernels of pointwise.h that are faster in AVX-512,
 * in bf16. */
#define MAP struct bf16
#define LOAD v_load_bf16
#define STORE v_store_bf16
#define STREAM v_stream_bf16
#define ROUND v_as_bf16
#define ACT v_coarse_act
#define ACT_BACK v_coarse_act_back
#define PLACES
#define SUMS(name) float_##name
#define TIER(name) name##_bf16__avx512
#include "kernels/pointwise_vector_body.h"

void pointwise_kernels_init_bf16__avx512(struct pointwise_kernels *k)
{
    TIER(pointwise_init)(k);
}
