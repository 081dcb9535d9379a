/* curves.h - one curve of a group of runs: the mean over seeds, with the band of their spread. */
#ifndef KILN_REPORT_CURVES_H
#define KILN_REPORT_CURVES_H

#include "report/report.h"

/* Ascending x; low and high are mean -+ one sample deviation, equal to the mean where fewer than
 * two runs have a value. */
struct curve {
    double *x, *mean, *low, *high;  /* [n] */
    size_t n;
    size_t seeds;                   /* runs that have a part in it */
};

/* Cuts the epochs of the group's runs into `windows` equal stretches and averages a series in each,
 * first over the steps of a run, then over runs; x is the middle of a stretch. */
void curve_windows(struct curve *c, const struct report *r, const struct report_group *g,
                   const char *series, size_t windows);

/* Averages over runs what they measured at the same epoch: for series of few points. */
void curve_points(struct curve *c, const struct report *r, const struct report_group *g,
                  const char *series);

/* Multiplies mean, low and high; 100 makes per cent of a share. */
void curve_scale(struct curve *c, double factor);

/* Keeps at most `most` of its points, the least and greatest means of each stretch. */
void curve_decimate(struct curve *c, size_t most);

void curve_release(struct curve *c);

/* Stretches that suit a group's runs: at least four steps in each, at most 80. */
size_t curve_window_count(const struct report *r, const struct report_group *g);

#endif
