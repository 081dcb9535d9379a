/* target.c - see target.h. */
#include "cli/target.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/resolve.h"
#include "cli/runs.h"
#include "store/rundir.h"
#include "train/checkpoint.h"

static int weights_of_run(const char *run, bool best, char *weights, struct err *e)
{
    char folder[4096];
    if (file_join(folder, sizeof folder, run, "checkpoints", e))
        return -1;
    if (!best)
        return checkpoint_latest(folder, weights, e);
    if (file_join(weights, 4096, folder, "best.safetensors", e))
        return -1;
    return file_exists(weights) ? 0
                                : err_set(e, EXIT_DATA, "'%s' keeps no best checkpoint", run);
}

/* "run/checkpoints/x.safetensors" -> "run". */
static void run_of_weights(const char *weights, char run[4096])
{
    snprintf(run, 4096, "%s", weights);
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(run, '/');
        if (slash)
            *slash = 0;
        else
            snprintf(run, 4096, i ? "." : "./x");
    }
}

bool target_run(const char *weights, char *run)
{
    run_of_weights(weights, run);
    return rundir_is(run);
}

int target_find(const struct invocation *inv, const char *name, bool best, char *weights,
                struct config *c, struct err *e)
{
    char path[4096], run[4096], ini[4096];
    if (run_named(name, path, e))
        return -1;
    name = path;
    if (!file_exists(name))
        return err_set(e, EXIT_DATA, "there is no run directory or checkpoint '%s'", name);
    if (rundir_is(name)) {
        snprintf(run, sizeof run, "%s", name);
        if (weights_of_run(run, best, weights, e))
            return -1;
    } else {
        snprintf(weights, 4096, "%s", name);
        run_of_weights(name, run);
    }
    if (!rundir_is(run))
        return resolve_config(inv, NULL, c, e);
    if (file_join(ini, sizeof ini, run, "config.ini", e) || resolve_resumed(inv, ini, c, e))
        return -1;
    if (!asked_for_tier(inv) && !tier_available((enum tier)c->isa)) {
        log_say("'%s' was trained with kernels of tier '%s', which this machine lacks; others are "
                "taken", run, tier_name((enum tier)c->isa));
        c->isa = TIER_AUTO;
    }
    return 0;
}
