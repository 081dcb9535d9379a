/* session.c - see session.h. */
#include "sweep/session.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "probes/set.h"
#include "train/checkpoint.h"
#include "train/train.h"

static int exit_code(const struct train_result *result)
{
    if (result->reason == TRAIN_STOPPED)
        return (int)exit_code_of_signal(result->stop_signal);
    return result->target_missed ? EXIT_TARGET : EXIT_DONE;
}

/* One sentence for a run that ended because something could not be recorded or measured. */
static int records_failed(const struct recorder *r, const struct train_result *result,
                          struct err *e)
{
    return err_set(e, EXIT_FAILED,
                   "%s; training ended after step %" PRIu64
                   ", and 'kiln resume %s' goes on from the last checkpoint",
                   r->why.text, result->steps, r->dir.path);
}

static void probe_failed(void *context, const struct err *why)
{
    recorder_fail(context, why);
}

int session_train(const struct session *s, struct train_result *result, int *exit_status,
                  struct err *e)
{
    struct recorder *r = s->recorder;
    struct observer observers[SESSION_OBSERVERS + 2] = {recorder_observer(r)};
    struct probe_set probes;
    char checkpoints[4096];
    assert(s->observer_count <= SESSION_OBSERVERS);
    for (int i = 0; i < s->observer_count; i++)
        observers[i + 1] = s->observers[i];
    if (probe_set_init(&probes, s->config->probes, e) ||
        rundir_path(&r->dir, "checkpoints", checkpoints, e))
        return -1;
    probes.sinks = observers;
    probes.sink_count = s->observer_count + 1;
    probes.on_failure = probe_failed;
    probes.context = r;
    observers[probes.sink_count] = probe_set_observer(&probes);
    const struct train_request request = {
        .config = s->config,
        .images = s->images,
        .observers = observers,
        .observer_count = probes.sink_count + (probes.count > 0),
        .checkpoints = checkpoints,
        .resume_from = s->resume_from,
        .stop = r->stop,
    };
    int rc = train_run(&request, result, e);
    if (r->failed)
        rc = records_failed(r, result, e);
    *exit_status = rc ? (int)e->code : exit_code(result);
    struct err unrecorded;
    if (recorder_end(r, result, *exit_status, rc ? e->text : NULL, &unrecorded) && !rc)
        rc = err_set(e, EXIT_FAILED, "%s", unrecorded.text);
    return rc;
}

static int is_checkpoint(void *context, const json_t *record)
{
    (void)context;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    return kind && strcmp(kind, "checkpoint") == 0;
}

/* Whether the run ever wrote one. */
static int had_checkpoint(const struct rundir *dir, struct err *e)
{
    char path[4096];
    if (rundir_path(dir, "metrics.jsonl", path, e))
        return -1;
    return file_exists(path) ? metrics_each(path, is_checkpoint, NULL, e) : 0;
}

int session_find_checkpoint(const struct rundir *dir, char *from, struct err *e)
{
    char folder[4096];
    if (rundir_path(dir, "checkpoints", folder, e))
        return -1;
    if (file_exists(folder) && checkpoint_latest(folder, from, e) == 0)
        return 0;
    from[0] = 0;
    int had = had_checkpoint(dir, e);
    if (had > 0)
        return err_set(e, EXIT_DATA, "'%s' has lost its checkpoints", dir->path);
    return had;
}
