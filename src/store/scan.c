/* scan.c - see scan.h. Two calls of the system for each run that has not changed: thousands of runs
 * are looked through in the blink of an eye. */
#define _GNU_SOURCE /* O_DIRECTORY, st_mtim, DT_DIR */
#include "store/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { DEPTH = 8 };

static struct scan_mark mark_of(const struct stat *st, int sign)
{
    return (struct scan_mark){
        .time = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
        .size = sign * ((int64_t)st->st_size + 1),
        .inode = (int64_t)st->st_ino,
    };
}

/* Whether the entry `name` of the open folder is a run directory, and how its status looks. */
static bool look_at(int folder, const char *name, struct scan_mark *mark)
{
    char path[512];
    struct stat config, status;
    if ((size_t)snprintf(path, sizeof path, "%s/config.ini", name) >= sizeof path ||
        fstatat(folder, path, &config, 0) || !S_ISREG(config.st_mode))
        return false;
    snprintf(path, sizeof path, "%s/status.json", name);
    *mark = fstatat(folder, path, &status, 0) ? mark_of(&config, -1) : mark_of(&status, 1);
    return true;
}

static void add(struct scan *s, const char *path, const struct scan_mark *mark)
{
    if ((s->count & (s->count - 1)) == 0) /* 0, 1, 2, 4, 8 ... */
        s->runs = xrealloc(s->runs, (s->count ? 2 * s->count : 1) * sizeof *s->runs);
    s->runs[s->count++] = (struct scan_run){arena_strdup(&s->memory, path), *mark};
}

static bool is_folder(int folder, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Searches the open folder `fd`, which is closed; `path` is where it is below the top. */
static void search(struct scan *s, int fd, const char *path, int depth)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(d));) {
        char below[4096];
        struct scan_mark mark;
        bool folder = is_folder(fd, entry);
        if (entry->d_name[0] == '.' || (!folder && entry->d_type != DT_LNK))
            continue;
        int n = snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "", entry->d_name);
        if (n < 0 || (size_t)n >= sizeof below)
            continue;
        if (look_at(fd, entry->d_name, &mark)) {
            add(s, below, &mark);
        } else if (folder && depth < DEPTH) {
            int next = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
            if (next >= 0)
                search(s, next, below, depth + 1);
            else if (errno != ENOENT) /* gone meanwhile */
                log_warn("cannot look into '%s' for runs: %s", below, strerror(errno));
        }
    }
    closedir(d);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct scan_run *)a)->path, ((const struct scan_run *)b)->path);
}

int scan_folder(struct scan *s, const char *folder, struct err *e)
{
    *s = (struct scan){0};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, EXIT_DATA, errno, "cannot look for runs in '%s'", folder);
    search(s, fd, "", 0);
    if (s->count)
        qsort(s->runs, s->count, sizeof *s->runs, by_path);
    return 0;
}

void scan_release(struct scan *s)
{
    free(s->runs);
    arena_release(&s->memory);
    *s = (struct scan){0};
}
