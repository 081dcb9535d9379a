/* images.c - the plain versions of loading images: one body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <string.h>

enum { ROW_MAX = 64 }; /* pixels of a row */

/* i in [-(size-1), 2*(size-1)] mirrored into [0, size) at the first and last pixel. */
static int reflect(int i, int size)
{
    i = i < 0 ? -i : i;
    i = i >= size ? 2 * (size - 1) - i : i;
    assert(0 <= i && i < size);
    return i;
}

#define BODY "kernels/images_body.h"
#include "kernels/each_precision_body.h"

void images_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, images_init, k);
}
