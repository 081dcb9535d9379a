/* report.h - what a report is about: runs, put together into configurations.
 *
 *     paths --> runs (store/summary.h, series) --> groups: runs that differ only in their seed
 *                                               --> measure, varied settings, warnings
 *                                               --> sections (report/section.h) --> page
 *
 * A report is a pure function of run directories and of the paths as they were given: the same runs
 * give the same bytes, whenever and wherever it is drawn.
 */
#ifndef KILN_REPORT_REPORT_H
#define KILN_REPORT_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "report/buckets.h"
#include "report/series.h"
#include "store/summary.h"

struct report_run {
    struct run_summary summary;
    struct series_set series;    /* of runs whose curves are shown; else empty */
    const char *label;           /* what its study calls it, or "" */
    size_t group;
    bool counted;                /* enters the means of its group */
    dev_t device;                /* of its directory */
};

/* What runs are compared by: on validation images where every run held some out, else on the test
 * images. */
struct report_measure {
    const char *images;          /* "validation" or "test" */
    const char *loss_series, *accuracy_series;
};

/* Mean and sample deviation over the counted runs of a group; NaN where there is none. */
struct report_spread {
    double mean, sd;
    size_t n;
};

/* Runs of one configuration. */
struct report_group {
    const char *label;           /* what tells it from the others; the recipe if nothing does */
    size_t *runs, count;         /* indices into runs */
    size_t diverged, failed, running;
    struct report_spread accuracy, loss, tta_accuracy, seconds, images_per_second;
};

struct report {
    struct arena memory;         /* owns labels, lists and texts below */
    const char *const *operands; /* [operand_count]: the paths, as given; borrowed */
    size_t operand_count;
    struct report_run *runs;     /* [run_count], in the order given, folders sorted */
    size_t run_count;
    struct buckets places;       /* runs by the inodes of their directories */
    struct report_group *groups; /* [group_count], best first */
    size_t group_count, shown;   /* the first `shown` have their curves drawn */
    const char **varied;         /* [varied_count]: settings that differ between groups */
    size_t varied_count;
    size_t waiting;              /* trials of sweeps that are not begun */
    const char **folders;        /* [folder_count]: those among the operands that are no run */
    size_t folder_count;
    const char **problems;       /* [problem_count]: what could not be read */
    size_t problem_count;
    struct report_measure measure;
    bool halved;                 /* a sweep's rungs squeeze its schedule into their epochs */
    bool range_test;             /* the runs are those of a kiln find-lr */
    json_t *study;               /* study.json of a finished study, or NULL */
    json_t *range;               /* its find-lr.json; NULL while not all ramps are done */
};

enum { REPORT_CURVES = 6, REPORT_CURVE_RUNS = 60 };

/* Reads run directories, the runs in folders of runs, and the trials of sweeps. Fails with
 * EXIT_DATA if a path is none of these. `r` needs report_release in either case. */
int report_open(struct report *r, const char *const *paths, size_t count, struct err *e);
void report_release(struct report *r);

/* The same again, later: series that `old` (of the same or other paths) has read are taken from it
 * and only read further. `old` still needs report_release. */
int report_reopen(struct report *r, const char *const *paths, size_t count, struct report *old,
                  struct err *e);

/* The value of a setting of a group ("" if its runs have none). */
const char *report_setting(const struct report *r, const struct report_group *g, const char *key);

/* The same as a number; false if it is none. */
bool report_number(const struct report *r, const struct report_group *g, const char *key,
                   double *value);

double report_loss(const struct report *r, const struct run_summary *s);
double report_accuracy(const struct report *r, const struct run_summary *s);

/* What a run is called: its name, or the name of its directory. */
const char *report_run_name(const struct report_run *run);

/* "n = 3 runs", "n = 2 to 5 runs": how many count in each of the first `groups` groups that have a
 * result. text[64]. */
const char *report_counts(const struct report *r, size_t groups, char text[64]);

/* Whether all ramps of a range test have come to their end, by step or by divergence. */
bool report_ramps_done(const struct report *r);

/* A group's first run. */
const struct report_run *report_first(const struct report *r, const struct report_group *g);

#endif
