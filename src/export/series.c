/* series.c - see series.h. */
#include "export/series.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "export/tfevents.h"
#include "store/metrics.h"

enum { COLUMNS = 1024 };

/* Columns of the table, as they turn up. */
struct columns {
    struct arena memory;
    const char *names[COLUMNS];
    size_t count;
    struct wire *out;
};

static bool is_known(const struct columns *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->names[i], name) == 0)
            return true;
    return false;
}

static int collect_columns(void *context, const json_t *record)
{
    struct columns *c = context;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, key, value)
        if (strcmp(key, "v") && strcmp(key, "nonfinite") && !is_known(c, key) &&
            c->count < COLUMNS)
            c->names[c->count++] = arena_strdup(&c->memory, key);
    return 0;
}

static void put_text(struct wire *out, const char *text)
{
    wire_raw(out, text, strlen(text));
}

/* RFC 4180. */
static void put_field(struct wire *out, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        put_text(out, text);
        return;
    }
    put_text(out, "\"");
    for (; *text; text++) {
        if (*text == '"')
            put_text(out, "\"");
        wire_raw(out, text, 1);
    }
    put_text(out, "\"");
}

/* "nan", "inf" or "-inf" of a member that JSON has as null; or NULL. */
static const char *nonfinite(const json_t *record, const char *key)
{
    return json_string_value(json_object_get(json_object_get(record, "nonfinite"), key));
}

static int put_row(void *context, const json_t *record)
{
    struct columns *c = context;
    for (size_t i = 0; i < c->count; i++) {
        const json_t *value = json_object_get(record, c->names[i]);
        const char *bad = nonfinite(record, c->names[i]);
        char number[64] = "";
        if (json_is_integer(value))
            snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        else if (json_is_real(value)) /* times need more than a float has */
            snprintf(number, sizeof number, strcmp(c->names[i], "wall") ? "%.9g" : "%.3f",
                     json_real_value(value));
        put_text(c->out, i ? "," : "");
        put_field(c->out, bad ? bad : json_is_string(value) ? json_string_value(value) : number);
    }
    put_text(c->out, "\r\n");
    return 0;
}

int series_csv(struct wire *out, const char *run, struct err *e)
{
    char path[4096];
    struct columns c = {.out = out};
    int rc = file_join(path, sizeof path, run, "metrics.jsonl", e) ||
                     metrics_each(path, collect_columns, &c, e)
                 ? -1
                 : 0;
    for (size_t i = 0; rc == 0 && i < c.count; i++) {
        put_text(out, i ? "," : "");
        put_field(out, c.names[i]);
    }
    if (rc == 0) {
        put_text(out, "\r\n");
        /* A line that was added meanwhile may have a column that the header has not; its other
         * values are here. */
        rc = metrics_each(path, put_row, &c, e);
    }
    arena_release(&c.memory);
    return rc;
}

/* Turns records into events. */
struct events {
    struct tfevents t;
    bool started, probes;
    double first_wall;
};

static void add_value(struct events *v, const json_t *record, const char *key, const json_t *value)
{
    char tag[1024];
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *of = json_string_value(json_object_get(record, "of"));
    const char *bad = nonfinite(record, key);
    double number = json_is_number(value) ? json_number_value(value)
                    : bad                 ? strtod(bad, NULL)
                                          : (double)NAN;
    if (!json_is_number(value) && !bad)
        return; /* a text, or null: not measured */
    if (v->probes)
        snprintf(tag, sizeof tag, "%s%s%s/%s", kind ? kind : "", of && *of ? "/" : "",
                 of ? of : "", key);
    else
        snprintf(tag, sizeof tag, "%s", key);
    tfevents_scalar(&v->t, tag, (float)number);
}

/* The members that every record has, and that are no series. */
static bool is_position(const char *key)
{
    static const char *const keys[] = {"v",    "kind",      "step", "epoch", "t",
                                       "wall", "nonfinite", "of",   NULL};
    for (const char *const *k = keys; *k; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

/* Records that tell of something that happened, and measure nothing. */
static bool is_event(const json_t *record)
{
    const char *kind = json_string_value(json_object_get(record, "kind"));
    return kind && (!strcmp(kind, "checkpoint") || !strcmp(kind, "hash"));
}

static int add_event(void *context, const json_t *record)
{
    struct events *v = context;
    const char *key;
    json_t *value;
    double wall = json_number_value(json_object_get(record, "wall"));
    if (!v->started) {
        tfevents_start(&v->t, wall);
        v->first_wall = wall;
    }
    v->started = true;
    json_object_foreach((json_t *)(uintptr_t)record, key, value)
        if (!is_position(key) && !is_event(record))
            add_value(v, record, key, value);
    tfevents_end(&v->t, wall, json_integer_value(json_object_get(record, "step")));
    return 0;
}

static void add_settings(struct events *v, const struct run_summary *s)
{
    struct hparams h = {0};
    for (size_t i = 0; i < s->setting_count; i++) {
        const struct run_setting *setting = &s->settings[i];
        json_t *value = summary_value(setting->key, setting->value);
        if (json_is_number(value))
            hparams_number(&h, setting->key, json_number_value(value));
        else if (json_is_string(value))
            hparams_text(&h, setting->key, json_string_value(value));
        json_decref(value);
    }
    tfevents_hparams(&v->t, &h, s->id, v->first_wall);
}

int series_tfevents(struct wire *out, const struct run_summary *s, struct err *e)
{
    char metrics[4096], probes[4096];
    struct events v = {0};
    int rc = file_join(metrics, sizeof metrics, s->path, "metrics.jsonl", e) ||
                     file_join(probes, sizeof probes, s->path, "probes.jsonl", e) ||
                     metrics_each(metrics, add_event, &v, e)
                 ? -1
                 : 0;
    v.probes = true;
    if (rc == 0 && file_exists(probes))
        rc = metrics_each(probes, add_event, &v, e);
    if (rc == 0 && !v.started)
        rc = err_set(e, EXIT_DATA, "'%s' holds no measurement yet", metrics);
    if (rc == 0) {
        add_settings(&v, s);
        *out = v.t.file;
        v.t.file = (struct wire){0};
    }
    tfevents_release(&v.t);
    return rc;
}
