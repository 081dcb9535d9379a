/* results.h - what a study's analysis reads (its runs and measurements) and writes (what was seen
 * of each claim, figures, tables, caveats).
 *
 *     size_t group[64], n = study_group(r, "batch 128, factor 2", group, 64);
 *     double loss[64];
 *     n = study_values(r, group, n, "test_loss", loss);       diverged runs are left out
 *     struct study_seen seen = study_mean(loss, n);
 *     seen.what = "test loss at factor 2";
 *     study_conclude(r, "loss-at-2", &seen);
 *
 *     json_t *f = study_figure(r, &(struct study_axes){.id = "loss", .title = ..., .x_log = true});
 *     study_line(f, "batch 128", &(struct study_points){.x = x, .mean = y, .low = l, .high = h,
 *                                                       .n = n, .count = points});
 *
 * All memory that these return belongs to the results.
 */
#ifndef KILN_STUDIES_RESULTS_H
#define KILN_STUDIES_RESULTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/stats.h"
#include "store/sweepdir.h"

struct study_plan;

/* A trial of the plan and what became of it. */
struct study_trial {
    const char *label;           /* its first, if it has several */
    enum trial_state state;      /* finished or diverged */
    struct run_summary run;
};

struct study_results {
    const struct study_plan *plan;
    const char *dir;
    struct arena memory;
    struct study_trial *trials;  /* [trial_count], in the order of the plan */
    size_t trial_count;
    json_t *measured;            /* {name: what the measurement gave} */
    json_t *claims;              /* as prediction.json has them, with what was seen and the verdict
                                    added by study_conclude */
    /* What the study writes, through the functions below. */
    json_t *figures, *tables, *caveats;
};

/* ---- reading ---- */

/* The trials of this label, in the order of their seeds: fills trials[room], returns how many; 0 if
 * the plan has no such label. */
size_t study_group(const struct study_results *r, const char *label, size_t *trials, size_t room);

/* A field of the summary ("test_loss", store/summary.h) of each of trials[n] that finished and has
 * a finite one: fills values[n], returns how many. */
size_t study_values(const struct study_results *r, const size_t *trials, size_t n,
                    const char *field, double *values);

/* How many of trials[n] diverged. */
size_t study_diverged(const struct study_results *r, const size_t *trials, size_t n);

/* A key of a trial's configuration as a number; NaN if it is none. */
double study_setting(const struct study_results *r, size_t trial, const char *key);

/* A number along a run. */
struct study_curve {
    double *step, *epoch, *value; /* [count]; value is NaN where it was not finite */
    size_t count;
};

/* The series `key` ("train/loss") of the records of `kind` ("train", "epoch") in metrics.jsonl. */
int study_metric(struct study_results *r, size_t trial, const char *kind, const char *key,
                 struct study_curve *curve, struct err *e);

/* The series of a probe about `of` (NULL: whatever it is about) in probes.jsonl; empty if there is
 * none. */
int study_probe(struct study_results *r, size_t trial, const char *probe, const char *of,
                const char *series, struct study_curve *curve, struct err *e);

/* The distinct things that a probe's rows are about, in the order in which they come: names[n];
 * returns how many, at most `room`. */
int study_probe_subjects(struct study_results *r, size_t trial, const char *probe,
                         const char **names, size_t room, size_t *n, struct err *e);

/* Mean of the curve's finite values at epochs in [from, to]; NaN if there are none. */
double study_curve_mean(const struct study_curve *c, double from, double to);

/* ---- what was seen of a claim ---- */

struct study_seen {
    double value;                /* NaN: nothing could be seen */
    double low, high;            /* interval of the value; both equal to it for what has no error
                                    (a count, an exact comparison); NaN: no error can be given */
    size_t n;                    /* runs (or whatever `error` counts) behind it */
    const char *error;           /* what the interval is: "95 % of Student's t over seeds" */
    const char *what;            /* what was seen, in words, with the numbers: a sentence */
    const char *doubt;           /* not NULL: inconclusive whatever the numbers, and why */
};

/* Mean with its 95 % interval of Student's t; without an interval for n < 2. */
struct study_seen study_mean(const double *values, size_t n);

/* The same of quotients, which are positive: their geometric mean, with the interval of the mean of
 * their logarithms. Unknown if a value is not positive and finite. */
struct study_seen study_geometric_mean(const double *values, size_t n);

/* Difference of means of a and b (a - b), interval after Welch; without one if n < 2. */
struct study_seen study_difference(const double *a, size_t na, const double *b, size_t nb);

/* Quotient of the means of n pairs, one of each seed, interval after Fieller; without one if n < 2
 * or if the mean of b cannot be told from 0. */
struct study_seen study_quotient(const double *a, const double *b, size_t n);

/* What was counted or is exact: no error. */
struct study_seen study_exact(double value, size_t n);

/* Says what was seen of a claim, each once, and judges it by the range that was predicted before
 * the runs (judge.h). A claim that prediction.json does not have is a later version's: it is judged
 * by the plan's range, and marked as added after the runs. Texts are copied. */
void study_conclude(struct study_results *r, const char *claim, const struct study_seen *seen);

/* A text in the results' memory. */
const char *study_text(struct study_results *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How well a value is known, for such texts: "95 % from 1.05 to 1.17; n = 6", each end times
 * `times` (100: percent), or "no interval; n = 1". */
const char *study_error(struct study_results *r, const struct study_seen *seen, double times);

/* ---- figures, tables, caveats ---- */

struct study_axes {
    const char *id, *title, *caption; /* caption: what one sees, a sentence or two; may be NULL */
    const char *x_title, *y_title;
    bool x_log, y_log;
};

/* Adds a figure; borrowed. */
json_t *study_figure(struct study_results *r, const struct study_axes *axes);

struct study_points {
    const double *x, *mean;      /* [count]; NaN: a gap */
    const double *low, *high;    /* [count] or NULL: a band, or error bars */
    const double *n;             /* [count] or NULL: how many runs are behind each */
    size_t count;
    const char *style;           /* "line" (NULL means that), "points", or "dashed" */
    const char *source;          /* of points that are not ours: where they were published; NULL */
};
void study_line(json_t *figure, const char *name, const struct study_points *points);

/* A straight line across the whole figure at x = value ("x") or y = value ("y"). */
void study_reference(json_t *figure, const char *name, const char *axis, double value);

/* Adds a table with these columns (NULL-ended); borrowed. */
json_t *study_table(struct study_results *r, const char *id, const char *title,
                    const char *const *columns);

/* Adds a row: one cell for each letter of `kinds`: s a text, d a double, n a size_t. A double that
 * is not finite is an empty cell. */
void study_row(json_t *table, const char *kinds, ...);

/* A sentence that a reader must know to judge the results. */
void study_caveat(struct study_results *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
