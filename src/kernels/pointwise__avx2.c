/* pointwise__avx2.c - the kernels of pointwise.h that are faster in AVX2, in fp32. */
#define MAP float
#define LOAD v_load
#define STORE v_store
#define STREAM v_stream
#define ROUND(v) (v)
#define ACT v_act
#define ACT_BACK v_act_back
#define SUMS(name) double_##name
#define TIER(name) name##__avx2
#include "kernels/pointwise_vector_body.h"

void pointwise_kernels_init__avx2(struct pointwise_kernels *k)
{
    TIER(pointwise_init)(k);
}
