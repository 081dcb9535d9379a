/* noise.c - see noise.h. */
#include "probes/noise.h"

#include <assert.h>
#include <math.h>

static double mix(double old, double new, double weight)
{
    return old + weight * (new - old);
}

void noise_add(struct noise *e, double n, double m, double whole, double parts)
{
    assert(m > 0 && m < n && e->memory >= 1);
    double g2 = (n * whole - m * parts) / (n - m);
    double s = (parts - whole) / (1 / m - 1 / n);
    e->count++;
    double weight = 1 / fmin(e->count, e->memory);
    e->weights2 = (1 - weight) * (1 - weight) * e->weights2 + weight * weight;
    e->s = mix(e->s, s, weight);
    e->g2 = mix(e->g2, g2, weight);
    e->ss = mix(e->ss, s * s, weight);
    e->gg = mix(e->gg, g2 * g2, weight);
    e->sg = mix(e->sg, s * g2, weight);
}

/* The 97.5 % point of Student's t: expansion in 1 / freedom (Abramowitz and Stegun 26.7.5); the
 * first two exactly. */
static double student(double freedom)
{
    const double z = 1.959963984540054, z2 = z * z;
    if (freedom < 1.5)
        return 12.7062047;
    if (freedom < 2.5)
        return 4.30265273;
    double a = z * (z2 + 1) / 4, b = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double c = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z + (a + (b + c / freedom) / freedom) / freedom;
}

/* All r with (s - r g2)^2 <= t^2 var(s - r g2), a quadratic inequality in r. */
static void fieller(const struct noise *e, struct noise_estimate *r)
{
    double effective = 1 / e->weights2, t = student(effective - 1);
    double k = t * t / (effective - 1); /* mean squares to t^2 times variances of the means */
    double a = e->g2 * e->g2 - k * fmax(0, e->gg - e->g2 * e->g2);
    double b = e->s * e->g2 - k * (e->sg - e->s * e->g2);
    double c = e->s * e->s - k * fmax(0, e->ss - e->s * e->s);
    double root = sqrt(fmax(0, b * b - a * c));
    r->low = fmax(0, (b - root) / a);
    r->high = (b + root) / a;
    if (a <= 0 || e->g2 <= 0) {
        /* Gradient zero is possible: what is left of the region is all above its larger root. */
        r->low = a < 0 ? fmax(0, (b - root) / a) : 0;
        r->high = (double)INFINITY;
    }
}

struct noise_estimate noise_estimate(const struct noise *e)
{
    const double nan = (double)NAN;
    struct noise_estimate r = {nan, nan, nan, nan, nan};
    if (e->count < 1)
        return r;
    r.trace = e->s;
    r.gradient2 = e->g2;
    r.scale = e->s / e->g2;
    if (e->count >= 2)
        fieller(e, &r);
    return r;
}
