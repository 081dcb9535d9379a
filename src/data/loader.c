/* loader.c - see loader.h. */
#include "data/loader.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"

/* The images of one class, in the seed's order; the first `used` are taken. */
struct class_list {
    uint32_t *items, count, used;
};

static void class_lists_init(struct class_list *lists, int classes, uint32_t *room,
                             const struct image_split *split, uint64_t seed)
{
    memset(lists, 0, (size_t)classes * sizeof *lists);
    for (uint32_t i = 0; i < split->count; i++)
        lists[split->labels[i]].count++;
    for (int c = 0; c < classes; c++) {
        lists[c].items = room;
        room += lists[c].count;
        lists[c].count = 0;
    }
    for (uint32_t i = 0; i < split->count; i++) {
        struct class_list *list = &lists[split->labels[i]];
        list->items[list->count++] = i;
    }
    for (int c = 0; c < classes; c++) {
        struct rng r = rng_at(seed, RNG_SUBSET, (uint32_t)c, 0);
        rng_shuffle(&r, lists[c].items, lists[c].count);
    }
}

static int compare_indices(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Takes `count` images, at most as many as are left, one from each class in turn, and puts them
 * into chosen[count] in ascending order. */
static void take(struct class_list *lists, int classes, uint32_t *chosen, uint32_t count)
{
    for (uint32_t taken = 0; taken < count;) {
        for (int c = 0; c < classes && taken < count; c++) {
            struct class_list *list = &lists[c];
            if (list->used < list->count)
                chosen[taken++] = list->items[list->used++];
        }
    }
    qsort(chosen, count, sizeof *chosen, compare_indices);
}

int selection_count(const struct subset_options *o, uint32_t available, uint32_t *count,
                    struct err *e)
{
    if (o->validation >= available)
        return err_set(e, EXIT_USAGE, "%u validation images asked for, but only %u are there to "
                       "hold out from", o->validation, available);
    uint32_t left = available - o->validation;
    *count = o->train_count;
    if (*count == 0)
        *count = (uint32_t)lround(o->train_fraction * (double)left);
    if (*count > left)
        return err_set(e, EXIT_USAGE, "%u training images asked for, but only %u are there%s",
                       *count, left, o->validation ? " beside the validation images" : "");
    if (*count == 0)
        return err_set(e, EXIT_USAGE, "no training image is left: %.9g of %u images",
                       o->train_fraction, left);
    return 0;
}

static void add_noise(struct selection *s, int classes, const struct subset_options *o)
{
    for (uint32_t i = 0; i < s->train_count && classes > 1; i++) {
        uint32_t image = s->train[i];
        struct rng r = rng_at(o->seed, RNG_LABEL_NOISE, 0, image);
        if ((double)rng_uniform(&r) < o->label_noise) {
            uint32_t other = s->labels[image] + 1 + rng_below(&r, (uint32_t)classes - 1);
            s->labels[image] = (uint8_t)(other % (uint32_t)classes);
        }
    }
}

int selection_init(struct selection *s, const struct images *images,
                   const struct subset_options *o, struct err *e)
{
    const struct image_split *all = &images->train;
    memset(s, 0, sizeof *s);
    uint32_t count;
    if (selection_count(o, all->count, &count, e))
        return -1;

    struct class_list lists[CLASSES_MAX];
    uint32_t *room = xcalloc(all->count, sizeof *room);
    class_lists_init(lists, images->classes, room, all, o->seed);
    s->validation_count = o->validation;
    s->validation = xcalloc(o->validation, sizeof *s->validation);
    take(lists, images->classes, s->validation, o->validation);
    s->train_count = count;
    s->train = xcalloc(count, sizeof *s->train);
    take(lists, images->classes, s->train, count);
    free(room);

    s->labels = xmalloc(all->count);
    memcpy(s->labels, all->labels, all->count);
    add_noise(s, images->classes, o);
    return 0;
}

void selection_release(struct selection *s)
{
    free(s->train);
    free(s->validation);
    free(s->labels);
    memset(s, 0, sizeof *s);
}

void loader_order(uint64_t seed, uint32_t epoch, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    struct rng r = rng_at(seed, RNG_SHUFFLE, epoch, 0);
    rng_shuffle(&r, order, count);
}

uint32_t loader_steps(uint32_t count, uint32_t batch, bool drop_last)
{
    assert(batch > 0);
    return drop_last ? count / batch : (uint32_t)(((uint64_t)count + batch - 1) / batch);
}
