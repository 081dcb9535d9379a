/* bf16.h - the numbers of bf16 maps: the upper half of a float, so its range with 8 bits of
 * precision (a relative rounding error of at most 2^-8). A struct, so that nothing converts
 * unseen.
 */
#ifndef KILN_KERNELS_BF16_H
#define KILN_KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

struct bf16 {
    uint16_t bits;
};

/* Exact. */
static inline float bf16_to_float(struct bf16 b)
{
    uint32_t bits = (uint32_t)b.bits << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest; of two as near the one whose last bit is 0. What lies beyond the greatest number
 * becomes infinite, a NaN stays a (quiet) NaN. The conversion instruction of AVX-512 does the same
 * but makes numbers below 2^-126 zero. */
static inline struct bf16 bf16_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (struct bf16){(uint16_t)(bits >> 16 | 0x40)};
    return (struct bf16){(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

#endif
