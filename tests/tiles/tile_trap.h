/* tile_trap.h - AMX's instructions on a processor that lacks them.
 *
 * Such a processor refuses each of them with SIGILL. The handler here reads the instruction, does
 * with the plain C registers (kernels/tile_plain.h) what it says, and goes on behind it: a tile
 * instruction takes microseconds, but the program that runs is the one that was built for AMX. What
 * is no tile instruction of kiln's ends the process as ever. */
#ifndef KILN_TESTS_TILES_TILE_TRAP_H
#define KILN_TESTS_TILES_TILE_TRAP_H

#include <stdbool.h>

/* For the whole process, until it ends. False where it cannot be done: not on x86-64. */
bool tile_trap_install(void);

#endif
