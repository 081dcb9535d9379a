/* engine.c - see engine.h. */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "studies/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "studies/judge.h"
#include "studies/prediction.h"

/* ---- measurements ---- */

static int measured_path(const char *dir, const char *name, char *path, struct err *e)
{
    char file[256];
    snprintf(file, sizeof file, "measured/%s.json", name);
    return file_join(path, 4096, dir, file, e);
}

static int measure_one(const struct study_plan *p, const struct study_measurement *m,
                       const char *dir, struct err *e)
{
    char path[4096], folder[4096];
    if (measured_path(dir, m->name, path, e) ||
        file_join(folder, sizeof folder, dir, "measured", e))
        return -1;
    if (file_exists(path))
        return 0;
    json_t *o = file_make_folders(folder, e) ? NULL : m->measure(p, dir, e);
    if (!o)
        return err_prefix(e, "measurement %s", m->name);
    int rc = json_write(o, path, e);
    json_decref(o);
    return rc;
}

/* Those due before the runs, or after them, that were not made yet. */
static int measure(const struct study_plan *p, const char *dir, bool after, struct err *e)
{
    for (const struct study_measurement *m = p->study->measurements; m && m->name; m++)
        if (m->after == after && measure_one(p, m, dir, e))
            return -1;
    return 0;
}

/* ---- analysis ---- */

static void results_release(struct study_results *r)
{
    for (size_t i = 0; i < r->trial_count; i++)
        summary_release(&r->trials[i].run);
    json_decref(r->measured);
    json_decref(r->claims);
    json_decref(r->figures);
    json_decref(r->tables);
    json_decref(r->caveats);
    arena_release(&r->memory);
}

static int read_measured(struct study_results *r, struct err *e)
{
    char path[4096];
    for (const struct study_measurement *m = r->plan->study->measurements; m && m->name; m++) {
        if (measured_path(r->dir, m->name, path, e))
            return -1;
        json_t *o = json_read(path, EXIT_DATA, e);
        if (!o)
            return -1;
        json_object_set_new(r->measured, m->name, o);
    }
    return 0;
}

static int results_read(struct study_results *r, const struct study_plan *p, const char *dir,
                        const json_t *prediction, struct err *e)
{
    const struct sweep_plan *sweep = p->sweep;
    *r = (struct study_results){.plan = p, .dir = dir};
    r->measured = json_object();
    r->claims = json_deep_copy(json_object_get(prediction, "claims"));
    r->figures = json_array();
    r->tables = json_array();
    r->caveats = json_array();
    r->trials = arena_alloc(&r->memory, sweep->trial_count, sizeof *r->trials);
    for (; r->trial_count < sweep->trial_count; r->trial_count++) {
        struct study_trial *t = &r->trials[r->trial_count];
        t->label = sweep->trials[r->trial_count].label;
        t->state = trial_state_of(dir, sweep->trials[r->trial_count].id, &t->run);
        if (!trial_is_done(t->state)) {
            summary_release(&t->run);
            return err_set(e, EXIT_FAILED, "trial %s of '%s' is not done: %s",
                           sweep->trials[r->trial_count].id, dir, trial_state_name(t->state));
        }
    }
    return read_measured(r, e);
}

static void add_disagreements(json_t *o, const struct study *study)
{
    json_t *list = json_array();
    for (const struct study_disagreement *d = study->disagreements; d && d->text; d++) {
        json_t *item = json_object();
        json_object_set_new(item, "text", json_string(d->text));
        json_object_set_new(item, "figures", json_string(d->figures));
        json_object_set_new(item, "here", json_string(d->here));
        json_array_append_new(list, item);
    }
    json_object_set_new(o, "disagreements", list);
}

/* The command that made the directory what it is (the last that added runs), as a shell would take
 * it. */
static json_t *command_json(const char *dir, struct err *e)
{
    struct sweepdir s;
    size_t i, bytes;
    char *text = NULL;
    json_t *word;
    if (sweepdir_read(&s, dir, e))
        return NULL;
    FILE *out = open_memstream(&text, &bytes);
    const json_t *extended = json_object_get(s.file, "extended");
    const json_t *argv = json_array_size(extended)
                             ? json_array_get(extended, json_array_size(extended) - 1)
                             : json_object_get(s.file, "argv");
    json_array_foreach(argv, i, word) {
        const char *w = json_string_value(word);
        const char *slash = i == 0 && w ? strrchr(w, '/') : NULL;
        w = !w ? "" : slash ? slash + 1 : w;
        bool plain = *w && !strpbrk(w, " \t\n'\"\\$`*?[]{}()<>|&;!#~");
        fprintf(out, plain ? "%s%s" : "%s'%s'", i ? " " : "", w);
    }
    fclose(out);
    sweepdir_release(&s);
    json_t *command = json_text(text);
    free(text);
    return command;
}

static json_t *runs_json(const struct study_results *r)
{
    json_t *o = json_object();
    size_t diverged = 0;
    for (size_t i = 0; i < r->trial_count; i++)
        diverged += r->trials[i].state == TRIAL_DIVERGED;
    json_object_set_new(o, "total", json_integer((json_int_t)r->trial_count));
    json_object_set_new(o, "finished", json_integer((json_int_t)(r->trial_count - diverged)));
    json_object_set_new(o, "diverged", json_integer((json_int_t)diverged));
    return o;
}

/* The study's verdict from those of its claims; a claim without one was not looked at. */
static const char *overall(const struct study_results *r)
{
    size_t i, n = 0;
    json_t *claim;
    enum study_verdict *list = xcalloc(json_array_size(r->claims), sizeof *list);
    json_array_foreach(r->claims, i, claim) {
        if (!json_object_get(claim, "verdict")) {
            const struct study_seen nothing = {.value = (double)NAN, .what = "nothing"};
            study_conclude((struct study_results *)r,
                           json_string_value(json_object_get(claim, "id")), &nothing);
        }
        const char *verdict = json_string_value(json_object_get(claim, "verdict"));
        if (!json_is_true(json_object_get(claim, "counts")) ||
            json_is_true(json_object_get(claim, "added_after_runs")))
            continue;
        list[n] = STUDY_SUPPORTED;
        while (strcmp(study_verdict_name(list[n]), verdict) != 0)
            list[n]++;
        n++;
    }
    const char *name = study_verdict_name(study_judge_all(list, n));
    free(list);
    return name;
}

static json_t *prediction_json(const struct study_results *r, const json_t *recorded)
{
    json_t *o = json_object(), *now = study_prediction(r->plan);
    const json_t *hash = json_object_get(recorded, "hash");
    json_object_set(o, "written", json_object_get(recorded, "written"));
    json_object_set(o, "hash", (json_t *)hash);
    if (!json_equal(hash, json_object_get(now, "hash"))) {
        json_object_set_new(o, "program_differs", json_true());
        json_array_insert_new(
            r->caveats, 0,
            json_string("This version of kiln would predict otherwise than the one that began this "
                        "study. The claims, ranges and rules below are those that were written "
                        "before the runs."));
    }
    json_decref(now);
    return o;
}

static void add_caveats(struct study_results *r)
{
    const struct study *study = r->plan->study;
    const struct study_trial *first = r->trial_count ? &r->trials[0] : NULL;
    for (const char *const *c = study->caveats; c && *c; c++)
        json_array_append_new(r->caveats, json_string(*c));
    if (r->plan->scale != STUDY_PAPER)
        study_caveat(r, "The experiment is scaled down (%s): network, data or epochs are smaller "
                        "than published, so numbers are not comparable with published ones.",
                     study_scale_name(r->plan->scale));
    if (r->plan->scale == STUDY_TINY)
        study_caveat(r, "Scale tiny shows that the experiment works. It is too small to settle "
                        "anything, whatever the verdicts.");
    if (first && *first->run.steps_down)
        study_caveat(r, "Other images than asked for: %s.", first->run.steps_down);
}

static json_t *study_json(struct study_results *r, const json_t *prediction, struct err *e)
{
    const struct study *study = r->plan->study;
    json_t *command = command_json(r->dir, e);
    if (!command)
        return NULL;
    json_t *o = json_object(), *before = prediction_json(r, prediction);
    add_caveats(r);
    json_object_set_new(o, "format", json_integer(1));
    json_object_set_new(o, "study", json_string(study->name));
    json_object_set_new(o, "title", json_string(study->title));
    json_object_set_new(o, "scale", json_string(study_scale_name(r->plan->scale)));
    json_object_set_new(o, "question", json_string(study->question));
    json_object_set_new(o, "background", json_string(study->background));
    json_object_set_new(o, "data", json_string(r->plan->sweep->base.data));
    json_object_set_new(o, "recipe", json_string(r->plan->sweep->recipe));
    json_object_set_new(o, "command", command);
    json_object_set_new(o, "runs", runs_json(r));
    json_object_set_new(o, "prediction", before);
    json_object_set_new(o, "verdict", json_string(overall(r)));
    json_object_set(o, "claims", r->claims);
    json_object_set(o, "figures", r->figures);
    json_object_set(o, "tables", r->tables);
    json_object_set(o, "caveats", r->caveats);
    add_disagreements(o, study);
    return o;
}

int study_analyse(const struct study_plan *p, const char *dir, json_t **result, struct err *e)
{
    struct study_results r = {0};
    char path[4096];
    *result = NULL;
    json_t *prediction = prediction_settle(p, dir, e);
    if (!prediction)
        return -1;
    int rc = file_join(path, sizeof path, dir, "study.json", e) ||
                     results_read(&r, p, dir, prediction, e)
                 ? -1
                 : p->study->analyse(&r, e);
    json_t *o = rc ? NULL : study_json(&r, prediction, e);
    rc = o ? json_write(o, path, e) : -1;
    if (rc)
        json_decref(o);
    else
        *result = o;
    results_release(&r);
    json_decref(prediction);
    return rc;
}

int study_run(struct study_plan *p, const char *dir, const struct sweep_options *o,
              json_t **result, struct sweep_report *report, struct err *e)
{
    struct sweep_options options = *o;
    options.open = p->study->open;
    options.close = p->study->close;
    options.observer_context = p;
    options.keep = p->study->keep;
    *result = NULL;
    *report = (struct sweep_report){0};
    json_t *prediction = prediction_settle(p, dir, e);
    if (!prediction)
        return -1;
    json_decref(prediction);
    if (sweep_plan_save(p->sweep, dir, o->from, NULL, e) || measure(p, dir, false, e) ||
        sweep_run(p->sweep, dir, &options, report, e))
        return -1;
    if (report->left + report->elsewhere > 0)
        return 0;
    return measure(p, dir, true, e) ? -1 : study_analyse(p, dir, result, e);
}
