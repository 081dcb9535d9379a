/* images.c - from stored bytes to the network's input. An item is one row of one block. */
#include <assert.h>

#include "backend/cpu/cpu.h"

struct images_pass {
    struct cpu_backend *b;
    int n;
    const struct image_store *store;
    const struct image_view *views;
    const void *levels;
    bool stream;
    char *x;
};

static void images_item(void *ctx, int item, int worker)
{
    (void)worker;
    const struct images_pass *p = ctx;
    const struct image_store *s = p->store;
    int block = item / s->h, y = item % s->h;
    size_t row = layout_bytes(p->b->base.precision, 1, 1, s->w, s->c);
    p->b->kernels.pointwise.load_images(s, p->levels, cpu_block_images(p->n, block),
                                        p->views + block * IMAGES, y, p->stream,
                                        p->x + (size_t)item * row);
}

static void load_images(struct backend *base, int n, const struct image_store *store,
                        const struct image_view *views, const struct map *x)
{
    assert(x->c == store->c && x->h == store->h && x->w == store->w);
    double levels[4][256]; /* the largest that an element of a map may be */
    struct cpu_backend *b = cpu_of(base);
    struct images_pass p = {b, n, store, views, levels, cpu_streams(b, n, x), x->data};
    b->kernels.pointwise.image_levels(store, levels);
    cpu_parallel(p.b, layout_blocks(n) * store->h, images_item, &p);
}

void cpu_images_ops(struct backend_ops *ops)
{
    ops->load_images = load_images;
}
