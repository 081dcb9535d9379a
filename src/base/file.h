/* file.h - files, whole and atomic.
 *
 * Every error names the path and the cause. The writers never leave a half-written file under the
 * final name: they write a temporary beside it, fsync, rename, and fsync the folder.
 */
#ifndef KILN_BASE_FILE_H
#define KILN_BASE_FILE_H

#include <stddef.h>

#include "base/err.h"

/* Reads all of `path` into heap memory, ended by a zero byte that `*bytes` does not count; the
 * caller frees. Fails with `code` (EXIT_DATA, EXIT_USAGE ...). */
int file_read(const char *path, char **text, size_t *bytes, enum exit_code code, struct err *e);

/* Writes `bytes` bytes to `path`, atomically. */
int file_write(const char *path, const void *data, size_t bytes, struct err *e);

/* An atomic file that is written in pieces. After a failed append, abandon. */
struct file_writer {
    int fd;
    char path[4096], temporary[4096 + 16];
};
int file_writer_open(struct file_writer *w, const char *path, struct err *e);
int file_writer_append(struct file_writer *w, const void *data, size_t bytes, struct err *e);
/* fsync, rename, fsync folder. On failure the temporary is removed and the old file stays. */
int file_writer_commit(struct file_writer *w, struct err *e);
/* Removes the temporary; safe after a commit and on a writer of zero bits with fd = -1. */
void file_writer_abandon(struct file_writer *w);

/* Writes all of data to an open descriptor, going on after short writes and interruptions. Returns
 * -1 with errno set; how much was written is then unknown. */
int file_put(int fd, const void *data, size_t bytes);

/* Makes the names in the folder that `path` lies in durable. */
int file_sync_folder(const char *path, struct err *e);

/* Removes what writers of this folder left when they were killed. Only for a folder that nobody
 * else writes; what cannot be removed stays. */
void file_remove_temporaries(const char *folder);

/* Makes `path` and the folders above it; one that exists is fine. */
int file_make_folders(const char *path, struct err *e);

/* 1 if something exists at `path`, else 0. */
int file_exists(const char *path);

/* Joins with a slash into `out`; fails if it would not fit. */
int file_join(char *out, size_t size, const char *folder, const char *name, struct err *e);

#endif
