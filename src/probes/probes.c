/* probes.c - the list of probes, and what they share. See probe.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/rng.h"
#include "probes/probe.h"

extern const struct probe probe_norms, probe_noise_scale, probe_sharpness, probe_recency,
    probe_forgetting, probe_losses;

const struct probe *const probe_list[] = {
    &probe_norms,
    &probe_noise_scale,
    &probe_sharpness,
    &probe_recency,
    &probe_forgetting,
    &probe_losses,
    NULL,
};

enum { LISTED = sizeof probe_list / sizeof probe_list[0] };

/* A gradient with the plain fp64 kernels takes about so many times as long as with the fp32 ones:
 * 10 to 22 times by kiln bench, with AVX-512 and networks of a quarter to half width. It decides
 * how often a probe measures, so it is one number for all machines. */
static const double FP64_COST = 20;

const struct probe *probe_find(const char *name, struct err *e)
{
    const char *names[LISTED] = {0};
    for (int i = 0; probe_list[i]; i++) {
        if (strcmp(probe_list[i]->name, name) == 0)
            return probe_list[i];
        names[i] = probe_list[i]->name;
    }
    const char *nearest = nearest_name(name, names);
    if (nearest)
        err_set(e, EXIT_USAGE, "there is no probe '%s'; did you mean '%s'?", name, nearest);
    else
        err_set(e, EXIT_USAGE, "there is no probe '%s'; 'kiln probe' lists them", name);
    return NULL;
}

int probe_series_count(const struct probe *p)
{
    int count = 0;
    while (p->series[count].name)
        count++;
    assert(count <= PROBE_SERIES_MAX);
    return count;
}

void probe_emit(const struct probe_out *out, const char *of, const double *values)
{
    const char *names[PROBE_SERIES_MAX];
    int count = probe_series_count(out->probe);
    for (int i = 0; i < count; i++)
        names[i] = out->probe->series[i].name;
    const struct probe_event event = {
        .probe = out->probe->name,
        .step = out->step,
        .epoch = out->epoch,
        .of = of,
        .names = names,
        .values = values,
        .count = count,
    };
    for (int i = 0; i < out->sink_count; i++)
        if (out->sinks[i].probe)
            out->sinks[i].probe(out->sinks[i].context, &event);
}

enum precision probe_precision(const struct trainer *t)
{
    return t->config.probe_precision == PROBE_FP64 ? PRECISION_FP64 : PRECISION_FP32;
}

double probe_gradients_cost(const struct trainer *t, double images, enum precision precision)
{
    double factor = precision == PRECISION_FP64 && t->net.backend->precision != PRECISION_FP64
                        ? FP64_COST
                        : 1;
    return factor * images / t->config.batch;
}

uint32_t probe_images(const struct trainer *t)
{
    uint32_t wanted = (uint32_t)t->config.probe_images, there = t->selection.train_count;
    return wanted < there ? wanted : there;
}

void probe_sample(const struct trainer *t, uint32_t count, struct image_view *views,
                  uint8_t *labels)
{
    const struct selection *s = &t->selection;
    assert(count <= s->train_count);
    uint32_t *order = xmalloc(s->train_count * sizeof *order);
    for (uint32_t i = 0; i < s->train_count; i++)
        order[i] = s->train[i];
    struct rng r = rng_at(t->config.data_seed, RNG_PROBE, 0, 0);
    rng_shuffle(&r, order, s->train_count);
    for (uint32_t i = 0; i < count; i++) {
        views[i] = (struct image_view){.index = order[i]};
        labels[i] = s->labels[order[i]];
    }
    free(order);
}
