/* cmd_export.c - kiln export: a run's weights and measurements, for other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/runs.h"
#include "cli/target.h"
#include "cli/version.h"
#include "data/dataset.h"
#include "export/onnx.h"
#include "export/series.h"
#include "store/rundir.h"
#include "train/checkpoint.h"

struct args {
    bool best;
    char runs[OPTION_TEXT_SIZE];
};

static const struct option_def options[] = {
    {"best", OPTION_FLAG, offsetof(struct args, best), "no", 0, 0, NULL, NULL, "export",
     "of a run, take the best checkpoint instead of the newest", NULL},
    {"runs", OPTION_TEXT, offsetof(struct args, runs), "runs", 0, OPTION_TEXT_SIZE - 1, NULL, NULL,
     "export", "folder in which a run is looked for by its name", NULL},
    {0},
};

enum { PAIRS = 12 };

/* What is exported: weights with their network, and what is known of them. */
struct subject {
    char weights[4096], run[4096];   /* run: "" if they lie in none */
    struct config config;
    struct arena arena;
    struct graph graph;
    struct safetensors file;
    struct safetensors_pair metadata[PAIRS];
    int pairs;
};

static void add_pair(struct subject *s, const char *key, const char *value)
{
    if (value && *value && s->pairs < PAIRS)
        s->metadata[s->pairs++] =
            (struct safetensors_pair){key, arena_strdup(&s->arena, value)};
}

/* "[125.3, 123, 113.9]" of the manifest as "125.3 123 113.9". */
static void add_list(struct subject *s, const char *key, const json_t *list)
{
    char text[256] = "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%.9g", i ? " " : "",
                 json_number_value(json_array_get(list, i)));
    }
    add_pair(s, key, text);
}

/* The data set that the weights were trained on: the manifest knows of a step down. */
static const struct dataset *dataset_of(struct subject *s, const json_t *data, struct err *e)
{
    const char *name = json_string_value(json_object_get(data, "name"));
    const struct dataset *kind = dataset_find(name ? name : s->config.data);
    if (!kind)
        dataset_unknown(name ? name : s->config.data, e);
    return kind;
}

static int open_network(struct subject *s, const json_t *data, struct err *e)
{
    const struct dataset *kind = dataset_of(s, data, e);
    if (!kind)
        return -1;
    const struct graph_options o = {.input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE},
                                    .classes = kind->classes,
                                    .width = s->config.width};
    if (graph_load(&s->graph, &s->arena, s->config.net, &o, e) ||
        checkpoint_read_weights(&s->file, &s->graph, s->weights, e))
        return -1;
    add_pair(s, "producer", "kiln");
    add_pair(s, "version", version_number());
    add_pair(s, "net", s->graph.name);
    add_pair(s, "data", kind->name);
    add_pair(s, "step", safetensors_metadata(&s->file, "step"));
    add_pair(s, "config_hash", safetensors_metadata(&s->file, "config_hash"));
    /* Of the training images, for each channel, in 0..255: what the input is normalised with. */
    add_list(s, "mean", json_object_get(data, "mean"));
    add_list(s, "std", json_object_get(data, "std"));
    return 0;
}

static int open_subject(struct subject *s, const struct invocation *inv, struct err *e)
{
    const struct args *a = inv->args;
    char path[4096];
    json_t *manifest = NULL;
    snprintf(path, sizeof path, "%s", inv->operands[1]);
    if (!file_exists(path) && run_find(a->runs, inv->operands[1], path, e))
        return -1;
    if (target_find(inv, path, a->best, s->weights, &s->config, e))
        return -1;
    if (target_run(s->weights, s->run) &&
        file_join(path, sizeof path, s->run, "manifest.json", NULL) == 0 && file_exists(path))
        manifest = json_read(path, EXIT_DATA, NULL); /* without it: less is told */
    int rc = open_network(s, json_object_get(manifest, "data"), e);
    json_decref(manifest);
    return rc;
}

static void close_subject(struct subject *s)
{
    safetensors_release(&s->file);
    arena_release(&s->arena);
}

static int export_safetensors(const struct invocation *inv, const char *out, struct err *e)
{
    struct subject s = {0};
    int rc = open_subject(&s, inv, e);
    add_pair(&s, "format", "pt");
    if (!rc)
        rc = safetensors_write(out, s.file.tensors, s.file.count, s.metadata, s.pairs, e);
    close_subject(&s);
    return rc;
}

static int export_onnx(const struct invocation *inv, const char *out, struct err *e)
{
    struct subject s = {0};
    struct wire model = {0};
    int rc = open_subject(&s, inv, e);
    if (!rc)
        rc = onnx_build(&model, &s.graph, &s.file, s.metadata, s.pairs, e);
    if (!rc)
        rc = file_write(out, model.data, model.size, e);
    wire_release(&model);
    close_subject(&s);
    return rc;
}

/* The run that the operand means: a directory or a name, not a checkpoint. */
static int find_run(const struct invocation *inv, char *path, struct err *e)
{
    const struct args *a = inv->args;
    const char *name = inv->operands[1];
    if (file_exists(name) && !rundir_is(name))
        return err_set(e, EXIT_USAGE, "'%s' is no run directory, and only a run has measurements",
                       name);
    return run_find(a->runs, name, path, e);
}

static int export_csv(const struct invocation *inv, const char *out, struct err *e)
{
    char run[4096];
    struct wire text = {0};
    int rc = find_run(inv, run, e) || series_csv(&text, run, e) ||
                     file_write(out, text.data, text.size, e)
                 ? -1
                 : 0;
    wire_release(&text);
    return rc;
}

static int export_tfevents(const struct invocation *inv, const char *out, struct err *e)
{
    char run[4096];
    struct run_summary s;
    struct wire events = {0};
    if (find_run(inv, run, e) || summary_read(&s, run, e))
        return -1;
    int rc = series_tfevents(&events, &s, e);
    if (!rc)
        rc = file_write(out, events.data, events.size, e);
    if (!rc && !strstr(out, "tfevents"))
        log_say("TensorBoard reads only files that have 'tfevents' in their name");
    wire_release(&events);
    summary_release(&s);
    return rc;
}

static const struct format {
    const char *name;
    int (*run)(const struct invocation *inv, const char *out, struct err *e);
} formats[] = {
    {"safetensors", export_safetensors},
    {"onnx", export_onnx},
    {"tfevents", export_tfevents},
    {"csv", export_csv},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

static const struct format *find_format(const char *name, struct err *e)
{
    const char *names[FORMATS + 1] = {NULL};
    for (int i = 0; i < FORMATS; i++) {
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
        names[i] = formats[i].name;
    }
    const char *nearest = nearest_name(name, names);
    err_set(e, EXIT_USAGE, "no format '%s'%s%s%s; it is safetensors, onnx, tfevents or csv", name,
            nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return NULL;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct format *format = find_format(inv->operands[0], e);
    const char *out = inv->common.out;
    if (!format)
        return -1;
    if (!*out)
        return err_set(e, EXIT_USAGE, "'kiln export' wants --out FILE");
    if (format->run(inv, out, e))
        return -1;
    if (inv->common.json)
        return cli_print_json(json_pack("{s:s, s:o}", "format", format->name, "file",
                                        json_text(out)),
                              e);
    printf("%s\n", out);
    return 0;
}

static const char *const examples[] = {
    "kiln export onnx 4e682d54 --out model.onnx", "the newest checkpoint of a run, for onnxruntime",
    "kiln export safetensors RUN --best --out best.safetensors", "its best one, for PyTorch",
    "kiln export onnx weights.safetensors --net resnet18 --data cifar10 --out model.onnx",
    "weights from elsewhere",
    "kiln export tfevents RUN --out logs/run/events.out.tfevents.kiln",
    "then: tensorboard --logdir logs",
    "kiln export csv RUN --out metrics.csv", "every step, for a spreadsheet",
    NULL,
};

static const char *const words[] = {"safetensors", "onnx", "tfevents", "csv", NULL};

const struct command command_export = {
    .name = "export",
    .summary = "Write a run's weights or measurements for other programs",
    .usage = "safetensors|onnx|tfevents|csv RUN|CHECKPOINT --out FILE",
    .description =
        "safetensors and onnx take the newest checkpoint of a run, its best one with --best, or\n"
        "a checkpoint file. A RUN is a directory, or a name as 'kiln runs' takes it.\n\n"
        "safetensors: the weights with PyTorch's names and layouts; load_file and\n"
        "load_state_dict take them. Mean and deviation of the training images are in its\n"
        "metadata.\n\n"
        "onnx: the network of evaluation, opset 17. Its input is float [N, C, 32, 32], images\n"
        "normalised as (pixel - mean) / std with the mean and std of its metadata; its output,\n"
        "logits, is float [N, classes].\n\n"
        "tfevents: what training and probes measured, and the settings, for TensorBoard.\n\n"
        "csv: a row for each record of metrics.jsonl, a column for each series.\n\n"
        "A file that is there is replaced, whole or not at all.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET | COMMON_OUT,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 2,
    .max_operands = 2,
    .operand_words = words,
    .run = run,
};
