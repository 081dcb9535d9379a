/* runs_list.c - kiln runs list: a table, CSV or JSON of the runs of a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "cli/runs.h"
#include "cli/text_table.h"
#include "train/config.h"

enum { COLUMNS = 256 };

/* What matters most comes first: a narrow terminal shows no more. */
static const char *const default_columns[] = {
    "path", "state", "epoch", "test_accuracy", "test_loss", "lr",
    "batch", "seed", "net",   "name",          "seconds",
};
enum { DEFAULT_COLUMNS = sizeof default_columns / sizeof default_columns[0] };

/* The columns asked for: pointers into `text`, which is cut up. */
static size_t split_columns(char *text, const char **columns)
{
    size_t n = 0;
    for (char *word = strtok(text, ", "); word && n < COLUMNS; word = strtok(NULL, ", "))
        columns[n++] = word;
    return n;
}

/* Everything that is known: fields, and then the settings that are not fields. */
static size_t all_columns(const char **columns)
{
    struct setting_list settings;
    size_t n = 0;
    for (const struct summary_field *f = summary_fields; f->name; f++)
        columns[n++] = f->name;
    for (const char *const *s = setting_names(&settings); *s && n < COLUMNS; s++)
        if (!summary_field_find(*s))
            columns[n++] = *s;
    return n;
}

const char *value_text(const char *key, const struct index_value *v, char text[64])
{
    size_t n = strlen(key);
    const char *format = "%.9g";
    if (v->kind == DB_NULL)
        return "";
    if (v->kind == DB_TEXT)
        return v->text;
    if (v->kind == DB_INTEGER) {
        snprintf(text, 64, "%lld", (long long)v->integer);
        return text;
    }
    if ((n > 5 && !strcmp(key + n - 5, "_loss")) || (n > 9 && !strcmp(key + n - 9, "_accuracy")))
        format = "%.4f";
    else if (!strcmp(key, "seconds") || !strcmp(key, "train_seconds"))
        format = "%.1f";
    else if (!strcmp(key, "images_per_second"))
        format = "%.0f";
    else if (!strcmp(key, "epoch"))
        format = "%.4g";
    snprintf(text, 64, format, v->real);
    return text;
}

/* A column of names may be cut at its beginning: ids end in what tells runs apart. Settings are
 * numbers more often than not, and short. */
static enum text_align align_of(const char *key)
{
    const struct summary_field *f = summary_field_find(key);
    if (!strcmp(key, "path") || !strcmp(key, "id"))
        return TEXT_TAIL;
    const struct option_def *o = options_find(config_options, key);
    if (f)
        return f->kind == SUMMARY_TEXT ? TEXT_LEFT : TEXT_RIGHT;
    return o && (o->type == OPTION_TEXT || o->type == OPTION_CHOICE || o->type == OPTION_FLAG)
               ? TEXT_LEFT
               : TEXT_RIGHT;
}

static bool is_empty_column(const struct index_rows *rows, size_t column)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct index_value *v = &rows->values[i * rows->columns + column];
        if (v->kind != DB_NULL && (v->kind != DB_TEXT || *v->text))
            return false;
    }
    return true;
}

/* Columns that were not asked for and say nothing are left out. */
static void print_table(const struct index_rows *rows, const char *const *columns, bool asked)
{
    const char *cells[COLUMNS];
    char numbers[COLUMNS][64];
    enum text_align align[COLUMNS];
    size_t shown[COLUMNS], n = 0;
    struct text_table t;
    for (size_t i = 0; i < rows->columns; i++) {
        if (!asked && i > 0 && is_empty_column(rows, i))
            continue;
        cells[n] = columns[i];
        align[n] = align_of(columns[i]);
        shown[n++] = i;
    }
    text_table_init(&t, n, align);
    text_table_add(&t, cells);
    for (size_t row = 0; row < rows->count; row++) {
        for (size_t i = 0; i < n; i++)
            cells[i] = value_text(columns[shown[i]],
                                  &rows->values[row * rows->columns + shown[i]], numbers[i]);
        text_table_add(&t, cells);
    }
    size_t hidden = text_table_print(&t, terminal_width(stdout), stdout);
    if (hidden)
        log_say("%zu columns did not fit; --columns chooses", hidden);
    text_table_release(&t);
}

/* RFC 4180: quotes around what holds a comma, a quote or a line's end, and doubled inside. */
static void print_field(const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const struct index_rows *rows, const char *const *columns)
{
    char number[64];
    for (size_t i = 0; i < rows->columns; i++)
        printf("%s%s", i ? "," : "", columns[i]);
    printf("\r\n");
    for (size_t row = 0; row < rows->count; row++) {
        for (size_t i = 0; i < rows->columns; i++) {
            const struct index_value *v = &rows->values[row * rows->columns + i];
            if (i)
                putchar(',');
            if (v->kind == DB_REAL) {
                snprintf(number, sizeof number, "%.9g", v->real);
                fputs(number, stdout);
            } else {
                print_field(value_text(columns[i], v, number));
            }
        }
        printf("\r\n");
    }
}

static json_t *value_json(const char *key, const struct index_value *v)
{
    switch (v->kind) {
    case DB_INTEGER: return json_integer((json_int_t)v->integer);
    case DB_REAL: return json_number(v->real);
    case DB_NULL: return json_null();
    default: break;
    }
    if (!summary_field_find(key))
        return summary_value(key, v->text);
    return *v->text ? json_text(v->text) : json_null();
}

static int print_rows_json(const struct index_rows *rows, const char *const *columns,
                           struct err *e)
{
    json_t *list = json_array();
    for (size_t row = 0; row < rows->count; row++) {
        json_t *o = json_object();
        for (size_t i = 0; i < rows->columns; i++)
            json_object_set_new(o, columns[i],
                                value_json(columns[i], &rows->values[row * rows->columns + i]));
        json_array_append_new(list, o);
    }
    return cli_print_json(json_pack("{s:o}", "runs", list), e);
}

static int add_summary(void *context, const struct run_summary *s, struct err *e)
{
    (void)e;
    json_array_append_new(context, summary_json(s));
    return 0;
}

static int list_summaries(struct index *x, const struct index_query *q, struct err *e)
{
    json_t *list = json_array();
    if (index_each(x, q, add_summary, list, e)) {
        json_decref(list);
        return -1;
    }
    return cli_print_json(json_pack("{s:o}", "runs", list), e);
}

static int list(struct index *x, const struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    const struct index_query q = {
        .where = a->where, .sort = a->sort, .reverse = a->reverse, .limit = a->limit};
    const char *columns[COLUMNS];
    char names[OPTION_TEXT_SIZE];
    struct index_rows rows;
    bool asked = a->columns[0] != 0;
    size_t n;
    snprintf(names, sizeof names, "%s", a->columns);
    if (inv->common.json && !asked)
        return list_summaries(x, &q, e);
    if (asked) {
        n = split_columns(names, columns);
    } else if (a->csv) {
        n = all_columns(columns);
    } else {
        n = DEFAULT_COLUMNS;
        memcpy(columns, default_columns, sizeof default_columns);
    }
    if (n == 0)
        return err_set(e, EXIT_USAGE, "--columns names no column");
    int rc = index_select(x, &q, columns, n, &rows, e);
    if (!rc && rows.count == 0)
        log_say("no run in '%s'%s", a->runs, a->where[0] ? " for which that is true" : "");
    if (!rc && inv->common.json)
        rc = print_rows_json(&rows, columns, e);
    else if (!rc && a->csv)
        print_csv(&rows, columns);
    else if (!rc && rows.count > 0)
        print_table(&rows, columns, asked);
    index_rows_release(&rows);
    return rc;
}

int runs_list(struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    struct index x;
    struct setting_list settings;
    if (a->csv && inv->common.json)
        return err_set(e, EXIT_USAGE, "--csv and --json exclude each other");
    if (index_open(&x, a->runs, setting_names(&settings), e))
        return -1;
    int rc = list(&x, inv, e);
    index_close(&x);
    return rc;
}
