/* table.h - epochs.csv: a table with a header, as RFC 4180 has it (CR LF, '.' decimals). */
#ifndef KILN_STORE_TABLE_H
#define KILN_STORE_TABLE_H

#include <stdint.h>

#include "store/append.h"

struct table {
    struct append file;
    const char *const *columns; /* NULL-ended; borrowed */
};

/* Opens or makes `path`, with `columns` as its header. When the table is there, keeps the rows
 * whose column "step" is at most `last_step`. Fails with EXIT_DATA if it has another header. */
int table_open(struct table *t, const char *path, const char *const *columns, uint64_t last_step,
               struct err *e);

/* Adds one row, a value for each column: what was not measured (NaN) is an empty field. Returns 0;
 * 1, with the cause in e, when it waits for room on the disk (append.h); or -1. */
int table_add(struct table *t, const double *values, struct err *e);

/* Writes what waits; -1 if there still is no room. */
int table_sync(struct table *t, struct err *e);

void table_close(struct table *t);

#endif
