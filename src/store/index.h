/* index.h - all runs of a folder, searchable.
 *
 * The facts are the run directories; the index, FOLDER/.index.sqlite, is only quicker. Opening it
 * looks at every run's status.json and reads the runs that have changed. It can be deleted at any
 * time and is then made anew, with the same answers. Where it cannot be kept (a read-only folder, a
 * full disk, a network file system, whose locks SQLite cannot trust) it is made in memory. Training
 * never opens it.
 *
 *     struct index x;
 *     struct index_rows rows;
 *     if (index_open(&x, "runs", keys, e)) ...
 *     index_select(&x, &(struct index_query){.where = "lr > 0.1"}, columns, 2, &rows, e);
 */
#ifndef KILN_STORE_INDEX_H
#define KILN_STORE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "store/db.h"
#include "store/summary.h"

struct index {
    struct db db;
    char folder[4096];
    const char *const *settings;  /* keys of the configuration, NULL-ended; borrowed */
};

/* Opens the index of `folder`, making it if there is none, and brings it up to date. Fails with
 * EXIT_DATA when the folder cannot be read. */
int index_open(struct index *x, const char *folder, const char *const *settings, struct err *e);
void index_close(struct index *x);

/* Brings it up to date again: for who keeps it open. */
int index_update(struct index *x, struct err *e);

/* Reads every run anew. */
int index_rebuild(struct index *x, struct err *e);

/* Which runs, in which order: those that began last come first if `sort` is NULL. */
struct index_query {
    const char *where;            /* store/where.h; NULL or "": all */
    const char *sort;             /* a key */
    bool reverse;                 /* the other way round */
    int64_t limit;                /* at most so many; 0: all */
};

struct index_value {
    enum db_kind kind;
    int64_t integer;
    double real;
    const char *text;             /* of DB_TEXT */
};

struct index_rows {
    struct arena memory;
    size_t count, columns;
    struct index_value *values;   /* [count, columns] */
};

/* Selects the values of keys: fields and settings, as texts of config.ini. `path` is below the
 * folder. What is not known is DB_NULL or an empty text. Fails with
 * EXIT_USAGE for a key or a condition that makes no sense. The caller ends it with
 * index_rows_release, also after a failure. */
int index_select(struct index *x, const struct index_query *q, const char *const *columns,
                 size_t count, struct index_rows *rows, struct err *e);
void index_rows_release(struct index_rows *rows);

/* Calls `visit` with the whole summary of each run, its path being folder and path together, until
 * it returns non-zero (and fills e); returns that. */
typedef int (*index_visit_fn)(void *context, const struct run_summary *s, struct err *e);
int index_each(struct index *x, const struct index_query *q, index_visit_fn visit, void *context,
               struct err *e);

/* Finds the run that a name means: its path below the folder, its id, or the beginning of its id or
 * of any part of that after a '-' or a slash, where only one run has it. Fails with EXIT_DATA for
 * none and with EXIT_USAGE for several. Writes the path, folder included, to path[4096]. */
int index_find(struct index *x, const char *name, char *path, struct err *e);

#endif
