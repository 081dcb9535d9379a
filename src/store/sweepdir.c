/* sweepdir.c - see sweepdir.h. */
#include "store/sweepdir.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "store/claim.h"
#include "store/rundir.h"

const char *trial_state_name(enum trial_state state)
{
    static const char *const names[TRIAL_STATE_COUNT] = {"waiting",  "running",  "interrupted",
                                                         "finished", "diverged", "failed"};
    return names[state];
}

int trial_is_done(enum trial_state state)
{
    return state == TRIAL_FINISHED || state == TRIAL_DIVERGED;
}

int sweepdir_is(const char *path)
{
    char file[4096];
    return file_join(file, sizeof file, path, "sweep.json", NULL) == 0 && file_exists(file);
}

static int damaged(const struct sweepdir *s, const char *what, struct err *e)
{
    return err_set(e, EXIT_DATA, "'%s/sweep.json' is damaged: %s", s->path, what);
}

static int read_axis(struct sweepdir *s, const json_t *from, struct sweep_axis *axis,
                     struct err *e)
{
    const json_t *values = json_object_get(from, "values");
    axis->key = json_text_at(from, "key");
    axis->scale = json_text_at(from, "scale");
    axis->count = json_array_size(values);
    const char **list = arena_alloc(&s->memory, axis->count, sizeof *list);
    for (size_t i = 0; i < axis->count; i++) {
        list[i] = json_string_value(json_array_get(values, i));
        if (!list[i])
            return damaged(s, "a value of an axis is no text", e);
    }
    axis->values = list;
    return *axis->key && axis->count > 0 ? 0 : damaged(s, "an axis has no key or no values", e);
}

static bool is_id(const char *id)
{
    return strlen(id) == TRIAL_ID && strspn(id, "0123456789abcdef") == TRIAL_ID;
}

static int read_trial(struct sweepdir *s, const json_t *from, struct sweep_trial *trial,
                      struct err *e)
{
    const json_t *set = json_object_get(from, "set");
    const json_t *shared = json_object_get(s->file, "base");
    trial->id = json_text_at(from, "id");
    if (!is_id(trial->id)) /* it becomes part of a path */
        return damaged(s, "a trial's id is not 16 hex digits", e);
    trial->label = json_text_at(from, "label");
    trial->seed = json_text_at(json_object_get(set, "seed") ? set : shared, "seed");
    trial->path = arena_printf(&s->memory, "%s/trials/%s", s->path, trial->id);
    const char **values = arena_alloc(&s->memory, s->axis_count, sizeof *values);
    for (size_t i = 0; i < s->axis_count; i++) {
        const char *key = s->axes[i].key;
        values[i] = json_text_at(json_object_get(set, key) ? set : shared, key);
    }
    trial->values = values;
    return 0;
}

static int read_lists(struct sweepdir *s, struct err *e)
{
    const json_t *axes = json_object_get(s->file, "axes");
    const json_t *trials = json_object_get(s->file, "trials");
    if (json_integer_value(json_object_get(s->file, "format")) != 1)
        return err_set(e, EXIT_DATA, "'%s/sweep.json' has a format that this kiln does not know",
                       s->path);
    if (!json_is_array(axes) || !json_is_array(trials))
        return damaged(s, "it has no list of axes or of trials", e);
    s->axis_count = json_array_size(axes);
    s->axes = arena_alloc(&s->memory, s->axis_count, sizeof *s->axes);
    for (size_t i = 0; i < s->axis_count; i++)
        if (read_axis(s, json_array_get(axes, i), &s->axes[i], e))
            return -1;
    s->trial_count = json_array_size(trials);
    s->trials = arena_alloc(&s->memory, s->trial_count, sizeof *s->trials);
    for (size_t i = 0; i < s->trial_count; i++)
        if (read_trial(s, json_array_get(trials, i), &s->trials[i], e))
            return -1;
    return 0;
}

int sweepdir_read(struct sweepdir *s, const char *path, struct err *e)
{
    char file[4096];
    memset(s, 0, sizeof *s);
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    s->path = arena_strndup(&s->memory, path, n);
    if (!sweepdir_is(s->path)) {
        err_set(e, EXIT_DATA, "'%s' is no sweep: it has no sweep.json", s->path);
        goto failed;
    }
    if (file_join(file, sizeof file, s->path, "sweep.json", e) ||
        !(s->file = json_read(file, EXIT_DATA, e)) || read_lists(s, e))
        goto failed;
    s->kind = json_text_at(s->file, "kind");
    s->recipe = json_text_at(s->file, "recipe");
    s->sampler = json_text_at(json_object_get(s->file, "sampler"), "kind");
    return 0;
failed:
    sweepdir_release(s);
    return -1;
}

void sweepdir_release(struct sweepdir *s)
{
    json_decref(s->file);
    arena_release(&s->memory);
    memset(s, 0, sizeof *s);
}

const char *sweepdir_value(const struct sweepdir *s, size_t trial, const char *key)
{
    const json_t *entry = json_array_get(json_object_get(s->file, "trials"), trial);
    const json_t *value = json_object_get(json_object_get(entry, "set"), key);
    if (!value)
        value = json_object_get(json_object_get(s->file, "base"), key);
    return json_string_value(value);
}

/* A run's state as a trial's. One that ended at its limit `steps` is done. */
static enum trial_state state_of(const struct run_summary *run)
{
    switch (run->state) {
    case RUN_FINISHED: return TRIAL_FINISHED;
    case RUN_DIVERGED: return TRIAL_DIVERGED;
    case RUN_FAILED: return TRIAL_FAILED;
    case RUN_RUNNING: return TRIAL_RUNNING;
    case RUN_STOPPED:
        return strcmp(run->reason, "step limit") == 0 ? TRIAL_FINISHED : TRIAL_INTERRUPTED;
    default: return TRIAL_INTERRUPTED;
    }
}

enum trial_state trial_state_of(const char *dir, const char *id, struct run_summary *run)
{
    struct run_summary own;
    char path[4096], claims[4096];
    enum trial_state state = TRIAL_WAITING;
    if (!run)
        run = &own;
    summary_none(run);
    if (file_join(claims, sizeof claims, dir, "claims", NULL))
        return state; /* a path that long has no trials */
    snprintf(path, sizeof path, "%.4000s/trials/%s", dir, id);
    if (rundir_is(path) && !summary_read(run, path, NULL))
        state = state_of(run);
    if (!trial_is_done(state) && state != TRIAL_RUNNING && claim_is_held(claims, id, CLAIM_LEASE))
        state = TRIAL_RUNNING;
    if (run == &own)
        summary_release(&own);
    return state;
}

enum trial_state sweepdir_trial(const struct sweepdir *s, size_t trial, struct run_summary *run)
{
    return trial_state_of(s->path, s->trials[trial].id, run);
}
