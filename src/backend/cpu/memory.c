/* memory.c - device memory, which on a CPU is ordinary memory, and copies to and from it. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "base/arena.h"
#include "kernels/bf16.h"

static void *memory_new(struct backend *b, size_t bytes, const char *what, struct err *e)
{
    (void)b;
    return big_new(bytes, what, e);
}

static void memory_free(struct backend *b, void *p, size_t bytes)
{
    (void)b;
    big_free(p, bytes);
}

static void write_reals(struct backend *b, void *dst, const double *src, size_t count)
{
    if (b->precision == PRECISION_FP64) {
        memcpy(dst, src, count * sizeof *src);
        return;
    }
    for (size_t i = 0; i < count; i++)
        ((float *)dst)[i] = (float)src[i];
}

static void read_reals(struct backend *b, double *dst, const void *src, size_t count)
{
    if (b->precision == PRECISION_FP64) {
        memcpy(dst, src, count * sizeof *dst);
        return;
    }
    for (size_t i = 0; i < count; i++)
        dst[i] = (double)((const float *)src)[i];
}

enum { COPY_PART = 1 << 18 }; /* bytes: more than one of these is worth the threads */

struct copy_job {
    char *dst;
    const char *src;
    size_t bytes;
};

static void copy_part(void *ctx, int part, int worker)
{
    (void)worker;
    const struct copy_job *j = ctx;
    size_t at = (size_t)part * COPY_PART, left = j->bytes - at;
    memmove(j->dst + at, j->src + at, left < COPY_PART ? left : COPY_PART);
}

/* The operands are the same or do not overlap. */
static void copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    struct copy_job j = {dst, src, bytes};
    cpu_parallel(cpu_of(b), (int)((bytes + COPY_PART - 1) / COPY_PART), copy_part, &j);
}

static void zero(struct backend *b, void *dst, size_t bytes)
{
    (void)b;
    memset(dst, 0, bytes);
}

struct map_copy {
    enum precision precision;
    int n;
    const struct map *map;
    const double *src; /* host, [n, c, h, w]; one of src and dst is NULL */
    double *dst;
};

static void write_element(const struct map_copy *m, size_t at, double v)
{
    if (m->precision == PRECISION_FP64)
        ((double *)m->map->data)[at] = v;
    else if (m->precision == PRECISION_BF16)
        ((struct bf16 *)m->map->data)[at] = bf16_from_float((float)v);
    else
        ((float *)m->map->data)[at] = (float)v;
}

static double read_element(const struct map_copy *m, size_t at)
{
    if (m->precision == PRECISION_FP64)
        return ((const double *)m->map->data)[at];
    if (m->precision == PRECISION_BF16)
        return (double)bf16_to_float(((const struct bf16 *)m->map->data)[at]);
    return (double)((const float *)m->map->data)[at];
}

/* One image of a map, to or from the host. */
static void copy_image(void *ctx, int image, int worker)
{
    (void)worker;
    const struct map_copy *m = ctx;
    int c = m->map->c, h = m->map->h, w = m->map->w;
    int channels = layout_cblocks(m->precision, c) * layout_cb(m->precision);
    for (int cc = 0; cc < channels; cc++) {
        size_t host = ((size_t)image * (size_t)c + (size_t)cc) * (size_t)h * (size_t)w;
        for (int y = 0; y < h; y++) {
            for (int x = 0; x < w; x++) {
                size_t at = layout_at(m->precision, h, w, c, image, y, x, cc);
                size_t from = host + (size_t)y * (size_t)w + (size_t)x;
                if (m->dst && cc < c)
                    m->dst[from] = read_element(m, at);
                else if (m->src)
                    write_element(m, at, cc < c ? m->src[from] : 0);
            }
        }
    }
}

static void write_map(struct backend *b, int n, const struct map *dst, const double *src)
{
    struct map_copy m = {b->precision, n, dst, src, NULL};
    cpu_parallel(cpu_of(b), n, copy_image, &m);
}

static void read_map(struct backend *b, int n, double *dst, const struct map *src)
{
    struct map_copy m = {b->precision, n, src, NULL, dst};
    cpu_parallel(cpu_of(b), n, copy_image, &m);
}

void cpu_memory_ops(struct backend_ops *ops)
{
    ops->memory_new = memory_new;
    ops->memory_free = memory_free;
    ops->write_reals = write_reals;
    ops->read_reals = read_reals;
    ops->write_bytes = copy;
    ops->read_bytes = copy;
    ops->copy = copy;
    ops->zero = zero;
    ops->write_map = write_map;
    ops->read_map = read_map;
}
