/* sweep_view.h - how a sweep looks: while it runs, on stderr, and its results, on stdout. */
#ifndef KILN_CLI_SWEEP_VIEW_H
#define KILN_CLI_SWEEP_VIEW_H

#include <stdbool.h>

#include "base/json.h"
#include "sweep/sweep.h"

/* One line over the whole sweep with what is left of it, redrawn on a terminal, below a line for
 * each trial that has ended; elsewhere those lines, and one every 30 seconds. */
struct sweep_view {
    const struct sweep_plan *plan;
    bool terminal, line_stands, quiet;
    double spoken;               /* clock_seconds */
};

void sweep_view_init(struct sweep_view *v, const struct sweep_plan *plan);

/* For struct sweep_options; `context` is the view. */
void sweep_view_progress(void *context, const struct sweep_progress *p);
void sweep_view_ended(void *context, const struct sweep_ended *t, const struct sweep_progress *p);

/* Finishes the redrawn line. */
void sweep_view_clear(struct sweep_view *v);

/* The exit code of a sweep that was told to stop, or of which trials failed (-1, and the first
 * failure in e); else 0. */
int sweep_outcome(const struct sweep_report *r, struct err *e);

/* The same of one that has left trials undone, with a word to the user where other processes have
 * them. */
int sweep_unfinished(const struct sweep_report *r, struct err *e);

/* The trials with state, values and results, and how many are in which state. The caller ends it
 * with json_decref. */
json_t *sweep_status_json(const struct sweepdir *s);

/* The same as a table, a row for each configuration: mean and deviation over its seeds. */
void sweep_print(const struct sweepdir *s);

#endif
