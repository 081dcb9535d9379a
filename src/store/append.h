/* append.h - a file that only grows, line by line, with one writer.
 *
 * A line is in the file whole or not at all: when writing one fails, what got there is cut off
 * again, as far as the disk allows. Readers must still ignore a last line without its newline.
 *
 * When there is no room for a line (a full disk or quota), it waits in memory, and those after it:
 * whoever is at work for an hour does not want to lose it to a disk that was full for a minute.
 * Each further call tries to write what waits.
 */
#ifndef KILN_STORE_APPEND_H
#define KILN_STORE_APPEND_H

#include <stddef.h>

#include "base/err.h"

struct append {
    int fd;            /* -1: closed */
    size_t size;       /* of the whole lines in the file */
    char *waiting;     /* lines for which there was no room; owned */
    size_t waiting_bytes;
    char path[4096];
};

enum { APPEND_WAITING_MOST = 64 << 20 }; /* bytes */

/* Opens or makes `path` and cuts it to its first `keep` bytes (at most what is there). */
int append_open(struct append *a, const char *path, size_t keep, struct err *e);

/* Adds `bytes` bytes, which end in a newline. Returns 0 when everything is in the file; 1, with the
 * cause in e, when there was no room and lines wait; -1 on any other failure, also when too much
 * waits already: this line is then lost. */
int append_add(struct append *a, const char *line, size_t bytes, struct err *e);

/* Writes what waits and makes all that was added durable; -1 if there still is no room. */
int append_sync(struct append *a, struct err *e);

/* Closes; safe on a struct with fd -1. What is written stays, what waits is lost. */
void append_close(struct append *a);

#endif
