/* append.h - a file that only grows, line by line, with one writer.
 *
 * A line is in the file whole or not at all: when writing one fails, what got there is cut off
 * again, as far as the disk allows. Readers must still ignore a last line without its newline.
 */
#ifndef KILN_STORE_APPEND_H
#define KILN_STORE_APPEND_H

#include <stddef.h>

#include "base/err.h"

struct append {
    int fd;            /* -1: closed */
    size_t size;       /* of the whole lines */
    char path[4096];
};

/* Opens or makes `path` and cuts it to its first `keep` bytes (at most what is there). */
int append_open(struct append *a, const char *path, size_t keep, struct err *e);

/* Adds `bytes` bytes, which end in a newline. */
int append_add(struct append *a, const char *line, size_t bytes, struct err *e);

/* Makes what was added durable. */
int append_sync(struct append *a, struct err *e);

/* Closes; safe on a struct with fd -1. What is written stays. */
void append_close(struct append *a);

#endif
