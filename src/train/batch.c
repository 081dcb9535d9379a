/* batch.c - see batch.h. */
#include "train/batch.h"

#include <assert.h>

static struct image_view image_view(struct view v)
{
    return (struct image_view){.index = v.index,
                               .dy = v.dy,
                               .dx = v.dx,
                               .flip = v.flip,
                               .cut_y = v.cut_y,
                               .cut_x = v.cut_x,
                               .cut = v.cut};
}

void batch_fill(struct trainer *t)
{
    const struct augment augment = config_augment(&t->config);
    const struct selection *s = &t->selection;
    uint64_t epoch = t->step / t->per_epoch, size = (uint64_t)t->config.batch;
    if (t->order_epoch != (int64_t)epoch) {
        loader_order(t->config.seed, (uint32_t)epoch, t->order, s->train_count);
        t->order_epoch = (int64_t)epoch;
    }
    uint64_t first = t->step % t->per_epoch * size;
    assert(first < s->train_count);
    uint64_t left = s->train_count - first;
    t->batch.n = (int)(left < size ? left : size);
    for (int i = 0; i < t->batch.n; i++) {
        uint32_t image = s->train[t->order[first + (uint64_t)i]];
        t->batch.views[i] =
            image_view(augment_view(&augment, t->config.seed, (uint32_t)epoch, image));
        t->batch.labels[i] = s->labels[image];
    }
}

double batch_mean(const double *losses, int n)
{
    double lane[LANES] = {0};
    int blocks = layout_blocks(n);
    for (int l = 0; l < LANES; l++) {
        int from = l * blocks / LANES * IMAGES, to = (l + 1) * blocks / LANES * IMAGES;
        for (int i = from; i < (to < n ? to : n); i++)
            lane[l] += losses[i];
    }
    for (int stride = 1; stride < LANES; stride *= 2) {
        for (int l = 0; l < LANES; l += 2 * stride)
            lane[l] += lane[l + stride];
    }
    return lane[0] / n;
}
