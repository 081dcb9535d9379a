/* sweep_view.c - see sweep_view.h. */
#define _GNU_SOURCE /* TIOCGWINSZ */
#include "cli/sweep_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stats.h"
#include "cli/progress.h"

static const double SPEAK = 30.0;

void sweep_view_init(struct sweep_view *v, const struct sweep_plan *plan)
{
    const char *term = getenv("TERM");
    *v = (struct sweep_view){.plan = plan, .spoken = clock_seconds()};
    v->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    v->quiet = log_get_level() == LOG_QUIET;
}

void sweep_view_clear(struct sweep_view *v)
{
    if (v->line_stands)
        fprintf(stderr, "\r\033[K");
    v->line_stands = false;
}

void sweep_view_progress(void *context, const struct sweep_progress *p)
{
    struct sweep_view *v = context;
    double now = clock_seconds();
    if (v->quiet || (!v->terminal && now - v->spoken < SPEAK))
        return;
    v->spoken = now;
    char left[16], text[256], failed[32] = "", one[64] = "";
    progress_duration(p->left, left);
    if (p->failed)
        snprintf(failed, sizeof failed, ", %zu failed", p->failed);
    if (p->running == 1 && p->last_step > 0)
        snprintf(one, sizeof one, ", step %" PRIu64 "/%" PRIu64, p->step, p->last_step);
    snprintf(text, sizeof text, "%zu of %zu trials done%s, %zu running%s, %.0f images/s, %s left",
             p->done, p->total, failed, p->running, one, p->images_per_second, left);
    if (v->terminal)
        fprintf(stderr, "\r\033[K%.*s", progress_columns() - 1, text);
    else
        fprintf(stderr, "%s\n", text);
    fflush(stderr);
    v->line_stands = v->terminal;
}

void sweep_view_ended(void *context, const struct sweep_ended *t, const struct sweep_progress *p)
{
    struct sweep_view *v = context;
    char what[200], time[16];
    if (v->quiet)
        return;
    sweep_view_clear(v);
    sweep_trial_text(v->plan, t->trial, what, sizeof what);
    progress_duration(t->seconds, time);
    fprintf(stderr, "%4zu/%zu  %s  %s in %s%s%s\n", p->done, p->total, what,
            trial_state_name(t->state), time, *t->why ? ": " : "", t->why);
    v->spoken = clock_seconds();
}

int sweep_outcome(const struct sweep_report *r, struct err *e)
{
    if (r->stop_signal) {
        log_say("stopped; the same command goes on");
        return (int)exit_code_of_signal(r->stop_signal);
    }
    if (r->failed)
        return err_set(e, EXIT_FAILED, "%zu of %zu trials failed; the first: %s", r->failed,
                       r->total, r->first_failure);
    return EXIT_DONE;
}

int sweep_unfinished(const struct sweep_report *r, struct err *e)
{
    int rc = sweep_outcome(r, e);
    if (rc == EXIT_DONE)
        log_say("%zu trials are being done by other processes; the same command shows the "
                "outcome", r->elsewhere);
    return rc;
}

static const struct {
    const char *name;
    size_t offset;
} results[] = {
    {"train_loss", offsetof(struct run_summary, train_loss)},
    {"train_accuracy", offsetof(struct run_summary, train_accuracy)},
    {"test_loss", offsetof(struct run_summary, test_loss)},
    {"test_accuracy", offsetof(struct run_summary, test_accuracy)},
    {"tta_loss", offsetof(struct run_summary, tta_loss)},
    {"tta_accuracy", offsetof(struct run_summary, tta_accuracy)},
    {"validation_loss", offsetof(struct run_summary, validation_loss)},
    {"validation_accuracy", offsetof(struct run_summary, validation_accuracy)},
    {"images_per_second", offsetof(struct run_summary, images_per_second)},
    {"train_seconds", offsetof(struct run_summary, train_seconds)},
    {"seconds", offsetof(struct run_summary, seconds)},
};

static json_t *trial_json(const struct sweepdir *s, size_t i, size_t *counts)
{
    struct run_summary run;
    const struct sweep_trial *t = &s->trials[i];
    enum trial_state state = sweepdir_trial(s, i, &run);
    json_t *o = json_object(), *values = json_object(), *found = json_object();
    counts[state]++;
    for (size_t a = 0; a < s->axis_count; a++)
        json_object_set_new(values, s->axes[a].key, summary_value(s->axes[a].key, t->values[a]));
    json_object_set_new(values, "seed", summary_value("seed", t->seed));
    for (size_t r = 0; r < sizeof results / sizeof results[0]; r++) {
        double x;
        memcpy(&x, (const char *)&run + results[r].offset, sizeof x);
        json_object_set_new(found, results[r].name, json_number(x));
    }
    json_object_set_new(found, "step", run.step < 0 ? json_null() : json_integer(run.step));
    json_object_set_new(found, "weights_hash", json_string(run.weights_hash));
    json_object_set_new(o, "id", json_string(t->id));
    json_object_set_new(o, "label", json_string(t->label));
    json_object_set_new(o, "state", json_string(trial_state_name(state)));
    json_object_set_new(o, "run", json_string(t->path));
    json_object_set_new(o, "values", values);
    json_object_set_new(o, "results", found);
    if (*run.error)
        json_object_set_new(o, "error", json_string(run.error));
    summary_release(&run);
    return o;
}

json_t *sweep_status_json(const struct sweepdir *s)
{
    size_t counts[TRIAL_STATE_COUNT] = {0};
    json_t *o = json_object(), *trials = json_array(), *counted = json_object();
    for (size_t i = 0; i < s->trial_count; i++)
        json_array_append_new(trials, trial_json(s, i, counts));
    json_object_set_new(counted, "total", json_integer((json_int_t)s->trial_count));
    for (int i = 0; i < TRIAL_STATE_COUNT; i++)
        json_object_set_new(counted, trial_state_name((enum trial_state)i),
                            json_integer((json_int_t)counts[i]));
    json_object_set_new(o, "sweep", json_string(s->path));
    json_object_set_new(o, "kind", json_string(s->kind));
    json_object_set_new(o, "recipe", json_string(s->recipe));
    if (json_object_get(s->file, "halving"))
        json_object_set(o, "halving", json_object_get(s->file, "halving"));
    json_object_set_new(o, "counts", counted);
    json_object_set_new(o, "trials", trials);
    return o;
}

/* What the seeds of one configuration came to. */
struct row {
    size_t first;                /* its first trial */
    size_t count, finished, diverged;
    double *accuracy, *loss;     /* [finished], heap */
};

static bool same_values(const struct sweepdir *s, size_t a, size_t b)
{
    if (strcmp(s->trials[a].label, s->trials[b].label) != 0)
        return false;
    for (size_t i = 0; i < s->axis_count; i++)
        if (strcmp(s->trials[a].values[i], s->trials[b].values[i]) != 0)
            return false;
    return true;
}

/* Sorts the trials into rows[trial_count]; returns how many rows there are. */
static size_t make_rows(const struct sweepdir *s, struct row *rows, size_t *counts)
{
    size_t count = 0;
    for (size_t i = 0; i < s->trial_count; i++) {
        struct run_summary run;
        size_t r = 0;
        while (r < count && !same_values(s, rows[r].first, i))
            r++;
        struct row *row = &rows[r];
        if (r == count) {
            *row = (struct row){.first = i};
            count++;
        }
        enum trial_state state = sweepdir_trial(s, i, &run);
        counts[state]++;
        row->count++;
        row->diverged += state == TRIAL_DIVERGED;
        if (state == TRIAL_FINISHED && isfinite(run.test_accuracy)) {
            size_t n = row->finished++;
            row->accuracy = xrealloc(row->accuracy, (n + 1) * sizeof(double));
            row->loss = xrealloc(row->loss, (n + 1) * sizeof(double));
            row->accuracy[n] = run.test_accuracy;
            row->loss[n] = run.test_loss;
        }
        summary_release(&run);
    }
    return count;
}

/* "91.20 +- 0.15 %" or "91.20 %" of one value, right-aligned. */
static void print_mean(const double *x, size_t n, double factor, int decimals)
{
    char text[64];
    if (n == 0)
        snprintf(text, sizeof text, "-");
    else if (n == 1)
        snprintf(text, sizeof text, "%.*f", decimals, factor * x[0]);
    else
        snprintf(text, sizeof text, "%.*f +- %.*f", decimals, factor * stats_mean(x, n), decimals,
                 factor * stats_sd(x, n));
    printf("%20s", text);
}

static void print_row(const struct sweepdir *s, const struct row *row)
{
    const struct sweep_trial *t = &s->trials[row->first];
    for (size_t a = 0; a < s->axis_count; a++)
        printf("%-14.40s", t->values[a]);
    printf("%3zu/%-3zu", row->finished, row->count);
    print_mean(row->accuracy, row->finished, 100, 2);
    print_mean(row->loss, row->finished, 1, 4);
    if (row->diverged)
        printf("  %zu diverged", row->diverged);
    if (*t->label)
        printf("  %s", t->label);
    printf("\n");
}

/* The rungs of successive halving that are begun: the values of its last axis, epochs. */
static void print_rungs(const struct sweepdir *s, const struct row *rows, size_t count)
{
    const json_t *factor = json_object_get(s->file, "halving");
    if (!json_is_integer(factor) || s->axis_count == 0)
        return;
    const size_t last = s->axis_count - 1;
    const struct sweep_axis *epochs = &s->axes[last];
    printf("\nhalving by %d:", (int)json_integer_value(factor));
    for (size_t v = 0; v < epochs->count; v++) {
        size_t there = 0;
        for (size_t i = 0; i < count; i++)
            there += strcmp(s->trials[rows[i].first].values[last], epochs->values[v]) == 0;
        printf("%s %zu%s for %.4g%s", v ? "," : "", there, v ? "" : " configurations",
               strtod(epochs->values[v], NULL), v ? "" : " epochs");
    }
    printf("\n");
}

void sweep_print(const struct sweepdir *s)
{
    size_t counts[TRIAL_STATE_COUNT] = {0};
    struct row *rows = xcalloc(s->trial_count + 1, sizeof *rows);
    size_t count = make_rows(s, rows, counts);
    for (size_t a = 0; a < s->axis_count; a++)
        printf("%-14s", s->axes[a].key);
    printf("%7s%20s%20s\n", "seeds", "test accuracy, %", "test loss");
    for (size_t i = 0; i < count; i++) {
        print_row(s, &rows[i]);
        free(rows[i].accuracy);
        free(rows[i].loss);
    }
    print_rungs(s, rows, count);
    free(rows);
    printf("\n%s: %zu trials", s->path, s->trial_count);
    for (int i = 0; i < TRIAL_STATE_COUNT; i++)
        if (counts[i])
            printf(", %zu %s", counts[i], trial_state_name((enum trial_state)i));
    printf("\nmean +- standard deviation over the seeds that finished\n");
}
