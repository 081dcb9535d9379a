/* err.c - see err.h. */
#define _GNU_SOURCE /* EDQUOT */
#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum exit_code exit_code_of_signal(int signal_number)
{
    switch (signal_number) {
    case SIGINT: return EXIT_SIGINT;
    case SIGTERM: return EXIT_SIGTERM;
    case SIGUSR1: return EXIT_REQUEUE;
    default: return EXIT_FAILED;
    }
}

int err_set(struct err *e, enum exit_code code, const char *format, ...)
{
    if (!e)
        return -1;
    /* The arguments may point into e->text, so the sentence is made beside it. */
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(e->text, text, sizeof text);
    e->code = code;
    e->no_room = false;
    return -1;
}

int err_errno(struct err *e, enum exit_code code, int errno_value, const char *format, ...)
{
    if (!e)
        return -1;
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof text) {
        char cause[128];
        snprintf(cause, sizeof cause, "%s", strerror(errno_value));
        cause[0] = (char)tolower((unsigned char)cause[0]);
        snprintf(text + n, sizeof text - (size_t)n, ": %s", cause);
    }
    memcpy(e->text, text, sizeof text);
    e->code = code;
    e->no_room = errno_value == ENOSPC || errno_value == EDQUOT;
    return -1;
}

int err_prefix(struct err *e, const char *format, ...)
{
    if (!e)
        return -1;
    char prefix[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    bool no_room = e->no_room;
    err_set(e, e->code, "%s: %.*s", prefix, (int)(sizeof e->text - sizeof prefix - 3), e->text);
    e->no_room = no_room;
    return -1;
}
