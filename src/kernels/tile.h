/* tile.h - the operations on AMX's tile registers that kiln uses.
 *
 * There are eight registers of 16 rows x 64 bytes. A tile of layout.h, the 32 lines of 32 images,
 * fills two of them. One instruction multiplies two registers:
 *
 *      acc[m][n] += sum over j < 32 of a[m][j] * b[j/2][2n + j%2]
 *
 *      a    16 rows of 32 bf16
 *      b    16 rows of 16 pairs of bf16: row i holds the terms 2i and 2i+1 of every column
 *      acc  16 rows of 16 floats
 *
 * In a file compiled for AMX these are the instructions. In a file compiled without, they are the
 * plain C of tile_plain.h, which the tests link: the source of a kernel is the same in both, so
 * that its indexing is tested on machines without AMX too.
 *
 * Registers are named by literal numbers 0 to 7 (they are part of the instruction). Their contents
 * belong to a thread and live from TILE_CONFIGURE to TILE_RELEASE; a thread that holds none is
 * cheaper to switch away from. Reference: Intel Architecture Software Developer's Manual, volume 1,
 * chapter 18, and volume 2 under TDPBF16PS.
 */
#ifndef KILN_KERNELS_TILE_H
#define KILN_KERNELS_TILE_H

#include <stdint.h>

enum { TILE_ROWS = 16, TILE_REGISTER = 1024 /* bytes */ };

/* What the instruction that shapes the registers reads (palette 1). */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Shapes all eight registers as 16 rows of 64 bytes. */
#define TILE_CONFIG                                                                                \
    ((struct tile_config){.palette = 1,                                                            \
                          .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},                           \
                          .rows = {16, 16, 16, 16, 16, 16, 16, 16}})

#if defined(__AMX_BF16__) || defined(__AMXBF16__) /* gcc, and clang before 16 */
#include "kernels/tile_amx.h"
#else
#include "kernels/tile_plain.h"
#endif

#endif
