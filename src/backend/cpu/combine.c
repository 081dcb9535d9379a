/* combine.c - sums, multiples and concatenations of maps. */
#include <assert.h>

#include "backend/cpu/cpu.h"

enum { ITEM_BYTES = 32 * IMAGES * LINE }; /* 64 KiB of one map: a few microseconds of work */

struct combine_pass {
    struct cpu_backend *b;
    size_t bytes;
    double factor;
    const char *a, *other; /* other NULL: a multiple of a */
    char *y;
};

static void combine_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct combine_pass *p = ctx;
    const struct pointwise_kernels *k = &p->b->kernels.pointwise;
    size_t begin = (size_t)item * ITEM_BYTES, rest = p->bytes - begin;
    size_t count = (rest < ITEM_BYTES ? rest : ITEM_BYTES) / precision_bytes(p->b->base.precision);
    if (p->other)
        k->add(count, p->a + begin, p->other + begin, p->y + begin);
    else
        k->scale(count, p->factor, p->a + begin, p->y + begin);
}

static bool same_shape(const struct map *a, const struct map *b)
{
    return a->c == b->c && a->h == b->h && a->w == b->w;
}

static void combine(struct backend *base, int n, double factor, const struct map *a,
                    const struct map *other, const struct map *y)
{
    assert(same_shape(a, y) && (!other || same_shape(other, y)));
    size_t bytes = layout_bytes(base->precision, n, y->h, y->w, y->c);
    struct combine_pass p = {cpu_of(base), bytes, factor, a->data, other ? other->data : NULL,
                             y->data};
    cpu_parallel(p.b, (int)((bytes + ITEM_BYTES - 1) / ITEM_BYTES), combine_item, &p);
}

static void add(struct backend *b, int n, const struct map *a, const struct map *other,
                const struct map *y)
{
    combine(b, n, 1, a, other, y);
}

static void scale(struct backend *b, int n, double factor, const struct map *x,
                  const struct map *y)
{
    combine(b, n, factor, x, NULL, y);
}

struct channels_pass {
    struct cpu_backend *b;
    struct channel_copy copy; /* of one row of pixels */
    const char *from;
    char *to;
};

/* One row of one block. */
static void channels_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct channels_pass *p = ctx;
    enum precision precision = p->b->base.precision;
    size_t from_row = layout_bytes(precision, 1, 1, p->copy.pixels, p->copy.from_channels);
    size_t to_row = layout_bytes(precision, 1, 1, p->copy.pixels, p->copy.to_channels);
    p->b->kernels.pointwise.copy_channels(&p->copy, p->from + (size_t)item * from_row,
                                          p->to + (size_t)item * to_row);
}

static void copy_channels(struct backend *base, int n, const struct map *from, int first,
                          const struct map *to, int to_first, int count)
{
    assert(from->h == to->h && from->w == to->w);
    struct channels_pass p = {
        cpu_of(base),
        {to->w, first, from->c, to_first, to->c, count},
        from->data,
        to->data,
    };
    cpu_parallel(p.b, layout_blocks(n) * to->h, channels_item, &p);
}

static void concat(struct backend *b, int n, const struct map *part, int first,
                   const struct map *whole)
{
    copy_channels(b, n, part, 0, whole, first, part->c);
}

static void split(struct backend *b, int n, const struct map *whole, int first,
                  const struct map *part)
{
    copy_channels(b, n, whole, first, part, 0, part->c);
}

void cpu_combine_ops(struct backend_ops *ops)
{
    ops->add = add;
    ops->scale = scale;
    ops->concat = concat;
    ops->split = split;
}
