/* metrics.c - see metrics.h. */
#define _GNU_SOURCE /* O_CLOEXEC, pread */
#include "store/metrics.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"

/* Walks over the whole lines of text[bytes]. `offset` is where the current one begins. */
struct lines {
    const char *path, *text;
    size_t bytes, offset, next;
    int number;
};

/* The next line as an object for the caller to json_decref; NULL at the end (e->code 0) or for a
 * damaged line. */
static json_t *next_record(struct lines *l, struct err *e)
{
    const char *start = l->text + l->next;
    const char *end = l->next < l->bytes ? memchr(start, '\n', l->bytes - l->next) : NULL;
    l->offset = l->next;
    if (!end)
        return NULL;
    l->number++;
    l->next += (size_t)(end - start) + 1;
    json_error_t cause;
    json_t *record = json_loadb(start, (size_t)(end - start), 0, &cause);
    if (json_is_object(record))
        return record;
    err_set(e, EXIT_DATA, "%s:%d: not a metrics record: %s", l->path, l->number,
            record ? "not an object" : cause.text);
    json_decref(record);
    return NULL;
}

/* Reads at most `size` bytes from `offset` on; less when the file was cut meanwhile. */
static int read_rest(int fd, uint64_t offset, size_t size, char **text, size_t *bytes,
                     const char *path, struct err *e)
{
    *text = xmalloc(size + 1);
    while (*bytes < size) {
        ssize_t n = pread(fd, *text + *bytes, size - *bytes, (off_t)(offset + *bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_errno(e, EXIT_DATA, errno, "cannot read '%s'", path);
            free(*text);
            return -1;
        }
        if (n == 0)
            break;
        *bytes += (size_t)n;
    }
    return 0;
}

/* Reads `path` from byte `offset` on into heap memory. */
static int read_from(const char *path, uint64_t offset, char **text, size_t *bytes, struct err *e)
{
    int rc = -1, fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    *text = NULL;
    *bytes = 0;
    if (fd < 0 || fstat(fd, &status))
        err_errno(e, EXIT_DATA, errno, "cannot open '%s'", path);
    else if ((uint64_t)status.st_size < offset)
        rc = METRICS_SHORTER;
    else
        rc = read_rest(fd, offset, (size_t)((uint64_t)status.st_size - offset), text, bytes, path,
                       e);
    if (fd >= 0)
        close(fd);
    return rc;
}

int metrics_each_from(const char *path, uint64_t *offset,
                      int (*visit)(void *context, const json_t *record), void *context,
                      struct err *e)
{
    char *text;
    size_t bytes;
    int rc = read_from(path, *offset, &text, &bytes, e);
    if (rc == METRICS_SHORTER)
        *offset = 0;
    if (rc)
        return rc;
    struct lines l = {.path = path, .text = text, .bytes = bytes};
    struct err cause = {.code = EXIT_DONE};
    for (json_t *record; rc == 0 && (record = next_record(&l, &cause)); json_decref(record))
        rc = visit(context, record);
    *offset += l.next;
    free(text);
    return cause.code ? err_set(e, cause.code, "%s", cause.text) : rc;
}

int metrics_each(const char *path, int (*visit)(void *context, const json_t *record),
                 void *context, struct err *e)
{
    uint64_t start = 0;
    return metrics_each_from(path, &start, visit, context, e);
}

/* How many bytes hold the records up to last_step. */
static int kept_bytes(const char *path, uint64_t last_step, size_t *keep, struct err *e)
{
    *keep = 0;
    if (!file_exists(path))
        return 0;
    char *text;
    size_t bytes;
    if (file_read(path, &text, &bytes, EXIT_DATA, e))
        return -1;
    struct lines l = {.path = path, .text = text, .bytes = bytes};
    struct err cause = {.code = EXIT_DONE};
    for (json_t *record; (record = next_record(&l, &cause)); json_decref(record)) {
        json_int_t step = json_integer_value(json_object_get(record, "step"));
        if (step > 0 && (uint64_t)step > last_step) {
            json_decref(record);
            break;
        }
        *keep = l.next;
    }
    free(text);
    return cause.code ? err_set(e, cause.code, "%s", cause.text) : 0;
}

int metrics_open(struct metrics *m, const char *path, uint64_t last_step, struct err *e)
{
    size_t keep;
    m->file.fd = -1;
    m->start = clock_seconds();
    if (kept_bytes(path, last_step, &keep, e))
        return -1;
    return append_open(&m->file, path, keep, e);
}

static void add(char *line, size_t size, size_t *used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(char *line, size_t size, size_t *used, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line + *used, size - *used, format, ap);
    va_end(ap);
    assert(n >= 0 && (size_t)n < size - *used);
    *used += (size_t)n;
}

#define ADD(m, ...) add((m)->line, sizeof(m)->line, &(m)->used, __VA_ARGS__)

void metrics_begin(struct metrics *m, const char *kind, uint64_t step, double epoch)
{
    m->used = m->bad_used = 0;
    ADD(m, "{\"v\":1,\"kind\":\"%s\",\"step\":%" PRIu64 ",\"epoch\":%.9g,\"t\":%.3f,\"wall\":%.3f",
        kind, step, epoch, clock_seconds() - m->start, clock_wall());
}

void metrics_real(struct metrics *m, const char *key, double value)
{
    if (isfinite(value)) {
        ADD(m, ",\"%s\":%.9g", key, value);
        return;
    }
    ADD(m, ",\"%s\":null", key);
    add(m->bad, sizeof m->bad, &m->bad_used, "%s\"%s\":\"%s\"", m->bad_used ? "," : "", key,
        isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

void metrics_integer(struct metrics *m, const char *key, int64_t value)
{
    ADD(m, ",\"%s\":%" PRId64, key, value);
}

void metrics_text(struct metrics *m, const char *key, const char *value)
{
    ADD(m, ",\"%s\":\"", key);
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            ADD(m, "\\%c", c);
        else if (c < 0x20)
            ADD(m, "\\u%04x", (unsigned)c);
        else
            ADD(m, "%c", c);
    }
    ADD(m, "\"");
}

int metrics_end(struct metrics *m, struct err *e)
{
    if (m->bad_used)
        ADD(m, ",\"nonfinite\":{%s}", m->bad);
    ADD(m, "}\n");
    return append_add(&m->file, m->line, m->used, e);
}

int metrics_sync(struct metrics *m, struct err *e)
{
    return append_sync(&m->file, e);
}

void metrics_close(struct metrics *m)
{
    append_close(&m->file);
}
