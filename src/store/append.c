/* append.c - see append.h. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "store/append.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int failed(struct append *a, int cause, struct err *e)
{
    return err_errno(e, EXIT_FAILED, cause, "cannot write '%s'", a->path);
}

int append_open(struct append *a, const char *path, size_t keep, struct err *e)
{
    a->size = 0;
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

int append_add(struct append *a, const char *line, size_t bytes, struct err *e)
{
    assert(a->fd >= 0 && bytes > 0 && line[bytes - 1] == '\n');
    if (file_put(a->fd, line, bytes)) {
        int cause = errno;
        /* If this fails too, readers ignore the torn line. */
        if (ftruncate(a->fd, (off_t)a->size)) {
        }
        return failed(a, cause, e);
    }
    a->size += bytes;
    return 0;
}

int append_sync(struct append *a, struct err *e)
{
    assert(a->fd >= 0);
    return fsync(a->fd) ? failed(a, errno, e) : 0;
}

void append_close(struct append *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}
