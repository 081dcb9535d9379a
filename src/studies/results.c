/* results.c - what an analysis reads of the runs; see results.h. */
#include "studies/results.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "store/metrics.h"
#include "studies/study.h"

size_t study_group(const struct study_results *r, const char *label, size_t *trials, size_t room)
{
    const json_t *group = json_object_get(r->plan->groups, label);
    size_t n = json_array_size(group);
    assert(n <= room);
    for (size_t i = 0; i < n; i++)
        trials[i] = (size_t)json_integer_value(json_array_get(group, i));
    return n;
}

size_t study_values(const struct study_results *r, const size_t *trials, size_t n,
                    const char *field, double *values)
{
    const struct summary_field *f = summary_field_find(field);
    size_t count = 0;
    assert(f && f->kind == SUMMARY_REAL);
    for (size_t i = 0; i < n; i++) {
        const struct study_trial *t = &r->trials[trials[i]];
        double x = summary_real(&t->run, f);
        if (t->state == TRIAL_FINISHED && isfinite(x))
            values[count++] = x;
    }
    return count;
}

size_t study_diverged(const struct study_results *r, const size_t *trials, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += r->trials[trials[i]].state == TRIAL_DIVERGED;
    return count;
}

double study_setting(const struct study_results *r, size_t trial, const char *key)
{
    struct config c;
    char text[OPTION_TEXT_SIZE], *end;
    sweep_plan_config(r->plan->sweep, trial, &c);
    options_get(config_options, &c, key, text);
    double x = strtod(text, &end);
    return *text && !*end ? x : (double)NAN;
}

/* What a record must be to be taken, and where its numbers go. */
struct reading {
    const char *kind, *of, *key;
    struct study_curve *curve;
    size_t room;
};

static int add_point(void *context, const json_t *record)
{
    struct reading *g = context;
    struct study_curve *c = g->curve;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *of = json_string_value(json_object_get(record, "of"));
    const json_t *value = json_object_get(record, g->key);
    if (!kind || strcmp(kind, g->kind) != 0 || !value || (g->of && (!of || strcmp(of, g->of) != 0)))
        return 0;
    if (c->count == g->room) {
        g->room = 2 * g->room + 64;
        c->step = xrealloc(c->step, g->room * sizeof *c->step);
        c->epoch = xrealloc(c->epoch, g->room * sizeof *c->epoch);
        c->value = xrealloc(c->value, g->room * sizeof *c->value);
    }
    c->step[c->count] = json_number_value(json_object_get(record, "step"));
    c->epoch[c->count] = json_number_value(json_object_get(record, "epoch"));
    c->value[c->count++] = json_real_of(value);
    return 0;
}

/* From heap into the results' memory. */
static double *keep(struct study_results *r, double *x, size_t n)
{
    double *kept = arena_alloc(&r->memory, n, sizeof *kept);
    if (n)
        memcpy(kept, x, n * sizeof *x);
    free(x);
    return kept;
}

static int read_curve(struct study_results *r, size_t trial, const char *file, struct reading *g,
                      struct err *e)
{
    char path[4096];
    struct study_curve *c = g->curve;
    *c = (struct study_curve){0};
    int rc = file_join(path, sizeof path, r->trials[trial].run.path, file, e);
    if (!rc && file_exists(path))
        rc = metrics_each(path, add_point, g, e);
    c->step = keep(r, c->step, c->count);
    c->epoch = keep(r, c->epoch, c->count);
    c->value = keep(r, c->value, c->count);
    return rc;
}

int study_metric(struct study_results *r, size_t trial, const char *kind, const char *key,
                 struct study_curve *curve, struct err *e)
{
    struct reading g = {.kind = kind, .key = key, .curve = curve};
    return read_curve(r, trial, "metrics.jsonl", &g, e);
}

int study_probe(struct study_results *r, size_t trial, const char *probe, const char *of,
                const char *series, struct study_curve *curve, struct err *e)
{
    struct reading g = {.kind = probe, .of = of, .key = series, .curve = curve};
    return read_curve(r, trial, "probes.jsonl", &g, e);
}

struct subjects {
    struct study_results *r;
    const char *probe, **names;
    size_t room, n;
};

static int add_subject(void *context, const json_t *record)
{
    struct subjects *s = context;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *of = json_string_value(json_object_get(record, "of"));
    if (!kind || !of || strcmp(kind, s->probe) != 0)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], of) == 0)
            return 0;
    if (s->n < s->room)
        s->names[s->n++] = arena_strdup(&s->r->memory, of);
    return 0;
}

int study_probe_subjects(struct study_results *r, size_t trial, const char *probe,
                         const char **names, size_t room, size_t *n, struct err *e)
{
    char path[4096];
    struct subjects s = {.r = r, .probe = probe, .names = names, .room = room};
    int rc = file_join(path, sizeof path, r->trials[trial].run.path, "probes.jsonl", e);
    if (!rc && file_exists(path))
        rc = metrics_each(path, add_subject, &s, e);
    *n = s.n;
    return rc;
}

double study_curve_mean(const struct study_curve *c, double from, double to)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->epoch[i] >= from && c->epoch[i] <= to && isfinite(c->value[i])) {
            sum += c->value[i];
            n++;
        }
    }
    return n ? sum / (double)n : (double)NAN;
}

const char *study_text(struct study_results *r, const char *format, ...)
{
    char text[4096];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return arena_strdup(&r->memory, text);
}
