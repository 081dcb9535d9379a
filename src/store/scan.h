/* scan.h - which run directories a folder holds, found by looking.
 *
 * Runs lie in the folder itself, or deeper (a sweep keeps its trials in DIR/trials/ID). A run
 * directory is not searched for others; names that begin with a dot are left out; a link is looked
 * at as a run, but not searched.
 */
#ifndef KILN_STORE_SCAN_H
#define KILN_STORE_SCAN_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

/* How status.json looked (config.ini where there is none): while that is the same, so is the run.
 * The writers of a run replace status.json last. */
struct scan_mark {
    int64_t time, size, inode;     /* nanoseconds; bytes, negative for config.ini */
};

struct scan_run {
    const char *path;              /* below the folder: "a", "sweep/trials/1" */
    struct scan_mark mark;
};

struct scan {
    struct arena memory;
    struct scan_run *runs;         /* [count], sorted by path, byte by byte */
    size_t count;
};

/* Searches `folder`. Fails with EXIT_DATA when it cannot be read; folders below it that cannot be
 * are left out with a warning. The caller ends it with scan_release, also after a failure. */
int scan_folder(struct scan *s, const char *folder, struct err *e);
void scan_release(struct scan *s);

#endif
