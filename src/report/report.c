/* report.c - see report.h. */
#define _GNU_SOURCE /* scandir, alphasort */
#include "report/report.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/stats.h"
#include "report/groups.h"
#include "store/rundir.h"
#include "store/sweepdir.h"

static void add_text(struct report *r, const char ***list, size_t *count, const char *text)
{
    *list = xrealloc(*list, (*count + 1) * sizeof **list);
    (*list)[(*count)++] = arena_strdup(&r->memory, text);
}

static int add_run(struct report *r, const char *path, const char *label, struct err *e)
{
    struct stat place = {0};
    stat(path, &place);
    const uint64_t hash = (uint64_t)place.st_ino;
    for (size_t i = buckets_first(&r->places, hash); i != BUCKETS_END;
         i = buckets_next(&r->places, i))
        if (r->runs[i].device == place.st_dev)
            return 0; /* however it is called this time */
    if ((r->run_count & (r->run_count + 1)) == 0)
        r->runs = xrealloc(r->runs, (2 * r->run_count + 1) * sizeof *r->runs);
    struct report_run *run = &r->runs[r->run_count];
    memset(run, 0, sizeof *run);
    if (summary_read(&run->summary, path, e))
        return -1;
    run->label = arena_strdup(&r->memory, label);
    run->device = place.st_dev;
    r->run_count = buckets_add(&r->places, hash) + 1;
    return 0;
}

/* Adds the runs that lie in a folder, by name. */
static int add_folder(struct report *r, const char *folder, struct err *e)
{
    struct dirent **entries;
    int rc = 0, count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        if (!rc && entries[i]->d_name[0] != '.' &&
            !file_join(path, sizeof path, folder, entries[i]->d_name, NULL) && rundir_is(path))
            rc = add_run(r, path, "", e);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return rc;
}

/* Reads what a range test or a study found, if it has, from a file of its folder. */
static void add_finding(struct report *r, const char *folder, const char *file, json_t **finding)
{
    char path[4096];
    struct err e;
    if (*finding || file_join(path, sizeof path, folder, file, &e) || !file_exists(path))
        return;
    *finding = json_read(path, EXIT_DATA, &e);
    if (!*finding)
        add_text(r, &r->problems, &r->problem_count, e.text);
}

/* Adds the trials of a sweep that were begun, in their order. */
static int add_sweep(struct report *r, const char *path, struct err *e)
{
    struct sweepdir s;
    int rc = 0;
    if (sweepdir_read(&s, path, e))
        return -1;
    for (size_t i = 0; i < s.trial_count && !rc; i++) {
        if (rundir_is(s.trials[i].path))
            rc = add_run(r, s.trials[i].path, s.trials[i].label, e);
        else
            r->waiting++;
    }
    r->halved |= json_is_integer(json_object_get(s.file, "halving"));
    if (strcmp(s.kind, "find-lr") == 0) {
        r->range_test = true;
        add_finding(r, path, "find-lr.json", &r->range);
    }
    add_finding(r, path, "study.json", &r->study);
    sweepdir_release(&s);
    return rc;
}

static int add_path(struct report *r, const char *path, struct err *e)
{
    size_t before = r->run_count;
    if (!file_exists(path))
        return err_set(e, EXIT_DATA, "there is no '%s'", path);
    if (rundir_is(path))
        return add_run(r, path, "", e);
    if (sweepdir_is(path) ? add_sweep(r, path, e) : add_folder(r, path, e))
        return -1;
    if (r->run_count == before)
        return err_set(e, EXIT_DATA, "'%s' is no run directory and holds none", path);
    add_text(r, &r->folders, &r->folder_count, path);
    return 0;
}

static const char *value_of(const struct report_run *run, const char *key)
{
    const char *value = summary_setting(&run->summary, key);
    return value ? value : "";
}

static void choose_measure(struct report *r)
{
    bool validated = true;
    for (size_t i = 0; i < r->run_count && validated; i++)
        validated = atof(value_of(&r->runs[i], "validation")) > 0;
    r->measure = validated ? (struct report_measure){"validation", "val/loss", "val/accuracy"}
                           : (struct report_measure){"test", "test/loss", "test/accuracy"};
}

double report_loss(const struct report *r, const struct run_summary *s)
{
    return *r->measure.images == 'v' ? s->validation_loss : s->test_loss;
}

double report_accuracy(const struct report *r, const struct run_summary *s)
{
    return *r->measure.images == 'v' ? s->validation_accuracy : s->test_accuracy;
}

static double tta_of(const struct report *r, const struct run_summary *s)
{
    (void)r;
    return s->tta_accuracy;
}

static double seconds_of(const struct report *r, const struct run_summary *s)
{
    (void)r;
    return s->seconds;
}

static double speed_of(const struct report *r, const struct run_summary *s)
{
    (void)r;
    return s->images_per_second;
}

static struct report_spread spread(const struct report *r, const struct report_group *g,
                                   double (*value)(const struct report *,
                                                   const struct run_summary *))
{
    double *x = xmalloc(g->count * sizeof *x);
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++) {
        const struct report_run *run = &r->runs[g->runs[i]];
        double v = value(r, &run->summary);
        if (run->counted && isfinite(v))
            x[n++] = v;
    }
    struct report_spread s = {stats_mean(x, n), stats_sd(x, n), n};
    free(x);
    return s;
}

/* Diverged and failed runs have no result; unfinished ones count only while none has finished. */
static void summarise(struct report *r, struct report_group *g)
{
    bool finished = false;
    for (size_t i = 0; i < g->count; i++) {
        enum run_state state = r->runs[g->runs[i]].summary.state;
        g->diverged += state == RUN_DIVERGED;
        g->failed += state == RUN_FAILED || state == RUN_DEAD;
        g->running += state == RUN_RUNNING;
        finished |= state == RUN_FINISHED;
    }
    for (size_t i = 0; i < g->count; i++) {
        struct report_run *run = &r->runs[g->runs[i]];
        enum run_state state = run->summary.state;
        run->group = (size_t)(g - r->groups);
        run->counted = finished ? state == RUN_FINISHED
                                : state != RUN_DIVERGED && state != RUN_FAILED;
    }
    g->accuracy = spread(r, g, report_accuracy);
    g->loss = spread(r, g, report_loss);
    g->tta_accuracy = spread(r, g, tta_of);
    g->seconds = spread(r, g, seconds_of);
    g->images_per_second = spread(r, g, speed_of);
}

/* Best accuracy first, without a number last; then the order given. */
static int by_accuracy(const void *a, const void *b)
{
    const struct report_group *g = a, *h = b;
    double x = g->accuracy.n ? g->accuracy.mean : -1, y = h->accuracy.n ? h->accuracy.mean : -1;
    if (x != y)
        return x < y ? 1 : -1;
    return (g->runs[0] > h->runs[0]) - (g->runs[0] < h->runs[0]);
}

static void take_series(struct report_run *run, struct report *old)
{
    for (size_t i = 0; old && i < old->run_count; i++) {
        if (strcmp(old->runs[i].summary.path, run->summary.path) != 0)
            continue;
        run->series = old->runs[i].series;
        old->runs[i].series = (struct series_set){0};
        return;
    }
}

/* Reads the curves of the best groups. */
static void read_series(struct report *r, struct report *old)
{
    size_t read = 0;
    for (r->shown = 0; r->shown < r->group_count && r->shown < REPORT_CURVES; r->shown++) {
        const struct report_group *g = &r->groups[r->shown];
        for (size_t i = 0; i < g->count && read < REPORT_CURVE_RUNS; i++, read++) {
            struct report_run *run = &r->runs[g->runs[i]];
            struct err e;
            char path[4096];
            take_series(run, old);
            if (file_join(path, sizeof path, run->summary.path, "metrics.jsonl", &e) ||
                series_read(&run->series, path, &e))
                add_text(r, &r->problems, &r->problem_count, e.text);
        }
    }
}

int report_reopen(struct report *r, const char *const *paths, size_t count, struct report *old,
                  struct err *e)
{
    *r = (struct report){.operands = paths, .operand_count = count};
    for (size_t i = 0; i < count; i++)
        if (add_path(r, paths[i], e))
            return -1;
    for (size_t i = 0; i < r->run_count; i++)
        if (*r->runs[i].summary.problem)
            add_text(r, &r->problems, &r->problem_count, r->runs[i].summary.problem);
    groups_make(r);
    choose_measure(r);
    for (size_t g = 0; g < r->group_count; g++)
        summarise(r, &r->groups[g]);
    qsort(r->groups, r->group_count, sizeof *r->groups, by_accuracy);
    for (size_t g = 0; g < r->group_count; g++)
        for (size_t i = 0; i < r->groups[g].count; i++)
            r->runs[r->groups[g].runs[i]].group = g;
    groups_label(r);
    read_series(r, old);
    return 0;
}

int report_open(struct report *r, const char *const *paths, size_t count, struct err *e)
{
    return report_reopen(r, paths, count, NULL, e);
}

void report_release(struct report *r)
{
    for (size_t i = 0; i < r->run_count; i++) {
        summary_release(&r->runs[i].summary);
        series_release(&r->runs[i].series);
    }
    for (size_t g = 0; g < r->group_count; g++)
        free(r->groups[g].runs);
    free(r->runs);
    free(r->groups);
    free(r->varied);
    free(r->folders);
    free(r->problems);
    buckets_release(&r->places);
    json_decref(r->study);
    json_decref(r->range);
    arena_release(&r->memory);
    *r = (struct report){0};
}

const char *report_counts(const struct report *r, size_t groups, char text[64])
{
    size_t least = SIZE_MAX, most = 0;
    for (size_t g = 0; g < groups; g++) {
        size_t n = r->groups[g].accuracy.n;
        least = n && n < least ? n : least;
        most = n > most ? n : most;
    }
    if (most == 0)
        snprintf(text, 64, "n = 0 runs");
    else if (least == most)
        snprintf(text, 64, "n = %zu run%s", most, most == 1 ? "" : "s");
    else
        snprintf(text, 64, "n = %zu to %zu runs", least, most);
    return text;
}

bool report_ramps_done(const struct report *r)
{
    size_t done = 0;
    for (size_t i = 0; i < r->run_count; i++) {
        enum run_state state = r->runs[i].summary.state;
        done += state == RUN_FINISHED || state == RUN_DIVERGED;
    }
    return r->range_test && r->waiting == 0 && done == r->run_count;
}

const struct report_run *report_first(const struct report *r, const struct report_group *g)
{
    return &r->runs[g->runs[0]];
}

const char *report_setting(const struct report *r, const struct report_group *g, const char *key)
{
    return value_of(report_first(r, g), key);
}

bool report_number(const struct report *r, const struct report_group *g, const char *key,
                   double *value)
{
    const char *text = report_setting(r, g, key);
    char *end;
    *value = strtod(text, &end);
    return end != text && !*end;
}

const char *report_run_name(const struct report_run *run)
{
    return *run->summary.name ? run->summary.name : run->summary.id;
}
