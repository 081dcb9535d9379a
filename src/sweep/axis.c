/* axis.c - see axis.h. */
#include "sweep/axis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *axis_scale_name(enum axis_scale scale)
{
    static const char *const names[] = {"list", "linear", "log"};
    return names[scale];
}

static bool is_number(const struct option_def *o)
{
    return o->type == OPTION_INT || o->type == OPTION_SEED || o->type == OPTION_REAL;
}

/* Adds a value as the configuration prints it. */
static int add_value(struct axis *a, struct arena *memory, const char *value, bool drop_twin,
                     struct err *e)
{
    struct config c;
    char text[OPTION_TEXT_SIZE];
    config_default(&c);
    if (options_set(config_options, &c, a->key, value, "--vary", e))
        return -1;
    options_get(config_options, &c, a->key, text);
    for (int i = 0; i < a->count; i++) {
        if (strcmp(a->values[i], text) == 0)
            return drop_twin ? 0
                             : err_set(e, EXIT_USAGE, "--vary: %s has %s twice", a->key, text);
    }
    if (a->count == AXIS_VALUES)
        return err_set(e, EXIT_USAGE, "--vary: %s has more than %d values", a->key, AXIS_VALUES);
    a->values[a->count++] = arena_strdup(memory, text);
    return 0;
}

/* A point of a range as text; the configuration's own form comes later. */
static void point_text(const struct axis *a, double x, char *text, size_t size)
{
    if (a->option->type == OPTION_REAL)
        snprintf(text, size, "%.6g", x);
    else
        snprintf(text, size, "%.0f", x);
}

static int add_point(struct axis *a, struct arena *memory, double x, struct err *e)
{
    char text[64];
    point_text(a, x, text, sizeof text);
    return add_value(a, memory, text, true, e);
}

static int add_points(struct axis *a, struct arena *memory, int count, struct err *e)
{
    for (int i = 0; i < count; i++) {
        double share = (double)i / (count - 1);
        double x = i == 0           ? a->low
                   : i == count - 1 ? a->high
                   : a->scale == AXIS_LOG
                       ? a->low * pow(a->high / a->low, share)
                       : a->low + (a->high - a->low) * share;
        if (add_point(a, memory, x, e))
            return -1;
    }
    return 0;
}

static int add_doublings(struct axis *a, struct arena *memory, struct err *e)
{
    for (double x = a->low; x <= a->high * (1 + 1e-9); x *= 2)
        if (add_point(a, memory, x, e))
            return -1;
    return 0;
}

/* "log2", "log9", "lin4", "log", "lin" or "linear", behind a range's colon. */
static int read_spread(struct axis *a, struct arena *memory, const char *text, struct err *e)
{
    char *end;
    long count = 0;
    a->scale = strncmp(text, "log", 3) == 0 ? AXIS_LOG : AXIS_LINEAR;
    if (a->scale == AXIS_LOG && a->low <= 0)
        return err_set(e, EXIT_USAGE, "--vary: %s begins at %g, but a log range must begin above 0",
                       a->key, a->low);
    if (strcmp(text, "log2") == 0)
        return add_doublings(a, memory, e);
    if (strcmp(text, "log") == 0 || strcmp(text, "lin") == 0 || strcmp(text, "linear") == 0)
        return 0;
    if (strncmp(text, "log", 3) == 0 || strncmp(text, "lin", 3) == 0) {
        count = strtol(text + 3, &end, 10);
        if (!*end && count >= 2 && count <= AXIS_VALUES)
            return add_points(a, memory, (int)count, e);
    }
    return err_set(e, EXIT_USAGE,
                   "--vary: %s ends in ':%s', but a range ends in :log2 (doubling), :logN or :linN "
                   "(N points, 2 to %d), or with --sample in :log or :lin",
                   a->key, text, AXIS_VALUES);
}

/* "0.05..1.6:log2"; `dots` points at the dots. */
static int read_range(struct axis *a, struct arena *memory, const char *text, const char *dots,
                      struct err *e)
{
    char *end, *rest;
    a->is_range = true;
    /* Cut before the dots: of "1..4" strtod would take "1." */
    const char *low = arena_strndup(memory, text, (size_t)(dots - text));
    a->low = strtod(low, &end);
    a->high = strtod(dots + 2, &rest);
    if (end == low || *end || rest == dots + 2 || (*rest && *rest != ':'))
        return err_set(e, EXIT_USAGE,
                       "--vary: %s is '%s', which is no range: write one as 0.05..1.6:log2", a->key,
                       text);
    if (!(a->low < a->high))
        return err_set(e, EXIT_USAGE, "--vary: %s goes from %g to %g; the smaller end comes first",
                       a->key, a->low, a->high);
    /* Both ends must be values of the key, whatever lies between. */
    if (add_point(a, memory, a->low, e) || add_point(a, memory, a->high, e))
        return -1;
    a->count = 0;
    return read_spread(a, memory, *rest ? rest + 1 : "lin", e);
}

static int read_list(struct axis *a, struct arena *memory, const char *text, struct err *e)
{
    bool bars = strchr(text, '|') || (a->option->type == OPTION_TEXT && a->option->check);
    const char *separator = bars ? "|" : ",";
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, separator);
        const char *value = arena_strndup(memory, p, n);
        if (add_value(a, memory, value, false, e))
            return -1;
        p += n;
        if (!*p)
            return 0;
    }
}

int axis_parse(struct axis *a, struct arena *memory, const char *text, struct err *e)
{
    *a = (struct axis){0};
    size_t n = strcspn(text, "=");
    if (n == 0 || !text[n] || !text[n + 1])
        return err_set(e, EXIT_USAGE, "--vary wants key=values, as in lr=0.1,0.2, not '%s'", text);
    char *key = arena_strndup(memory, text, n);
    for (char *p = key; *p; p++)
        if (*p == '-')
            *p = '_';
    a->key = key;
    a->option = options_find(config_options, key);
    if (!a->option) { /* for the sentence that names the nearest */
        struct config c;
        return options_set(config_options, &c, key, "", "--vary", e);
    }
    a->values = arena_alloc(memory, AXIS_VALUES, sizeof *a->values);
    const char *dots = strstr(text + n + 1, "..");
    if (dots && is_number(a->option))
        return read_range(a, memory, text + n + 1, dots, e);
    return read_list(a, memory, text + n + 1, e);
}

const char *axis_at(const struct axis *a, struct arena *memory, double u)
{
    char text[64];
    if (!a->is_range)
        return a->values[(int)(u * a->count)];
    double x = a->scale == AXIS_LOG ? a->low * pow(a->high / a->low, u)
                                    : a->low + (a->high - a->low) * u;
    if (a->option->type != OPTION_REAL && a->scale == AXIS_LINEAR)
        x = a->low + floor(u * (a->high - a->low + 1)); /* each integer has the same share */
    point_text(a, x, text, sizeof text);
    struct config c;
    char value[OPTION_TEXT_SIZE];
    config_default(&c);
    options_set(config_options, &c, a->key, text, "--vary", NULL); /* both ends are allowed */
    options_get(config_options, &c, a->key, value);
    return arena_strdup(memory, value);
}
