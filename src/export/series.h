/* series.h - what a run measured, for other programs: as CSV, and as a TensorBoard event file. Both
 * read metrics.jsonl (and TensorBoard's probes.jsonl) of a run directory, also of one that is being
 * written, and are functions of it alone: the same run gives the same bytes. */
#ifndef KILN_EXPORT_SERIES_H
#define KILN_EXPORT_SERIES_H

#include "export/wire.h"
#include "store/summary.h"

/* A row for each record of metrics.jsonl, a column for each member that any record has, in the
 * order in which they appear: kind, step, epoch, t, wall, and then the series. RFC 4180. Numbers
 * have 9 digits and read back to the same floats; what is not finite is nan, inf or -inf. Fails
 * with EXIT_DATA if the file is missing or damaged. */
int series_csv(struct wire *out, const char *run, struct err *e);

/* Every number of metrics.jsonl as a scalar under its name, train/loss, and of probes.jsonl as
 * probe/series or probe/of/series, over the step; the settings as hyperparameters. */
int series_tfevents(struct wire *out, const struct run_summary *s, struct err *e);

#endif
