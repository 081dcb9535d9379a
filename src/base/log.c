/* log.c - see log.h. */
#define _POSIX_C_SOURCE 200809L
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum log_level current = LOG_NORMAL;

void log_set_level(enum log_level level)
{
    current = level;
}

enum log_level log_get_level(void)
{
    return current;
}

/* A progress line may stand on the terminal: the message takes its place. */
static const char *line_start(void)
{
    const char *term = getenv("TERM");
    bool plain = !isatty(STDERR_FILENO) || !term || strcmp(term, "dumb") == 0;
    return plain ? "" : "\r\033[K";
}

static void say(const char *kind, const char *format, va_list ap)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, ap);
    fprintf(stderr, "%skiln: %s%s\n", line_start(), kind, text);
}

void log_say(const char *format, ...)
{
    if (current == LOG_QUIET)
        return;
    va_list ap;
    va_start(ap, format);
    say("", format, ap);
    va_end(ap);
}

void log_warn(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say("warning: ", format, ap);
    va_end(ap);
}

void log_error(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say("", format, ap);
    va_end(ap);
}
