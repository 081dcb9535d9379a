/* err.h - one error, told once, in a full sentence.
 *
 * A function that can fail for a reason outside the program takes a `struct err *` as its last
 * argument and returns -1 after putting one sentence there: lower case, no full stop, naming the
 * thing and the cause ("cannot open 'data_batch_1.bin': no such file"). Only cli/ and main.c print
 * it. The code is the exit status that the program ends with if nobody handles the error.
 *
 * Our own bugs are not errors: assert. Out of memory for small things dies in base/arena.c.
 */
#ifndef KILN_BASE_ERR_H
#define KILN_BASE_ERR_H

#include <stdbool.h>

/* Exit codes of every kiln command; documented in the man page. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,      /* the environment failed: disk full, no permission, no memory */
    EXIT_USAGE = 2,       /* command line, recipe or network file is wrong */
    EXIT_DATA = 3,        /* a data set or checkpoint is missing or damaged */
    EXIT_DIVERGED = 4,    /* a loss or gradient was not finite */
    EXIT_TARGET = 5,      /* the target accuracy was not reached */
    EXIT_MISMATCH = 6,    /* verification found different bits */
    EXIT_REQUEUE = 75,    /* checkpointed on request (SIGUSR1); run again to go on */
    EXIT_SIGINT = 130,    /* checkpointed after SIGINT */
    EXIT_SIGTERM = 143,   /* checkpointed after SIGTERM */
};

/* The exit code of a run that ended because of this signal. */
enum exit_code exit_code_of_signal(int signal_number);

struct err {
    enum exit_code code;
    bool no_room;         /* the disk or a quota is full, which may pass */
    char text[1024];
};

/* Puts a sentence and a code into `e` (which may be NULL: then it is dropped) and returns -1, so
 * that a failing function can end with `return err_set(e, EXIT_DATA, ...)`. The last call wins. */
int err_set(struct err *e, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the text of `errno_value` (strerror, lower-cased) appended. */
int err_errno(struct err *e, enum exit_code code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "<prefix>: " in front of the sentence already in `e`, keeps the code, returns -1. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
