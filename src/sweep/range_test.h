/* range_test.h - what a learning rate range test shows: pure functions of its curve.
 *
 * A range test (Smith 2017, "Cyclical learning rates for training neural networks") trains from
 * scratch while the learning rate rises by the same factor each step, so its losses are evenly
 * spaced in x = ln(lr). A single loss is that of one batch, and noisy; slope and smoothed loss at
 * each step come from a straight line fitted by least squares, weighted by
 * exp(-(x - x0)^2 / (2 h^2)) with h = ln(RANGE_SMOOTH) (local linear regression; Fan and Gijbels
 * 1996, chapter 2). Unlike a moving average it has no lag, so nothing is shifted towards larger
 * rates; unlike a polynomial of higher degree it does not swing below zero before a blow-up. Losses
 * are cut at RANGE_CUT times what they were at first: how high a loss blows up tells nothing, and
 * would drown what lies beside it.
 */
#ifndef KILN_SWEEP_RANGE_TEST_H
#define KILN_SWEEP_RANGE_TEST_H

#include <stddef.h>

#define RANGE_SMOOTH 1.5 /* learning rates within this factor are averaged with large weight */
#define RANGE_CUT 1.5    /* times the median of the first tenth of the losses */
#define RANGE_PLATEAU 0.25 /* share of the gain that the plateau may lie above its least */

/* Smooths loss[n] over x[n], ascending, n >= 3: the fitted value and its slope over x at each. */
void range_smooth(const double *x, const double *loss, size_t n, double *smooth, double *slope);

/* Learning rates that the curve singles out; NaN where it does not. With the gain = the smoothed
 * loss at first - its least, the plateau is where three quarters of the gain and more are had. It
 * is often wide and wavy, so `minimum`, and with it the customary `tenth`, jump about in it from
 * seed to seed; its ends do not.
 *
 *     loss |----__                        ----- first
 *          |      \                    /
 *          |       \  <- steepest     /  <- blow_up: half of the gain
 *          |        \__     __     __/
 *          |           \___/  \_m_/         m: minimum
 *          |          begin       end       of the plateau
 *          +--------------------------------- ln(lr)
 */
struct range_points {
    double steepest;   /* where the loss falls fastest over ln(lr), before the plateau */
    double begin, end; /* of the plateau: its first and last rate */
    double minimum;
    double tenth;      /* a tenth of that */
    double blow_up;    /* the least rate behind the plateau at which half of the gain is lost, or a
                          loss was not finite; NaN: not reached */
};

/* Finds them. `cut_short` says that training diverged in the step after the last, whose rate was
 * `next_lr`. All NaN when the loss never fell by a tenth of its first value. */
void range_find(const double *lr, const double *smooth, const double *slope, size_t n,
                int cut_short, double next_lr, struct range_points *p);

#endif
