/* kernels.h - every kernel that a backend calls, as one table for one tier and one precision.
 *
 * A kernel is single-threaded mathematics on plain pointers: it allocates nothing, starts no
 * thread, and cannot fail. The plain C version is its specification; it exists for every precision
 * (one body, compiled three times). A faster version of a tier lives in a file of its own
 * (conv__avx512.c) and takes the place of the plain one in the table; fp64 has only plain ones.
 *
 * The table is filled from the plain versions up: what a tier does not have, it inherits from the
 * tier below. Adding a kernel is a slot in its section's header and a line in its section's
 * *_kernels_init.
 *
 * Pointers are void because one table serves all precisions. In the comments of the sections, A
 * is the type of activations, P that of parameters and sums, CB the channels of a line.
 */
#ifndef KILN_KERNELS_KERNELS_H
#define KILN_KERNELS_KERNELS_H

#include "kernels/conv.h"
#include "kernels/conv_tiles.h"
#include "kernels/layout.h"
#include "kernels/pointwise.h"
#include "kernels/tier.h"
#include "kernels/winograd.h"

struct kernels {
    enum tier tier;
    enum precision precision;
    struct conv_kernels conv;
    struct winograd_kernels winograd, winograd6; /* of winograd_set4, winograd_set6 */
    struct pointwise_kernels pointwise;
    struct conv_tile_kernels tiles; /* bf16 on the tier that has them; otherwise all NULL */
    struct winograd_row_kernels rows; /* bf16 from avx512bf16 on; otherwise all NULL */
};

/* The precision that "auto" means on a tier; any other is returned as it is. */
enum precision precision_resolve(enum precision p, enum tier tier);

/* Fills the table for a tier that is available. fp64 gets the plain versions whatever the tier.
 * Neither tier nor precision is AUTO. */
void kernels_init(struct kernels *k, enum tier tier, enum precision precision);

#endif
