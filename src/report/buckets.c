/* buckets.c - see buckets.h. */
#include "report/buckets.h"

#include <stdlib.h>

#include "base/arena.h"

uint64_t buckets_hash(uint64_t hash, const char *text)
{
    hash ^= 0xcbf29ce484222325u;
    do {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    } while (*text++);
    return hash;
}

/* From item i on, itself included, the first of that hash. */
static size_t same(const struct buckets *b, size_t i, uint64_t hash)
{
    while (i != BUCKETS_END && b->hashes[i] != hash)
        i = b->next[i];
    return i;
}

size_t buckets_first(const struct buckets *b, uint64_t hash)
{
    return b->places ? same(b, b->heads[hash & (b->places - 1)], hash) : BUCKETS_END;
}

size_t buckets_next(const struct buckets *b, size_t i)
{
    return same(b, b->next[i], b->hashes[i]);
}

static void link_item(struct buckets *b, size_t i)
{
    size_t *head = &b->heads[b->hashes[i] & (b->places - 1)];
    b->next[i] = *head;
    *head = i;
}

static void grow(struct buckets *b)
{
    b->places = b->places ? 2 * b->places : 64;
    b->heads = xrealloc(b->heads, b->places * sizeof *b->heads);
    b->next = xrealloc(b->next, b->places * sizeof *b->next);
    b->hashes = xrealloc(b->hashes, b->places * sizeof *b->hashes);
    for (size_t p = 0; p < b->places; p++)
        b->heads[p] = BUCKETS_END;
    for (size_t i = 0; i < b->count; i++)
        link_item(b, i);
}

size_t buckets_add(struct buckets *b, uint64_t hash)
{
    if (b->count == b->places)
        grow(b);
    b->hashes[b->count] = hash;
    link_item(b, b->count);
    return b->count++;
}

void buckets_release(struct buckets *b)
{
    free(b->heads);
    free(b->next);
    free(b->hashes);
    *b = (struct buckets){0};
}
