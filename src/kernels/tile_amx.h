/* tile_amx.h - the operations of tile.h as instructions. Included by tile.h alone.
 *
 * The compiler's intrinsics do not say that they read memory, so each one that does comes behind a
 * barrier: what was written before it is in memory when it runs. */
#ifndef KILN_KERNELS_TILE_AMX_H
#define KILN_KERNELS_TILE_AMX_H

#include <immintrin.h>

#define TILE_BARRIER() __asm__ volatile("" ::: "memory")

/* Shapes the registers and sets them to zero. */
#define TILE_CONFIGURE()                                                                           \
    do {                                                                                           \
        const struct tile_config config_ = TILE_CONFIG;                                            \
        __asm__ volatile("" ::"r"(&config_) : "memory");                                           \
        _tile_loadconfig(&config_);                                                                \
    } while (0)

/* Gives the registers up. */
#define TILE_RELEASE() _tile_release()

/* Register t = 0. */
#define TILE_ZERO(t) _tile_zero(t)

/* Row i of register t = the 64 bytes at p + i * step. */
#define TILE_LOAD(t, p, step)                                                                      \
    do {                                                                                           \
        TILE_BARRIER();                                                                            \
        _tile_loadd(t, p, step);                                                                   \
    } while (0)

/* The 64 bytes at p + i * step = row i of register t. */
#define TILE_STORE(t, p, step) _tile_stored(t, p, step)

/* Register acc += a * b, as tile.h says. */
#define TILE_DOT(acc, a, b) _tile_dpbf16ps(acc, a, b)

#endif
