/* tier.h - instruction sets that kernels are written for. */
#ifndef KILN_KERNELS_TIER_H
#define KILN_KERNELS_TIER_H

#include <stdbool.h>

/* Each tier contains the ones before it. TIER_AUTO takes the best that the machine has.
 * AVX512: F, BW, DQ, VL. AVX512BF16 adds dot products of bf16 pairs, AMX the tile registers with
 * theirs; in fp32 these two are the same as AVX512. */
enum tier {
    TIER_AUTO,
    TIER_REF,
    TIER_AVX2,
    TIER_AVX512,
    TIER_AVX512BF16,
    TIER_AMX,
    TIER_COUNT
};

/* What follows "auto" in an option's list of choices, in the order of enum tier. */
#define TIER_CHOICES "auto|ref|avx2|avx512|avx512bf16|amx"

/* "ref", "avx2", ...; tier_parse knows "auto" too and returns -1 for anything else. */
const char *tier_name(enum tier t);
int tier_parse(const char *name);

/* Why this machine cannot run the tier, as half a sentence; NULL if it can, as it always can for
 * TIER_AUTO and TIER_REF. For TIER_AMX this asks the kernel for the tile registers. */
const char *tier_lacks(enum tier t);

/* Whether this machine can run the tier. */
bool tier_available(enum tier t);

/* The highest tier that this machine can run. */
enum tier tier_best(void);

#endif
