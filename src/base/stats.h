/* stats.h - the statistics that reports and studies share.
 *
 * Pure functions of their arguments; the bootstrap draws from a Philox stream with a seed of its
 * own, so that the same numbers always give the same interval. Values that are not finite (a
 * diverged run) must be left out by the caller: whether a run without a number counts as bad or as
 * absent is a question about the runs, not one of arithmetic.
 */
#ifndef KILN_BASE_STATS_H
#define KILN_BASE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mean of x[n]; NaN for n = 0. */
double stats_mean(const double *x, size_t n);

/* Standard deviation of the sample x[n], dividing by n - 1; NaN for n < 2. */
double stats_sd(const double *x, size_t n);

/* Quantile q (0 to 1) of x[n], in any order, interpolated linearly between order statistics
 * (type 7 of Hyndman and Fan 1996, numpy's default); NaN for n = 0. */
double stats_quantile(const double *x, size_t n, double q);

/* The factor t with which mean +- t sd / sqrt(n) covers 95 %: the 0.975 quantile of Student's t
 * with `dof` degrees of freedom (n - 1 for a mean). NaN for dof = 0. */
double stats_t95(size_t dof);

/* Between low and high with 95 %. */
struct stats_interval {
    double low, high;
};

/* Difference of the means of a[na] and b[nb] with its 95 % interval (Welch 1947: variances may
 * differ; degrees of freedom after Satterthwaite). Both n must be at least 2, else NaN. */
struct stats_interval stats_difference95(const double *a, size_t na, const double *b, size_t nb);

/* 95 % interval of the quotient of the means of n pairs a[i], b[i], after Fieller (1954): every q
 * for which the mean of a - q b is no farther from 0 than Student's t allows. NaN for n < 2, and
 * where the mean of b cannot be told from 0, for then the interval has no end. */
struct stats_interval stats_quotient95(const double *a, const double *b, size_t n);

/* Least squares y = intercept + slope x over n points, and the standard error of the slope (NaN for
 * n < 3). slope is NaN when all x are equal. */
struct stats_line {
    double slope, intercept, slope_se;
};
struct stats_line stats_line_fit(const double *x, const double *y, size_t n);

/* Least squares y = c0 + c1 u + c2 u^2 with u = x - centre. */
struct stats_parabola {
    double centre, c[3];
    double residual_sd;      /* sqrt(sum of squares / (n - 3)); NaN for n = 3 */
    bool has_minimum;        /* c2 > 0 */
    double x, y;             /* of the minimum; NaN without one */
};

/* Fits x[n], y[n]. Returns false when fewer than three different x are given: no parabola then. */
bool stats_parabola_fit(const double *x, const double *y, size_t n, struct stats_parabola *p);
double stats_parabola_at(const struct stats_parabola *p, double x);

/* The x where a parabola through noisy y is least, and how sure that is.
 *
 * Values at the same x are repetitions (seeds). Each of `draws` samples is made from the data and
 * fitted again (Efron and Tibshirani 1993, chapter 9): where every x has three repetitions or more,
 * as their mean plus deviations from it drawn within their x; otherwise as the fitted curve plus
 * residuals drawn from all of them. Deviations are widened by sqrt(k / (k - 1)), residuals by
 * sqrt(n / (n - 3)), and both by t95 / 1.96 for the degrees of freedom that they have: without
 * that, few values give intervals that are far too narrow. The interval is the 2.5 and 97.5
 * percentiles of the minima; `without` counts the samples that had none, whose minimum is put at
 * the end of the range that is lower. It says nothing about the parabola being the wrong curve. */
struct stats_optimum {
    struct stats_parabola fit;
    struct stats_interval interval; /* of fit.x; NaN when n = 3: nothing is left to judge by */
    int draws, without;
    bool resampled_repetitions;
};
bool stats_optimum_fit(const double *x, const double *y, size_t n, int draws, uint64_t seed,
                       struct stats_optimum *o);

/* The same, and the minimum of every sample: minima[draws], NaN when n = 3. For what is computed of
 * several optima, as the slope through them: sample d of each gives sample d of the slope. */
bool stats_optimum_samples(const double *x, const double *y, size_t n, int draws, uint64_t seed,
                           struct stats_optimum *o, double *minima);

#endif
