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

/* Two multiply-adds that nobody reads. On a Granite Rapids processor loops of tile products that
 * wait for the second-level cache ran 10 to 25 % faster with a pair of them every 6 to 12 products,
 * in 4 of 4 interleaved comparisons; integer instructions and stores in their place did nothing.
 * Why is not known. The accumulators grow to 2^24 and stay there. */
#define TILE_NUDGE()                                                                               \
    __asm__ volatile("vfmadd231ps %0, %0, %%zmm30\n\tvfmadd231ps %0, %0, %%zmm31"                  \
                     :                                                                             \
                     : "v"(_mm512_set1_ps(1))                                                      \
                     : "xmm30", "xmm31")

#endif
