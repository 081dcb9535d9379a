/* pointwise.c - the table of pointwise.h, put together from its parts. */
#include "kernels/pointwise.h"

void pointwise_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    norm_kernels_init(k, p);
    activation_kernels_init(k, p);
    pool_kernels_init(k, p);
    combine_kernels_init(k, p);
    loss_kernels_init(k, p);
    images_kernels_init(k, p);
    optimise_kernels_init(k, p);
}
