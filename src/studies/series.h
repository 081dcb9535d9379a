/* series.h - what a few numbers say about a whole curve: for studies of how training moves.
 *
 * Pure functions. NaN says that a curve has nothing to say about the question: too few points, or a
 * run that ended before.
 */
#ifndef KILN_STUDIES_SERIES_H
#define KILN_STUDIES_SERIES_H

#include <stdbool.h>

#include "studies/results.h"

/* Mean, and root of the mean square, of the finite values at steps in [from, to]. */
double series_mean(const struct study_curve *c, double from, double to);
double series_rms(const struct study_curve *c, double from, double to);

/* Last step of the curve; 0 without points. */
double series_end(const struct study_curve *c);

/* How far two curves are apart over the steps 1 to `last`: the root of the mean squared difference,
 * over the mean of a. Both must have the same steps, each of them up to `last`, else NaN. */
double series_distance(const struct study_curve *a, const struct study_curve *b, double last);

/* Steps in which c - limit falls by e: a straight line through log(c - limit), from the first point
 * to the last before c - limit falls below `above` times the limit. NaN for fewer than 4. */
double series_decay_time(const struct study_curve *c, double limit, double above);

/* Slope of log(value) over log(step), from step `from` on: the power with which it grows. */
double series_exponent(const struct study_curve *c, double from);

/* y = level - depth exp(-x / scale), fitted to points with standard errors: depth and level by
 * weighted least squares for each scale, the scale by search. The interval is where chi^2 stays
 * within 3.84 of its least (a profile likelihood, 95 %); its ends are 0 and INFINITY where the
 * search's ends do. */
struct series_memory {
    double level, depth, scale;
    double low, high;            /* of the scale */
    double gain;                 /* chi^2 of a constant less that of the fit: 9 is three sigma */
};
struct series_memory series_memory_fit(const double *x, const double *y, const double *error,
                                       size_t n);

#endif
