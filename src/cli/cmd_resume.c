/* cmd_resume.c - kiln resume: a run goes on from its newest checkpoint, to the same bits. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/images.h"
#include "cli/resolve.h"
#include "cli/session.h"
#include "train/checkpoint.h"

struct args {
    char from[OPTION_TEXT_SIZE];
};

static const struct option_def options[] = {
    {"from", OPTION_TEXT, offsetof(struct args, from), "", 0, 0, NULL, NULL, "run",
     "weights file of the checkpoint to go on from, if not the newest", NULL},
    {0},
};

static int is_checkpoint(void *context, const json_t *record)
{
    (void)context;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    return kind && strcmp(kind, "checkpoint") == 0;
}

/* Whether the run ever wrote one: then beginning anew would throw its records away. */
static int had_checkpoint(const struct rundir *dir, struct err *e)
{
    char path[4096];
    if (rundir_path(dir, "metrics.jsonl", path, e))
        return -1;
    return file_exists(path) ? metrics_each(path, is_checkpoint, NULL, e) : 0;
}

/* The newest checkpoint; `from` is left empty when the run ended before its first. */
static int find_checkpoint(const struct rundir *dir, char *from, struct err *e)
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
    if (had == 0)
        log_say("'%s' has no checkpoint yet: starting from its first step", dir->path);
    return had;
}

static int resume(struct invocation *inv, struct recorder *recorder, struct images *images,
                  struct err *e)
{
    struct config c;
    const struct args *args = inv->args;
    char ini[4096], from[4096];
    snprintf(from, sizeof from, "%s", args->from);
    if (rundir_open(&recorder->dir, inv->operands[0], e) ||
        rundir_path(&recorder->dir, "config.ini", ini, e) || resolve_resumed(inv, ini, &c, e) ||
        (!*from && find_checkpoint(&recorder->dir, from, e)) || load_images_of_run(&c, images, e) ||
        recorder_resume(recorder, inv, &c, images, e))
        return -1;
    const struct session session = {
        .inv = inv,
        .config = &c,
        .images = images,
        .recorder = recorder,
        .resume_from = *from ? from : NULL,
    };
    int status = session_run(&session, e);
    if (status < 0 && e->code == EXIT_DATA && !*args->from)
        log_say("'kiln resume %s --from FILE' goes on from another of its checkpoints",
                inv->operands[0]);
    return status;
}

static int run(struct invocation *inv, struct err *e)
{
    struct recorder recorder = {.metrics.file.fd = -1, .epochs.file.fd = -1, .dir.lock = -1};
    struct images images = {0};
    int status = resume(inv, &recorder, &images, e);
    recorder_close(&recorder);
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
