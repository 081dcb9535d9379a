/* options.c - see options.h. Values go into a config only after every check has passed. */
#define _GNU_SOURCE /* environ */
#include "base/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "base/arena.h"
#include "base/file.h"

/* inih reads lines into a buffer of 200 bytes; a longer value would not survive config.ini. */
enum { VALUE_MAX = 160, LINE_MAX_INI = 190, NAME_MAX_LENGTH = 64 };

const struct option_def *options_find(const struct option_def *table, const char *key)
{
    for (; table->name; table++)
        if (strcmp(table->name, key) == 0)
            return table;
    return NULL;
}

/* Edits that turn a into b: a letter put in, left out, replaced, or two neighbours swapped
 * (Damerau 1964, the restricted form). */
static size_t distance(const char *a, const char *b)
{
    size_t d[NAME_MAX_LENGTH + 1][NAME_MAX_LENGTH + 1], m = strlen(a), n = strlen(b);
    if (m > NAME_MAX_LENGTH || n > NAME_MAX_LENGTH)
        return SIZE_MAX;
    for (size_t i = 0; i <= m; i++) {
        for (size_t j = 0; j <= n; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[m][n];
}

const char *nearest_name(const char *name, const char *const *names)
{
    size_t limit = strlen(name) / 3, best = SIZE_MAX;
    const char *nearest = NULL;
    if (limit < 1)
        limit = 1;
    for (; *names; names++) {
        size_t d = distance(name, *names);
        if (d <= limit && d < best) {
            best = d;
            nearest = *names;
        }
    }
    return nearest;
}

static const char *nearest_key(const struct option_def *table, const char *key)
{
    size_t count = 0;
    while (table[count].name)
        count++;
    const char **names = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = table[i].name;
    const char *nearest = nearest_name(key, names);
    free(names);
    return nearest;
}

static int unknown_key(const struct option_def *table, const char *key, const char *origin,
                       struct err *e)
{
    const char *nearest = nearest_key(table, key);
    if (nearest)
        return err_set(e, EXIT_USAGE, "%s: unknown key '%s'; did you mean '%s'?", origin, key,
                       nearest);
    return err_set(e, EXIT_USAGE, "%s: unknown key '%s'", origin, key);
}

/* Index of `value` in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *value)
{
    size_t n = strlen(value);
    const char *p = choices;
    for (int i = 0;; i++) {
        size_t length = strcspn(p, "|");
        if (length == n && strncmp(p, value, n) == 0)
            return i;
        if (!p[length])
            return -1;
        p += length + 1;
    }
}

static void choice_name(const char *choices, int index, char *out)
{
    const char *p = choices;
    for (; index > 0; index--)
        p += strcspn(p, "|") + 1;
    snprintf(out, OPTION_TEXT_SIZE, "%.*s", (int)strcspn(p, "|"), p);
}

static int parse_flag(const char *value, bool *out)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *out = strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    return -1;
}

/* A value of any type, before it goes into the config. */
union value {
    int i;
    uint64_t u;
    double d;
    bool b;
};

static int parse_number(const struct option_def *o, const char *text, union value *v)
{
    char *end;
    errno = 0;
    if (o->type == OPTION_INT) {
        long n = strtol(text, &end, 10);
        if (end == text || *end || errno || n < INT32_MIN || n > INT32_MAX)
            return -1;
        v->i = (int)n;
    } else if (o->type == OPTION_SEED) {
        v->u = strtoull(text, &end, 10);
        if (end == text || *end || errno || !isdigit((unsigned char)*text))
            return -1;
    } else {
        v->d = strtod(text, &end);
        if (*end == '%' && end != text) {
            v->d /= 100;
            end++;
        }
        if (end == text || *end || !isfinite(v->d))
            return -1;
    }
    return 0;
}

static bool in_range(const struct option_def *o, const union value *v)
{
    double x = o->type == OPTION_INT ? v->i : o->type == OPTION_SEED ? (double)v->u : v->d;
    return x >= o->min && x <= o->max;
}

/* A text must survive the way through config.ini, unless it has a `max`: it never goes there. */
static int check_text(const struct option_def *o, const char *text, struct err *e)
{
    size_t n = strlen(text), longest = o->max > 0 ? (size_t)o->max : VALUE_MAX;
    assert(longest < OPTION_TEXT_SIZE);
    if (n > longest)
        return err_set(e, EXIT_USAGE, "longer than %zu characters", longest);
    if (o->max > 0)
        return 0;
    for (const char *p = text; *p; p++) {
        if (iscntrl((unsigned char)*p))
            return err_set(e, EXIT_USAGE, "control characters are not allowed");
        if (*p == ';' && (p == text || p[-1] == ' '))
            return err_set(e, EXIT_USAGE, "' ;' would begin a comment in a recipe");
    }
    if (n && (text[0] == ' ' || text[n - 1] == ' '))
        return err_set(e, EXIT_USAGE, "spaces at the ends are not allowed");
    return 0;
}

static const char *type_noun(enum option_type type)
{
    switch (type) {
    case OPTION_INT: return "an integer";
    case OPTION_SEED: return "an integer from 0 to 2^64-1";
    case OPTION_REAL: return "a number";
    case OPTION_FLAG: return "yes or no";
    default: return "a text";
    }
}

static int parse_value(const struct option_def *o, const char *value, const char *origin,
                       union value *v, struct err *e)
{
    switch (o->type) {
    case OPTION_INT:
    case OPTION_SEED:
    case OPTION_REAL:
        if (parse_number(o, value, v))
            break;
        if (!in_range(o, v))
            return err_set(e, EXIT_USAGE, "%s: %s is %s, but must be from %.15g to %.15g%s%s",
                           origin, o->name, value, o->min, o->max, o->unit ? " " : "",
                           o->unit ? o->unit : "");
        return 0;
    case OPTION_FLAG:
        if (parse_flag(value, &v->b))
            break;
        return 0;
    case OPTION_CHOICE:
        v->i = choice_index(o->choices, value);
        if (v->i < 0)
            return err_set(e, EXIT_USAGE, "%s: %s is '%s', but must be one of %s", origin, o->name,
                           value, o->choices);
        return 0;
    case OPTION_TEXT:
    case OPTION_LIST:
        if (check_text(o, value, e))
            return err_prefix(e, "%s: %s", origin, o->name);
        return 0;
    }
    return err_set(e, EXIT_USAGE, "%s: %s is '%s', but must be %s", origin, o->name, value,
                   type_noun(o->type));
}

static void store_value(const struct option_def *o, void *config, const char *text,
                        const union value *v)
{
    char *member = (char *)config + o->offset;
    switch (o->type) {
    case OPTION_INT:
    case OPTION_CHOICE: memcpy(member, &v->i, sizeof v->i); break;
    case OPTION_SEED: memcpy(member, &v->u, sizeof v->u); break;
    case OPTION_REAL: memcpy(member, &v->d, sizeof v->d); break;
    case OPTION_FLAG: memcpy(member, &v->b, sizeof v->b); break;
    case OPTION_TEXT: snprintf(member, OPTION_TEXT_SIZE, "%s", text); break;
    case OPTION_LIST:
        if (*text)
            snprintf(member + strlen(member), OPTION_LIST_SIZE - strlen(member), "%s\n", text);
        else
            member[0] = 0;
        break;
    }
}

/* Whether one more line fits into a list. */
static bool has_room(const struct option_def *o, const void *config, const char *line)
{
    const char *list = (const char *)config + o->offset;
    return o->type != OPTION_LIST || !*line ||
           strlen(list) + strlen(line) + 2 <= OPTION_LIST_SIZE;
}

int options_set(const struct option_def *table, void *config, const char *key, const char *value,
                const char *origin, struct err *e)
{
    const struct option_def *o = options_find(table, key);
    if (!o)
        return unknown_key(table, key, origin, e);
    union value v = {0};
    if (parse_value(o, value, origin, &v, e))
        return -1;
    if (!has_room(o, config, value))
        return err_set(e, EXIT_USAGE, "%s: %s is given too often", origin, o->name);
    if (o->check && o->check(value, e)) {
        if (e)
            e->code = EXIT_USAGE;
        return err_prefix(e, "%s: %s", origin, o->name);
    }
    store_value(o, config, value, &v);
    return 0;
}

void options_default(const struct option_def *table, void *config)
{
    for (const struct option_def *o = table; o->name; o++) {
        struct err e = {0};
        int rc = options_set(table, config, o->name, o->fallback, "default", &e);
        assert(rc == 0); /* a table whose default breaks its own rule is our bug */
        (void)rc;
    }
}

/* The shortest decimal that reads back to the same bits. */
static void print_real(double value, char *out)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, OPTION_TEXT_SIZE, "%.*g", digits, value);
        double again = strtod(out, NULL);
        if (memcmp(&again, &value, sizeof value) == 0)
            return;
    }
}

void options_get(const struct option_def *table, const void *config, const char *key, char *out)
{
    const struct option_def *o = options_find(table, key);
    assert(o);
    const char *member = (const char *)config + o->offset;
    union value v = {0};
    switch (o->type) {
    case OPTION_INT:
        memcpy(&v.i, member, sizeof v.i);
        snprintf(out, OPTION_TEXT_SIZE, "%d", v.i);
        break;
    case OPTION_CHOICE:
        memcpy(&v.i, member, sizeof v.i);
        choice_name(o->choices, v.i, out);
        break;
    case OPTION_SEED:
        memcpy(&v.u, member, sizeof v.u);
        snprintf(out, OPTION_TEXT_SIZE, "%" PRIu64, v.u);
        break;
    case OPTION_REAL:
        memcpy(&v.d, member, sizeof v.d);
        print_real(v.d, out);
        break;
    case OPTION_FLAG:
        memcpy(&v.b, member, sizeof v.b);
        snprintf(out, OPTION_TEXT_SIZE, "%s", v.b ? "yes" : "no");
        break;
    case OPTION_TEXT:
    case OPTION_LIST: snprintf(out, OPTION_TEXT_SIZE, "%s", member); break;
    }
}

/* What inih reads from and calls back with: it counts no lines for its caller, so we do. */
struct ini_reading {
    const char *path, *next; /* next: the text not yet read */
    int line;
    ini_visit_fn visit;
    void *context;
    bool failed;
    struct err *e;
};

static char *next_line(char *buffer, int size, void *stream)
{
    struct ini_reading *r = stream;
    if (r->failed || !*r->next)
        return NULL;
    size_t n = strcspn(r->next, "\n");
    r->line++;
    if (n > LINE_MAX_INI) {
        err_set(r->e, EXIT_USAGE, "%s:%d: the line is longer than %d characters", r->path, r->line,
                LINE_MAX_INI);
        r->failed = true;
        return NULL;
    }
    snprintf(buffer, (size_t)size, "%.*s\n", (int)n, r->next);
    r->next += n + (r->next[n] == '\n');
    return buffer;
}

static int handle_pair(void *user, const char *section, const char *name, const char *value)
{
    (void)section;
    struct ini_reading *r = user;
    if (r->failed)
        return 1;
    char origin[4096 + 16];
    snprintf(origin, sizeof origin, "%s:%d", r->path, r->line);
    r->failed = r->visit(r->context, origin, name, value, r->e) != 0;
    return 1;
}

int ini_each(const char *path, ini_visit_fn visit, void *context, struct err *e)
{
    char *text;
    size_t bytes;
    if (file_read(path, &text, &bytes, EXIT_USAGE, e))
        return -1;
    struct ini_reading r = {
        .path = path, .next = text, .visit = visit, .context = context, .e = e};
    int rc = -1;
    if (memchr(text, 0, bytes)) {
        err_set(e, EXIT_USAGE, "%s: not a text file", path);
        goto out;
    }
    int bad_line = ini_parse_stream(next_line, &r, handle_pair, &r);
    if (r.failed)
        goto out;
    if (bad_line) {
        err_set(e, EXIT_USAGE, "%s:%d: neither 'key = value' nor a [heading]", path, bad_line);
        goto out;
    }
    rc = 0;
out:
    free(text);
    return rc;
}

struct assignment {
    const struct option_def *table;
    void *config;
    bool *seen; /* [table entries] */
};

static int assign(void *context, const char *origin, const char *key, const char *value,
                  struct err *e)
{
    struct assignment *a = context;
    const struct option_def *o = options_find(a->table, key);
    if (o && a->seen[o - a->table])
        return err_set(e, EXIT_USAGE, "%s: %s is given twice", origin, key);
    if (options_set(a->table, a->config, key, value, origin, e))
        return -1;
    a->seen[o - a->table] = true;
    return 0;
}

int options_read_ini(const struct option_def *table, void *config, const char *path,
                     struct err *e)
{
    size_t count = 0;
    while (table[count].name)
        count++;
    struct assignment a = {.table = table, .config = config};
    a.seen = xcalloc(count + 1, sizeof *a.seen);
    int rc = ini_each(path, assign, &a, e);
    free(a.seen);
    return rc;
}

static bool is_listed(const char *name, const char *const *list)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

int options_read_environment(const struct option_def *table, void *config,
                             const char *const *except, struct err *e)
{
    for (const struct option_def *o = table; o->name; o++) {
        if (is_listed(o->name, except))
            continue;
        char variable[NAME_MAX_LENGTH + 8] = "KILN_";
        size_t n = strlen(variable);
        for (const char *p = o->name; *p && n + 1 < sizeof variable; p++)
            variable[n++] = (char)toupper((unsigned char)*p);
        variable[n] = 0;
        const char *value = getenv(variable);
        if (value && options_set(table, config, o->name, value, variable, e))
            return -1;
    }
    return 0;
}

int options_check_environment(const struct option_def *table, const char *const *others,
                              struct err *e)
{
    static const char start[] = "KILN_";
    for (char **variable = environ; *variable; variable++) {
        char key[NAME_MAX_LENGTH + 1], name[NAME_MAX_LENGTH + sizeof start];
        const char *text = *variable + sizeof start - 1;
        size_t n = strncmp(*variable, start, sizeof start - 1) ? 0 : strcspn(text, "=");
        if (n == 0 || n > NAME_MAX_LENGTH)
            continue;
        snprintf(name, sizeof name, "%s%.*s", start, (int)n, text);
        for (size_t i = 0; i <= n; i++)
            key[i] = i < n ? (char)tolower((unsigned char)text[i]) : 0;
        if (!options_find(table, key) && !is_listed(key, others) && nearest_key(table, key))
            return unknown_key(table, key, name, e);
    }
    return 0;
}

void options_print_ini(const struct option_def *table, const void *config, FILE *out)
{
    const char *group = NULL;
    for (const struct option_def *o = table; o->name; o++) {
        if (o->group && (!group || strcmp(group, o->group))) {
            fprintf(out, "%s[%s]\n", group ? "\n" : "", o->group);
            group = o->group;
        }
        char value[OPTION_TEXT_SIZE];
        options_get(table, config, o->name, value);
        fprintf(out, "%s = %s\n", o->name, value);
    }
}

char *options_ini_text(const struct option_def *table, const void *config)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out)
        options_print_ini(table, config, out);
    if (!out || fclose(out)) {
        fprintf(stderr, "kiln: out of memory\n");
        exit(EXIT_FAILED);
    }
    return text;
}

const char *options_placeholder(const struct option_def *o)
{
    switch (o->type) {
    case OPTION_INT:
    case OPTION_SEED: return " N";
    case OPTION_REAL: return " X";
    case OPTION_FLAG: return "";
    case OPTION_TEXT:
    case OPTION_LIST: return " TEXT";
    case OPTION_CHOICE: return " NAME";
    }
    return "";
}

static void print_help_line(const struct option_def *o, FILE *out)
{
    char name[NAME_MAX_LENGTH + 32];
    bool negated = o->type == OPTION_FLAG && strcmp(o->fallback, "yes") == 0;
    snprintf(name, sizeof name, "--%s%s%s", negated ? "no-" : "", o->name, options_placeholder(o));
    for (char *p = name; *p; p++)
        if (*p == '_')
            *p = '-';
    fprintf(out, "  %-24s %s", name, o->help);
    if (o->unit)
        fprintf(out, ", in %s", o->unit);
    if (o->type == OPTION_CHOICE)
        fprintf(out, ": %s", o->choices);
    if (o->type == OPTION_FLAG)
        fprintf(out, " (%s by default)\n", o->fallback);
    else if (*o->fallback)
        fprintf(out, " [%s]\n", o->fallback);
    else
        fprintf(out, "\n");
}

void options_print_help(const struct option_def *table, FILE *out)
{
    const char *group = NULL;
    for (const struct option_def *o = table; o->name; o++) {
        if (o->group && (!group || strcmp(group, o->group))) {
            fprintf(out, "%s%s:\n", group ? "\n" : "", o->group);
            group = o->group;
        }
        print_help_line(o, out);
    }
}
