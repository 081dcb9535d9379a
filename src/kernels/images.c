/* images.c - the plain versions of loading images: one body, compiled for each precision. */
#include "kernels/pointwise.h"

#include <assert.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    ROW_MAX = 64, /* pixels of a row */
    LEVELS = 256
};

/* i in [-(size-1), 2*(size-1)] mirrored into [0, size) at the first and last pixel. */
static int reflect(int i, int size)
{
    i = i < 0 ? -i : i;
    i = i >= size ? 2 * (size - 1) - i : i;
    assert(0 <= i && i < size);
    return i;
}

/* A line that begins with `bytes` bytes of `from`; the rest is zero. */
static inline void put_line(const void *from, size_t bytes, void *line)
{
    memcpy(line, from, bytes);
    memset((char *)line + bytes, 0, LINE - bytes);
}

/* The same past the caches, for 8, 16 or 32 bytes. The input of a large batch is mostly padding,
 * which would first be read. */
#ifdef __SSE2__
static inline void stream_line(const void *from, size_t bytes, void *line)
{
    const __m128i *parts = from, zero = _mm_setzero_si128();
    _mm_stream_si128((__m128i *)line, bytes < 16 ? _mm_loadl_epi64(parts) : _mm_loadu_si128(parts));
    _mm_stream_si128((__m128i *)line + 1, bytes < 32 ? zero : _mm_loadu_si128(parts + 1));
    _mm_stream_si128((__m128i *)line + 2, zero);
    _mm_stream_si128((__m128i *)line + 3, zero);
}

static inline void stream_end(void)
{
    _mm_sfence();
}
#else
#define stream_line put_line

static inline void stream_end(void) {}
#endif

#define BODY "kernels/images_body.h"
#include "kernels/each_precision_body.h"

void images_kernels_init(struct pointwise_kernels *k, enum precision p)
{
    CALL_FOR_PRECISION(p, images_init, k);
}
