/* fit.h - where several curves are least, and how that moves: for studies that ask for an optimum.
 *
 *     loss |  \        curve of batch 64        each curve: points (x, loss), repeated over seeds
 *          |   \__x__/                          optimum: minimum of a parabola through the points
 *          |        \      / batch 256          that lie near the lowest mean
 *          |         \__x_/
 *          +------------------ x = log2(learning rate)
 */
#ifndef KILN_STUDIES_FIT_H
#define KILN_STUDIES_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/stats.h"

enum { FIT_POINTS = 512, FIT_CURVES = 16, FIT_DRAWS = 2000 };

struct fit_curve {
    double at;                   /* what tells the curves apart: log2 of the batch */
    double x[FIT_POINTS], y[FIT_POINTS]; /* [n], in any order; repetitions have equal x */
    size_t n;
    /* fit_optimum fills: */
    size_t used;                 /* points that lay in the window */
    double from, to;             /* the window's ends, among the x that there are */
    struct stats_optimum optimum;
    double minima[FIT_DRAWS];    /* of the bootstrap's samples */
    const char *doubt;           /* why the optimum must not be believed, or NULL: static text */
};

/* Adds a point; not finite ones (a diverged run) are left out. */
void fit_add(struct fit_curve *c, double x, double y);

/* Fits a parabola to the points within `window` of the x whose mean is lowest, and bootstraps its
 * minimum. It is doubted when the lowest mean stands at an end of the x (the optimum may lie
 * beyond), when the parabola has no minimum within the window, or more than a tenth of the samples
 * have none. `seed` tells the curves' samples apart. */
void fit_optimum(struct fit_curve *c, double window, uint64_t seed);

/* Slope of the optima over `at` with the interval of its bootstrap samples. */
struct fit_slope {
    double slope;
    struct stats_interval interval;
    double line[2];              /* intercept, slope */
    size_t n;                    /* curves */
    const char *doubt;           /* of any of them; or too few */
};
struct fit_slope fit_slope(const struct fit_curve *curves, size_t n);

#endif
