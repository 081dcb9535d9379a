/* tile_plain.h - the operations of tile.h in plain C, exact to the bit, for tests. Included by
 * tile.h alone; tests/tiles/tile_plain.c defines the functions, the program does not contain
 * them. */
#ifndef KILN_KERNELS_TILE_PLAIN_H
#define KILN_KERNELS_TILE_PLAIN_H

#include <stddef.h>

#define TILE_CONFIGURE() tile_plain_configure(&TILE_CONFIG)
#define TILE_RELEASE() tile_plain_release()
#define TILE_ZERO(t) tile_plain_zero(TILE_NUMBER(t))
#define TILE_LOAD(t, p, step) tile_plain_load(TILE_NUMBER(t), p, step)
#define TILE_STORE(t, p, step) tile_plain_store(TILE_NUMBER(t), p, step)
#define TILE_DOT(acc, a, b) tile_plain_dot(TILE_NUMBER(acc), TILE_NUMBER(a), TILE_NUMBER(b))
#define TILE_NUDGE() ((void)0)

/* The instructions take literals only: t must be spelt as one here too. */
#define TILE_NUMBER(t) ((int)(sizeof(char[(0##t) < 8 ? 1 : -1]) * 0) + (t))

/* The calling thread's registers. Any other configuration than tile.h's is a mistake of the
 * caller, and so is using registers that are not configured: both abort. */
void tile_plain_configure(const struct tile_config *config);
void tile_plain_release(void);
void tile_plain_zero(int t);
void tile_plain_load(int t, const void *p, ptrdiff_t step);
void tile_plain_store(int t, void *p, ptrdiff_t step);

/* TDPBF16PS: the even and the odd terms are summed apart by fused multiply-adds in the order of
 * the rows of b, the two sums are added, and that is added to acc. Every rounding is to nearest
 * even, numbers below the normal ones count as zero, before and after. */
void tile_plain_dot(int acc, int a, int b);

/* Whether the calling thread holds configured registers. */
int tile_plain_in_use(void);

#endif
