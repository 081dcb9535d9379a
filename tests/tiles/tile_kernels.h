/* tile_kernels.h - the kernels in tile registers, as tests run them. */
#ifndef KILN_TESTS_TILES_TILE_KERNELS_H
#define KILN_TESTS_TILES_TILE_KERNELS_H

#include "kernels/conv_tiles.h"

/* In the plain C registers, for every machine. */
void tile_kernels_plain(struct conv_tile_kernels *k);

/* As the program has them: in the registers of the processor, or else, where it has AVX-512 with
 * bf16 at least, emulated instruction by instruction. Returns why not, or NULL. */
const char *tile_kernels_built(struct conv_tile_kernels *k);

#endif
