/* archive.c - see archive.h. The only file that knows libarchive. */
#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 * 1024 };

void unpack_describe(const struct unpack *u, char *text, size_t size)
{
    if (u->member[0])
        snprintf(text, size, "'%s' in '%s'", u->member, u->path);
    else
        snprintf(text, size, "'%s'", u->path);
}

/* Makes a sentence of what libarchive says. */
static int unpack_error(struct unpack *u, const char *what, struct err *e)
{
    char place[sizeof u->path + sizeof u->member + 16], cause[256];
    const char *said = archive_error_string(u->reader);
    unpack_describe(u, place, sizeof place);
    snprintf(cause, sizeof cause, "%s", said ? said : "damaged");
    cause[0] = (char)tolower((unsigned char)cause[0]);
    return err_set(e, EXIT_DATA, "cannot %s %s: %s", what, place, cause);
}

static int open_with(struct unpack *u, const char *path, int (*format)(struct archive *),
                     struct err *e)
{
    memset(u, 0, sizeof *u);
    snprintf(u->path, sizeof u->path, "%s", path);
    struct archive *a = archive_read_new();
    if (!a)
        return err_set(e, EXIT_FAILED, "no memory to read '%s'", path);
    u->reader = a;
    archive_read_support_filter_gzip(a);
    archive_read_support_format_empty(a);
    format(a);
    if (archive_read_open_filename(a, path, BLOCK) == ARCHIVE_OK)
        return 0;
    int cause = archive_errno(a);
    if (cause > 0 && cause != EILSEQ) /* which libarchive uses for a format that it cannot tell */
        err_errno(e, EXIT_DATA, cause, "cannot open '%s'", path);
    else
        unpack_error(u, "read", e);
    unpack_close(u);
    return -1;
}

int unpack_open_file(struct unpack *u, const char *path, struct err *e)
{
    if (open_with(u, path, archive_read_support_format_raw, e) != 0)
        return -1;
    struct archive_entry *entry;
    int status = archive_read_next_header(u->reader, &entry);
    if (status == ARCHIVE_OK)
        return 0;
    if (status != ARCHIVE_EOF)
        unpack_error(u, "read", e);
    unpack_close(u); /* an empty file has no entry to read from */
    return status == ARCHIVE_EOF ? 0 : -1;
}

int unpack_open_tar(struct unpack *u, const char *path, struct err *e)
{
    return open_with(u, path, archive_read_support_format_tar, e);
}

int unpack_next(struct unpack *u, struct err *e)
{
    for (;;) {
        struct archive_entry *entry;
        u->member[0] = '\0';
        int status = archive_read_next_header(u->reader, &entry);
        if (status == ARCHIVE_EOF)
            return 0;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return unpack_error(u, "read", e);
        const char *name = archive_entry_pathname(entry);
        if (!name || archive_entry_filetype(entry) != AE_IFREG)
            continue;
        const char *slash = strrchr(name, '/');
        snprintf(u->member, sizeof u->member, "%s", slash ? slash + 1 : name);
        return 1;
    }
}

int64_t unpack_read(struct unpack *u, void *data, size_t bytes, struct err *e)
{
    size_t got = 0;
    while (u->reader && got < bytes) {
        la_ssize_t n = archive_read_data(u->reader, (char *)data + got, bytes - got);
        if (n == 0)
            break;
        if (n < 0)
            return unpack_error(u, "read", e);
        got += (size_t)n;
    }
    return (int64_t)got;
}

void unpack_close(struct unpack *u)
{
    if (u->reader)
        archive_read_free(u->reader);
    u->reader = NULL;
}
