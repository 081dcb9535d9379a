/* noise.h - the gradient noise scale, estimated without bias and with an interval.
 *
 * With G the gradient of the mean loss and Sigma the covariance of the gradients of single
 * examples, B = tr(Sigma) / |G|^2 is the batch size at which noise and signal of a batch's gradient
 * are of one length (McCandlish et al. 2018, "An empirical model of large-batch training", 2.2 and
 * appendix A). A batch of n examples cut into parts of m gives, from the squared lengths of its
 * gradient and the mean of those of the parts',
 *
 *     g2 = (n |g_n|^2 - m mean |g_m|^2) / (n - m)            an unbiased estimate of |G|^2
 *     s  = (mean |g_m|^2 - |g_n|^2) / (1/m - 1/n)            one of tr(Sigma)
 *
 * Their quotient is biased and may be absurd; so both are averaged over measurements first, and
 * divided then. The interval of the quotient is Fieller's (1954), with Student's t: it knows that
 * the denominator is uncertain too, and is unbounded when |G|^2 cannot be told from zero.
 */
#ifndef KILN_PROBES_NOISE_H
#define KILN_PROBES_NOISE_H

/* Averages over measurements: plain ones at first, exponential ones once there are `memory`. */
struct noise {
    double memory;           /* measurements; the newest then has weight 1 / memory */
    double count;
    double weights2;         /* sum of squared weights; the weights' sum is 1 */
    double s, g2, ss, gg, sg; /* averages of s, g2, s^2, g2^2, s g2 */
};

/* Adds one measurement: n examples, parts of m < n, |g_n|^2 and the mean of |g_m|^2. */
void noise_add(struct noise *e, double n, double m, double whole, double parts);

struct noise_estimate {
    double trace, gradient2; /* tr(Sigma), |G|^2 */
    double scale;            /* their quotient */
    double low, high;        /* of the scale, 95 %; high may be infinite */
};

/* NaN where there are too few measurements: none, or for the interval fewer than two. */
struct noise_estimate noise_estimate(const struct noise *e);

#endif
