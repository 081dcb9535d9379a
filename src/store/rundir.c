/* rundir.c - see rundir.h. */
#define _GNU_SOURCE /* flock, O_CLOEXEC */
#include "store/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

/* Says who has the lock; LOCK holds that as text. */
static int busy(const struct rundir *r, const char *lock, struct err *e)
{
    char *text;
    size_t bytes;
    if (file_read(lock, &text, &bytes, EXIT_FAILED, NULL))
        return err_set(e, EXIT_FAILED, "'%s' is being written by another process", r->path);
    text[strcspn(text, "\n")] = 0;
    err_set(e, EXIT_FAILED, "'%s' is being written by another process (%s)", r->path, text);
    free(text);
    return -1;
}

/* Takes the lock; returns 0 or errno. Who asks whether a run is alive (rundir_is_locked) holds a
 * shared lock for some microseconds; that must not look like a writer, so try for a while. */
static int lock_exclusively(int fd)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int attempt = 0;; attempt++) {
        if (!flock(fd, LOCK_EX | LOCK_NB))
            return 0;
        if (errno != EWOULDBLOCK || attempt == 20)
            return errno;
        nanosleep(&pause, NULL);
    }
}

int rundir_is_locked(const char *path)
{
    char lock[4096];
    if (file_join(lock, sizeof lock, path, "LOCK", NULL))
        return -1;
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int held = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? 1 : -1;
    close(fd);
    return held;
}

static int take_lock(struct rundir *r, struct err *e)
{
    char path[4096], host[256] = "", text[320];
    if (rundir_path(r, "LOCK", path, e))
        return -1;
    r->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->lock < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", path);
    /* The kernel drops the lock when the process dies, so a killed run leaves none behind. */
    int cause = lock_exclusively(r->lock);
    if (cause) {
        rundir_close(r);
        if (cause == EWOULDBLOCK)
            return busy(r, path, e);
        return err_errno(e, EXIT_FAILED, cause, "cannot lock '%s'", path);
    }
    gethostname(host, sizeof host - 1);
    int n = snprintf(text, sizeof text, "process %d on %s\n", (int)getpid(), host);
    if (ftruncate(r->lock, 0) || file_put(r->lock, text, (size_t)n)) {
        err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", path);
        rundir_close(r);
        return -1;
    }
    return 0;
}

static int is_empty(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return 0;
    int entries = 0;
    for (struct dirent *entry; (entry = readdir(d));)
        entries += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
    closedir(d);
    return entries == 0;
}

static int make_given(struct rundir *r, const char *out, struct err *e)
{
    if (strlen(out) >= sizeof r->path)
        return err_set(e, EXIT_USAGE, "the path '%.64s...' is too long", out);
    snprintf(r->path, sizeof r->path, "%s", out);
    if (rundir_is(out))
        return err_set(e, EXIT_USAGE,
                       "'%s' already holds a run: 'kiln resume %s' goes on with it", out, out);
    if (file_exists(out) && !is_empty(out))
        return err_set(e, EXIT_USAGE, "'%s' exists and is not an empty folder", out);
    return file_make_folders(out, e);
}

static int make_named(struct rundir *r, const char *slug, const char *hash, struct err *e)
{
    char stamp[16];
    if (file_make_folders("runs", e))
        return -1;
    clock_stamp(stamp);
    for (int i = 1;; i++) {
        char number[16] = "";
        if (i > 1)
            snprintf(number, sizeof number, "-%d", i);
        snprintf(r->path, sizeof r->path, "runs/%s-%.64s-%.8s%s", stamp, slug, hash, number);
        if (mkdir(r->path, 0777) == 0)
            return 0;
        if (errno != EEXIST || i == 1000)
            return err_errno(e, EXIT_FAILED, errno, "cannot make folder '%s'", r->path);
    }
}

int rundir_create(struct rundir *r, const char *out, const char *slug, const char *hash,
                  struct err *e)
{
    r->lock = -1;
    if (out ? make_given(r, out, e) : make_named(r, slug, hash, e))
        return -1;
    return take_lock(r, e);
}

int rundir_is(const char *path)
{
    char config[4096];
    return file_join(config, sizeof config, path, "config.ini", NULL) == 0 && file_exists(config);
}

/* Takes the lock, and removes what a killed writer left half-written. */
static int lock_and_clean(struct rundir *r, struct err *e)
{
    char checkpoints[4096];
    if (rundir_path(r, "checkpoints", checkpoints, e) || take_lock(r, e))
        return -1;
    file_remove_temporaries(r->path);
    file_remove_temporaries(checkpoints);
    return 0;
}

int rundir_open(struct rundir *r, const char *path, struct err *e)
{
    r->lock = -1;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n >= sizeof r->path)
        return err_set(e, EXIT_USAGE, "the path '%.64s...' is too long", path);
    snprintf(r->path, sizeof r->path, "%.*s", (int)n, path);
    if (!file_exists(r->path))
        return err_set(e, EXIT_DATA, "there is no run directory '%s'", r->path);
    if (!rundir_is(r->path))
        return err_set(e, EXIT_DATA, "'%s' is not a run directory: it has no config.ini", r->path);
    return lock_and_clean(r, e);
}

int rundir_take(struct rundir *r, const char *path, bool *begun, struct err *e)
{
    char manifest[4096];
    r->lock = -1;
    if (strlen(path) >= sizeof r->path)
        return err_set(e, EXIT_USAGE, "the path '%.64s...' is too long", path);
    snprintf(r->path, sizeof r->path, "%s", path);
    if (rundir_path(r, "manifest.json", manifest, e) || file_make_folders(path, e) ||
        lock_and_clean(r, e))
        return -1;
    *begun = rundir_is(path) && file_exists(manifest);
    return 0;
}

void rundir_close(struct rundir *r)
{
    if (r->lock >= 0)
        close(r->lock);
    r->lock = -1;
}

/* Empties the open folder `fd`, which is closed, leaving out `last` at its top. Returns 0 or errno
 * of the first failure. Links are removed, not followed. */
static int empty_folder(int fd, const char *last)
{
    DIR *d = fdopendir(fd);
    int cause = d ? 0 : errno;
    if (!d)
        close(fd);
    for (struct dirent *entry; d && !cause && (entry = readdir(d));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..") || (last && !strcmp(name, last)))
            continue;
        if (unlinkat(fd, name, 0) == 0)
            continue;
        cause = errno;
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0)
            continue;
        cause = empty_folder(below, NULL);
        if (!cause && unlinkat(fd, name, AT_REMOVEDIR))
            cause = errno;
    }
    if (d)
        closedir(d);
    return cause;
}

int rundir_remove(struct rundir *r, struct err *e)
{
    char config[4096];
    if (rundir_path(r, "config.ini", config, e))
        return -1;
    int fd = open(r->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int cause = fd < 0 ? errno : empty_folder(fd, "config.ini");
    if (!cause && (unlink(config) || rmdir(r->path)))
        cause = errno;
    rundir_close(r);
    return cause ? err_errno(e, EXIT_FAILED, cause, "cannot remove '%s'", r->path) : 0;
}

int rundir_path(const struct rundir *r, const char *name, char *path, struct err *e)
{
    return file_join(path, sizeof r->path, r->path, name, e);
}

int rundir_write(const struct rundir *r, const char *name, const char *text, struct err *e)
{
    char path[4096];
    if (rundir_path(r, name, path, e))
        return -1;
    return file_write(path, text, strlen(text), e);
}

int rundir_write_json(const struct rundir *r, const char *name, const json_t *value,
                      struct err *e)
{
    char path[4096];
    if (rundir_path(r, name, path, e))
        return -1;
    return json_write(value, path, e);
}

json_t *rundir_read_json(const struct rundir *r, const char *name, struct err *e)
{
    char path[4096];
    if (rundir_path(r, name, path, e))
        return NULL;
    return json_read(path, EXIT_DATA, e);
}
