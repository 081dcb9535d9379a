/* netfile.h - the text of a .net file as lines of words, each with its position.
 *
 * Words are separated by blanks; `#` starts a comment that ends with the line. Nothing is known
 * here of layers: graph.c gives the words their meaning. docs/networks.md has the grammar.
 */
#ifndef KILN_NN_NETFILE_H
#define KILN_NN_NETFILE_H

#include "base/arena.h"
#include "base/err.h"

struct word {
    const char *text;
    int column;          /* in bytes, from 1 */
};

struct netline {
    int number;          /* from 1 */
    struct word *words;  /* at least one */
    int count;
};

struct netfile {
    const char *file;    /* name for messages */
    struct netline *lines; /* those that say something */
    int count;
};

/* Cuts `text` into words; memory from `a`. Fails on characters that are neither printable ASCII nor
 * blanks, outside comments. */
int netfile_read(struct netfile *f, struct arena *a, const char *file, const char *text,
                 struct err *e);

/* Fills `e` with "<file>:<line>:<column>: <cause>" and EXIT_USAGE; returns -1. */
int netfile_fail(struct err *e, const char *file, int line, int column, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
