/* scratch.h - a folder of its own for a test, removed at its end. */
#ifndef KILN_TESTS_SCRATCH_H
#define KILN_TESTS_SCRATCH_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char path[256];
};

/* One for each program. Aborts if the folder cannot be made: a test without it means nothing. */
static inline void scratch_init(struct scratch *s)
{
    const char *tmp = getenv("TMPDIR");
    int tries = 0;
    do /* a program that was killed under this number may have left its folder */
        snprintf(s->path, sizeof s->path, "%s/kiln-test-%ld-%d", tmp && tmp[0] ? tmp : "/tmp",
                 (long)getpid(), tries);
    while (mkdir(s->path, 0700) != 0 && errno == EEXIST && ++tries < 100);
    if (access(s->path, W_OK) != 0 || tries == 100)
        abort();
}

static inline void scratch_release(struct scratch *s)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s'", s->path);
    if (strstr(s->path, "/kiln-test-") && system(command) != 0)
        fprintf(stderr, "cannot remove '%s'\n", s->path);
}

/* scratch/name in the next of a few static rooms: good for a handful of paths at a time. */
static inline const char *scratch_path(const struct scratch *s, const char *name)
{
    static char rooms[8][1024];
    static int next;
    char *room = rooms[next++ % 8];
    snprintf(room, sizeof rooms[0], "%s/%s", s->path, name);
    return room;
}

static inline void scratch_write(const struct scratch *s, const char *name, const void *data,
                                 size_t bytes)
{
    FILE *f = fopen(scratch_path(s, name), "wb");
    if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f) != 0)
        abort();
}

#endif
