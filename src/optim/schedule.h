/* schedule.h - the learning rate's factor as a pure function of the step.
 *
 * Nothing is remembered between steps, so a resumed run cannot be off by one, and a schedule can be
 * drawn before anything is trained. A factor multiplies the configuration's `lr`.
 *
 * With s = step + origin (origin 0: the first step sees the schedule's start, as with PyTorch's
 * schedulers; 1: as in Page's code, where the first step of a ramp from zero already moves),
 * T the run's steps and E the steps of an epoch, the shapes are
 *
 *   constant  1
 *   linear    through the knots, straight lines between them; before the first and after the last
 *             knot, that knot's factor. A knot's position is in epochs ("15"), in steps ("100s") or
 *             a share of the run ("23%": floor(0.23 T) steps, as airbench counts)
 *   step      step_factor ^ (knots whose position is <= s)
 *   cosine    f + (1 - f) (1 + cos(pi (s - w) / (T - w))) / 2, f = final_factor, w the warm-up's
 *             steps (Loshchilov and Hutter 2017, one cycle)
 *   onecycle  cosine from cycle_start to 1 at step cycle_peak T - 1, then cosine to final_factor at
 *             step T - 1 (Smith and Topin 2019, as torch.optim.lr_scheduler.OneCycleLR)
 *   exponential  f ^ (s / (T - 1)), a straight line on the log from 1 to f = final_factor, which
 *             may be above 1: the learning rate range test (Smith 2017)
 *
 * and each is multiplied, while s < w = round(warmup E), by
 * warmup_factor + (1 - warmup_factor) s / w.
 */
#ifndef KILN_OPTIM_SCHEDULE_H
#define KILN_OPTIM_SCHEDULE_H

#include <stdint.h>

#include "base/err.h"

enum schedule_kind {
    SCHEDULE_CONSTANT,
    SCHEDULE_LINEAR,
    SCHEDULE_STEP,
    SCHEDULE_COSINE,
    SCHEDULE_ONECYCLE,
    SCHEDULE_EXPONENTIAL
};

enum knot_unit { KNOT_EPOCHS, KNOT_STEPS, KNOT_PERCENT };

struct knot {
    double position;
    enum knot_unit unit;
    double factor;           /* unused by SCHEDULE_STEP */
};

enum { SCHEDULE_KNOTS = 32 };

struct schedule {
    enum schedule_kind kind;
    struct knot knots[SCHEDULE_KNOTS];
    int knot_count;
    double step_factor;      /* of SCHEDULE_STEP */
    double final_factor;     /* of cosine, onecycle and exponential */
    double cycle_start, cycle_peak; /* of SCHEDULE_ONECYCLE: first factor; share of T to the peak */
    double warmup;           /* epochs; 0: none */
    double warmup_factor;    /* factor at step 0 */
    int origin;              /* 0 or 1 */
};

/* Reads "0:0, 15:1, 30:1/88, 35:0" (positions ascending as written, factors plain numbers or
 * fractions) into the knots; with with_factors = false, "30, 60s, 90%". Fails with EXIT_USAGE and
 * the place in the text. */
int schedule_parse_knots(struct schedule *s, const char *text, int with_factors, struct err *e);

/* The factor at `step` (0, 1, ...) of a run of `total` steps, `per_epoch` steps an epoch. Fails
 * never; total and per_epoch are at least 1. */
double schedule_factor(const struct schedule *s, uint64_t step, uint64_t total,
                       uint64_t per_epoch);

#endif
