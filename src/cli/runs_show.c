/* runs_show.c - kiln runs show and diff: one run in full, several side by side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/runs.h"
#include "cli/text_table.h"
#include "train/config.h"

enum { RUNS = 32 };

/* Fields that name a run or its moment: they differ between any two. */
static const char *const own[] = {"id",  "path",       "name",        "start", "end", "heartbeat",
                                  "pid", "checkpoint", "config_hash", NULL};

static bool is_own(const char *field)
{
    for (const char *const *o = own; *o; o++)
        if (strcmp(*o, field) == 0)
            return true;
    return false;
}

static struct index_value value_of(const struct run_summary *s, const struct summary_field *f)
{
    struct index_value v = {.kind = DB_NULL};
    if (f->kind == SUMMARY_TEXT) {
        v = (struct index_value){.kind = DB_TEXT, .text = summary_text(s, f)};
    } else if (f->kind == SUMMARY_COUNT && summary_count(s, f) >= 0) {
        v = (struct index_value){.kind = DB_INTEGER, .integer = summary_count(s, f)};
    } else if (f->kind == SUMMARY_REAL && summary_real(s, f) == summary_real(s, f)) {
        v = (struct index_value){.kind = DB_REAL, .real = summary_real(s, f)};
    }
    return v;
}

static const char *field_text(const struct run_summary *s, const struct summary_field *f,
                              char text[64])
{
    struct index_value v = value_of(s, f);
    return value_text(f->name, &v, text);
}

/* Key and value, the keys of one width. */
static void add_line(struct text_table *t, const char *key, const char *value)
{
    text_table_add(t, (const char *const[]){key, value});
}

static void print_summary(const struct run_summary *s)
{
    static const enum text_align align[] = {TEXT_LEFT, TEXT_LEFT};
    struct text_table t;
    struct config defaults;
    char text[64], fallback[OPTION_TEXT_SIZE];
    config_default(&defaults);
    text_table_init(&t, 2, align);
    for (const struct summary_field *f = summary_fields; f->name; f++) {
        const char *value = field_text(s, f, text);
        if (*value)
            add_line(&t, f->name, value);
    }
    text_table_print(&t, 0, stdout);
    text_table_release(&t);
    printf("\nsettings that are not the default:\n");
    text_table_init(&t, 2, align);
    for (size_t i = 0; i < s->setting_count; i++) {
        fallback[0] = 0;
        if (options_find(config_options, s->settings[i].key))
            options_get(config_options, &defaults, s->settings[i].key, fallback);
        if (strcmp(fallback, s->settings[i].value) != 0)
            add_line(&t, s->settings[i].key, s->settings[i].value);
    }
    text_table_print(&t, 0, stdout);
    text_table_release(&t);
}

int runs_show(struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    struct run_summary s;
    char path[4096];
    int rc = 0;
    if (run_find(a->runs, inv->operands[1], path, e) || summary_read(&s, path, e))
        return -1;
    if (inv->common.json)
        rc = cli_print_json(summary_json(&s), e);
    else
        print_summary(&s);
    summary_release(&s);
    return rc;
}

/* A key, and what each of several runs has there. */
struct comparison {
    const struct run_summary *runs;
    size_t count;
    struct text_table table;
    json_t *settings, *fields;
};

static void compare_setting(struct comparison *c, const char *key)
{
    const char *cells[RUNS + 1] = {key};
    json_t *values = json_array();
    bool same = true;
    for (size_t i = 0; i < c->count; i++) {
        const char *value = summary_setting(&c->runs[i], key);
        cells[i + 1] = value ? value : "";
        same = same && strcmp(cells[i + 1], cells[1]) == 0;
        json_array_append_new(values, value ? summary_value(key, value) : json_null());
    }
    if (!same && !json_object_get(c->settings, key)) {
        text_table_add(&c->table, cells);
        json_object_set(c->settings, key, values);
    }
    json_decref(values);
}

static void compare_field(struct comparison *c, const struct summary_field *f)
{
    const char *cells[RUNS + 1] = {f->name};
    char texts[RUNS][64];
    json_t *values = json_array();
    bool same = true;
    for (size_t i = 0; i < c->count; i++) {
        struct index_value v = value_of(&c->runs[i], f), first = value_of(&c->runs[0], f);
        cells[i + 1] = value_text(f->name, &v, texts[i]);
        same = same && v.kind == first.kind && v.integer == first.integer &&
               (v.kind != DB_REAL || v.real == first.real) &&
               (v.kind != DB_TEXT || strcmp(v.text, first.text) == 0);
        json_array_append_new(values, v.kind == DB_REAL      ? json_number(v.real)
                                      : v.kind == DB_INTEGER ? json_integer((json_int_t)v.integer)
                                      : v.kind == DB_TEXT && *v.text ? json_text(v.text)
                                                                     : json_null());
    }
    if (!same) {
        text_table_add(&c->table, cells);
        json_object_set(c->fields, f->name, values);
    }
    json_decref(values);
}

static void begin_table(struct comparison *c)
{
    enum text_align align[RUNS + 1] = {TEXT_LEFT};
    const char *cells[RUNS + 1] = {""};
    for (size_t i = 0; i < c->count; i++) {
        align[i + 1] = TEXT_TAIL;
        cells[i + 1] = c->runs[i].id;
    }
    text_table_init(&c->table, c->count + 1, align);
    text_table_add(&c->table, cells);
}

static int print_difference(struct comparison *c, bool json, struct err *e)
{
    if (json) {
        json_t *paths = json_array();
        for (size_t i = 0; i < c->count; i++)
            json_array_append_new(paths, json_text(c->runs[i].path));
        return cli_print_json(json_pack("{s:o, s:O, s:O}", "runs", paths, "settings", c->settings,
                                        "facts", c->fields),
                              e);
    }
    size_t hidden = text_table_print(&c->table, terminal_width(stdout), stdout);
    if (hidden)
        log_say("%zu runs did not fit; --json has all of them", hidden);
    return 0;
}

static int diff(const struct run_summary *runs, size_t count, bool json, struct err *e)
{
    struct comparison c = {
        .runs = runs, .count = count, .settings = json_object(), .fields = json_object()};
    begin_table(&c);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < runs[i].setting_count; k++)
            compare_setting(&c, runs[i].settings[k].key);
    for (const struct summary_field *f = summary_fields; f->name; f++)
        if (!is_own(f->name) && !(summary_setting(&runs[0], f->name)))
            compare_field(&c, f);
    int rc = print_difference(&c, json, e);
    text_table_release(&c.table);
    json_decref(c.settings);
    json_decref(c.fields);
    return rc;
}

int runs_diff(struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    struct run_summary runs[RUNS];
    char path[4096];
    size_t count = 0, wanted = (size_t)inv->operand_count - 1;
    int rc = 0;
    if (wanted < 2 || wanted > RUNS)
        return err_set(e, EXIT_USAGE, "'kiln runs diff' wants from 2 to %d runs", RUNS);
    for (; rc == 0 && count < wanted; count += rc == 0)
        rc = run_find(a->runs, inv->operands[count + 1], path, e) ||
                     summary_read(&runs[count], path, e)
                 ? -1
                 : 0;
    if (!rc)
        rc = diff(runs, count, inv->common.json, e);
    while (count > 0)
        summary_release(&runs[--count]);
    return rc;
}
