/* loss.c - cross-entropy. An item is a block of images. */
#include <assert.h>

#include "backend/cpu/cpu.h"

struct loss_pass {
    struct cpu_backend *b;
    int n;
    struct loss_step step; /* images is set by each item */
    const char *logits;
    const uint8_t *labels;
    double *losses;
    uint8_t *hits;
    char *dlogits;
    size_t block_bytes;
};

static void loss_item(void *ctx, int block, int worker)
{
    (void)worker;
    const struct loss_pass *p = ctx;
    struct loss_step step = p->step;
    step.images = cpu_block_images(p->n, block);
    size_t at = (size_t)block * p->block_bytes;
    int first = block * IMAGES;
    p->b->kernels.pointwise.cross_entropy(&step, p->logits + at, p->labels + first,
                                          p->losses + first, p->hits + first,
                                          p->dlogits ? p->dlogits + at : NULL);
}

static void cross_entropy(struct backend *base, int n, int classes, double smoothing,
                          double gradient_scale, const struct map *logits, const uint8_t *labels,
                          double *losses, uint8_t *hits, const struct map *dlogits)
{
    assert(logits->c == classes && logits->h == 1 && logits->w == 1);
    assert(!dlogits || !dlogits->data || dlogits->c == classes);
    struct loss_pass p = {
        .b = cpu_of(base),
        .n = n,
        .step = {.classes = classes, .smoothing = smoothing, .gradient_scale = gradient_scale},
        .logits = logits->data,
        .labels = labels,
        .losses = losses,
        .hits = hits,
        .dlogits = dlogits ? dlogits->data : NULL,
        .block_bytes = layout_bytes(base->precision, 1, 1, 1, classes),
    };
    cpu_parallel(p.b, layout_blocks(n), loss_item, &p);
}

void cpu_loss_ops(struct backend_ops *ops)
{
    ops->cross_entropy = cross_entropy;
}
