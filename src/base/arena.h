/* arena.h - memory named by lifetime.
 *
 * An arena grows by chunks and is freed whole. Whoever makes one owns everything in it; what it
 * hands out is zeroed, aligned to 64 bytes, and never moves. Running out of memory here ends the
 * program with one sentence: these are small things. The big buffers (images, activations) come
 * from big_new, whose failure is an ordinary error.
 */
#ifndef KILN_BASE_ARENA_H
#define KILN_BASE_ARENA_H

#include <stddef.h>

#include "base/err.h"

struct arena {
    struct arena_chunk *chunks; /* newest first; NULL for an empty arena */
};

/* Makes `a` an empty arena. An arena of all zero bits is empty too. */
void arena_init(struct arena *a);

/* Frees everything that came from `a` and leaves it empty. */
void arena_release(struct arena *a);

/* Returns `count * size` zeroed bytes, aligned to 64; never NULL, even for zero bytes. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* Returns a copy of `text` (with its end) or of its first `n` bytes plus an end. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t n);

/* Returns the text that printf would print. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Heap memory that may be missing from an arena's point of view: these die when there is none. */
void *xmalloc(size_t bytes);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t bytes);

/* A large zeroed block, aligned to 2 MiB, huge pages asked for. Returns NULL and fills `e`
 * ("no memory for <what>: 1234 MiB asked") when the machine has not that much. */
void *big_new(size_t bytes, const char *what, struct err *e);
void big_free(void *p, size_t bytes);

/* Bytes of memory that such a block takes: whole huge pages. */
size_t big_bytes(size_t bytes);

/* Counts calls of arena_alloc, x*alloc and big_new since the program started: the test that the
 * training step allocates nothing reads it. */
size_t alloc_count(void);

#endif
