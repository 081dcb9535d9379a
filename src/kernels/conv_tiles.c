/* conv_tiles.c - the table of conv_tiles.h. */
#include "kernels/conv_tiles.h"

void conv_tiles_init(struct conv_tile_kernels *k)
{
    conv_gather_init__amx(k);
    conv_outer_init__amx(k);
}
