/* rng.c - see rng.h. */
#include "base/rng.h"

#include <math.h>

void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

struct rng rng_at(uint64_t seed, enum rng_purpose purpose, uint32_t a, uint64_t b)
{
    /* The purpose is mixed into the key through one block, so that seeds 1 and 2 with purposes 2
     * and 1 do not meet. */
    const uint32_t name[4] = {(uint32_t)purpose, 0x6b696c6eu, 0, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t mixed[4];
    philox4x32(name, key, mixed);
    return (struct rng){
        .counter = {0, a, (uint32_t)b, (uint32_t)(b >> 32)},
        .key = {mixed[0], mixed[1]},
        .used = 4,
    };
}

uint32_t rng_u32(struct rng *r)
{
    if (r->used == 4) {
        philox4x32(r->counter, r->key, r->block);
        r->counter[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
    uint64_t product = (uint64_t)rng_u32(r) * n;
    if ((uint32_t)product < n) {
        uint32_t floor = (uint32_t)-n % n;
        while ((uint32_t)product < floor)
            product = (uint64_t)rng_u32(r) * n;
    }
    return (uint32_t)(product >> 32);
}

float rng_uniform(struct rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

double rng_normal(struct rng *r)
{
    static const double two_pi = 6.283185307179586;
    double u = ((double)rng_u32(r) + 1.0) * 0x1p-32; /* in (0, 1] */
    double v = (double)rng_u32(r) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(two_pi * v);
}

void rng_shuffle(struct rng *r, uint32_t *items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = rng_below(r, i), swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}
