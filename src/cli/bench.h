/* bench.h - a training step measured: whole, part by part, and what stands around it.
 *
 * kiln bench in five files: bench.c measures, bench_around.c measures what surrounds the step,
 * bench_plan.c what the plan chose among, bench_print.c shows, cmd_bench.c is the command. The
 * images are random bytes made on the spot, so that no data set is needed: the time of a step does
 * not depend on what is in them. The whole step is train_step itself; the table comes from running
 * the same steps one by one with the clock between them, in passes of their own.
 */
#ifndef KILN_CLI_BENCH_H
#define KILN_CLI_BENCH_H

#include <jansson.h>

#include "backend/cpu/machine_peak.h"
#include "train/trainer.h"

/* What a row of the table belongs to. */
enum bench_group { GROUP_CONVOLUTION, GROUP_ELEMENTWISE, GROUP_IMAGES, GROUP_UPDATE, GROUP_COUNT };
extern const char *const bench_group_names[GROUP_COUNT];

/* One line of the table: a step of the plan, or one of what stands before and after it. */
struct bench_row {
    struct plan_step_info info;
    enum bench_group group;
    double *seconds;     /* [passes] */
    double median;
};

/* Medians over the rows of one group. */
struct bench_total {
    double seconds;
    double flops, bytes; /* of one step */
};

/* What stands around the step; seconds, medians of a few repetitions. */
struct bench_around {
    double ema, lookahead;   /* one update of all weights */
    double logging;          /* one record of a step */
    double evaluation;       /* an image in one view */
    double six_views;        /* an image in six */
    double forward;          /* an image in the training step, for comparison */
};

/* An algorithm that can compute a pass of a convolution; seconds for some of the images. */
struct bench_candidate {
    const char *layer;
    int pass, algorithm;     /* enum conv_pass; the backend's number */
    double predicted, measured;
    bool taken;              /* by the plan */
    bool pooled;             /* and there with the max pool behind it; measured without */
};

struct bench {
    struct trainer trainer;
    struct images images;
    int passes;              /* timed steps, and timed passes of the table */
    double *seconds;         /* [passes] of whole steps, ascending */
    struct bench_row *rows;  /* NULL until bench_rows */
    int row_count;
    struct bench_around around;
    struct bench_candidate *candidates; /* NULL until bench_candidates */
    int candidate_count;
    struct machine_peak peak;
    struct arena arena;
};

/* Makes images and a trainer for the configuration. The caller ends it with bench_release, also
 * after a failure; `b` must not move. */
int bench_init(struct bench *b, const struct config *c, int passes, struct err *e);
void bench_release(struct bench *b);

/* Times whole steps, after `warmup` steps without the clock. */
int bench_steps(struct bench *b, int warmup, struct err *e);

/* Times the step part by part. */
void bench_rows(struct bench *b);

/* Times what stands around the step; after bench_rows. Fails (EXIT_FAILED) when there is no memory
 * for a second copy of the weights, or no file can be made in TMPDIR. */
int bench_around(struct bench *b, struct err *e);

/* Times every algorithm of every pass that the plan runs, alone. Fails (EXIT_FAILED) when there is
 * no memory for it. */
int bench_candidates(struct bench *b, struct err *e);
void bench_plan_print(const struct bench *b);
json_t *bench_plan_json(const struct bench *b);

/* The group's sum, or all rows' for GROUP_COUNT. */
struct bench_total bench_total(const struct bench *b, enum bench_group group);

/* The median of values[n], which get sorted. */
double bench_median(double *values, int n);

/* Median seconds of a whole step. */
double bench_step_seconds(const struct bench *b);

/* What the machine can do at most in the precision in use, floating-point operations a second. */
double bench_roof(const struct bench *b);

/* Whether the network has a whitening layer, whose bias trains or is frozen. */
bool bench_has_whitening(const struct bench *b);

/* Prints everything measured; as one JSON object the second. */
void bench_print(const struct bench *b);
int bench_print_json(const struct bench *b, struct err *e);

#endif
