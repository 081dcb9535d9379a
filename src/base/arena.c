/* arena.c - see arena.h. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, madvise */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, CHUNK = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    char pad[ALIGN - 3 * sizeof(size_t)];
    /* `size` bytes follow, aligned to ALIGN because the head is ALIGN bytes long. */
};

static_assert(sizeof(struct arena_chunk) == ALIGN, "the data behind the head stays aligned");

static atomic_size_t calls;

size_t alloc_count(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

static void die(size_t bytes)
{
    fprintf(stderr, "kiln: out of memory: %zu bytes asked\n", bytes);
    exit(EXIT_FAILED);
}

static size_t product(size_t a, size_t b)
{
    size_t n;
    if (__builtin_mul_overflow(a, b, &n))
        die(SIZE_MAX);
    return n;
}

void *xmalloc(size_t bytes)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        die(bytes);
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    size_t bytes = product(count, size);
    return memset(xmalloc(bytes), 0, bytes);
}

void *xrealloc(void *p, size_t bytes)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        die(bytes);
    return q;
}

void arena_init(struct arena *a)
{
    a->chunks = NULL;
}

void arena_release(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    a->chunks = NULL;
}

static struct arena_chunk *chunk_new(size_t size)
{
    if (size > SIZE_MAX - 2 * ALIGN)
        die(size);
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_chunk *c = aligned_alloc(ALIGN, sizeof *c + size);
    if (!c)
        die(size);
    c->next = NULL;
    c->used = 0;
    c->size = size;
    return c;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    size_t bytes = product(count, size);
    struct arena_chunk *c = a->chunks;
    if (!c || c->size - c->used < bytes) {
        c = chunk_new(bytes > CHUNK ? bytes : CHUNK);
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = (char *)(c + 1) + c->used;
    size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    c->used += rounded < c->size - c->used ? rounded : c->size - c->used;
    return memset(p, 0, bytes);
}

char *arena_strndup(struct arena *a, const char *text, size_t n)
{
    char *copy = arena_alloc(a, n + 1, 1);
    memcpy(copy, text, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
    return arena_strndup(a, text, strlen(text));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    assert(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

enum { HUGE_PAGE = 2 << 20 };

static size_t big_round(size_t bytes)
{
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

size_t big_bytes(size_t bytes)
{
    return big_round(bytes ? bytes : 1);
}

void *big_new(size_t bytes, const char *what, struct err *e)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (bytes > SIZE_MAX / 2 || bytes == 0)
        bytes = bytes ? SIZE_MAX / 2 : 1;
    size_t rounded = big_round(bytes), room = rounded + HUGE_PAGE;
    char *raw = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) {
        err_set(e, EXIT_FAILED, "no memory for %s: %zu MiB asked", what, bytes >> 20);
        return NULL;
    }
    /* Trim to an aligned block, so that big_free needs to know only its size. */
    uintptr_t start = (uintptr_t)raw;
    size_t head = (HUGE_PAGE - start % HUGE_PAGE) % HUGE_PAGE;
    if (head)
        munmap(raw, head);
    if (HUGE_PAGE - head)
        munmap(raw + head + rounded, HUGE_PAGE - head);
    madvise(raw + head, rounded, MADV_HUGEPAGE);
    return raw + head;
}

void big_free(void *p, size_t bytes)
{
    if (p)
        munmap(p, big_round(bytes ? bytes : 1));
}
