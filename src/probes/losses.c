/* losses.c - loss and accuracy on training, validation and test images, with the running statistics
 * as they are and with refreshed ones.
 *
 * Running statistics trail the weights: they average over recent batches and older weights. At a
 * high learning rate that alone costs accuracy. Refreshed ones are the means over a sample of the
 * training images at the present weights (probes/surface.h), so the difference between the two
 * columns is what the lag costs. Images are seen plainly, without augmentation; losses are the
 * plain cross-entropy. On a checkpoint all validation and test images are looked at.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "probes/probe.h"
#include "probes/surface.h"

enum { LOSS, ACCURACY, REFRESHED_LOSS, REFRESHED_ACCURACY, LOSS_ERROR, LOOKED_AT, SERIES };

static const struct probe_series series[] = {
    {"loss", "mean loss with the running statistics"},
    {"accuracy", "share of right answers with them"},
    {"refreshed_loss", "mean loss with refreshed statistics"},
    {"refreshed_accuracy", "share of right answers with those"},
    {"loss_error", "standard error of the refreshed loss"},
    {"images", "images looked at"},
    {0},
};

struct losses {
    struct surface train, eval;  /* to refresh the statistics; to look with them */
};

/* Forward passes only, a third of a gradient each. */
static double cost(const struct trainer *t)
{
    int sets = 2 + (t->selection.validation_count > 0);
    return (1 + 2 * sets) / 3.0 *
           probe_gradients_cost(t, probe_images(t), t->net.backend->precision);
}

static int open_losses(void **self, const struct trainer *t, struct err *e)
{
    (void)t;
    (void)e;
    *self = xcalloc(1, sizeof(struct losses));
    return 0;
}

static void close_both(struct losses *l)
{
    surface_close(&l->train);
    surface_close(&l->eval);
}

static void close_losses(void *self)
{
    if (self)
        close_both(self);
    free(self);
}

static int open_both(struct losses *l, const struct trainer *t, uint32_t room, struct err *e)
{
    const struct model *m = t->average.kind == AVERAGE_EMA ? &t->slow : &t->net.model;
    struct surface_options o = {.precision = t->net.backend->precision,
                                .mode = PLAN_TRAIN, .images = probe_images(t)};
    if (surface_open(&l->train, t, &o, e))
        return -1;
    o.mode = PLAN_EVAL;
    o.images = room;
    if (surface_open(&l->eval, t, &o, e))
        return -1;
    l->eval.smoothing = 0;
    surface_take(&l->train, m);
    surface_take(&l->eval, m);
    surface_refresh(&l->train);
    return 0;
}

/* A sample of `count` of the images[of] (indices; NULL: 0 .. of) without augmentation. */
static void choose(struct surface *s, const struct trainer *t, const uint32_t *indices,
                   uint32_t of, const uint8_t *labels, uint32_t count)
{
    uint32_t *order = xmalloc(of * sizeof *order);
    for (uint32_t i = 0; i < of; i++)
        order[i] = indices ? indices[i] : i;
    struct rng r = rng_at(t->config.data_seed, RNG_PROBE, 2, 0);
    rng_shuffle(&r, order, of);
    s->images = count < of ? count : of;
    for (uint32_t i = 0; i < s->images; i++) {
        s->views[i] = (struct image_view){.index = order[i]};
        s->labels[i] = labels[order[i]];
    }
    free(order);
}

static double hits(const struct surface *s)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->images; i++)
        sum += s->hits[i];
    return sum / s->images;
}

static void look(struct losses *l, const struct model *m, const char *of,
                 const struct probe_out *out)
{
    struct surface *s = &l->eval;
    double values[SERIES], squares = 0;
    surface_take(s, m);
    values[LOSS] = surface_loss(s);
    values[ACCURACY] = hits(s);
    surface_take(s, &l->train.net.model);
    double mean = values[REFRESHED_LOSS] = surface_loss(s);
    values[REFRESHED_ACCURACY] = hits(s);
    for (uint32_t i = 0; i < s->images; i++)
        squares += (s->losses[i] - mean) * (s->losses[i] - mean);
    values[LOSS_ERROR] = sqrt(squares / s->images / fmax(1, s->images - 1.0));
    values[LOOKED_AT] = s->images;
    probe_emit(out, of, values);
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    struct losses *l = self;
    const struct trainer *t = m->trainer;
    const struct selection *s = &t->selection;
    const struct model *model = t->average.kind == AVERAGE_EMA ? &t->slow : &t->net.model;
    uint32_t wanted = probe_images(t), tests = t->images->test.count, held = s->validation_count;
    uint32_t most = m->stepped ? wanted : tests > held ? tests : held;
    int status = open_both(l, t, most > wanted ? most : wanted, e);
    if (!status) {
        choose(&l->eval, t, s->train, s->train_count, s->labels, wanted);
        look(l, model, "training", out);
        if (held > 0) {
            choose(&l->eval, t, s->validation, held, t->images->train.labels, most);
            look(l, model, "validation", out);
        }
        l->eval.store = &t->test_store;
        choose(&l->eval, t, NULL, tests, t->images->test.labels, most);
        look(l, model, "test", out);
    }
    close_both(l);
    return status;
}

extern const struct probe probe_losses;
const struct probe probe_losses = {
    .name = "losses",
    .summary = "training, validation and test loss, with running and with refreshed statistics",
    .series = series,
    .period = 1,
    .in_epochs = true,
    .cost = cost,
    .open = open_losses,
    .close = close_losses,
    .measure = measure,
};
