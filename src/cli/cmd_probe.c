/* cmd_probe.c - kiln probe: an instrument pointed at a checkpoint. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/target.h"
#include "probes/probe.h"
#include "sweep/images.h"
#include "train/checkpoint.h"

struct args {
    bool best;
    bool list;
};

static const struct option_def options[] = {
    {"best", OPTION_FLAG, offsetof(struct args, best), "no", 0, 0, NULL, NULL, "checkpoint",
     "of a run, take the best checkpoint instead of the newest", NULL},
    {"list", OPTION_FLAG, offsetof(struct args, list), "no", 0, 0, NULL, NULL, "checkpoint",
     "say what each probe tells, and measure nothing", NULL},
    {0},
};

/* Rows as they come: collected for --json, printed otherwise. */
struct table {
    const struct probe *probe;
    json_t *rows;
    bool json;
};

static json_t *series_json(const struct probe *p)
{
    json_t *o = json_object();
    for (int i = 0; p->series[i].name; i++)
        json_object_set_new(o, p->series[i].name, json_string(p->series[i].help));
    return o;
}

static void print_row(const struct probe_event *event)
{
    if (*event->of)
        printf("%s\n", event->of);
    for (int i = 0; i < event->count; i++)
        if (!isnan(event->values[i]))
            printf("  %-20s %.6g\n", event->names[i], event->values[i]);
}

static void hear(void *context, const struct probe_event *event)
{
    struct table *t = context;
    if (!t->json) {
        print_row(event);
        return;
    }
    json_t *row = json_object();
    json_object_set_new(row, "of", json_string(event->of));
    for (int i = 0; i < event->count; i++)
        json_object_set_new(row, event->names[i], json_number(event->values[i]));
    json_array_append_new(t->rows, row);
}

static int print_list(bool json, struct err *e)
{
    json_t *o = json_object();
    for (int i = 0; probe_list[i]; i++) {
        const struct probe *p = probe_list[i];
        if (json) {
            json_t *entry = json_object();
            json_object_set_new(entry, "summary", json_string(p->summary));
            json_object_set_new(entry, "checkpoints", json_boolean(!p->trains_only));
            json_object_set_new(entry, "series", series_json(p));
            json_object_set_new(o, p->name, entry);
            continue;
        }
        printf("%s%s - %s%s\n", i ? "\n" : "", p->name, p->summary,
               p->trains_only ? " (in training only)" : "");
        for (int k = 0; p->series[k].name; k++)
            printf("  %-20s %s\n", p->series[k].name, p->series[k].help);
    }
    if (json)
        return cli_print_json(o, e);
    json_decref(o);
    return 0;
}

/* Fills the trainer from the checkpoint, at the step where it was written. Weights from elsewhere
 * stand at step 0. */
static int load(struct trainer *t, const char *weights, struct err *e)
{
    struct err unknown;
    if (checkpoint_load_weights(&t->net.model, weights, e))
        return -1;
    if (checkpoint_step(weights, &t->step, &unknown))
        t->step = 0;
    if (t->slow.params) {
        struct backend *b = t->net.backend;
        const struct graph *g = &t->net.graph;
        b->ops->copy(b, t->slow.params, t->net.model.params, g->params_count * b->real_bytes);
        b->ops->copy(b, t->slow.state, t->net.model.state, g->state_count * b->real_bytes);
    }
    return 0;
}

static int ask(const struct probe *p, const struct trainer *t, struct table *table, struct err *e)
{
    void *self = NULL;
    /* The last step's learning rate: after the schedule's end there is no next one. */
    uint64_t step = t->step < t->total ? t->step : t->total - 1;
    const struct probe_moment m = {
        .trainer = t,
        .step = t->step,
        .epoch = (double)t->step / (double)t->per_epoch,
        .lr = t->config.lr * schedule_factor(&t->schedule, step, t->total, t->per_epoch),
    };
    const struct observer sink = {.context = table, .probe = hear};
    const struct probe_out out = {p, m.step, m.epoch, &sink, 1};
    int status = p->open(&self, t, e) || p->measure(self, &m, &out, e) ? -1 : 0;
    p->close(self);
    return status;
}

static int probe_checkpoint(const struct probe *p, const struct config *c, const char *weights,
                            bool json, struct err *e)
{
    struct images images = {0};
    struct trainer *t = xcalloc(1, sizeof *t);
    struct table table = {p, json_array(), json};
    char hash[65];
    int status = load_images_of_run(c, &images, e);
    if (!status)
        status = trainer_init(t, c, &images, false, e) || load(t, weights, e) ? -1 : 0;
    if (!status) {
        model_hash(&t->net.model, hash);
        if (!json)
            printf("checkpoint %s, step %llu\n", weights, (unsigned long long)t->step);
        status = ask(p, t, &table, e);
    }
    if (!status && json) {
        json_t *o = json_object();
        json_object_set_new(o, "probe", json_string(p->name));
        json_object_set_new(o, "checkpoint", json_string(weights));
        json_object_set_new(o, "weights_hash", json_string(hash));
        json_object_set_new(o, "step", json_integer((json_int_t)t->step));
        json_object_set_new(o, "rows", json_incref(table.rows));
        status = cli_print_json(o, e);
    }
    json_decref(table.rows);
    trainer_release(t);
    images_release(&images);
    free(t);
    return status;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct config c;
    char weights[4096];
    if (args->list || inv->operand_count == 0)
        return print_list(inv->common.json, e);
    const struct probe *p = probe_find(inv->operands[0], e);
    if (!p)
        return -1;
    if (p->trains_only)
        return err_set(e, EXIT_USAGE, "the probe '%s' watches training: train with --probes %s",
                       p->name, p->name);
    if (inv->operand_count < 2)
        return err_set(e, EXIT_USAGE, "say which run or checkpoint the probe '%s' is to look at",
                       p->name);
    if (target_find(inv, inv->operands[1], args->best, weights, &c, e))
        return -1;
    return probe_checkpoint(p, &c, weights, inv->common.json, e);
}

static const char *const examples[] = {
    "kiln probe --list", "every probe and what it tells",
    "kiln probe sharpness RUN --probe-images 1024", "ends of the Hessian's spectrum, at its end",
    "kiln probe losses RUN/checkpoints/step_00001200.safetensors --json", "for a script",
    "kiln train quickstart --probes norms,noise_scale --probe-budget 2%", "along training",
    NULL,
};

const struct command command_probe = {
    .name = "probe",
    .summary = "Measure at a checkpoint: curvature, noise, losses, norms",
    .usage = "[NAME RUN|CHECKPOINT] [options]",
    .description =
        "NAME is one of the probes, which 'kiln probe --list' explains; RUN is a run directory,\n"
        "whose newest checkpoint is taken, or CHECKPOINT a .safetensors file. The configuration\n"
        "is the run's; for weights that lie in no run, it comes from the options. During\n"
        "training, the key probes names those that measure along the way, into RUN/probes.jsonl.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .max_operands = 2,
    .run = run,
};
