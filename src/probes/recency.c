/* recency.c - loss on training images against how long ago they were trained on.
 *
 * If training forgets within an epoch, the loss on what was seen a few steps ago is lower than on
 * what was seen most of an epoch ago. The order of images and their augmentation are functions of
 * the seed, so what was seen when can be worked out for any step. Images are grouped by the steps
 * since their last presentation (0: the last step, then 1, 2-3, 4-7 ...) and a sample of each group
 * is looked at three ways with one network: exactly as it was seen, without augmentation, and with
 * augmentation that was never drawn. The last two cannot be remembered pixel by pixel; a dip that
 * only the first shows is memory of the very pixels (`dip`, image by image, is sharper than the
 * difference of two means), one that all show is memory of the image. Test
 * images are the row that was never seen.
 *
 * Batch norm is in evaluation mode with refreshed statistics (probes/surface.h): the running ones
 * lean towards the last batches, and would make them look remembered.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "probes/probe.h"
#include "probes/surface.h"

enum { AGE, SEEN, SEEN_ERROR, PLAIN, PLAIN_ERROR, FRESH, FRESH_ERROR, LOOKED_AT, DIP, DIP_ERROR,
       SERIES };

static const struct probe_series series[] = {
    {"age", "mean steps since the images of the row were trained on"},
    {"seen_loss", "mean loss on them exactly as they were seen"},
    {"seen_error", "its standard error"},
    {"plain_loss", "mean loss without augmentation"},
    {"plain_error", "its standard error"},
    {"fresh_loss", "mean loss with augmentation that was never drawn"},
    {"fresh_error", "its standard error"},
    {"images", "images in the row's sample"},
    {"dip", "mean of fresh less seen loss, image by image: what is remembered of the pixels"},
    {"dip_error", "its standard error: smaller than that of the two, which share their images"},
    {0},
};

enum { NEVER_DRAWN = 0x7fffffff }; /* an epoch that no run reaches */

/* When an image was last trained on. */
struct last {
    uint32_t image;
    uint32_t epoch;
    uint64_t age;                /* steps; UINT64_MAX: not in this epoch or the one before */
};

struct recency {
    struct surface train, eval;
};

/* A sample looked at three times, one of test images, and the refreshing: forward passes, a third
 * of a gradient each. */
static double cost(const struct trainer *t)
{
    double groups = 2 + log2((double)t->per_epoch);
    return (3 * groups + 2) / 3 *
           probe_gradients_cost(t, probe_images(t), t->net.backend->precision);
}

static int open_recency(void **self, const struct trainer *t, struct err *e)
{
    (void)t;
    (void)e;
    *self = xcalloc(1, sizeof(struct recency));
    return 0;
}

static void close_both(struct recency *r)
{
    surface_close(&r->train);
    surface_close(&r->eval);
}

static void close_recency(void *self)
{
    if (self)
        close_both(self);
    free(self);
}

/* Notes the presentations of one epoch up to `step` updates. */
static void present(const struct trainer *t, uint64_t epoch, uint64_t step, uint32_t *order,
                    struct last *last)
{
    const struct selection *s = &t->selection;
    loader_order(t->config.seed, (uint32_t)epoch, order, s->train_count);
    for (uint32_t i = 0; i < s->train_count; i++) {
        uint64_t within = i / (uint32_t)t->config.batch; /* steps of the epoch before */
        uint64_t update = epoch * t->per_epoch + within + 1;
        if (within < t->per_epoch && update <= step) {
            last[order[i]].epoch = (uint32_t)epoch;
            last[order[i]].age = step - update;
        }
    }
}

static int compare(const void *a, const void *b)
{
    const struct last *x = a, *y = b;
    if (x->age != y->age)
        return x->age < y->age ? -1 : 1;
    return (x->image > y->image) - (x->image < y->image);
}

/* All training images by age: [train_count], for free. */
static struct last *presentations(const struct trainer *t, uint64_t step)
{
    const struct selection *s = &t->selection;
    struct last *last = xcalloc(s->train_count, sizeof *last);
    uint32_t *order = xmalloc(s->train_count * sizeof *order);
    for (uint32_t i = 0; i < s->train_count; i++)
        last[i] = (struct last){.image = s->train[i], .age = UINT64_MAX};
    uint64_t epoch = (step - 1) / t->per_epoch;
    if (epoch > 0)
        present(t, epoch - 1, step, order, last);
    present(t, epoch, step, order, last);
    free(order);
    qsort(last, s->train_count, sizeof *last, compare);
    return last;
}

enum look { LOOK_SEEN, LOOK_PLAIN, LOOK_FRESH };

static struct image_view view_of(const struct trainer *t, const struct last *l, enum look look)
{
    if (look == LOOK_PLAIN)
        return (struct image_view){.index = l->image};
    const struct augment augment = config_augment(&t->config);
    struct view v = augment_view(&augment, t->config.seed,
                                 look == LOOK_SEEN ? l->epoch : NEVER_DRAWN, l->image);
    return (struct image_view){.index = v.index, .dy = v.dy, .dx = v.dx, .flip = v.flip,
                               .cut_y = v.cut_y, .cut_x = v.cut_x, .cut = v.cut};
}

static void mean_of(const double *x, uint32_t count, double *mean, double *error)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += x[i];
    *mean = sum / count;
    for (uint32_t i = 0; i < count; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *error = sqrt(squares / count / fmax(1, count - 1.0));
}

/* Mean loss and its standard error over the surface's images. */
static void mean_loss(struct surface *s, double *mean, double *error)
{
    surface_loss(s);
    mean_of(s->losses, s->images, mean, error);
}

/* One row: up to `most` of last[count], evenly spread over it. */
static void look_at(struct surface *s, const struct trainer *t, const struct last *last,
                    uint32_t count, uint32_t most, const struct probe_out *out)
{
    double values[SERIES] = {0};
    char of[48];
    s->images = count < most ? count : most;
    double *dips = xcalloc(s->images, sizeof *dips);
    for (int look = LOOK_SEEN; look <= LOOK_FRESH; look++) {
        for (uint32_t i = 0; i < s->images; i++) {
            const struct last *l = &last[(uint64_t)i * count / s->images];
            s->views[i] = view_of(t, l, (enum look)look);
            s->labels[i] = t->selection.labels[l->image];
            values[AGE] += look == LOOK_SEEN ? (double)l->age / s->images : 0;
        }
        mean_loss(s, &values[SEEN + 2 * look], &values[SEEN_ERROR + 2 * look]);
        for (uint32_t i = 0; i < s->images; i++)
            dips[i] += look == LOOK_FRESH ? s->losses[i] : look == LOOK_SEEN ? -s->losses[i] : 0;
    }
    mean_of(dips, s->images, &values[DIP], &values[DIP_ERROR]);
    free(dips);
    values[LOOKED_AT] = s->images;
    unsigned long long first = last[0].age, end = last[count - 1].age;
    snprintf(of, sizeof of, first == end ? "age %llu" : "age %llu-%llu", first, end);
    probe_emit(out, of, values);
}

/* Groups of ages 0, 1, 2-3, 4-7 ... */
static void look_at_groups(struct surface *s, const struct trainer *t, const struct last *last,
                           uint32_t most, const struct probe_out *out)
{
    uint32_t count = t->selection.train_count, first = 0;
    for (uint64_t end = 1; first < count && last[first].age != UINT64_MAX; end *= 2) {
        uint32_t next = first;
        while (next < count && last[next].age < end)
            next++;
        if (next > first)
            look_at(s, t, last + first, next - first, most, out);
        first = next;
    }
}

static void look_at_test(struct surface *s, const struct trainer *t, uint32_t most,
                         const struct probe_out *out)
{
    const double nan = (double)NAN;
    double values[SERIES] = {nan, nan, nan, nan, nan, nan, nan, 0, nan, nan};
    uint32_t count = t->images->test.count;
    s->store = &t->test_store;
    s->images = count < most ? count : most;
    for (uint32_t i = 0; i < s->images; i++) {
        uint32_t image = (uint32_t)((uint64_t)i * count / s->images);
        s->views[i] = (struct image_view){.index = image};
        s->labels[i] = t->images->test.labels[image];
    }
    mean_loss(s, &values[PLAIN], &values[PLAIN_ERROR]);
    values[LOOKED_AT] = s->images;
    probe_emit(out, "test", values);
}

/* Refreshes the statistics on images augmented as in training, but never so. */
static int open_both(struct recency *r, const struct trainer *t, struct err *e)
{
    struct surface_options o = {.precision = t->net.backend->precision,
                                .mode = PLAN_TRAIN, .images = probe_images(t)};
    if (surface_open(&r->train, t, &o, e))
        return -1;
    o.mode = PLAN_EVAL;
    if (surface_open(&r->eval, t, &o, e))
        return -1;
    for (uint32_t i = 0; i < r->train.images; i++) {
        const struct last l = {.image = r->train.views[i].index};
        r->train.views[i] = view_of(t, &l, LOOK_FRESH);
    }
    surface_refresh(&r->train);
    surface_take(&r->eval, &r->train.net.model);
    r->eval.smoothing = 0;
    return 0;
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    struct recency *r = self;
    const struct trainer *t = m->trainer;
    if (m->step == 0)
        return err_set(e, EXIT_USAGE, "nothing was trained on before step 1");
    int status = open_both(r, t, e);
    if (!status) {
        struct last *last = presentations(t, m->step);
        look_at_groups(&r->eval, t, last, probe_images(t), out);
        look_at_test(&r->eval, t, probe_images(t), out);
        free(last);
    }
    close_both(r);
    return status;
}

extern const struct probe probe_recency;
const struct probe probe_recency = {
    .name = "recency",
    .summary = "loss on training images against the steps since they were trained on",
    .series = series,
    .period = 1,
    .in_epochs = true,
    .cost = cost,
    .open = open_recency,
    .close = close_recency,
    .measure = measure,
};
