/* session.c - see session.h. */
#include "cli/session.h"

#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "train/train.h"

static int exit_status(const struct train_result *result)
{
    if (result->reason == TRAIN_STOPPED)
        return (int)signals_exit_code(result->stop_signal);
    return result->target_missed ? EXIT_TARGET : EXIT_DONE;
}

static void print_share(const char *what, double accuracy, double loss, const char *note)
{
    if (!isnan(accuracy))
        printf("%-17s %.2f %%   loss %.4f%s\n", what, 100 * accuracy, loss, note);
}

static void print_result(const char *run, const struct train_result *r)
{
    char time[16];
    progress_duration(r->seconds, time);
    printf("run               %s\n", run);
    printf("steps             %" PRIu64 " (%.4g epochs), %s\n", r->steps, r->epochs,
           train_reason_name(r->reason));
    print_share("training accuracy", r->train_accuracy, r->train_loss,
                " (last epoch, augmented images)");
    print_share("test accuracy", r->test_accuracy, r->test_loss, "");
    print_share("  with more views", r->tta_accuracy, r->tta_loss, "");
    print_share("validation acc.", r->validation_accuracy, r->validation_loss, "");
    if (!isnan(r->images_per_second))
        printf("speed             %.0f images/s, %s in all\n", r->images_per_second, time);
    printf("weights           %s\n", r->weights_hash);
}

static int print(const struct session *s, const struct train_result *result, struct err *e)
{
    const char *run = s->recorder->dir.path;
    if (!s->inv->common.json) {
        print_result(run, result);
        return 0;
    }
    json_t *o = result_json(result);
    json_object_set_new(o, "run", json_string(run));
    return cli_print_json(o, e);
}

static void say_how_to_go_on(const struct train_result *result, const char *run)
{
    if (result->reason == TRAIN_STOPPED || result->reason == TRAIN_STEPS)
        log_say("stopped after step %" PRIu64 "; 'kiln resume %s' goes on", result->steps, run);
}

/* One sentence for a run whose records could not be written. */
static int records_failed(const struct session *s, const struct train_result *result,
                          struct err *e)
{
    const struct recorder *r = s->recorder;
    return err_set(e, EXIT_FAILED,
                   "%s; training ended after step %" PRIu64
                   ", and 'kiln resume %s' goes on from the last checkpoint",
                   r->why.text, result->steps, r->dir.path);
}

int session_run(const struct session *s, struct err *e)
{
    struct progress progress;
    struct train_result result;
    struct observer observers[2] = {recorder_observer(s->recorder), progress_observer(&progress)};
    char checkpoints[4096];
    if (rundir_path(&s->recorder->dir, "checkpoints", checkpoints, e))
        return -1;
    signals_install();
    struct train_request request = {
        .config = s->config,
        .images = s->images,
        .observers = observers,
        .observer_count = log_get_level() == LOG_QUIET ? 1 : 2,
        .checkpoints = checkpoints,
        .resume_from = s->resume_from,
        .stop = signals_flag(),
    };
    int rc = train_run(&request, &result, e);
    progress_clear(&progress);
    if (s->recorder->failed)
        rc = records_failed(s, &result, e);
    int status = rc ? (int)e->code : exit_status(&result);
    struct err unrecorded;
    if (recorder_end(s->recorder, &result, status, rc ? e->text : NULL, &unrecorded) && !rc)
        rc = err_set(e, EXIT_FAILED, "%s", unrecorded.text);
    if (rc)
        return -1;
    say_how_to_go_on(&result, s->recorder->dir.path);
    return print(s, &result, e) ? -1 : status;
}
