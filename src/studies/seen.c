/* seen.c - what an analysis writes: what was seen of claims, figures, tables, caveats. */
#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/json.h"
#include "studies/judge.h"
#include "studies/study.h"

static const double unknown = (double)NAN;

enum { MEANT = 64 }; /* values of a geometric mean at most */

struct study_seen study_mean(const double *values, size_t n)
{
    struct study_seen seen = {.value = stats_mean(values, n), .low = unknown, .high = unknown,
                              .n = n, .error = "95 % interval of Student's t over runs"};
    if (n >= 2) {
        double half = stats_t95(n - 1) * stats_sd(values, n) / sqrt((double)n);
        seen.low = seen.value - half;
        seen.high = seen.value + half;
    }
    return seen;
}

struct study_seen study_geometric_mean(const double *values, size_t n)
{
    double logs[MEANT] = {0};
    assert(n <= MEANT);
    for (size_t i = 0; i < n; i++)
        logs[i] = values[i] > 0 && isfinite(values[i]) ? log(values[i]) : unknown;
    struct study_seen seen = study_mean(logs, n);
    seen.value = exp(seen.value);
    seen.low = exp(seen.low);
    seen.high = exp(seen.high);
    seen.error = "95 % interval of Student's t over the logarithms of runs";
    return seen;
}

struct study_seen study_difference(const double *a, size_t na, const double *b, size_t nb)
{
    struct study_seen seen = {.value = stats_mean(a, na) - stats_mean(b, nb), .low = unknown,
                              .high = unknown, .n = na + nb,
                              .error = "95 % interval after Welch over runs"};
    if (na >= 2 && nb >= 2) {
        const struct stats_interval i = stats_difference95(a, na, b, nb);
        seen.low = i.low;
        seen.high = i.high;
    }
    return seen;
}

struct study_seen study_quotient(const double *a, const double *b, size_t n)
{
    const struct stats_interval i = stats_quotient95(a, b, n);
    return (struct study_seen){.value = stats_mean(a, n) / stats_mean(b, n), .low = i.low,
                               .high = i.high, .n = n,
                               .error = "95 % interval after Fieller over pairs of runs"};
}

struct study_seen study_exact(double value, size_t n)
{
    return (struct study_seen){.value = value, .low = value, .high = value, .n = n,
                               .error = "none: counted, or computed exactly"};
}

const char *study_error(struct study_results *r, const struct study_seen *seen, double times)
{
    if (isnan(seen->low) || isnan(seen->high))
        return study_text(r, "no interval; n = %zu", seen->n);
    return study_text(r, "95 %% from %.3g to %.3g; n = %zu", times * seen->low,
                      times * seen->high, seen->n);
}

/* An end of a predicted range, which is null where it is open. */
static double end_of(const json_t *claim, const char *key, double open)
{
    const json_t *end = json_object_get(json_object_get(claim, "predicted"), key);
    return json_is_number(end) ? json_number_value(end) : open;
}

static json_t *seen_json(const struct study_seen *seen)
{
    json_t *o = json_object();
    json_object_set_new(o, "text", json_string(seen->what ? seen->what : ""));
    json_object_set_new(o, "value", json_number(seen->value));
    json_object_set_new(o, "low", json_number(seen->low));
    json_object_set_new(o, "high", json_number(seen->high));
    json_object_set_new(o, "n", json_integer((json_int_t)seen->n));
    json_object_set_new(o, "error", json_string(seen->error ? seen->error : ""));
    return o;
}

void study_conclude(struct study_results *r, const char *id, const struct study_seen *seen)
{
    const char *why;
    json_t *claim = json_find(r->claims, "id", id);
    if (!claim) {
        claim = json_deep_copy(json_find(r->plan->claims, "id", id));
        assert(claim); /* the study concludes what it never predicted */
        json_object_set_new(claim, "added_after_runs", json_true());
        json_array_append_new(r->claims, claim);
    }
    assert(!json_object_get(claim, "verdict"));
    const double low = end_of(claim, "low", -INFINITY), high = end_of(claim, "high", INFINITY);
    json_object_set_new(claim, "seen", seen_json(seen));
    json_object_set_new(claim, "verdict", json_string(study_verdict_name(
                                              study_judge(low, high, seen, &why))));
    json_object_set_new(claim, "because", json_string(why));
}

static json_t *axis(const char *title, bool is_log)
{
    json_t *o = json_object();
    json_object_set_new(o, "title", json_string(title));
    json_object_set_new(o, "log", json_boolean(is_log));
    return o;
}

json_t *study_figure(struct study_results *r, const struct study_axes *axes)
{
    json_t *o = json_object();
    json_object_set_new(o, "id", json_string(axes->id));
    json_object_set_new(o, "title", json_string(axes->title));
    json_object_set_new(o, "caption", json_string(axes->caption ? axes->caption : ""));
    json_object_set_new(o, "x", axis(axes->x_title, axes->x_log));
    json_object_set_new(o, "y", axis(axes->y_title, axes->y_log));
    json_object_set_new(o, "series", json_array());
    json_object_set_new(o, "references", json_array());
    json_array_append_new(r->figures, o);
    return o;
}

static void set_column(json_t *o, const char *key, const double *x, size_t n)
{
    if (!x)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_number(x[i]));
    json_object_set_new(o, key, list);
}

void study_line(json_t *figure, const char *name, const struct study_points *points)
{
    json_t *o = json_object();
    assert(points->x && points->mean);
    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "style", json_string(points->style ? points->style : "line"));
    json_object_set_new(o, "source", json_string(points->source ? points->source : ""));
    set_column(o, "x", points->x, points->count);
    set_column(o, "mean", points->mean, points->count);
    set_column(o, "low", points->low, points->count);
    set_column(o, "high", points->high, points->count);
    set_column(o, "n", points->n, points->count);
    json_array_append_new(json_object_get(figure, "series"), o);
}

void study_reference(json_t *figure, const char *name, const char *axis_name, double value)
{
    json_t *o = json_object();
    assert(strcmp(axis_name, "x") == 0 || strcmp(axis_name, "y") == 0);
    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "axis", json_string(axis_name));
    json_object_set_new(o, "value", json_number(value));
    json_array_append_new(json_object_get(figure, "references"), o);
}

json_t *study_table(struct study_results *r, const char *id, const char *title,
                    const char *const *columns)
{
    json_t *o = json_object(), *list = json_array();
    for (; *columns; columns++)
        json_array_append_new(list, json_string(*columns));
    json_object_set_new(o, "id", json_string(id));
    json_object_set_new(o, "title", json_string(title));
    json_object_set_new(o, "columns", list);
    json_object_set_new(o, "rows", json_array());
    json_array_append_new(r->tables, o);
    return o;
}

void study_row(json_t *table, const char *kinds, ...)
{
    json_t *row = json_array();
    va_list list;
    assert(strlen(kinds) == json_array_size(json_object_get(table, "columns")));
    va_start(list, kinds);
    for (; *kinds; kinds++) {
        assert(strchr("sdn", *kinds));
        if (*kinds == 's')
            json_array_append_new(row, json_string(va_arg(list, const char *)));
        else if (*kinds == 'd')
            json_array_append_new(row, json_number(va_arg(list, double)));
        else
            json_array_append_new(row, json_integer((json_int_t)va_arg(list, size_t)));
    }
    va_end(list);
    json_array_append_new(json_object_get(table, "rows"), row);
}

void study_caveat(struct study_results *r, const char *format, ...)
{
    char text[2048];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    json_array_append_new(r->caveats, json_string(text));
}
