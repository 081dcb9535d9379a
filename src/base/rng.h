/* rng.h - random numbers by counter, never by call order.
 *
 * Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * A stream is named by (seed, purpose, a, b): for a training image a is the epoch and b the image.
 * Two streams of different names are independent; the same name gives the same numbers on any
 * thread, in any order, on any machine, and after a resume.
 */
#ifndef KILN_BASE_RNG_H
#define KILN_BASE_RNG_H

#include <stdint.h>

/* What a stream is for. The values are part of the reproducibility contract: never renumber. */
enum rng_purpose {
    RNG_INIT = 1,        /* a = index of the parameter */
    RNG_SHUFFLE = 2,     /* a = epoch */
    RNG_AUGMENT = 3,     /* a = epoch, b = index of the image in the whole training set */
    RNG_SUBSET = 4,      /* a = class */
    RNG_LABEL_NOISE = 5, /* b = index of the image */
    RNG_SYNTHETIC = 6,   /* a = split, b = index of the image */
    RNG_PROBE = 7,
    RNG_TEST = 8,        /* test inputs */
    RNG_FLIP_ONCE = 9,   /* b = image: the first flip of the alternating flip */
    RNG_SAMPLE = 10,     /* points of a sweep: a = dimension, b = point + 1 (0: Sobol's shift) */
    RNG_BOOTSTRAP = 20,  /* a = draw (base/stats.h) */
};

struct rng {
    uint32_t counter[4]; /* block number, a, b low, b high */
    uint32_t key[2];
    uint32_t block[4];
    unsigned used;       /* numbers of `block` already handed out */
};

/* One Philox 4x32-10 block: out = philox(counter, key). Pure. */
void philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Starts the stream (seed, purpose, a, b). */
struct rng rng_at(uint64_t seed, enum rng_purpose purpose, uint32_t a, uint64_t b);

/* The next 32 bits, uniform. */
uint32_t rng_u32(struct rng *r);

/* Uniform integer in [0, n), n > 0, without bias (Lemire 2019). */
uint32_t rng_below(struct rng *r, uint32_t n);

/* Uniform in [0, 1), 24 bits. */
float rng_uniform(struct rng *r);

/* Normal with mean 0 and standard deviation 1 (Box and Muller 1958, in double precision). */
double rng_normal(struct rng *r);

/* Shuffles `items[n]` by Fisher and Yates. */
void rng_shuffle(struct rng *r, uint32_t *items, uint32_t n);

#endif
