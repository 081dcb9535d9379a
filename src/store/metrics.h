/* metrics.h - metrics.jsonl: what was measured, one JSON object a line.
 *
 *     {"v":1,"kind":"train","step":120,"epoch":1.5,"t":12.3,"wall":1790000000.1,"train/loss":1.2}
 *
 * `t` is seconds since the session began, `wall` seconds since 1970. Names are tags with slashes:
 * train/ val/ opt/ perf/ probe/ layer/. JSON has no NaN and no infinity: such a value is null, and
 * "nonfinite":{"train/loss":"nan"} says which. Reals have 9 significant digits, so a float reads
 * back to the same bits. Steps never decrease. The newest line may be torn; readers ignore it.
 *
 * Writing one record, without allocating:
 *
 *     metrics_begin(m, "train", step, epoch);
 *     metrics_real(m, "train/loss", loss);
 *     if (metrics_end(m, e)) ...
 */
#ifndef KILN_STORE_METRICS_H
#define KILN_STORE_METRICS_H

#include <jansson.h>
#include <stdint.h>

#include "store/append.h"

enum { METRICS_LINE = 8192 };

struct metrics {
    struct append file;
    double start;               /* clock_seconds when opened */
    size_t used, bad_used;      /* of the line in the making */
    char line[METRICS_LINE];
    char bad[METRICS_LINE / 4]; /* members of its "nonfinite" */
};

/* Opens or makes `path`, keeping the records up to and including `last_step` (all of a run that is
 * resumed there) and none after. Fails with EXIT_DATA if a record before is damaged. */
int metrics_open(struct metrics *m, const char *path, uint64_t last_step, struct err *e);

/* Begins a record, adds members, ends and writes it. Keys are plain ASCII; a record that would not
 * fit into METRICS_LINE is our bug. metrics_end returns 0; 1, with the cause in e, when the record
 * waits for room on the disk (append.h); or -1. */
void metrics_begin(struct metrics *m, const char *kind, uint64_t step, double epoch);
void metrics_real(struct metrics *m, const char *key, double value);
void metrics_integer(struct metrics *m, const char *key, int64_t value);
void metrics_text(struct metrics *m, const char *key, const char *value);
int metrics_end(struct metrics *m, struct err *e);

/* Makes all records durable; -1 also if one still waits. */
int metrics_sync(struct metrics *m, struct err *e);
void metrics_close(struct metrics *m);

/* As metrics_each, but begins at byte *offset (0: all of it), which must start a line, and
 * moves it behind the last whole line read: so a run that is being written can be followed. Returns
 * METRICS_SHORTER, having set *offset to 0, when the file ends before it: a resume has cut it. */
enum { METRICS_SHORTER = -2 };
int metrics_each_from(const char *path, uint64_t *offset,
                      int (*visit)(void *context, const json_t *record), void *context,
                      struct err *e);

/* Calls `visit` with each record, in order, until it returns non-zero; that is returned then.
 * Returns 0 at the end, or -1 with EXIT_DATA when the file cannot be read or a line other than a
 * torn last one is not a JSON object. */
int metrics_each(const char *path, int (*visit)(void *context, const json_t *record),
                 void *context, struct err *e);

#endif
