/* db.c - see db.h. SQL knows two functions of ours: number(text), the number that the whole text is
 * as summary_value takes it, or NULL; and setting(object, key), the text under a key of a compact
 * JSON object of texts, or NULL, which is json_extract without parsing the whole object. */
#define _GNU_SOURCE /* flock, O_CLOEXEC */
#include "store/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/summary.h"

static enum db_trouble trouble_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_ERROR: /* a table or column that is not there: not our file */
    case SQLITE_SCHEMA: return DB_DAMAGED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return DB_BUSY;
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY: return DB_UNWRITABLE;
    default: return DB_OTHER;
    }
}

static int failed(struct db *db, int code, struct err *e)
{
    db->trouble = trouble_of(code);
    return err_set(e, EXIT_FAILED, "index '%s': %s", *db->path ? db->path : "in memory",
                   db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code));
}

/* Every call that can fail goes through this one. */
#define TRY(db, call, e)                                                                           \
    do {                                                                                           \
        int try_code = (call);                                                                     \
        if (try_code != SQLITE_OK)                                                                 \
            return failed(db, try_code, e);                                                        \
    } while (0)

static void number_function(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    json_t *value = text ? summary_value("", text) : NULL;
    if (json_is_integer(value))
        sqlite3_result_int64(context, json_integer_value(value));
    else if (json_is_real(value))
        sqlite3_result_double(context, json_real_value(value));
    else
        sqlite3_result_null(context);
    json_decref(value);
}

/* Finds the value of `key`, its quotes left out: an unescaped quote ends it, and before one stands
 * no value's text, so `,"key":"` cannot be found inside another value. */
static const char *find_value(const char *object, const char *key, size_t *length)
{
    char pattern[128];
    int n = snprintf(pattern, sizeof pattern, ",\"%s\":\"", key);
    if (n < 0 || (size_t)n >= sizeof pattern || *object != '{')
        return NULL;
    bool first = strncmp(object + 1, pattern + 1, (size_t)n - 1) == 0;
    const char *value = first ? object : strstr(object, pattern);
    if (!value)
        return NULL;
    value += n;
    for (*length = 0; value[*length] && value[*length] != '"'; ++*length)
        *length += value[*length] == '\\' && value[*length + 1];
    return value;
}

static void setting_function(sqlite3_context *context, int count, sqlite3_value **values)
{
    (void)count;
    size_t n;
    const char *object = (const char *)sqlite3_value_text(values[0]);
    const char *key = (const char *)sqlite3_value_text(values[1]);
    const char *value = object && key ? find_value(object, key, &n) : NULL;
    if (!value) {
        sqlite3_result_null(context);
    } else if (!memchr(value, '\\', n)) {
        sqlite3_result_text(context, value, (int)n, SQLITE_TRANSIENT);
    } else {
        json_t *text = json_loadb(value - 1, n + 2, JSON_DECODE_ANY, NULL);
        sqlite3_result_text(context, json_string_value(text), -1, SQLITE_TRANSIENT);
        json_decref(text);
    }
}

/* Opens PATH.lock and takes it; returns the descriptor, or -1 with errno set. */
static int take_lock(const char *path, int kind)
{
    char lock[4096 + 8];
    const struct timespec pause = {.tv_nsec = 10000000};
    snprintf(lock, sizeof lock, "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    for (int attempt = 0; fd >= 0 && flock(fd, kind | LOCK_NB); attempt++) {
        int cause = errno;
        if (cause != EWOULDBLOCK || attempt == 200) {
            close(fd);
            errno = cause;
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return fd;
}

static int lock_failed(struct db *db, int cause, struct err *e)
{
    db->trouble = cause == EWOULDBLOCK ? DB_BUSY
                  : cause == EACCES || cause == EROFS || cause == ENOENT || cause == EPERM
                      ? DB_UNWRITABLE
                      : DB_OTHER;
    return err_errno(e, EXIT_FAILED, cause, "cannot use the index '%s'", db->path);
}

/* Makes the log a write-ahead log. Where two do that to a new file at once, SQLite sends one away
 * without waiting, lest both wait for ever; that one asks again. */
static int set_journal(struct db *db, struct err *e)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    const double start = clock_seconds();
    int rc;
    while ((rc = db_run(db, "PRAGMA journal_mode = WAL", e)) && db->trouble == DB_BUSY &&
           clock_seconds() - start < DB_PATIENCE / 1000.0)
        nanosleep(&pause, NULL);
    return rc;
}

static int set_up(struct db *db, struct err *e)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int on = 1;
    TRY(db, sqlite3_busy_timeout(db->handle, DB_PATIENCE), e);
    TRY(db,
        sqlite3_create_function(db->handle, "number", 1, flags, NULL, number_function, NULL,
                                NULL),
        e);
    TRY(db,
        sqlite3_create_function(db->handle, "setting", 2, flags, NULL, setting_function, NULL,
                                NULL),
        e);
    if (!*db->path)
        return 0;
    /* Who closes last must not remove the log by its name: it may by then be another file's. */
    TRY(db, sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &on), e);
    if (db_run(db,
               "PRAGMA page_size = 8192; PRAGMA trusted_schema = OFF;"
               "PRAGMA cell_size_check = ON",
               e) ||
        set_journal(db, e))
        return -1;
    return db_run(db, "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304", e);
}

const char *db_library_version(void)
{
    return sqlite3_libversion();
}

int db_open(struct db *db, const char *path, struct err *e)
{
    *db = (struct db){.lock = -1};
    snprintf(db->path, sizeof db->path, "%s", path ? path : "");
    if (path) {
        db->lock = take_lock(path, LOCK_SH);
        if (db->lock < 0)
            return lock_failed(db, errno, e);
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path ? path : ":memory:", &db->handle, flags, NULL);
    int rc = code == SQLITE_OK ? set_up(db, e) : failed(db, code, e);
    if (rc)
        db_close(db);
    return rc;
}

void db_close(struct db *db)
{
    /* Cannot fail: every statement is finished before. */
    int code = sqlite3_close(db->handle);
    assert(code == SQLITE_OK);
    (void)code;
    db->handle = NULL;
    if (db->lock >= 0)
        close(db->lock);
    db->lock = -1;
}

int db_discard(const char *path, struct err *e)
{
    static const char *const ends[] = {"-journal", "-wal", "-shm", ""};
    char name[4096 + 16];
    int lock = take_lock(path, LOCK_EX);
    if (lock < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot replace the index '%s'", path);
    int rc = 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        if (unlink(name) && errno != ENOENT)
            rc = err_errno(e, EXIT_FAILED, errno, "cannot remove '%s'", name);
    }
    close(lock);
    return rc;
}

int db_run(struct db *db, const char *sql, struct err *e)
{
    TRY(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), e);
    return 0;
}

int db_prepare(struct db *db, struct db_query *q, const char *sql, struct err *e)
{
    *q = (struct db_query){.db = db};
    TRY(db, sqlite3_prepare_v2(db->handle, sql, -1, &q->statement, NULL), e);
    return 0;
}

/* A bind fails only for a '?' that the statement does not have, our bug, or for lack of memory. */
static void bound(int code)
{
    assert(code == SQLITE_OK);
    (void)code;
}

void db_bind_text(struct db_query *q, const char *text)
{
    bound(sqlite3_bind_text(q->statement, ++q->bound, text, -1, SQLITE_STATIC));
}

void db_bind_integer(struct db_query *q, int64_t value)
{
    bound(sqlite3_bind_int64(q->statement, ++q->bound, value));
}

void db_bind_real(struct db_query *q, double value)
{
    q->bound++;
    bound(isnan(value) ? sqlite3_bind_null(q->statement, q->bound)
                       : sqlite3_bind_double(q->statement, q->bound, value));
}

int db_step(struct db_query *q, struct err *e)
{
    int code = sqlite3_step(q->statement);
    if (code == SQLITE_ROW)
        return 1;
    return code == SQLITE_DONE ? 0 : failed(q->db, code, e);
}

void db_reset(struct db_query *q)
{
    sqlite3_reset(q->statement); /* repeats the error of the last step, which was told */
    q->bound = 0;
}

void db_finish(struct db_query *q)
{
    sqlite3_finalize(q->statement);
    q->statement = NULL;
}

enum db_kind db_kind(const struct db_query *q, int i)
{
    switch (sqlite3_column_type(q->statement, i)) {
    case SQLITE_INTEGER: return DB_INTEGER;
    case SQLITE_FLOAT: return DB_REAL;
    case SQLITE_NULL: return DB_NULL;
    default: return DB_TEXT;
    }
}

const char *db_text(const struct db_query *q, int i)
{
    return (const char *)sqlite3_column_text(q->statement, i);
}

int64_t db_integer(const struct db_query *q, int i)
{
    return sqlite3_column_int64(q->statement, i);
}

double db_real(const struct db_query *q, int i)
{
    return sqlite3_column_double(q->statement, i);
}
