/* list.h - the list of runs on the live page: rows out of the index, as HTML. */
#ifndef KILN_SERVE_LIST_H
#define KILN_SERVE_LIST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "store/index.h"

enum { LIST_ROWS = 100, LIST_ROWS_MOST = 2000 };

struct list_query {
    const char *where, *sort;    /* as struct index_query */
    bool reverse;
    long limit;
};

struct list {
    struct index_rows rows;
    bool *shown;                 /* [rows.count] */
    size_t *sweep;               /* [rows.count]: of a trial, the bytes of its path that name its
                                    sweep; else 0 */
    size_t total;                /* runs that the condition holds for */
    struct list_query query;     /* borrowed texts */
};

/* Reads the rows; those whose path `inside` refuses are not shown. Fails with EXIT_USAGE for a
 * condition or a key that makes no sense. The caller ends it with list_release after success. */
int list_read(struct list *l, struct index *x, const struct list_query *q,
              bool (*inside)(void *context, const char *path), void *context, struct err *e);
void list_release(struct list *l);

/* The whole page. */
void list_page(FILE *out, const char *folder, const struct list *l);

/* {"total", "shown", "html"}: the rows of the table. */
json_t *list_json(const struct list *l);

#endif
