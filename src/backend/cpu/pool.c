/* pool.c - pooling. An item is one row of one block: an output row forward, an input row backward,
 * so that every element has one writer even where windows overlap. */
#include <assert.h>

#include "backend/cpu/cpu.h"

struct pool_pass {
    struct cpu_backend *b;
    const struct pool_shape *s;
    const char *in;      /* x forward, dy backward */
    char *out;           /* y forward, dx backward */
    uint8_t *argmax;
    const uint8_t *taken; /* argmax, backward */
    size_t in_block, out_block, argmax_block; /* bytes */
    int rows;
    bool stream;         /* maxpool backward: dx is too large for the caches */
};

static void max_forward_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pool_pass *p = ctx;
    size_t block = (size_t)(item / p->rows);
    int row = item % p->rows;
    p->b->kernels.pointwise.maxpool_forward(
        p->s, row, row + 1, p->in + block * p->in_block, p->out + block * p->out_block,
        p->argmax ? p->argmax + block * p->argmax_block : NULL);
}

static void max_backward_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pool_pass *p = ctx;
    size_t block = (size_t)(item / p->rows);
    int row = item % p->rows;
    p->b->kernels.pointwise.maxpool_backward(p->s, row, row + 1, p->in + block * p->in_block,
                                             p->taken + block * p->argmax_block, p->stream,
                                             p->out + block * p->out_block);
}

static void avg_forward_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pool_pass *p = ctx;
    size_t block = (size_t)(item / p->rows);
    int row = item % p->rows;
    p->b->kernels.pointwise.avgpool_forward(p->s, row, row + 1, p->in + block * p->in_block,
                                            p->out + block * p->out_block);
}

static void avg_backward_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct pool_pass *p = ctx;
    size_t block = (size_t)(item / p->rows);
    int row = item % p->rows;
    p->b->kernels.pointwise.avgpool_backward(p->s, row, row + 1, p->in + block * p->in_block,
                                             p->out + block * p->out_block);
}

/* `wide` is the map on the input's side of the pooling, `narrow` the one on the output's. */
static struct pool_pass pass_of(struct backend *base, const struct pool_shape *s,
                                const struct map *wide, const struct map *narrow, bool forward)
{
    assert(wide->c == s->c && wide->h == s->h && wide->w == s->w);
    assert(narrow->c == s->c && narrow->h == s->p && narrow->w == s->q);
    (void)wide, (void)narrow;
    size_t of_wide = layout_bytes(base->precision, 1, s->h, s->w, s->c);
    size_t of_narrow = layout_bytes(base->precision, 1, s->p, s->q, s->c);
    return (struct pool_pass){
        .b = cpu_of(base),
        .s = s,
        .in_block = forward ? of_wide : of_narrow,
        .out_block = forward ? of_narrow : of_wide,
        .argmax_block = of_narrow / precision_bytes(base->precision),
        .rows = forward ? s->p : s->h,
    };
}

static void maxpool_forward(struct backend *base, int n, const struct pool_shape *s,
                            const struct map *x, const struct map *y, uint8_t *argmax)
{
    struct pool_pass p = pass_of(base, s, x, y, true);
    p.in = x->data;
    p.out = y->data;
    p.argmax = argmax;
    cpu_parallel(p.b, layout_blocks(n) * p.rows, max_forward_item, &p);
}

static void maxpool_backward(struct backend *base, int n, const struct pool_shape *s,
                             const struct map *dy, const uint8_t *argmax, const struct map *dx)
{
    struct pool_pass p = pass_of(base, s, dx, dy, false);
    p.in = dy->data;
    p.out = dx->data;
    p.taken = argmax;
    p.stream = cpu_streams(p.b, n, dx);
    cpu_parallel(p.b, layout_blocks(n) * p.rows, max_backward_item, &p);
}

static void avgpool_forward(struct backend *base, int n, const struct pool_shape *s,
                            const struct map *x, const struct map *y)
{
    struct pool_pass p = pass_of(base, s, x, y, true);
    p.in = x->data;
    p.out = y->data;
    cpu_parallel(p.b, layout_blocks(n) * p.rows, avg_forward_item, &p);
}

static void avgpool_backward(struct backend *base, int n, const struct pool_shape *s,
                             const struct map *dy, const struct map *dx)
{
    struct pool_pass p = pass_of(base, s, dx, dy, false);
    p.in = dy->data;
    p.out = dx->data;
    cpu_parallel(p.b, layout_blocks(n) * p.rows, avg_backward_item, &p);
}

void cpu_pool_ops(struct backend_ops *ops)
{
    ops->maxpool_forward = maxpool_forward;
    ops->maxpool_backward = maxpool_backward;
    ops->avgpool_forward = avgpool_forward;
    ops->avgpool_backward = avgpool_backward;
}
