/* activation.c - activations that stand alone; after a batch norm they are part of norm.c. */
#include <assert.h>

#include "backend/cpu/cpu.h"

enum { ITEM_TILES = 32 }; /* 64 KiB of one map: a few microseconds of work */

struct act_pass {
    const struct pointwise_kernels *k;
    enum precision precision;
    enum activation act;
    double param;
    size_t bytes;
    const char *x, *dy;
    bool stream;            /* forward: out past the caches */
    char *out;
};

static void act_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct act_pass *p = ctx;
    size_t begin = (size_t)item * ITEM_TILES * IMAGES * LINE;
    size_t rest = p->bytes - begin, room = (size_t)ITEM_TILES * IMAGES * LINE;
    size_t count = (rest < room ? rest : room) / precision_bytes(p->precision);
    if (p->dy)
        p->k->act_backward(p->act, p->param, count, p->x + begin, p->dy + begin, p->out + begin);
    else
        p->k->act_forward(p->act, p->param, count, p->x + begin, p->stream, p->out + begin);
}

static void run(struct backend *base, int n, enum activation act, double param,
                const struct map *x, const struct map *dy, const struct map *out)
{
    assert(x->c == out->c && x->h == out->h && x->w == out->w);
    struct cpu_backend *b = cpu_of(base);
    size_t bytes = layout_bytes(base->precision, n, x->h, x->w, x->c);
    struct act_pass p = {.k = &b->kernels.pointwise, .precision = base->precision, .act = act,
                         .param = param, .bytes = bytes, .x = x->data,
                         .dy = dy ? dy->data : NULL, .stream = cpu_streams(b, n, out),
                         .out = out->data};
    size_t item = (size_t)ITEM_TILES * IMAGES * LINE;
    cpu_parallel(b, (int)((bytes + item - 1) / item), act_item, &p);
}

static void act_forward(struct backend *b, int n, enum activation act, double param,
                        const struct map *x, const struct map *y)
{
    run(b, n, act, param, x, NULL, y);
}

static void act_backward(struct backend *b, int n, enum activation act, double param,
                         const struct map *x, const struct map *dy, const struct map *dx)
{
    assert(dy->c == x->c && dy->h == x->h && dy->w == x->w);
    run(b, n, act, param, x, dy, dx);
}

void cpu_activation_ops(struct backend_ops *ops)
{
    ops->act_forward = act_forward;
    ops->act_backward = act_backward;
}
