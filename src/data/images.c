/* images.c - what all kinds share: room for records, and what is computed from them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "data/dataset.h"

static size_t image_bytes(int channels)
{
    return (size_t)channels * IMAGE_AREA;
}

int image_split_init(struct image_split *s, uint32_t count, int channels, struct err *e)
{
    s->pixels = big_new(count * image_bytes(channels), "images", e);
    if (!s->pixels)
        return -1;
    s->labels = xcalloc(count, 1);
    s->count = count;
    return 0;
}

static void split_release(struct image_split *s, int channels)
{
    big_free(s->pixels, s->count * image_bytes(channels));
    free(s->labels);
}

void images_release(struct images *images)
{
    split_release(&images->train, images->channels);
    split_release(&images->test, images->channels);
    arena_release(&images->names);
    memset(images, 0, sizeof *images);
}

/* The sums are exact integers, so the result does not depend on their order: 255^2 * 1024 * 2^32 is
 * below 2^63. */
static void measure_channel(const struct images *images, int channel, float *mean, float *std)
{
    const struct image_split *s = &images->train;
    uint64_t sum = 0, squares = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const uint8_t *plane = s->pixels + i * image_bytes(images->channels) +
                               (size_t)channel * IMAGE_AREA;
        uint32_t plane_sum = 0, plane_squares = 0;
        for (int k = 0; k < IMAGE_AREA; k++) {
            plane_sum += plane[k];
            plane_squares += (uint32_t)plane[k] * plane[k];
        }
        sum += plane_sum;
        squares += plane_squares;
    }
    double n = (double)s->count * IMAGE_AREA, m = (double)sum / n;
    double variance = (double)squares / n - m * m;
    *mean = (float)m;
    /* A channel that never changes is left as it is, not divided by zero. */
    *std = variance > 0 ? (float)sqrt(variance) : 1.0f;
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, HASH_BYTES);
}

static void add_number(struct hash *h, uint32_t n)
{
    const uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                              (uint8_t)(n >> 24)};
    hash_add(h, bytes, sizeof bytes);
}

static void add_split(struct hash *total, const struct image_split *s, int channels)
{
    size_t bytes = image_bytes(channels);
    uint8_t (*digests)[HASH_BYTES] = xcalloc(s->count, sizeof *digests);
    for (uint32_t i = 0; i < s->count; i++) {
        struct hash h;
        hash_init(&h, HASH_SHA256);
        hash_add(&h, &s->labels[i], 1);
        hash_add(&h, s->pixels + i * bytes, bytes);
        hash_bytes(&h, digests[i]);
    }
    qsort(digests, s->count, sizeof *digests, compare_digests);
    add_number(total, s->count);
    hash_add(total, digests, s->count * sizeof *digests);
    free(digests);
}

void images_finish(struct images *images)
{
    for (int c = 0; c < images->channels; c++)
        measure_channel(images, c, &images->mean[c], &images->std[c]);
    static const char heading[] = "kiln images 1\n";
    struct hash h;
    hash_init(&h, HASH_SHA256);
    hash_add(&h, heading, sizeof heading - 1);
    add_number(&h, (uint32_t)images->channels);
    add_split(&h, &images->train, images->channels);
    add_split(&h, &images->test, images->channels);
    hash_hex(&h, images->hash);
    const char *published = images->kind ? images->kind->published_hash : NULL;
    images->published = published && strcmp(published, images->hash) == 0;
}
