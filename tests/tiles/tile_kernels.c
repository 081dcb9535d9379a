/* tile_kernels.c - see tile_kernels.h. In this folder the names of the initialisers are those of
 * the plain ones (tests/CMakeLists.txt), so the program's are reached through its own table. */
#include "tiles/tile_kernels.h"

#include "kernels/kernels.h"
#include "tiles/tile_trap.h"

void tile_kernels_plain(struct conv_tile_kernels *k)
{
    conv_gather_init__amx(k);
    conv_outer_init__amx(k);
}

const char *tile_kernels_built(struct conv_tile_kernels *k)
{
    const char *lacks = tier_lacks(TIER_AVX512BF16);
    if (lacks)
        return lacks;
    if (!tier_available(TIER_AMX) && !tile_trap_install())
        return "instructions cannot be emulated here";
    conv_tiles_init(k);
    return NULL;
}
