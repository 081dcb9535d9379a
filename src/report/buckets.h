/* buckets.h - items 0, 1, 2 ... found by a hash, so that thousands of runs are compared with few.
 *
 *     for (size_t i = buckets_first(&b, hash); i != BUCKETS_END; i = buckets_next(&b, i))
 *         if (same(i)) return i;
 *     return buckets_add(&b, hash);
 *
 * Items of one hash are found latest first. A zeroed struct is empty.
 */
#ifndef KILN_REPORT_BUCKETS_H
#define KILN_REPORT_BUCKETS_H

#include <stddef.h>
#include <stdint.h>

#define BUCKETS_END SIZE_MAX

struct buckets {
    size_t *heads;               /* [places], a power of two: the latest item of each, or END */
    size_t *next;                /* [count]: the item before it in its place */
    uint64_t *hashes;            /* [count] */
    size_t places, count;
};

/* FNV-1a of a text, its end included, on top of `hash` (0 to begin with). */
uint64_t buckets_hash(uint64_t hash, const char *text);

/* The latest item of that hash, and the one before item i; BUCKETS_END: there is none. */
size_t buckets_first(const struct buckets *b, uint64_t hash);
size_t buckets_next(const struct buckets *b, size_t i);

/* Adds the next item; returns its number. */
size_t buckets_add(struct buckets *b, uint64_t hash);

void buckets_release(struct buckets *b);

#endif
