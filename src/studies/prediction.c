/* prediction.c - prediction.json: written once, before the first run, and never again. */
#define _POSIX_C_SOURCE 200809L
#include "studies/prediction.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "sweep/manifest.h"

/* Gives `text` the name `path` unless that is taken: whoever is first stays. */
static int write_once(json_t *value, const char *path, struct err *e)
{
    char mine[4096 + 32];
    snprintf(mine, sizeof mine, "%s.%ld", path, (long)getpid());
    if (json_write(value, mine, e))
        return -1;
    int rc = 0;
    if (link(mine, path) && errno != EEXIST)
        rc = err_errno(e, EXIT_FAILED, errno, "cannot write '%s'", path);
    unlink(mine);
    return rc ? rc : file_sync_folder(path, e);
}

json_t *prediction_settle(const struct study_plan *p, const char *dir, struct err *e)
{
    char path[4096], trials[4096];
    if (file_join(path, sizeof path, dir, "prediction.json", e) ||
        file_join(trials, sizeof trials, dir, "trials", e) || file_make_folders(dir, e))
        return NULL;
    /* In this order: another process that begins now writes the prediction before its trials. */
    int has_runs = file_exists(trials);
    if (!file_exists(path)) {
        if (has_runs) {
            err_set(e, EXIT_DATA,
                    "'%s' has runs but no prediction.json, and a prediction cannot be written "
                    "after the runs; take another --out",
                    dir);
            return NULL;
        }
        json_t *o = study_prediction(p);
        json_object_set_new(o, "written", manifest_time());
        int rc = write_once(o, path, e);
        json_decref(o);
        if (rc)
            return NULL;
    }
    json_t *recorded = json_read(path, EXIT_DATA, e);
    if (recorded && !json_is_array(json_object_get(recorded, "claims"))) {
        err_set(e, EXIT_DATA, "'%s' is damaged: it has no claims", path);
        json_decref(recorded);
        return NULL;
    }
    return recorded;
}
