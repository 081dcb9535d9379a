/* cmd_train.c - kiln train: a recipe becomes a run. */
#include <stdio.h>

#include "base/log.h"
#include "cli/attend.h"
#include "cli/dryrun.h"
#include "cli/resolve.h"
#include "cli/signals.h"
#include "probes/set.h"
#include "sweep/images.h"
#include "train/trainer.h"

/* Refuses what cannot work before anything is written. */
static int check(const struct config *c, const struct images *images, struct err *e)
{
    struct train_estimate estimate;
    struct probe_set probes;
    if (probe_set_init(&probes, c->probes, e))
        return -1;
    const struct shape input = {images->channels, IMAGE_SIDE, IMAGE_SIDE};
    return trainer_estimate(c, input, images->classes, images->train.count, images->test.count,
                            &estimate, e);
}

static int train(struct invocation *inv, struct config *c, const struct images *images,
                 const char *steps_down, struct err *e)
{
    struct recorder recorder;
    struct provenance from = provenance_of(inv);
    recorder_init(&recorder, signals_flag());
    char slug[64], hash[65];
    const char *out = *inv->common.out ? inv->common.out : NULL;
    recipe_slug(inv->operands[0], slug);
    config_hash(c, hash);
    int status = -1;
    if (rundir_create(&recorder.dir, out, slug, hash, e) ||
        recorder_begin(&recorder, &from, c, inv->operands[0], images, steps_down, e))
        goto out;
    log_say("run %s", recorder.dir.path);
    struct session session = {.config = c, .images = images, .recorder = &recorder};
    status = attend_run(inv, &session, e);
out:
    recorder_close(&recorder);
    provenance_release(&from);
    return status;
}

static int run(struct invocation *inv, struct err *e)
{
    struct config c;
    struct images images;
    char steps_down[2048];
    if (resolve_config(inv, inv->operands[0], &c, e))
        return -1;
    if (inv->common.dry_run)
        return dryrun_print(&c, inv->common.json, e);
    int status = load_images_for_training(&c, &images, steps_down, sizeof steps_down, e);
    if (!status)
        status = check(&c, &images, e) ? -1 : train(inv, &c, &images, steps_down, e);
    images_release(&images);
    return status;
}

static const char *const examples[] = {
    "kiln train quickstart", "the recipe recipes/quickstart.ini; the run goes to runs/",
    "kiln train dawn-512 --epochs 10 --lr 0.3 --out runs/short", "two keys changed, folder given",
    "kiln train airbench94 --dry-run", "configuration, schedule, memory and time; trains nothing",
    NULL,
};

const struct command command_train = {
    .name = "train",
    .summary = "Train a network by a recipe",
    .usage = "RECIPE [options]",
    .description =
        "RECIPE is the path of an .ini file or the name of one from recipes/. Everything about\n"
        "the run is kept in its directory, runs/<time>-<recipe>-<hash> or the one of --out.\n"
        "SIGINT, SIGTERM and SIGUSR1 finish the step, write a checkpoint, and exit with 130,\n"
        "143 and 75; 'kiln resume' goes on to the same bits. A second SIGINT quits at once.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET | COMMON_DRY_RUN | COMMON_OUT,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
