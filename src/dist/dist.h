/* dist.h - the ranks that train one network together.
 *
 * One process is rank 0 of 1 (single.c). Every rank calls the same operations in the same order.
 * Sums are made along a fixed binary tree over ranks, so that the result is the same bits on every
 * rank and for every number of ranks that is a power of two.
 */
#ifndef KILN_DIST_DIST_H
#define KILN_DIST_DIST_H

#include <stddef.h>

#include "base/err.h"

struct dist {
    int rank, size;
};

/* Joins the ranks that the launcher started; ends with dist_close. */
int dist_open(struct dist *d, struct err *e);
void dist_close(struct dist *d);

/* values[count] of real_bytes each (4: float, 8: double) becomes the sum over ranks, everywhere. */
void dist_sum(struct dist *d, void *values, size_t count, size_t real_bytes);

/* data[bytes] of rank 0 becomes everyone's. */
void dist_broadcast(struct dist *d, void *data, size_t bytes);

void dist_barrier(struct dist *d);

#endif
