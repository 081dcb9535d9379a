/* dryrun.h - what a configuration would do, without doing it: kiln train --dry-run and kiln
 * schedule. */
#ifndef KILN_CLI_DRYRUN_H
#define KILN_CLI_DRYRUN_H

#include <stdbool.h>

#include "train/config.h"

/* Prints the resolved configuration, the schedule, and estimates of memory and time (by training
 * for about a second on noise); as one JSON object if `json`. Returns 0 or -1. */
int dryrun_print(const struct config *c, bool json, struct err *e);

/* Trains on noise for about a second: *rate is in images a second. */
int dryrun_rate(const struct config *c, double *rate, struct err *e);

/* The learning rate of every step of the configured run: heap memory of *steps numbers; NULL and a
 * sentence in e when the schedule is wrong. */
double *dryrun_rates(const struct config *c, uint64_t *steps, uint64_t *per_epoch, struct err *e);

/* Draws the learning rate over the run, `columns` wide. */
int dryrun_draw(const struct config *c, int columns, int rows, bool ascii, struct err *e);

#endif
