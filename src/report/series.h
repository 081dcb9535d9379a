/* series.h - what a run measured over its steps, as columns; and fewer points for a page.
 *
 * Every member of a record of metrics.jsonl that has a slash in its name ("train/loss") is a
 * series. A value that was not finite is NaN. A run that is still being written can be read
 * further again and again: only what is new is parsed.
 */
#ifndef KILN_REPORT_SERIES_H
#define KILN_REPORT_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct series {
    char *name;
    double *step, *epoch, *value; /* [count] */
    size_t count, room;
};

/* All zero bits: empty. */
struct series_set {
    struct series *items;    /* [count], in the order of their first record */
    size_t count, room;
    uint64_t offset;         /* of metrics.jsonl, up to which it was read */
};

/* Reads what `path` has gained since the last call. A file that has become shorter (a resume cut it
 * back) is read anew; one that is missing leaves the set empty. */
int series_read(struct series_set *s, const char *path, struct err *e);
void series_release(struct series_set *s);

/* NULL if there is none of that name. */
const struct series *series_find(const struct series_set *s, const char *name);

/* Chooses points of y[n] for a drawing that is about `most`/2 pixels wide: where there are more
 * than `most`, the least and the greatest of each of most/2 equal slices, in order: no spike
 * is lost. Writes indices into keep[n] (room for n) and returns how many. NaN are left out. */
size_t series_decimate(const double *y, size_t n, size_t most, size_t *keep);

/* Means of y over `windows` equal stretches of [start, end]; x[n] ascends. my[windows]; NaN where a
 * stretch has no finite value. The last stretch includes its end. */
void series_windows(const double *x, const double *y, size_t n, double start, double end,
                    size_t windows, double *my);

#endif
