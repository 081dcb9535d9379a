/* cmd_resume.c - kiln resume: a run goes on from its newest checkpoint, to the same bits. */
#include <stdio.h>

#include "base/log.h"
#include "cli/attend.h"
#include "cli/resolve.h"
#include "cli/runs.h"
#include "cli/signals.h"
#include "sweep/images.h"
#include "train/checkpoint.h"

struct args {
    char from[OPTION_TEXT_SIZE];
};

static const struct option_def options[] = {
    {"from", OPTION_TEXT, offsetof(struct args, from), "", 0, 0, NULL, NULL, "run",
     "weights file of the checkpoint to go on from, if not the newest", NULL},
    {0},
};

static int find_checkpoint(const struct rundir *dir, char *from, struct err *e)
{
    if (*from)
        return 0;
    if (session_find_checkpoint(dir, from, e))
        return -1;
    if (!*from)
        log_say("'%s' has no checkpoint yet: starting from its first step", dir->path);
    return 0;
}

/* Adds to the sentence about a damaged checkpoint what can be done. */
static int offer_older(const char *run, const char *from, struct err *e)
{
    char older[4096];
    if (checkpoint_older(from, older))
        return err_set(e, EXIT_DATA,
                       "%s; 'kiln resume %s --from %s' goes on from the one before it", e->text,
                       run, older);
    return err_set(e, EXIT_DATA, "%s; '%s' has none that is older", e->text, run);
}

static int resume(struct invocation *inv, const struct provenance *provenance,
                  struct recorder *recorder, struct images *images, struct err *e)
{
    struct config c;
    const struct args *args = inv->args;
    char run[4096], ini[4096], from[4096];
    snprintf(from, sizeof from, "%s", args->from);
    if (run_named(inv->operands[0], run, e) || rundir_open(&recorder->dir, run, e) ||
        rundir_path(&recorder->dir, "config.ini", ini, e) || resolve_resumed(inv, ini, &c, e) ||
        find_checkpoint(&recorder->dir, from, e) || load_images_of_run(&c, images, e) ||
        recorder_resume(recorder, provenance, &c, images, e) ||
        manifest_take_tier(recorder->manifest, recorder->dir.path, asked_for_tier(inv), &c, e) ||
        manifest_take_convolutions(recorder->manifest, recorder->dir.path, &c, e))
        return -1;
    struct session session = {
        .config = &c,
        .images = images,
        .recorder = recorder,
        .resume_from = *from ? from : NULL,
    };
    int status = attend_run(inv, &session, e);
    if (status < 0 && e->code == EXIT_DATA && *from)
        return offer_older(inv->operands[0], from, e);
    return status;
}

static int run(struct invocation *inv, struct err *e)
{
    struct recorder recorder;
    struct images images = {0};
    struct provenance provenance = provenance_of(inv);
    recorder_init(&recorder, signals_flag());
    int status = resume(inv, &provenance, &recorder, &images, e);
    recorder_close(&recorder);
    provenance_release(&provenance);
    images_release(&images);
    return status;
}

static const char *const examples[] = {
    "kiln resume runs/20261123-203259-quickstart-1a2b3c4d", "go on to the schedule's end",
    "kiln resume RUN --steps 1000 --threads 4", "go on to step 1000, with other threads",
    NULL,
};

const struct command command_resume = {
    .name = "resume",
    .summary = "Go on with a run that was stopped",
    .usage = "RUN [options]",
    .description =
        "RUN is a run directory. The run goes on from its newest checkpoint as if it had never\n"
        "stopped: the weights end with the same bits. Keys that decide the weights cannot be\n"
        "changed; threads, steps, folders, evaluation and checkpoints can.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
