/* dryrun.c - see dryrun.h. */
#include "cli/dryrun.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/rng.h"
#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "data/dataset.h"
#include "probes/set.h"
#include "train/step.h"
#include "train/trainer.h"

static int estimate(const struct config *c, struct train_estimate *out, struct err *e)
{
    const struct dataset *kind = dataset_find(c->data);
    if (!kind)
        return err_set(e, EXIT_USAGE, "there is no data set '%s'", c->data);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    return trainer_estimate(c, input, kind->classes, kind->train_count, kind->test_count, out, e);
}

double *dryrun_rates(const struct config *c, uint64_t *steps, uint64_t *per_epoch, struct err *e)
{
    struct train_estimate size;
    struct schedule schedule;
    if (estimate(c, &size, e) || config_schedule(c, &schedule, e))
        return NULL;
    *steps = size.total_steps;
    *per_epoch = size.steps_per_epoch;
    double *rates = xcalloc(size.total_steps, sizeof *rates);
    for (uint64_t i = 0; i < size.total_steps; i++)
        rates[i] = c->lr * schedule_factor(&schedule, i, size.total_steps, size.steps_per_epoch);
    return rates;
}

int dryrun_draw(const struct config *c, int columns, int rows, bool ascii, struct err *e)
{
    uint64_t steps, per_epoch;
    double *rates = dryrun_rates(c, &steps, &per_epoch, e);
    if (!rates)
        return -1;
    int count = steps < (uint64_t)columns ? (int)steps : columns;
    double *values = xcalloc((size_t)count, sizeof *values);
    for (int i = 0; i < count; i++)
        values[i] = rates[(uint64_t)((double)i / fmax(1, count - 1) * (double)(steps - 1))];
    char title[256];
    snprintf(title, sizeof title,
             "learning rate (%" PRIu64 " steps, %" PRIu64
             " an epoch; momentum %g and weight decay %g throughout)",
             steps, per_epoch, c->momentum, c->weight_decay);
    chart_print(&(struct chart){.title = title,
                                .values = values,
                                .count = count,
                                .rows = rows,
                                .x_last = (double)steps / (double)per_epoch,
                                .x_name = "epochs",
                                .ascii = ascii},
                stdout);
    free(values);
    free(rates);
    return 0;
}

/* Noise in the shape of the data set, as many images as one batch. */
static int make_noise(struct images *images, const struct dataset *kind, int batch, struct err *e)
{
    *images = (struct images){.kind = kind, .channels = kind->channels, .classes = kind->classes};
    if (image_split_init(&images->train, (uint32_t)batch, kind->channels, e) ||
        image_split_init(&images->test, 1, kind->channels, e))
        return -1;
    struct rng r = rng_at(0, RNG_TEST, 0, 0);
    size_t bytes = (size_t)batch * (size_t)kind->channels * IMAGE_SIDE * IMAGE_SIDE;
    for (size_t i = 0; i < bytes; i++)
        images->train.pixels[i] = (uint8_t)rng_below(&r, 256);
    for (int i = 0; i < batch; i++)
        images->train.labels[i] = (uint8_t)(i % kind->classes);
    images_finish(images);
    return 0;
}

int dryrun_rate(const struct config *c, double *rate, struct err *e)
{
    struct config small = *c;
    struct images noise;
    struct trainer *t = xcalloc(1, sizeof *t);
    struct step_report report;
    small.batch = c->batch < 128 ? c->batch : 128;
    small.epochs = 1e6;
    small.train_count = small.validation = 0;
    small.train_fraction = 1;
    small.label_noise = 0;
    small.lr = 1e-6; /* noise must not make it diverge */
    int status = -1, steps = 0;
    if (make_noise(&noise, dataset_find(c->data), small.batch, e) ||
        trainer_init(t, &small, &noise, true, e) || train_step(t, &report, e))
        goto out; /* the first step warms caches and threads up */
    double start = clock_seconds();
    do {
        if (train_step(t, &report, e))
            goto out;
        steps++;
    } while (clock_seconds() - start < 1.0);
    *rate = steps * small.batch / (clock_seconds() - start);
    status = 0;
out:
    trainer_release(t);
    free(t);
    images_release(&noise);
    return status;
}

/* Which probes would measure how often: the set is planned for a trainer of which only that is
 * there what costs are reckoned from. */
static int plan_probes(const struct config *c, const struct train_estimate *size,
                       struct probe_set *set, struct err *e)
{
    struct trainer *t = xcalloc(1, sizeof *t);
    const struct dataset *kind = dataset_find(c->data);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    t->config = *c;
    t->per_epoch = size->steps_per_epoch;
    t->total = size->total_steps;
    t->selection.train_count = size->train_images;
    t->selection.validation_count = (uint32_t)c->validation;
    int status = network_open(&t->net, &t->config, input, kind->classes, e) ||
                         probe_set_init(set, c->probes, e)
                     ? -1
                     : 0;
    if (!status)
        probe_set_plan(set, t);
    network_release(&t->net);
    free(t);
    return status;
}

/* What a probe costs, as a share of training. */
static double probe_share(const struct probe_slot *s)
{
    return s->cost / (double)s->period;
}

static double probes_share(const struct probe_set *set)
{
    double share = 0;
    for (int i = 0; i < set->count; i++)
        share += probe_share(&set->slots[i]);
    return share;
}

static json_t *probes_json(const struct probe_set *set, uint64_t steps)
{
    json_t *list = json_array();
    for (int i = 0; i < set->count; i++) {
        const struct probe_slot *s = &set->slots[i];
        json_t *o = json_object();
        json_object_set_new(o, "name", json_string(s->probe->name));
        json_object_set_new(o, "every_steps", json_integer((json_int_t)s->period));
        json_object_set_new(o, "wanted_every_steps", json_integer((json_int_t)s->wanted));
        json_object_set_new(o, "measurements", json_integer((json_int_t)(steps / s->period)));
        json_object_set_new(o, "cost_steps", json_number(s->cost));
        json_object_set_new(o, "share", json_number(probe_share(s)));
        json_array_append_new(list, o);
    }
    return list;
}

static void print_probes(const struct probe_set *set, uint64_t steps)
{
    for (int i = 0; i < set->count; i++) {
        const struct probe_slot *s = &set->slots[i];
        printf("probe %s: %" PRIu64 " measurements, one every %" PRIu64 " steps%s, each as long as "
               "%.3g steps: %.2g %% of training\n", s->probe->name, steps / s->period, s->period,
               s->period > s->wanted ? " (to stay within probe_budget)" : "", s->cost,
               100 * probe_share(s));
    }
}

static int print_json(const struct config *c, const struct train_estimate *size,
                      const struct probe_set *probes, uint64_t steps, size_t program,
                      double rate, double seconds, struct err *e)
{
    json_t *o = json_object(), *keys = json_object();
    for (const struct option_def *d = config_options; d->name; d++) {
        char value[OPTION_TEXT_SIZE];
        options_get(config_options, c, d->name, value);
        json_object_set_new(keys, d->name, json_string(value));
    }
    json_object_set_new(o, "config", keys);
    json_object_set_new(o, "steps", json_integer((json_int_t)size->total_steps));
    json_object_set_new(o, "steps_per_epoch", json_integer((json_int_t)size->steps_per_epoch));
    json_object_set_new(o, "parameters", json_integer((json_int_t)size->parameters));
    json_object_set_new(o, "training_macs", json_number(size->training_macs));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)size->memory));
    json_object_set_new(o, "resident_bytes", json_integer((json_int_t)(size->memory + program)));
    json_object_set_new(o, "images_per_second", json_number(rate));
    json_object_set_new(o, "seconds", json_number(seconds));
    json_object_set_new(o, "probes", probes_json(probes, steps));
    return cli_print_json(o, e);
}

int dryrun_print(const struct config *c, bool json, struct err *e)
{
    struct train_estimate size;
    double rate;
    size_t program = process_resident();
    struct probe_set probes;
    if (estimate(c, &size, e) || plan_probes(c, &size, &probes, e) || dryrun_rate(c, &rate, e))
        return -1;
    uint64_t steps = size.total_steps;
    if (c->steps > 0 && (uint64_t)c->steps < steps)
        steps = (uint64_t)c->steps;
    double seconds = (double)steps * c->batch / rate * (1 + probes_share(&probes));
    if (json)
        return print_json(c, &size, &probes, steps, program, rate, seconds, e);
    options_print_ini(config_options, c, stdout);
    printf("\n");
    if (dryrun_draw(c, 66, 10, !chart_unicode(), e))
        return -1;
    char time[16];
    progress_duration(seconds, time);
    printf("\n%zu parameters, %.1f M multiply-adds to train on an image\n", size.parameters,
           size.training_macs * 1e-6);
    printf("about %zu MiB of memory, resident at most (%zu of them the program itself),\n"
           "and %s of training (%.0f images/s measured on noise)\n",
           (size.memory + program) >> 20, program >> 20, time, rate);
    print_probes(&probes, steps);
    return 0;
}
