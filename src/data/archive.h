/* archive.h - bytes out of plain, gzipped and tar.gz files, as a stream.
 *
 * Errors (EXIT_DATA) name the file and, within a tar, the member. Compressed data is compared with
 * the sum and the length that gzip puts behind it: once it was read to its end (a file until a read
 * gives less than was asked for, a tar until unpack_next returns 0), it is what was packed. Plain
 * files carry no sum; for those there is the hash of a data set.
 *
 * The names start with unpack_ because archive_ is libarchive's.
 */
#ifndef KILN_DATA_ARCHIVE_H
#define KILN_DATA_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unpack {
    struct unzip *unzip;  /* where the bytes come from; NULL when closed */
    void *reader;         /* libarchive's, of a tar */
    char path[4096];
    char member[256];     /* its name without folders; "" outside a tar */
};

/* Opens a file that is gzipped or not, for reading what is inside it. */
int unpack_open_file(struct unpack *u, const char *path, struct err *e);

/* Opens a tar, compressed or not. unpack_next comes before unpack_read. */
int unpack_open_tar(struct unpack *u, const char *path, struct err *e);

/* Goes to the next member that is an ordinary file and puts its name into u->member. Returns 1, 0
 * at the end, or -1 when the archive is damaged. */
int unpack_next(struct unpack *u, struct err *e);

/* Reads `bytes` bytes, fewer only at the end. Returns how many were read, or -1. */
int64_t unpack_read(struct unpack *u, void *data, size_t bytes, struct err *e);

/* "'<path>'" or "'<member>' in '<path>'", for messages. */
void unpack_describe(const struct unpack *u, char *text, size_t size);

/* Safe on a closed one and on zero bits. */
void unpack_close(struct unpack *u);

#endif
