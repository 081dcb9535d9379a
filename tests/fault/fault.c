/* fault.c - see fault.h. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "fault/fault.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fail_at, count, cause = ENOSPC, sticky_mode, hit, signal_number;
static char filter[1024];

void fault_arm(int n, const char *path, int errno_value, int sticky)
{
    pthread_mutex_lock(&lock);
    fail_at = n;
    count = 0;
    hit = 0;
    cause = errno_value;
    sticky_mode = sticky;
    snprintf(filter, sizeof filter, "%s", path);
    pthread_mutex_unlock(&lock);
}

int fault_hit(void)
{
    return hit;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *at = getenv("KILN_FAULT_AT"), *path = getenv("KILN_FAULT_PATH");
    const char *number = getenv("KILN_FAULT_ERRNO");
    if (at && path)
        fault_arm(atoi(at), path, number ? atoi(number) : ENOSPC,
                  getenv("KILN_FAULT_STICKY") != NULL);
    const char *deadly = getenv("KILN_FAULT_SIGNAL");
    signal_number = deadly ? atoi(deadly) : 0;
}

static void report(const char *call, const char *path)
{
    const char *file = getenv("KILN_FAULT_REPORT");
    if (!file)
        return;
    char text[2048];
    int n = snprintf(text, sizeof text, "%s %s\n", call, path);
    long fd = syscall(SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0)
        return;
    syscall(SYS_write, fd, text, (size_t)n);
    syscall(SYS_close, fd);
}

/* Counts one call on `path`; 1, with errno set, if it has to fail. */
static int fails(const char *call, const char *path)
{
    int now = 0;
    pthread_mutex_lock(&lock);
    if (fail_at && strstr(path, filter)) {
        int n = ++count;
        now = n == fail_at || (sticky_mode && n > fail_at && strcmp(call, "close"));
        if (n == fail_at)
            hit = 1;
        if (n == fail_at)
            report(call, path);
    }
    pthread_mutex_unlock(&lock);
    if (now && signal_number)
        kill(getpid(), signal_number);
    if (now)
        errno = cause;
    return now;
}

static int fails_fd(const char *call, int fd)
{
    char link[64], path[1024];
    if (!fail_at)
        return 0;
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (n < 0)
        return 0;
    path[n] = 0;
    return fails(call, path);
}

/* ISO C has no cast from void * to a function pointer; POSIX asks for one. */
#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) \
        *(void **)&next = dlsym(RTLD_NEXT, #name)

static int writes(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

int open(const char *path, int flags, ...)
{
    NEXT(open);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (writes(flags) && fails("open", path))
        return -1;
    return next(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    NEXT(open64);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list ap;
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    if (writes(flags) && fails("open", path))
        return -1;
    return next(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    NEXT(write);
    return fails_fd("write", fd) ? -1 : next(fd, data, bytes);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    NEXT(pwrite64);
    return fails_fd("pwrite", fd) ? -1 : next(fd, data, bytes, offset);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return fails_fd("fdatasync", fd) ? -1 : next(fd);
}

int ftruncate64(int fd, off64_t length)
{
    NEXT(ftruncate64);
    return fails_fd("ftruncate", fd) ? -1 : next(fd, length);
}

int fsync(int fd)
{
    NEXT(fsync);
    return fails_fd("fsync", fd) ? -1 : next(fd);
}

int ftruncate(int fd, off_t length)
{
    NEXT(ftruncate);
    return fails_fd("ftruncate", fd) ? -1 : next(fd, length);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return fails("rename", to) ? -1 : next(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return fails("mkdir", path) ? -1 : next(path, mode);
}

int close(int fd)
{
    NEXT(close);
    int failed = fails_fd("close", fd), rc = next(fd);
    if (failed)
        errno = cause;
    return failed ? -1 : rc;
}
