/* db.h - the one door to SQLite.
 *
 * A database is a file that can be thrown away: what is in it is read from elsewhere and can be
 * read again. So what goes wrong is told by kind, and the caller goes on without the file.
 *
 *     struct db_query q;
 *     if (db_prepare(&db, &q, "SELECT id FROM run WHERE step > ?", e)) ...
 *     db_bind_integer(&q, 100);
 *     while ((rc = db_step(&q, e)) == 1) puts(db_text(&q, 0));
 *     db_finish(&q);
 *
 * Many processes may read and write one file at once: write-ahead log, one writer at a time, who
 * waits for another at most DB_PATIENCE. Everybody who has the file open holds a shared lock on
 * PATH.lock; who throws the file away needs that lock for himself.
 */
#ifndef KILN_STORE_DB_H
#define KILN_STORE_DB_H

#include <stdint.h>

#include "base/err.h"

struct sqlite3;
struct sqlite3_stmt;

enum { DB_PATIENCE = 10000 }; /* milliseconds */

enum db_trouble {
    DB_FINE,
    DB_DAMAGED,        /* not a database, or one with contradictions in it */
    DB_BUSY,           /* another process holds it for too long */
    DB_UNWRITABLE,     /* no permission, a read-only disk, no such folder */
    DB_OTHER           /* disk full, input or output error ... */
};

struct db {
    struct sqlite3 *handle;
    int lock;                    /* descriptor; -1: none */
    enum db_trouble trouble;     /* of the last call that failed */
    char path[4096];             /* "" in memory */
};

/* "3.40.1" */
const char *db_library_version(void);

/* Opens or makes the file; in memory if `path` is NULL. After a failure db->trouble says which, and
 * db needs no close. */
int db_open(struct db *db, const char *path, struct err *e);
void db_close(struct db *db);

/* Removes the file and its companions, unless another process has it open (fails then). */
int db_discard(const char *path, struct err *e);

/* Runs statements that need no values. */
int db_run(struct db *db, const char *sql, struct err *e);

struct db_query {
    struct db *db;
    struct sqlite3_stmt *statement;
    int bound;
};

/* Prepares one statement. The binds fill its '?' from left to right; texts must live until the
 * statement is reset or finished. NULL and NaN bind as NULL. */
int db_prepare(struct db *db, struct db_query *q, const char *sql, struct err *e);
void db_bind_text(struct db_query *q, const char *text);
void db_bind_integer(struct db_query *q, int64_t value);
void db_bind_real(struct db_query *q, double value);

/* 1: there is a row; 0: done; -1: failed. */
int db_step(struct db_query *q, struct err *e);

/* Makes the statement ready for other values. */
void db_reset(struct db_query *q);
void db_finish(struct db_query *q);

/* Column `i` of the row. A text lives until the next step; NULL in the database is NULL here. */
enum db_kind { DB_NULL, DB_TEXT, DB_INTEGER, DB_REAL };
enum db_kind db_kind(const struct db_query *q, int i);
const char *db_text(const struct db_query *q, int i);
int64_t db_integer(const struct db_query *q, int i);
double db_real(const struct db_query *q, int i);

#endif
