/* sample.h - points in the unit cube, for sweeps over ranges.
 *
 * Both kinds are pure functions of (seed, index): a sweep that asks for more points keeps those it
 * has. Random points are independent and uniform. Sobol points fill the cube more evenly (Sobol
 * 1967; direction numbers of Joe and Kuo 2008, "Constructing Sobol sequences with better
 * two-dimensional projections", file new-joe-kuo-6.21201; Gray code order of Antonov and Saleev
 * 1979); the seed turns them by a random digital shift, which keeps their evenness.
 */
#ifndef KILN_SWEEP_SAMPLE_H
#define KILN_SWEEP_SAMPLE_H

#include <stdint.h>

enum { SOBOL_DIMENSIONS = 16 };

/* Coordinate `dimension` (0 ...) of point `index` (0 ...), in [0, 1). */
double sample_random(uint64_t seed, uint32_t index, uint32_t dimension);
double sample_sobol(uint64_t seed, uint32_t index, uint32_t dimension);

/* The same without the shift, as 32 bits behind the point. */
uint32_t sobol_bits(uint32_t index, uint32_t dimension);

#endif
