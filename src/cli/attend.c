/* attend.c - see attend.h. */
#include "cli/attend.h"

#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/version.h"

struct provenance provenance_of(const struct invocation *inv)
{
    return (struct provenance){.argc = inv->argc, .argv = inv->argv, .build = version_build()};
}

void provenance_release(struct provenance *from)
{
    json_decref((json_t *)from->build);
    from->build = NULL;
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

static int print(const struct invocation *inv, const char *run, const struct train_result *result,
                 struct err *e)
{
    if (!inv->common.json) {
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

int attend_run(const struct invocation *inv, struct session *s, struct err *e)
{
    struct progress progress;
    struct train_result result;
    const struct observer observer = progress_observer(&progress);
    const char *run = s->recorder->dir.path;
    int status;
    signals_install();
    s->observers = &observer;
    s->observer_count = log_get_level() == LOG_QUIET ? 0 : 1;
    int rc = session_train(s, &result, &status, e);
    progress_clear(&progress);
    if (rc)
        return -1;
    say_how_to_go_on(&result, run);
    return print(inv, run, &result, e) ? -1 : status;
}
