/* winograd6.c - the plain versions of winograd.h for winograd_set6. */
#define POINTS_BODY "kernels/winograd_points6_body.h"
#include "kernels/winograd_plain_body.h"

void winograd6_kernels_init(struct winograd_kernels *k, enum precision p)
{
    fill_plain(k, p);
}
