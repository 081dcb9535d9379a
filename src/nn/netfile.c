/* netfile.c - see netfile.h. */
#include "nn/netfile.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int netfile_fail(struct err *e, const char *file, int line, int column, const char *format, ...)
{
    char cause[sizeof e->text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(cause, sizeof cause, format, ap);
    va_end(ap);
    return err_set(e, EXIT_USAGE, "%s:%d:%d: %s", file, line, column, cause);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_line(char c)
{
    return c == '\0' || c == '\n' || c == '#';
}

/* The word at *at, or one with text NULL at the end of the line; *at moves behind it. */
static struct word next_word(struct arena *a, const char *line, const char **at)
{
    const char *start = *at;
    while (is_blank(*start))
        start++;
    const char *end = start;
    while (!is_blank(*end) && !ends_line(*end))
        end++;
    *at = end;
    struct word w = {.text = NULL, .column = (int)(start - line) + 1};
    if (end > start)
        w.text = arena_strndup(a, start, (size_t)(end - start));
    return w;
}

static int check_characters(const struct netfile *f, const struct netline *line, struct err *e)
{
    for (int i = 0; i < line->count; i++)
        for (const char *c = line->words[i].text; *c; c++)
            if (*c < ' ' || *c > '~')
                return netfile_fail(e, f->file, line->number,
                                    line->words[i].column + (int)(c - line->words[i].text),
                                    "unexpected byte 0x%02x", (unsigned)(unsigned char)*c);
    return 0;
}

/* Reads the words of the line at `text`; returns the start of the next line, or NULL at the end of
 * the text. */
static const char *read_line(struct netline *line, struct arena *a, const char *text)
{
    size_t length = strcspn(text, "\n");
    line->words = arena_alloc(a, length / 2 + 1, sizeof *line->words);
    line->count = 0;
    const char *at = text;
    for (struct word w = next_word(a, text, &at); w.text; w = next_word(a, text, &at))
        line->words[line->count++] = w;
    return text[length] ? text + length + 1 : NULL;
}

int netfile_read(struct netfile *f, struct arena *a, const char *file, const char *text,
                 struct err *e)
{
    size_t newlines = 0;
    for (const char *c = text; *c; c++)
        newlines += *c == '\n';
    f->file = file;
    f->lines = arena_alloc(a, newlines + 1, sizeof *f->lines);
    f->count = 0;
    int number = 0;
    for (const char *next = text; next;) {
        struct netline *line = &f->lines[f->count];
        line->number = ++number;
        next = read_line(line, a, next);
        if (line->count == 0)
            continue;
        if (check_characters(f, line, e))
            return -1;
        f->count++;
    }
    return 0;
}
