/* peak.h - how fast this machine can multiply and add, for comparison with what is reached.
 *
 * Chains a = a * x + y of the tier's widest vectors, as many as hide the latency of the instruction
 * on every CPU met so far: of fp32 numbers; of pairs of bf16 numbers that are added into fp32
 * (vdpbf16ps); of AMX tiles. The values are dense random numbers: some CPUs multiply zeros faster,
 * because that takes less power.
 */
#ifndef KILN_KERNELS_PEAK_H
#define KILN_KERNELS_PEAK_H

#include "kernels/layout.h"
#include "kernels/tier.h"

enum { PEAK_CHAINS = 12, PEAK_VALUES = (PEAK_CHAINS + 1) * 16 };

/* Runs `rounds` rounds of one instruction per chain. values[PEAK_VALUES] are in (-1, 1). Returns a
 * number that depends on all chains, so that none is left out. */
typedef float peak_fn(const float *values, long rounds);

float peak_multiply_add(const float *values, long rounds);
float peak_multiply_add__avx2(const float *values, long rounds);
float peak_multiply_add__avx512(const float *values, long rounds);
float peak_dot__avx512bf16(const float *values, long rounds);

/* Four products of tiles a round, each with a load of both of its tiles from the first-level cache,
 * as a convolution has to. */
float peak_tiles__amx(const float *values, long rounds);

/* The kernel of a tier, and the floating-point operations of one of its rounds: in fp32, or with
 * bf16 operands. NULL if the tier has no instruction for them. */
peak_fn *peak_select(enum tier tier, double *flops);
peak_fn *peak_select_bf16(enum tier tier, double *flops);

#endif
