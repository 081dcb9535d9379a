/* optimise.c - passes over parameter vectors. */
#include "backend/cpu/cpu.h"

enum { ITEM = 1 << 14 }; /* elements */

struct vector_pass {
    struct cpu_backend *b;
    size_t count;
    const struct sgd_step *step;
    double factor;
    char *w, *m;
    const char *g;
};

struct stretch {
    size_t begin, count; /* bytes, elements */
};

static struct stretch stretch_of(const struct vector_pass *p, int item)
{
    size_t begin = (size_t)item * ITEM, rest = p->count - begin;
    return (struct stretch){begin * p->b->base.real_bytes, rest < ITEM ? rest : ITEM};
}

static void run(struct vector_pass *p, cpu_item_fn fn)
{
    cpu_parallel(p->b, (int)((p->count + ITEM - 1) / ITEM), fn, p);
}

static void sgd_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct vector_pass *p = ctx;
    struct stretch s = stretch_of(p, item);
    p->b->kernels.pointwise.sgd(s.count, p->step, p->w + s.begin, p->g + s.begin,
                                p->m ? p->m + s.begin : NULL);
}

static void average_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct vector_pass *p = ctx;
    struct stretch s = stretch_of(p, item);
    p->b->kernels.pointwise.average(s.count, p->factor, p->g + s.begin, p->w + s.begin);
}

static void multiply_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct vector_pass *p = ctx;
    struct stretch s = stretch_of(p, item);
    p->b->kernels.pointwise.multiply(s.count, p->factor, p->w + s.begin);
}

static void sgd(struct backend *b, size_t count, void *w, const void *g, void *m,
                const struct sgd_step *s)
{
    struct vector_pass p = {.b = cpu_of(b), .count = count, .step = s, .w = w, .g = g, .m = m};
    run(&p, sgd_item);
}

static void average(struct backend *b, size_t count, void *dst, const void *src, double decay)
{
    struct vector_pass p = {.b = cpu_of(b), .count = count, .factor = decay, .w = dst, .g = src};
    run(&p, average_item);
}

static void multiply(struct backend *b, size_t count, void *x, double factor)
{
    struct vector_pass p = {.b = cpu_of(b), .count = count, .factor = factor, .w = x};
    run(&p, multiply_item);
}

enum { PIECES = 64 };

struct search {
    struct cpu_backend *b;
    size_t count;
    const char *x;
    size_t found[PIECES];
};

static void search_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct search *s = ctx;
    size_t begin = cpu_part_begin(s->count, item, PIECES);
    size_t count = cpu_part_begin(s->count, item + 1, PIECES) - begin;
    size_t at = s->b->kernels.pointwise.first_nonfinite(count,
                                                        s->x + begin * s->b->base.real_bytes);
    s->found[item] = at < count ? begin + at : s->count;
}

static size_t first_nonfinite(struct backend *b, size_t count, const void *x)
{
    struct search s = {.b = cpu_of(b), .count = count, .x = x};
    cpu_parallel(s.b, PIECES, search_item, &s);
    for (int i = 0; i < PIECES; i++)
        if (s.found[i] < count)
            return s.found[i];
    return count;
}

/* Rows of up to ITEM elements are one item each; of longer ones each has PIECES, added in order. */
struct dots {
    struct cpu_backend *b;
    size_t count;
    const char *x, *y;
    double *sums;
    double pieces[PIECES];
};

static void row_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct dots *d = ctx;
    size_t at = (size_t)item * d->count * d->b->base.real_bytes;
    d->sums[item] = d->b->kernels.pointwise.dot(d->count, d->x + at, d->y + at);
}

static void piece_item(void *ctx, int item, int worker)
{
    (void)worker;
    struct dots *d = ctx;
    size_t begin = cpu_part_begin(d->count, item, PIECES);
    size_t count = cpu_part_begin(d->count, item + 1, PIECES) - begin;
    size_t at = begin * d->b->base.real_bytes;
    d->pieces[item] = d->b->kernels.pointwise.dot(count, d->x + at, d->y + at);
}

static void row_dots(struct backend *b, size_t rows, size_t count, const void *x, const void *y,
                     double *sums)
{
    struct dots d = {.b = cpu_of(b), .count = count, .x = x, .y = y, .sums = sums};
    if (count <= ITEM) {
        cpu_parallel(d.b, (int)rows, row_item, &d);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        cpu_parallel(d.b, PIECES, piece_item, &d);
        sums[r] = 0;
        for (int i = 0; i < PIECES; i++)
            sums[r] += d.pieces[i];
        d.x += count * b->real_bytes;
        d.y += count * b->real_bytes;
    }
}

void cpu_optimise_ops(struct backend_ops *ops)
{
    ops->sgd = sgd;
    ops->average = average;
    ops->multiply = multiply;
    ops->first_nonfinite = first_nonfinite;
    ops->row_dots = row_dots;
}
