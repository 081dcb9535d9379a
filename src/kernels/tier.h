/* tier.h - instruction sets that kernels are written for. */
#ifndef KILN_KERNELS_TIER_H
#define KILN_KERNELS_TIER_H

#include <stdbool.h>

/* Each tier contains the ones before it. TIER_AUTO takes the best that the machine has. */
enum tier { TIER_AUTO, TIER_REF, TIER_AVX2, TIER_AVX512, TIER_COUNT };

/* "ref", "avx2", "avx512"; tier_parse knows "auto" too and returns -1 for anything else. */
const char *tier_name(enum tier t);
int tier_parse(const char *name);

/* Whether this machine can run the tier. TIER_AUTO and TIER_REF always. */
bool tier_available(enum tier t);

/* The best tier that this machine can run. */
enum tier tier_best(void);

#endif
