/* where.h - the little language of --where and --sort, made into SQL.
 *
 *     lr > 0.1 and net = resnet9
 *     (state = finished or state = diverged) and not name ~ 'first try'
 *
 *     expression  = and { "or" and }
 *     and         = not { "and" not }
 *     not         = [ "not" ] ( "(" expression ")" | comparison )
 *     comparison  = KEY ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" ) VALUE
 *     VALUE       = number | word | 'text' | "text" | null
 *
 * KEY is a field (store/summary.h) or a key of the configuration. "~" is "contains", whatever the
 * case of ASCII letters. A quote is written twice inside its own kind. A comparison with what is
 * not known is false, whatever the operator; "= null" asks for just that. Texts compare byte by
 * byte, so times compare as times.
 *
 * Values never become part of the SQL: they are bound to its '?', in order.
 */
#ifndef KILN_STORE_WHERE_H
#define KILN_STORE_WHERE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "store/db.h"

struct where_value {
    enum db_kind kind;
    const char *text;
    int64_t integer;
    double real;
};

/* An SQL text in the making, with what is bound to it. */
struct where {
    struct arena memory;
    const char *const *settings;  /* keys of the configuration, NULL-ended; borrowed */
    char *sql;                    /* complete after where_end */
    size_t bytes;
    FILE *out;                    /* writes to sql */
    struct where_value *values;   /* [count] */
    size_t count;
};

void where_begin(struct where *w, const char *const *settings);

/* Appends plain SQL. */
void where_add(struct where *w, const char *sql);

/* Appends a condition; an empty text is always true. Fails with EXIT_USAGE, naming the column where
 * the text goes wrong and the nearest key. */
int where_condition(struct where *w, const char *text, struct err *e);

/* Appends what a key's value is: the column, or the setting as a text. Fails likewise. */
int where_key(struct where *w, const char *key, struct err *e);

/* Appends the terms of an ORDER BY: what is not known comes last, equals are ordered by path. */
int where_order(struct where *w, const char *key, int descending, struct err *e);

/* Makes w->sql whole. */
void where_end(struct where *w);

/* Binds the values to the statement prepared from w->sql. */
void where_bind(const struct where *w, struct db_query *q);

void where_release(struct where *w);

#endif
