/* series.c - see series.h. */
#include "report/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "store/metrics.h"

static struct series *find_or_add(struct series_set *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 16;
        s->items = xrealloc(s->items, s->room * sizeof *s->items);
    }
    struct series *added = &s->items[s->count++];
    size_t bytes = strlen(name) + 1;
    *added = (struct series){.name = xmalloc(bytes)};
    memcpy(added->name, name, bytes);
    return added;
}

static void add(struct series *s, double step, double epoch, double value)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->step = xrealloc(s->step, s->room * sizeof *s->step);
        s->epoch = xrealloc(s->epoch, s->room * sizeof *s->epoch);
        s->value = xrealloc(s->value, s->room * sizeof *s->value);
    }
    s->step[s->count] = step;
    s->epoch[s->count] = epoch;
    s->value[s->count++] = value;
}

static int add_record(void *context, const json_t *record)
{
    struct series_set *s = context;
    double step = json_number_value(json_object_get(record, "step"));
    double epoch = json_number_value(json_object_get(record, "epoch"));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)record, key, value) {
        if (!strchr(key, '/'))
            continue;
        if (json_is_number(value))
            add(find_or_add(s, key), step, epoch, json_number_value(value));
        else if (json_is_null(value))
            add(find_or_add(s, key), step, epoch, (double)NAN);
    }
    return 0;
}

int series_read(struct series_set *s, const char *path, struct err *e)
{
    if (!file_exists(path))
        return 0;
    int rc = metrics_each_from(path, &s->offset, add_record, s, e);
    if (rc != METRICS_SHORTER)
        return rc;
    series_release(s);
    return metrics_each_from(path, &s->offset, add_record, s, e);
}

void series_release(struct series_set *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].step);
        free(s->items[i].epoch);
        free(s->items[i].value);
    }
    free(s->items);
    *s = (struct series_set){0};
}

const struct series *series_find(const struct series_set *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].name, name) == 0)
            return &s->items[i];
    return NULL;
}

/* The least and the greatest of y[first..end), in their order; returns how many of keep are new. */
static size_t keep_extremes(const double *y, size_t first, size_t end, size_t *keep)
{
    size_t least = SIZE_MAX, greatest = SIZE_MAX;
    for (size_t i = first; i < end; i++) {
        if (isnan(y[i]))
            continue;
        if (least == SIZE_MAX || y[i] < y[least])
            least = i;
        if (greatest == SIZE_MAX || y[i] > y[greatest])
            greatest = i;
    }
    if (least == SIZE_MAX)
        return 0;
    keep[0] = least < greatest ? least : greatest;
    keep[1] = least < greatest ? greatest : least;
    return least == greatest ? 1 : 2;
}

size_t series_decimate(const double *y, size_t n, size_t most, size_t *keep)
{
    size_t kept = 0, slices = n <= most || most < 2 ? n : most / 2;
    for (size_t k = 0; k < slices; k++) {
        size_t room[2], found = keep_extremes(y, k * n / slices, (k + 1) * n / slices, room);
        memcpy(keep + kept, room, found * sizeof *keep);
        kept += found;
    }
    return kept;
}

void series_windows(const double *x, const double *y, size_t n, double start, double end,
                    size_t windows, double *my)
{
    size_t i = 0;
    double width = (end - start) / (double)windows;
    for (size_t w = 0; w < windows; w++) {
        double limit = w == windows - 1 ? (double)INFINITY : start + width * (double)(w + 1);
        double sum = 0;
        size_t count = 0;
        for (; i < n && x[i] < limit; i++) {
            sum += isnan(y[i]) ? 0 : y[i];
            count += isnan(y[i]) ? 0 : 1;
        }
        my[w] = count ? sum / (double)count : (double)NAN;
    }
}
