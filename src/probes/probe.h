/* probe.h - instruments: what each measures, when, at what cost, and to whom it tells it.
 *
 * A probe is one `const struct probe` in a file of its own, named in the list of probes.c. It looks
 * at a trainer (train/trainer.h) during training, between steps, or at one that `kiln probe` filled
 * from a checkpoint. It never writes to it: what it computes, it computes on memory of its own
 * (probes/surface.h), so training gives the same bits with and without it.
 *
 *     step s - 1   |   step s   |   step s + 1
 *               before        watch, measure        of a probe that is due after step s
 *
 * A measurement is a row of numbers, one for each series of the probe, of something: a layer, an
 * age, the whole network. docs/studies.md shows by example how to add a probe.
 */
#ifndef KILN_PROBES_PROBE_H
#define KILN_PROBES_PROBE_H

#include "train/observer.h"
#include "train/trainer.h"

enum { PROBE_SERIES_MAX = 16 };

/* One column of a probe's table. */
struct probe_series {
    const char *name;        /* "weight_norm" */
    const char *help;        /* one line, no full stop */
};

/* When a probe is asked. */
struct probe_moment {
    const struct trainer *trainer;
    uint64_t step;           /* updates done */
    double epoch;
    double lr;               /* of the step just made; of the next one on a checkpoint */
    bool stepped;            /* `before` was called before the step just made; else a checkpoint */
};

/* Where the rows go. */
struct probe_out {
    const struct probe *probe;
    uint64_t step;
    double epoch;
    const struct observer *sinks; /* [sink_count] */
    int sink_count;
};

/* Tells a row: a value for each series, NaN where there is none. `of` may be "". */
void probe_emit(const struct probe_out *out, const char *of, const double *values);

struct probe {
    const char *name;
    const char *summary;     /* what it measures: one line, no full stop */
    const struct probe_series *series; /* ended by name = NULL, at most PROBE_SERIES_MAX */

    /* Due after every step that is a multiple of `period` steps, or of as many epochs. */
    int period;
    bool in_epochs;
    bool trains_only;        /* has nothing to say about a checkpoint */

    /* What one measurement costs in training steps: deterministic, from counts alone. */
    double (*cost)(const struct trainer *t);

    /* Makes the probe's own memory. close takes NULL and what a failed open left. */
    int (*open)(void **self, const struct trainer *t, struct err *e);
    void (*close)(void *self);

    /* Before the step after which `measure` is due, and after every step; each may be NULL. */
    int (*before)(void *self, const struct probe_moment *m, struct err *e);
    void (*watch)(void *self, const struct step_event *event);

    int (*measure)(void *self, const struct probe_moment *m, const struct probe_out *out,
                   struct err *e);

    /* For a probe whose rows depend on earlier steps of the run: the numbers of its state, which a
     * checkpoint carries, so that a resumed run tells the rows of one that was never interrupted.
     * keep fills values[state_count], recall takes them back, right after open. All may be NULL. */
    size_t (*state_count)(const void *self);
    void (*keep)(const void *self, double *values);
    void (*recall)(void *self, const double *values);
};

/* NULL-ended. */
extern const struct probe *const probe_list[];

/* The probe of this name; NULL and EXIT_USAGE, with the nearest name, if there is none. */
const struct probe *probe_find(const char *name, struct err *e);

/* Series of a probe. */
int probe_series_count(const struct probe *p);

/* The configuration's probe_precision, for second derivatives. */
enum precision probe_precision(const struct trainer *t);

/* How many training steps one gradient of `images` images costs in this precision: fp64 runs on the
 * plain kernels, FP64_COST times as long. */
double probe_gradients_cost(const struct trainer *t, double images, enum precision precision);

/* A deterministic choice of training images, the same for every checkpoint of a run: the first of
 * a fixed random order, unaugmented. Fills views and labels [count], count <= train_count. */
void probe_sample(const struct trainer *t, uint32_t count, struct image_view *views,
                  uint8_t *labels);

/* The configuration's probe_images, but not more than there are. */
uint32_t probe_images(const struct trainer *t);

#endif
