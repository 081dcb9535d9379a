/* file.c - see file.h. Plain descriptors, not stdio: each call's failure is seen where it happens,
 * and the fault tests can make any single one of them fail. */
#define _GNU_SOURCE /* O_CLOEXEC, O_DIRECTORY */
#include "base/file.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"

static int read_all(int fd, char **text, size_t *bytes)
{
    struct stat st;
    if (fstat(fd, &st))
        return -1;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    /* The size is a hint: files of /proc say 0, and a file may grow while it is read. */
    size_t room = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, used = 0;
    char *data = xmalloc(room);
    for (;;) {
        if (used + 1 >= room) {
            room *= 2;
            data = xrealloc(data, room);
        }
        ssize_t n = read(fd, data + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(data);
            return -1;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    data[used] = 0;
    *text = data;
    *bytes = used;
    return 0;
}

int file_read(const char *path, char **text, size_t *bytes, enum exit_code code, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, code, errno, "cannot open '%s'", path);
    int rc = read_all(fd, text, bytes), cause = errno;
    close(fd);
    return rc ? err_errno(e, code, cause, "cannot read '%s'", path) : 0;
}

int file_put(int fd, const void *data, size_t bytes)
{
    const char *p = data;
    while (bytes) {
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0) {
            errno = ENOSPC;
            return -1;
        }
        p += n;
        bytes -= (size_t)n;
    }
    return 0;
}

int file_write(const char *path, const void *data, size_t bytes, struct err *e)
{
    struct file_writer w;
    if (file_writer_open(&w, path, e))
        return -1;
    if (file_writer_append(&w, data, bytes, e)) {
        file_writer_abandon(&w);
        return -1;
    }
    return file_writer_commit(&w, e);
}

int file_writer_open(struct file_writer *w, const char *path, struct err *e)
{
    w->fd = -1;
    if (strlen(path) >= sizeof w->path)
        return err_set(e, EXIT_FAILED, "cannot write '%.64s...': the path is too long", path);
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(w->temporary, sizeof w->temporary, "%s.%u.tmp", path, (unsigned)getpid());
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", path);
    return 0;
}

int file_writer_append(struct file_writer *w, const void *data, size_t bytes, struct err *e)
{
    assert(w->fd >= 0);
    if (file_put(w->fd, data, bytes))
        return err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", w->path);
    return 0;
}

int file_sync_folder(const char *path, struct err *e)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    if (slash == path)
        n = 1; /* the root */
    snprintf(folder, sizeof folder, "%.*s", n, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot open folder '%s'", folder);
    int rc = fsync(fd), cause = errno;
    close(fd);
    /* Some network file systems cannot sync folders and need not. */
    if (rc && cause != EINVAL)
        return err_errno(e, EXIT_FAILED, cause, "cannot sync folder '%s'", folder);
    return 0;
}

int file_writer_commit(struct file_writer *w, struct err *e)
{
    assert(w->fd >= 0);
    int fd = w->fd, rc = fsync(fd), cause = errno;
    w->fd = -1;
    /* A network file system may report a lost write only now. */
    if (close(fd) && !rc) {
        rc = -1;
        cause = errno;
    }
    if (!rc && rename(w->temporary, w->path)) {
        rc = -1;
        cause = errno;
    }
    if (rc) {
        unlink(w->temporary);
        return err_errno(e, EXIT_FAILED, cause, "cannot write '%s'", w->path);
    }
    return file_sync_folder(w->path, e);
}

void file_writer_abandon(struct file_writer *w)
{
    if (w->fd < 0)
        return;
    close(w->fd);
    w->fd = -1;
    unlink(w->temporary);
}

/* "name.123.tmp": what file_writer_open calls its temporaries. */
static bool is_temporary(const char *name)
{
    size_t n = strlen(name);
    if (n < 6 || strcmp(name + n - 4, ".tmp") != 0)
        return false;
    size_t digits = n - 4;
    while (digits > 0 && isdigit((unsigned char)name[digits - 1]))
        digits--;
    return digits < n - 4 && digits > 1 && name[digits - 1] == '.';
}

void file_remove_temporaries(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));)
        if (is_temporary(entry->d_name))
            unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
}

int file_make_folders(const char *path, struct err *e)
{
    char part[4096];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return err_set(e, EXIT_FAILED, "cannot make folder '%.64s': not a usable path", path);
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != 0)
            continue;
        char end = part[i];
        part[i] = 0;
        struct stat st;
        if (mkdir(part, 0777)) {
            int cause = errno;
            if (stat(part, &st))
                return err_errno(e, EXIT_FAILED, cause, "cannot make folder '%s'", part);
            if (!S_ISDIR(st.st_mode))
                return err_errno(e, EXIT_FAILED, ENOTDIR, "cannot make folder '%s'", part);
        }
        part[i] = end;
    }
    return 0;
}

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_join(char *out, size_t size, const char *folder, const char *name, struct err *e)
{
    size_t n = strlen(folder);
    const char *slash = n && folder[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, size, "%s%s%s", folder, n ? slash : "", name);
    if (length < 0 || (size_t)length >= size)
        return err_set(e, EXIT_FAILED, "the path '%.64s.../%.64s' is too long", folder, name);
    return 0;
}
