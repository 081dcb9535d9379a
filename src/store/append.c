/* append.c - see append.h. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "store/append.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"

static int failed(struct append *a, int cause, struct err *e)
{
    return err_errno(e, EXIT_FAILED, cause, "cannot write '%s'", a->path);
}

int append_open(struct append *a, const char *path, size_t keep, struct err *e)
{
    a->size = a->waiting_bytes = 0;
    a->waiting = NULL;
    snprintf(a->path, sizeof a->path, "%s", path);
    a->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (a->fd < 0)
        return failed(a, errno, e);
    struct stat st;
    if (fstat(a->fd, &st))
        goto fail;
    a->size = (size_t)st.st_size < keep ? (size_t)st.st_size : keep;
    if ((size_t)st.st_size > a->size && ftruncate(a->fd, (off_t)a->size))
        goto fail;
    return 0;
fail:
    failed(a, errno, e);
    append_close(a);
    return -1;
}

/* Whole lines into the file, or none of them. */
static int put(struct append *a, const char *lines, size_t bytes, struct err *e)
{
    if (file_put(a->fd, lines, bytes)) {
        int cause = errno;
        /* If this fails too, readers ignore the torn line. */
        if (ftruncate(a->fd, (off_t)a->size)) {
        }
        return failed(a, cause, e);
    }
    a->size += bytes;
    return 0;
}

static int put_waiting(struct append *a, struct err *e)
{
    if (a->waiting_bytes == 0)
        return 0;
    if (put(a, a->waiting, a->waiting_bytes, e))
        return -1;
    free(a->waiting);
    a->waiting = NULL;
    a->waiting_bytes = 0;
    return 0;
}

int append_add(struct append *a, const char *line, size_t bytes, struct err *e)
{
    struct err cause = {0};
    assert(a->fd >= 0 && bytes > 0 && line[bytes - 1] == '\n');
    if (put_waiting(a, &cause) == 0 && put(a, line, bytes, &cause) == 0)
        return 0;
    if (e)
        *e = cause;
    if (!cause.no_room || bytes > APPEND_WAITING_MOST - a->waiting_bytes)
        return -1;
    a->waiting = xrealloc(a->waiting, a->waiting_bytes + bytes);
    memcpy(a->waiting + a->waiting_bytes, line, bytes);
    a->waiting_bytes += bytes;
    return 1;
}

int append_sync(struct append *a, struct err *e)
{
    assert(a->fd >= 0);
    if (put_waiting(a, e))
        return -1;
    return fsync(a->fd) ? failed(a, errno, e) : 0;
}

void append_close(struct append *a)
{
    if (a->fd < 0)
        return;
    close(a->fd);
    a->fd = -1;
    free(a->waiting);
    a->waiting = NULL;
    a->waiting_bytes = 0;
}
