/* sample.c - see sample.h. */
#include "sweep/sample.h"

#include <assert.h>
#include <math.h>

#include "base/rng.h"

enum { BITS = 32 };

/* A primitive polynomial over GF(2): its degree, its inner coefficients as bits, and the first
 * direction numbers. The first dimension is van der Corput's sequence and has none. */
static const struct polynomial {
    uint32_t degree, inner, m[6];
} polynomials[SOBOL_DIMENSIONS - 1] = {
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
};

/* v[k] of a dimension: direction number k as a binary fraction of 32 bits. Joe and Kuo, eq. 3. */
static void directions(uint32_t dimension, uint32_t v[BITS])
{
    if (dimension == 0) {
        for (uint32_t k = 0; k < BITS; k++)
            v[k] = 1u << (31 - k);
        return;
    }
    const struct polynomial *p = &polynomials[dimension - 1];
    uint32_t s = p->degree;
    for (uint32_t k = 0; k < s; k++)
        v[k] = p->m[k] << (31 - k);
    for (uint32_t k = s; k < BITS; k++) {
        v[k] = v[k - s] ^ (v[k - s] >> s);
        for (uint32_t j = 1; j < s; j++)
            v[k] ^= (p->inner >> (s - 1 - j) & 1) * v[k - j];
    }
}

uint32_t sobol_bits(uint32_t index, uint32_t dimension)
{
    uint32_t v[BITS], x = 0, gray = index ^ index >> 1;
    assert(dimension < SOBOL_DIMENSIONS);
    directions(dimension, v);
    for (uint32_t k = 0; k < BITS; k++)
        x ^= (gray >> k & 1) * v[k];
    return x;
}

double sample_sobol(uint64_t seed, uint32_t index, uint32_t dimension)
{
    struct rng shift = rng_at(seed, RNG_SAMPLE, dimension, 0);
    return ldexp(sobol_bits(index, dimension) ^ rng_u32(&shift), -BITS);
}

double sample_random(uint64_t seed, uint32_t index, uint32_t dimension)
{
    struct rng r = rng_at(seed, RNG_SAMPLE, dimension, (uint64_t)index + 1);
    return ldexp(rng_u32(&r), -BITS);
}
