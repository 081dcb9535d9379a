/* claim.c - see claim.h. */
#define _GNU_SOURCE /* utimensat, gethostname */
#include "store/claim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

/* The first line of a file, "" if it cannot be read; text[size]. */
static void first_line(const char *path, char *text, size_t size)
{
    text[0] = 0;
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    if (!fgets(text, (int)size, f))
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
    fclose(f);
}

/* When a process began, in ticks since boot: a pid alone may have been given to another. -1 if
 * there is no such process, or only its remains. */
static long long process_start(long pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    first_line(path, text, sizeof text);
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    char state;
    long long start;
    if (!p || sscanf(p + 1,
                     " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%lld",
                     &state, &start) != 2)
        return -1;
    return state == 'Z' || state == 'X' ? -1 : start;
}

/* Where a pid means something: this boot of this machine, this pid name space. */
static void get_place(char *place, size_t size)
{
    char boot[64], space[64] = "";
    first_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[n > 0 ? n : 0] = 0;
    snprintf(place, size, "%s %s", boot, space);
}

static json_t *our_text(bool released)
{
    char host[256] = "", place[160], since[32];
    time_t now = time(NULL);
    struct tm utc;
    gethostname(host, sizeof host - 1);
    get_place(place, sizeof place);
    gmtime_r(&now, &utc);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *o = json_object();
    json_object_set_new(o, "host", json_string(host));
    json_object_set_new(o, "place", json_string(place));
    json_object_set_new(o, "pid", json_integer(getpid()));
    json_object_set_new(o, "pid_start", json_integer((json_int_t)process_start(getpid())));
    json_object_set_new(o, "since", json_string(since));
    json_object_set_new(o, "released", json_boolean(released));
    return o;
}

static int numbered(char *path, const char *folder, const char *name, int n, struct err *e)
{
    char file[512];
    snprintf(file, sizeof file, "%.480s.%d", name, n);
    return file_join(path, 4096, folder, file, e);
}

/* The highest number taken; 0: none. Numbers have no gaps while work is left. */
static int highest(const char *folder, const char *name)
{
    char path[4096];
    int n = 0;
    while (!numbered(path, folder, name, n + 1, NULL) && file_exists(path))
        n++;
    return n;
}

/* Now, by the clock of the file system: the stamp of a file just made. Falls back to ours. */
static double file_system_now(const char *folder)
{
    char path[4096];
    struct stat s;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!file_join(path, sizeof path - 32, folder, ".now.XXXXXX", NULL)) {
        int fd = mkstemp(path);
        if (fd >= 0) {
            if (!futimens(fd, NULL) && !fstat(fd, &s))
                now = s.st_mtim;
            close(fd);
            unlink(path);
        }
    }
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool is_here(const json_t *text)
{
    char place[160];
    const char *theirs = json_string_value(json_object_get(text, "place"));
    get_place(place, sizeof place);
    return theirs && strcmp(theirs, place) == 0;
}

/* Whether the owner that a claim's file names is gone. A file that is no longer there has just been
 * removed, because the work is done. */
static bool is_free(const char *path, const char *folder, int lease, bool may_write)
{
    struct stat s;
    if (stat(path, &s))
        return false;
    json_t *text = json_read(path, EXIT_DATA, NULL);
    bool gone;
    if (text && json_is_true(json_object_get(text, "released"))) {
        gone = true;
    } else if (text && is_here(text)) {
        json_int_t pid = json_integer_value(json_object_get(text, "pid"));
        json_int_t start = json_integer_value(json_object_get(text, "pid_start"));
        gone = process_start((long)pid) != (long long)start;
    } else {
        double now = may_write ? file_system_now(folder) : (double)time(NULL);
        gone = now - (double)s.st_mtim.tv_sec > lease;
    }
    json_decref(text);
    return gone;
}

int claim_is_held(const char *folder, const char *name, int lease)
{
    char path[4096];
    int n = highest(folder, name);
    return n > 0 && !numbered(path, folder, name, n, NULL) &&
           !is_free(path, folder, lease, false);
}

/* Makes our file with its text in it, if the name is free. Returns 1, 0 (taken) or -1. */
static int make_file(const char *path, const char *folder, struct err *e)
{
    char temporary[4096 + 32];
    snprintf(temporary, sizeof temporary, "%s/.claim.%ld", folder, (long)getpid());
    json_t *text = our_text(false);
    int rc = json_write(text, temporary, e);
    json_decref(text);
    if (rc)
        return -1;
    rc = link(temporary, path) ? errno : 0;
    unlink(temporary);
    if (rc == 0)
        return 1;
    if (rc == EEXIST || rc == ENOENT) /* ENOENT: we were so slow that ours was cleaned away */
        return 0;
    return err_errno(e, EXIT_FAILED, rc, "cannot claim '%s' with a hard link", path);
}

void claim_clean(const char *folder, int lease)
{
    char path[4096];
    struct stat s;
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        const char *name = entry->d_name;
        bool ours = strncmp(name, ".claim.", 7) == 0 || strncmp(name, ".now.", 5) == 0;
        if (ours && !file_join(path, sizeof path, folder, name, NULL) && !stat(path, &s) &&
            time(NULL) - s.st_mtime > lease)
            unlink(path);
    }
    closedir(d);
}

/* Renews the stamp; asks for an end when the claim is not ours any more. */
static void beat(struct claim *c)
{
    bool ours = utimensat(AT_FDCWD, c->path, NULL, 0) == 0 || errno != ENOENT;
    if ((!ours || file_exists(c->next)) && c->lost && !*c->lost)
        *c->lost = CLAIM_LOST;
}

static void *heart(void *context)
{
    struct claim *c = context;
    pthread_mutex_lock(&c->mutex);
    while (!c->over) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += CLAIM_BEAT;
        if (pthread_cond_timedwait(&c->wake, &c->mutex, &until) == ETIMEDOUT)
            beat(c);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

int claim_take(struct claim *c, const char *folder, const char *name, int lease,
               volatile sig_atomic_t *lost, struct err *e)
{
    c->path[0] = 0;
    c->lost = lost;
    c->over = false;
    char older[4096], path[4096];
    int n = highest(folder, name);
    if (n > 0 && (numbered(older, folder, name, n, e) || !is_free(older, folder, lease, true)))
        return 0;
    if (numbered(path, folder, name, n + 1, e) || numbered(c->next, folder, name, n + 2, e))
        return -1;
    int made = make_file(path, folder, e);
    if (made <= 0)
        return made;
    snprintf(c->path, sizeof c->path, "%s", path);
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->wake, NULL);
    int rc = pthread_create(&c->thread, NULL, heart, c);
    if (rc) {
        unlink(path);
        c->path[0] = 0;
        return err_errno(e, EXIT_FAILED, rc, "cannot start a thread");
    }
    return 1;
}

static void stop_heart(struct claim *c)
{
    pthread_mutex_lock(&c->mutex);
    c->over = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mutex);
}

void claim_drop(struct claim *c)
{
    if (!c->path[0])
        return;
    stop_heart(c);
    if (file_exists(c->path) && !file_exists(c->next)) {
        json_t *text = our_text(true);
        json_write(text, c->path, NULL); /* if it fails: our death says the same */
        json_decref(text);
    }
    c->path[0] = 0;
}

void claim_finish(struct claim *c)
{
    if (!c->path[0])
        return;
    stop_heart(c);
    /* From ours down: whoever meanwhile claims anew finds the work done, and finishes too. */
    char *number = strrchr(c->path, '.') + 1;
    for (int n = atoi(number); n > 0; n--) {
        sprintf(number, "%d", n);
        unlink(c->path);
    }
    c->path[0] = 0;
}
