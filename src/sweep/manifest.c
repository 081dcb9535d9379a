/* manifest.c - see manifest.h. */
#define _GNU_SOURCE /* gethostname, gmtime_r */
#include "sweep/manifest.h"

#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "train/trainer.h"

static void set_text(json_t *o, const char *key, const char *text)
{
    /* Paths and arguments may hold any bytes; JSON only UTF-8. */
    json_t *value = json_string(text);
    json_object_set_new(o, key, value ? value : json_string("(not UTF-8)"));
}

static void set_count(json_t *o, const char *key, uint64_t n)
{
    json_object_set_new(o, key, json_integer((json_int_t)n));
}

json_t *manifest_time(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

json_t *manifest_process(void)
{
    char host[256] = "";
    json_t *o = json_object();
    gethostname(host, sizeof host - 1);
    set_text(o, "host", host);
    json_object_set_new(o, "pid", json_integer(getpid()));
    return o;
}

/* A number for each channel. */
static json_t *channels_json(const float *values, int channels)
{
    json_t *list = json_array();
    for (int i = 0; i < channels; i++)
        json_array_append_new(list, json_number((double)values[i]));
    return list;
}

static json_t *data_json(const struct images *images, const char *steps_down)
{
    json_t *o = json_object();
    set_text(o, "name", images->kind->name);
    set_text(o, "title", images->kind->title);
    set_text(o, "source", images->source);
    set_text(o, "hash", images->hash);
    json_object_set_new(o, "mean", channels_json(images->mean, images->channels));
    json_object_set_new(o, "std", channels_json(images->std, images->channels));
    json_object_set_new(o, "published", json_boolean(images->published));
    set_count(o, "train", images->train.count);
    set_count(o, "test", images->test.count);
    set_text(o, "steps_down", steps_down);
    return o;
}

json_t *manifest_new(const struct config *c, const char *recipe, const struct images *images,
                     const char *steps_down)
{
    char hash[65], value[OPTION_TEXT_SIZE];
    json_t *o = json_object();
    json_object_set_new(o, "format", json_integer(1));
    set_text(o, "recipe", recipe);
    config_hash(c, hash);
    set_text(o, "config_hash", hash);
    /* Text, because a seed may be larger than the integers of many JSON readers. */
    options_get(config_options, c, "seed", value);
    set_text(o, "seed", value);
    options_get(config_options, c, "precision", value);
    set_text(o, "precision", value);
    json_object_set_new(o, "data", data_json(images, steps_down));
    json_object_set_new(o, "sessions", json_array());
    return o;
}

int manifest_check(const json_t *manifest, const char *path, const struct config *c,
                   const struct images *images, struct err *e)
{
    char hash[65];
    if (!json_is_array(json_object_get(manifest, "sessions")))
        return err_set(e, EXIT_DATA, "'%s/manifest.json' has no list of sessions", path);
    config_hash(c, hash);
    if (strcmp(json_text_at(manifest, "config_hash"), hash) != 0)
        return err_set(e, EXIT_USAGE,
                       "'%s' was begun with another configuration; a resume may change threads, "
                       "steps, folders, evaluation and checkpoints only",
                       path);
    const char *data = json_text_at(json_object_get(manifest, "data"), "hash");
    if (strcmp(data, images->hash) != 0)
        return err_set(e, EXIT_DATA, "'%s' was begun with other images than those of '%s'", path,
                       images->source);
    return 0;
}

int manifest_take_convolutions(const json_t *manifest, const char *path, struct config *c,
                               struct err *e)
{
    const char *text = json_text_at(manifest, "convolutions");
    if (strlen(text) >= sizeof c->convolutions_recorded)
        return err_set(e, EXIT_DATA, "'%s/manifest.json' has a list of convolutions too long to be "
                       "a network's", path);
    memcpy(c->convolutions_recorded, text, strlen(text) + 1);
    return 0;
}

int manifest_take_tier(const json_t *manifest, const char *path, bool asked, struct config *c,
                       struct err *e)
{
    const json_t *session = json_array_get(json_object_get(manifest, "sessions"), 0);
    int tier = tier_parse(json_text_at(session, "tier"));
    if (tier <= TIER_AUTO || tier == c->isa)
        return 0;
    if (asked) {
        log_warn("'%s' was begun with kernels of tier '%s': with others its bits will be others",
                 path, tier_name((enum tier)tier));
        return 0;
    }
    if (!tier_available((enum tier)tier))
        return err_set(e, EXIT_USAGE,
                       "'%s' was computed with kernels of tier '%s', which this machine cannot run "
                       "(%s); go on where it can, or give up its bits with --isa %s",
                       path, tier_name((enum tier)tier), tier_lacks((enum tier)tier),
                       tier_name(tier_best()));
    c->isa = tier;
    return 0;
}

static json_t *machine_json(void)
{
    struct cpu cpu;
    struct utsname os;
    json_t *o = json_object();
    cpu_detect(&cpu);
    set_text(o, "cpu", cpu.model);
    json_object_set_new(o, "processors", json_integer(cpu.online));
    json_object_set_new(o, "affinity", json_integer(cpu.affinity));
    json_object_set_new(o, "quota", cpu.quota > 0 ? json_number(cpu.quota) : json_null());
    uname(&os);
    set_text(o, "os", os.sysname);
    set_text(o, "kernel", os.release);
    return o;
}

json_t *manifest_session(const struct provenance *from)
{
    char folder[4096];
    json_t *o = manifest_process(), *argv = json_array();
    for (int i = 0; i < from->argc; i++) {
        json_t *word = json_string(from->argv[i]);
        json_array_append_new(argv, word ? word : json_string("(not UTF-8)"));
    }
    json_object_set_new(o, "argv", argv);
    set_text(o, "folder", getcwd(folder, sizeof folder) ? folder : "");
    json_object_set_new(o, "start", manifest_time());
    json_object_set_new(o, "build", json_deep_copy(from->build));
    json_object_set_new(o, "machine", machine_json());
    return o;
}

void manifest_add_run(json_t *manifest, json_t *session, const struct run_event *event)
{
    const struct graph *g = &event->trainer->net.graph;
    char hash[HASH_HEX];
    json_t *net = json_object();
    set_text(net, "name", g->name);
    hash_of(HASH_SHA256, g->text, strlen(g->text), hash);
    set_text(net, "sha256", hash);
    set_count(net, "parameters", event->parameters);
    json_object_set_new(net, "training_macs", json_number(event->training_macs));
    json_object_set_new(manifest, "network", net);
    set_count(manifest, "train_images", event->train_images);
    set_count(manifest, "validation_images", event->validation_images);
    set_count(manifest, "total_steps", event->total_steps);
    set_count(manifest, "steps_per_epoch", event->steps_per_epoch);
    /* The first session decides: a resume obeys it. */
    if (!json_object_get(manifest, "convolutions"))
        set_text(manifest, "convolutions", event->trainer->config.convolutions_recorded);
    set_text(session, "tier", tier_name(event->tier));
    const char *why = event->trainer->config.kernels_why;
    set_text(session, "kernels_why", *why ? why : "as asked");
    json_object_set_new(session, "threads", json_integer(event->threads));
    set_count(session, "memory_bytes", event->memory);
    set_count(session, "first_step", event->first_step);
}

void manifest_end_session(json_t *session, const struct train_result *result, int exit_status,
                          const char *sentence)
{
    json_object_set_new(session, "end", manifest_time());
    set_count(session, "last_step", result->steps);
    set_text(session, "reason", train_reason_name(result->reason));
    json_object_set_new(session, "exit_status", json_integer(exit_status));
    set_count(session, "peak_resident_bytes", process_resident_peak());
    if (sentence)
        set_text(session, "error", sentence);
}
