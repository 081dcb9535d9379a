/* archive.c - see archive.h. The only file that knows libarchive and zlib.
 *
 * zlib unzips and libarchive reads the tar in what comes out. libarchive could unzip too, but does
 * not compare gzip's CRC-32 with what it read, so a bit that flipped would go unnoticed.
 */
#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/arena.h"

enum { BLOCK = 128 * 1024 };

struct unzip {
    gzFile file;
    char block[BLOCK]; /* what libarchive is reading */
};

void unpack_describe(const struct unpack *u, char *text, size_t size)
{
    if (u->member[0])
        snprintf(text, size, "'%s' in '%s'", u->member, u->path);
    else
        snprintf(text, size, "'%s'", u->path);
}

/* "cannot <what> <place>: <cause>". */
static int unpack_error(const struct unpack *u, const char *what, const char *cause, struct err *e)
{
    char place[sizeof u->path + sizeof u->member + 16], lower[256];
    unpack_describe(u, place, sizeof place);
    snprintf(lower, sizeof lower, "%s", cause ? cause : "damaged");
    lower[0] = (char)tolower((unsigned char)lower[0]);
    return err_set(e, EXIT_DATA, "cannot %s %s: %s", what, place, lower);
}

/* Why reading stopped, or NULL if the file is over, its sum and its length being right. */
static const char *unzip_cause(gzFile file)
{
    int code;
    gzerror(file, &code);
    switch (code) {
    case Z_OK:
    case Z_STREAM_END: return NULL;
    case Z_ERRNO: return strerror(errno);
    case Z_BUF_ERROR: return "its gzip data ends too early";
    case Z_MEM_ERROR: return "no memory to unzip it";
    default: return "its gzip data is damaged";
    }
}

/* Reads up to `bytes` bytes, fewer only at the end. Returns how many, or -1 and the cause. */
static int64_t unzip_read(struct unzip *z, void *data, size_t bytes, const char **cause)
{
    size_t got = 0;
    while (got < bytes) {
        size_t most = bytes - got < BLOCK ? bytes - got : BLOCK;
        int n = gzread(z->file, (char *)data + got, (unsigned)most);
        if (n < (int)most && (*cause = unzip_cause(z->file)))
            return -1;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

/* Opens the file; what it holds is read with unzip_read, whether it is gzipped or not. */
static int open_unzip(struct unpack *u, const char *path, struct err *e)
{
    memset(u, 0, sizeof *u);
    snprintf(u->path, sizeof u->path, "%s", path);
    errno = 0;
    gzFile file = gzopen(path, "rbe");
    if (!file)
        return err_errno(e, EXIT_DATA, errno ? errno : ENOMEM, "cannot open '%s'", path);
    gzbuffer(file, BLOCK);
    struct unzip *z = xmalloc(sizeof *z);
    z->file = file;
    u->unzip = z;
    return 0;
}

/* What libarchive calls for more of the tar. */
static la_ssize_t give_block(struct archive *a, void *user, const void **block)
{
    struct unzip *z = user;
    const char *cause;
    int64_t n = unzip_read(z, z->block, BLOCK, &cause);
    if (n < 0)
        archive_set_error(a, EIO, "%s", cause);
    *block = z->block;
    return n < 0 ? -1 : (la_ssize_t)n;
}

int unpack_open_file(struct unpack *u, const char *path, struct err *e)
{
    return open_unzip(u, path, e);
}

int unpack_open_tar(struct unpack *u, const char *path, struct err *e)
{
    if (open_unzip(u, path, e) != 0)
        return -1;
    struct archive *a = archive_read_new();
    if (!a) {
        unpack_close(u);
        return err_set(e, EXIT_FAILED, "no memory to read '%s'", path);
    }
    u->reader = a;
    archive_read_support_format_empty(a);
    archive_read_support_format_tar(a);
    if (archive_read_open(a, u->unzip, NULL, give_block, NULL) == ARCHIVE_OK)
        return 0;
    unpack_error(u, "read", archive_error_string(a), e);
    unpack_close(u);
    return -1;
}

/* Behind the end of a tar only zeros come, but gzip's sum stands after them. */
static int read_to_end(struct unpack *u, struct err *e)
{
    struct unzip *z = u->unzip;
    const char *cause;
    int64_t n;
    while ((n = unzip_read(z, z->block, BLOCK, &cause)) > 0)
        continue;
    return n < 0 ? unpack_error(u, "read", cause, e) : 0;
}

int unpack_next(struct unpack *u, struct err *e)
{
    for (;;) {
        struct archive_entry *entry;
        u->member[0] = '\0';
        int status = archive_read_next_header(u->reader, &entry);
        if (status == ARCHIVE_EOF)
            return read_to_end(u, e);
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN)
            return unpack_error(u, "read", archive_error_string(u->reader), e);
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
    if (!u->reader) {
        const char *cause;
        int64_t n = unzip_read(u->unzip, data, bytes, &cause);
        return n < 0 ? unpack_error(u, "read", cause, e) : n;
    }
    while (got < bytes) {
        la_ssize_t n = archive_read_data(u->reader, (char *)data + got, bytes - got);
        if (n == 0)
            break;
        if (n < 0)
            return unpack_error(u, "read", archive_error_string(u->reader), e);
        got += (size_t)n;
    }
    return (int64_t)got;
}

void unpack_close(struct unpack *u)
{
    if (u->reader)
        archive_read_free(u->reader);
    if (u->unzip) {
        gzclose_r(u->unzip->file);
        free(u->unzip);
    }
    u->reader = NULL;
    u->unzip = NULL;
}
