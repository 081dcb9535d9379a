/* forgetting.c - examples that were answered correctly once and wrongly later.
 *
 * Toneva et al. 2019, "An empirical study of example forgetting during deep neural network
 * learning": each time an example is presented, the network's answer in the training step itself
 * (augmented, before the update) is noted. Correct and then wrong at the next presentation is a
 * forgetting event. An example is unforgettable if it was learnt and never forgotten since.
 * Counting costs nothing: training computes the answers anyway.
 *
 * Checkpoints carry what was counted, so a resumed run counts on. `since` tells from where: 0, but
 * for a run whose checkpoint came from one without the probe.
 */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "probes/probe.h"

enum { EVENTS, NEVER, UNLEARNT, MEAN, AT_LEAST_1, AT_LEAST_2, AT_LEAST_5, EXAMPLES, SINCE, SERIES };

static const struct probe_series series[] = {
    {"events", "share of the presentations since the last row that were forgetting events"},
    {"never_forgotten", "share of the examples seen that were learnt and never forgotten"},
    {"unlearnt", "share of the examples seen that were never answered correctly"},
    {"mean_events", "forgetting events per example seen"},
    {"forgotten_once", "share of the examples seen with at least 1 event"},
    {"forgotten_twice", "share with at least 2"},
    {"forgotten_5_times", "share with at least 5"},
    {"examples", "examples seen"},
    {"since", "step after which counting began"},
    {0},
};

struct memory {
    uint8_t seen, learnt, correct; /* correct: at the last presentation */
    uint16_t events;
};

struct forgetting {
    struct memory *examples;     /* [count], by index into the training images */
    uint32_t count;
    uint64_t presented, forgotten; /* since the last row */
    uint64_t since;
};

static double cost(const struct trainer *t)
{
    (void)t;
    return 0.001;
}

static int open_forgetting(void **self, const struct trainer *t, struct err *e)
{
    (void)e;
    struct forgetting *f = *self = xcalloc(1, sizeof *f);
    f->count = t->images->train.count;
    f->examples = xcalloc(f->count, sizeof *f->examples);
    f->since = t->step;
    return 0;
}

static void close_forgetting(void *self)
{
    struct forgetting *f = self;
    if (f)
        free(f->examples);
    free(f);
}

static void watch(void *self, const struct step_event *event)
{
    struct forgetting *f = self;
    const struct batch *b = &event->trainer->batch;
    for (int i = 0; i < b->n; i++) {
        struct memory *m = &f->examples[b->views[i].index];
        bool forgot = m->correct && !b->hits[i];
        if (forgot && m->events < UINT16_MAX)
            m->events++;
        f->forgotten += forgot;
        m->seen = 1;
        m->learnt |= b->hits[i];
        m->correct = b->hits[i];
    }
    f->presented += (uint64_t)b->n;
}

static int measure(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e)
{
    (void)m;
    (void)e;
    struct forgetting *f = self;
    double values[SERIES] = {0};
    for (uint32_t i = 0; i < f->count; i++) {
        const struct memory *x = &f->examples[i];
        values[EXAMPLES] += x->seen;
        values[NEVER] += x->learnt && x->events == 0;
        values[UNLEARNT] += x->seen && !x->learnt;
        values[MEAN] += x->events;
        values[AT_LEAST_1] += x->events >= 1;
        values[AT_LEAST_2] += x->events >= 2;
        values[AT_LEAST_5] += x->events >= 5;
    }
    for (int i = NEVER; i <= AT_LEAST_5; i++)
        values[i] /= values[EXAMPLES];
    values[EVENTS] = (double)f->forgotten / (double)f->presented;
    values[SINCE] = (double)f->since;
    f->presented = f->forgotten = 0;
    probe_emit(out, "", values);
    return 0;
}

/* Three numbers, then one for each example: events, and three bits. */
enum { KEPT = 3 };

static size_t state_count(const void *self)
{
    const struct forgetting *f = self;
    return KEPT + f->count;
}

static void keep(const void *self, double *values)
{
    const struct forgetting *f = self;
    values[0] = (double)f->presented;
    values[1] = (double)f->forgotten;
    values[2] = (double)f->since;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct memory *m = &f->examples[i];
        values[KEPT + i] = 8 * m->events + 4 * m->seen + 2 * m->learnt + m->correct;
    }
}

static void recall(void *self, const double *values)
{
    struct forgetting *f = self;
    f->presented = (uint64_t)values[0];
    f->forgotten = (uint64_t)values[1];
    f->since = (uint64_t)values[2];
    for (uint32_t i = 0; i < f->count; i++) {
        uint32_t x = (uint32_t)values[KEPT + i];
        f->examples[i] = (struct memory){.seen = x >> 2 & 1,
                                         .learnt = x >> 1 & 1,
                                         .correct = x & 1,
                                         .events = (uint16_t)(x >> 3)};
    }
}

extern const struct probe probe_forgetting;
const struct probe probe_forgetting = {
    .name = "forgetting",
    .summary = "forgetting events: training examples answered correctly, then wrongly",
    .series = series,
    .period = 1,
    .in_epochs = true,
    .trains_only = true,
    .cost = cost,
    .open = open_forgetting,
    .close = close_forgetting,
    .watch = watch,
    .measure = measure,
    .state_count = state_count,
    .keep = keep,
    .recall = recall,
};
