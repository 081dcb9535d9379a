/* peak.h - how fast this machine can multiply and add, for comparison with what is reached.
 *
 * Twelve independent chains a = a * x + y of the tier's widest vectors, as many as hide the
 * latency of an FMA on every CPU met so far. The values are dense random numbers: some CPUs
 * multiply zeros faster, because that takes less power.
 */
#ifndef KILN_KERNELS_PEAK_H
#define KILN_KERNELS_PEAK_H

#include "kernels/tier.h"

enum { PEAK_CHAINS = 12, PEAK_VALUES = (PEAK_CHAINS + 1) * 16 };

/* Runs `rounds` rounds of one FMA per chain. values[PEAK_VALUES] are in (-1, 1). Returns a number
 * that depends on all of them, so that none is left out. */
typedef float peak_fn(const float *values, long rounds);

float peak_multiply_add(const float *values, long rounds);
float peak_multiply_add__avx2(const float *values, long rounds);
float peak_multiply_add__avx512(const float *values, long rounds);

/* The kernel of a tier, and the floating-point operations of one of its rounds. */
peak_fn *peak_select(enum tier tier, double *flops);

#endif
