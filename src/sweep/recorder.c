/* recorder.c - see recorder.h. */
#include "sweep/recorder.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "sweep/gallery.h"
#include "train/carry.h"
#include "train/trainer.h"

static const double HEARTBEAT = 5.0; /* seconds between two writings of status.json */

static const char *const epoch_columns[] = {
    "epoch",         "step",              "train_loss",          "train_accuracy",
    "test_loss",     "test_accuracy",     "validation_loss",     "validation_accuracy",
    "lr",            "train_seconds",     "eval_seconds",        "images_per_second",
    NULL,
};

void recorder_fail(struct recorder *r, const struct err *e)
{
    if (!r->failed)
        r->why = *e;
    r->failed = true;
    if (r->stop && !*r->stop)
        *r->stop = STOP_RECORDS;
}

/* What could not be written: for want of room it waits (append.h) or is written anew soon (the
 * status), and training goes on; otherwise the run ends. */
static void unwritten(struct recorder *r, const struct err *e)
{
    if (!e->no_room) {
        recorder_fail(r, e);
        return;
    }
    if (!r->waiting)
        log_warn("%s; training goes on, and what has to be recorded waits in memory for room",
                 e->text);
    r->waiting = true;
}

static bool is_waiting(const struct append *file)
{
    return file->fd >= 0 && file->waiting_bytes > 0;
}

static void see_room(struct recorder *r)
{
    if (!r->waiting || r->status_old || is_waiting(&r->metrics.file) ||
        is_waiting(&r->probes.file) || is_waiting(&r->epochs.file))
        return;
    r->waiting = false;
    log_warn("there is room again for '%s': everything so far is recorded", r->dir.path);
}

/* Everything that waits, into the files and onto the disk. */
static int write_waiting(struct recorder *r, struct err *e)
{
    return metrics_sync(&r->metrics, e) || table_sync(&r->epochs, e) ||
                   (r->probes.file.fd >= 0 && metrics_sync(&r->probes, e))
               ? -1
               : 0;
}

static int write_status(struct recorder *r, const char *state, struct err *e)
{
    json_t *status = manifest_process();
    json_object_set_new(status, "state", json_string(state));
    json_object_set_new(status, "step", json_integer((json_int_t)r->step));
    json_object_set_new(status, "total_steps", json_integer((json_int_t)r->total_steps));
    json_object_set_new(status, "epoch", json_number(r->epoch));
    json_object_set_new(status, "heartbeat", manifest_time());
    int rc = rundir_write_json(&r->dir, "status.json", status, e);
    json_decref(status);
    r->status_written = clock_seconds();
    r->status_old = rc != 0;
    return rc;
}

static int write_config(struct recorder *r, const struct config *c, struct err *e)
{
    char *text = options_ini_text(config_options, c);
    int rc = rundir_write(&r->dir, "config.ini", text, e);
    free(text);
    return rc;
}

static void add_session(struct recorder *r, const struct provenance *from)
{
    json_t *sessions = json_object_get(r->manifest, "sessions");
    r->session = manifest_session(from);
    json_array_append_new(sessions, r->session);
}

void recorder_init(struct recorder *r, volatile sig_atomic_t *stop)
{
    memset(r, 0, sizeof *r);
    r->stop = stop;
    r->metrics.file.fd = r->probes.file.fd = r->epochs.file.fd = r->dir.lock = -1;
}

int recorder_begin(struct recorder *r, const struct provenance *from, const struct config *c,
                   const char *recipe, const struct images *images, const char *steps_down,
                   struct err *e)
{
    r->manifest = manifest_new(c, recipe, images, steps_down);
    add_session(r, from);
    return write_config(r, c, e) || rundir_write_json(&r->dir, "manifest.json", r->manifest, e) ||
                   write_status(r, "starting", e)
               ? -1
               : 0;
}

int recorder_resume(struct recorder *r, const struct provenance *from, const struct config *c,
                    const struct images *images, struct err *e)
{
    r->manifest = rundir_read_json(&r->dir, "manifest.json", e);
    if (!r->manifest)
        return -1;
    if (manifest_check(r->manifest, r->dir.path, c, images, e))
        return -1;
    add_session(r, from);
    return rundir_write_json(&r->dir, "manifest.json", r->manifest, e) ||
                   write_status(r, "starting", e)
               ? -1
               : 0;
}

/* probes.jsonl, for a run that has probes or had them. */
static int open_probes(struct recorder *r, const struct run_event *event, struct err *e)
{
    char path[4096];
    if (rundir_path(&r->dir, "probes.jsonl", path, e))
        return -1;
    if (!*event->trainer->config.probes && !file_exists(path))
        return 0;
    return metrics_open(&r->probes, path, event->first_step, e);
}

static void on_run(void *context, const struct run_event *event)
{
    struct recorder *r = context;
    struct err e;
    char metrics[4096], epochs[4096];
    r->first_step = r->step = event->first_step;
    r->total_steps = event->total_steps;
    manifest_add_run(r->manifest, r->session, event);
    if (rundir_path(&r->dir, "metrics.jsonl", metrics, &e) ||
        metrics_open(&r->metrics, metrics, event->first_step, &e) ||
        rundir_path(&r->dir, "epochs.csv", epochs, &e) ||
        table_open(&r->epochs, epochs, epoch_columns, event->first_step, &e) ||
        open_probes(r, event, &e) ||
        rundir_write_json(&r->dir, "manifest.json", r->manifest, &e) ||
        write_status(r, "running", &e))
        recorder_fail(r, &e);
}

static void on_step(void *context, const struct step_event *event)
{
    struct recorder *r = context;
    struct metrics *m = &r->metrics;
    struct err e;
    r->step = event->step;
    r->epoch = event->epoch;
    if (r->failed)
        return;
    metrics_begin(m, "train", event->step, event->epoch);
    metrics_real(m, "train/loss", event->loss);
    metrics_real(m, "train/accuracy", event->accuracy);
    metrics_real(m, "opt/lr", event->lr);
    metrics_real(m, "opt/momentum", event->momentum);
    metrics_real(m, "opt/weight_decay", event->weight_decay);
    metrics_real(m, "perf/step_seconds", event->seconds);
    if (metrics_end(m, &e))
        unwritten(r, &e);
    else
        see_room(r);
    if (clock_seconds() - r->status_written > HEARTBEAT && write_status(r, "running", &e))
        unwritten(r, &e);
}

static void on_hash(void *context, const struct hash_event *event)
{
    struct recorder *r = context;
    struct err e;
    if (r->failed)
        return;
    metrics_begin(&r->metrics, "hash", event->step, r->epoch);
    metrics_text(&r->metrics, "weights_hash", event->weights_hash);
    if (metrics_end(&r->metrics, &e))
        unwritten(r, &e);
}

static int add_epoch_record(struct metrics *m, const struct epoch_event *event, struct err *e)
{
    metrics_begin(m, "epoch", event->step, event->epoch);
    metrics_real(m, "train/epoch_loss", event->train_loss);
    metrics_real(m, "train/epoch_accuracy", event->train_accuracy);
    if (event->evaluated) {
        metrics_real(m, "test/loss", event->test_loss);
        metrics_real(m, "test/accuracy", event->test_accuracy);
    }
    if (event->validated) {
        metrics_real(m, "val/loss", event->validation_loss);
        metrics_real(m, "val/accuracy", event->validation_accuracy);
    }
    metrics_real(m, "perf/train_seconds", event->train_seconds);
    metrics_real(m, "perf/eval_seconds", event->eval_seconds);
    metrics_real(m, "perf/images_per_second", event->images_per_second);
    return metrics_end(m, e);
}

static void on_epoch(void *context, const struct epoch_event *event)
{
    struct recorder *r = context;
    struct err e;
    if (r->failed)
        return;
    const double row[] = {
        event->epoch,           (double)event->step,        event->train_loss,
        event->train_accuracy,  event->test_loss,           event->test_accuracy,
        event->validation_loss, event->validation_accuracy, event->lr,
        event->train_seconds,   event->eval_seconds,        event->images_per_second,
    };
    static_assert(sizeof row / sizeof row[0] + 1 == sizeof epoch_columns / sizeof epoch_columns[0],
                  "a value for each column");
    if (add_epoch_record(&r->metrics, event, &e))
        unwritten(r, &e);
    if (table_add(&r->epochs, row, &e))
        unwritten(r, &e);
}

/* What a resume from a checkpoint will want to find must be there before it. */
static void on_carry(void *context, struct carry *carry)
{
    struct recorder *r = context;
    struct err e;
    if (r->failed || !write_waiting(r, &e))
        return;
    unwritten(r, &e);
    carry->wait = e;
}

static void on_omission(void *context, const struct omission_event *event)
{
    (void)context;
    log_warn("%s; training goes on without a checkpoint of step %" PRIu64, event->why->text,
             event->step);
}

static void on_checkpoint(void *context, const struct checkpoint_event *event)
{
    struct recorder *r = context;
    struct err e;
    if (r->failed)
        return;
    const char *slash = strrchr(event->path, '/');
    metrics_begin(&r->metrics, "checkpoint", event->step, r->epoch);
    metrics_text(&r->metrics, "file", slash ? slash + 1 : event->path);
    metrics_integer(&r->metrics, "best", event->best);
    if (metrics_end(&r->metrics, &e))
        unwritten(r, &e);
}

static void on_probe(void *context, const struct probe_event *event)
{
    struct recorder *r = context;
    struct metrics *m = &r->probes;
    struct err e;
    if (r->failed)
        return;
    metrics_begin(m, event->probe, event->step, event->epoch);
    metrics_text(m, "of", event->of);
    for (int i = 0; i < event->count; i++)
        metrics_real(m, event->names[i], event->values[i]);
    if (metrics_end(m, &e))
        unwritten(r, &e);
}

static void on_outcomes(void *context, const struct outcomes_event *event)
{
    struct recorder *r = context;
    struct err e;
    if (!r->failed && gallery_write(&r->dir, event, &e))
        recorder_fail(r, &e);
}

struct observer recorder_observer(struct recorder *r)
{
    return (struct observer){
        .context = r,
        .run = on_run,
        .step = on_step,
        .hash = on_hash,
        .epoch = on_epoch,
        .carry = on_carry,
        .checkpoint = on_checkpoint,
        .omission = on_omission,
        .probe = on_probe,
        .outcomes = on_outcomes,
    };
}

json_t *result_json(const struct train_result *result)
{
    json_t *o = json_object();
    json_object_set_new(o, "reason", json_string(train_reason_name(result->reason)));
    json_object_set_new(o, "steps", json_integer((json_int_t)result->steps));
    json_object_set_new(o, "epochs", json_number(result->epochs));
    json_object_set_new(o, "weights_hash", json_string(result->weights_hash));
    json_object_set_new(o, "train_loss", json_number(result->train_loss));
    json_object_set_new(o, "train_accuracy", json_number(result->train_accuracy));
    json_object_set_new(o, "test_loss", json_number(result->test_loss));
    json_object_set_new(o, "test_accuracy", json_number(result->test_accuracy));
    json_object_set_new(o, "tta_loss", json_number(result->tta_loss));
    json_object_set_new(o, "tta_accuracy", json_number(result->tta_accuracy));
    json_object_set_new(o, "validation_loss", json_number(result->validation_loss));
    json_object_set_new(o, "validation_accuracy", json_number(result->validation_accuracy));
    json_object_set_new(o, "images_per_second", json_number(result->images_per_second));
    json_object_set_new(o, "train_seconds", json_number(result->train_seconds));
    json_object_set_new(o, "seconds", json_number(result->seconds));
    json_object_set_new(o, "checkpoint", json_string(result->checkpoint));
    return o;
}

int recorder_end(struct recorder *r, const struct train_result *result, int exit_status,
                 const char *sentence, struct err *e)
{
    const char *state = result->reason == TRAIN_FINISHED   ? "finished"
                        : result->reason == TRAIN_DIVERGED ? "diverged"
                        : result->reason == TRAIN_FAILED   ? "failed"
                                                           : "stopped";
    r->step = result->steps;
    manifest_end_session(r->session, result, exit_status, sentence);
    json_object_set_new(r->manifest, "result", result_json(result));
    if (r->epochs.file.fd >= 0 && write_waiting(r, e))
        return -1;
    return rundir_write_json(&r->dir, "manifest.json", r->manifest, e) ||
                   write_status(r, r->failed ? "failed" : state, e)
               ? -1
               : 0;
}

void recorder_close(struct recorder *r)
{
    json_decref(r->manifest);
    r->manifest = r->session = NULL;
    metrics_close(&r->metrics);
    metrics_close(&r->probes);
    table_close(&r->epochs);
    rundir_close(&r->dir);
}
