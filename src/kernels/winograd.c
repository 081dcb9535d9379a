/* winograd.c - the plain versions of winograd.h. */
#define POINTS_BODY "kernels/winograd_points4_body.h"
#include "kernels/winograd_plain_body.h"

void winograd_kernels_init(struct winograd_kernels *k, enum precision p)
{
    fill_plain(k, p);
}
