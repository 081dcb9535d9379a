/* trial.c - see trial.h. */
#define _GNU_SOURCE
#include "sweep/trial.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

const struct images *image_cache_get(struct image_cache *cache, const struct config *c,
                                     struct err *e)
{
    if (cache->full && strcmp(cache->data, c->data) == 0 &&
        strcmp(cache->data_dir, c->data_dir) == 0 && cache->data_seed == c->data_seed)
        return &cache->images;
    image_cache_release(cache);
    int rc = images_load(&cache->images, c->data, *c->data_dir ? c->data_dir : NULL, true,
                         c->data_seed, e);
    cache->full = true; /* what a failed load left wants a release too */
    if (rc) {
        image_cache_release(cache);
        return NULL;
    }
    snprintf(cache->data, sizeof cache->data, "%s", c->data);
    snprintf(cache->data_dir, sizeof cache->data_dir, "%s", c->data_dir);
    cache->data_seed = c->data_seed;
    return &cache->images;
}

void image_cache_release(struct image_cache *cache)
{
    if (cache->full)
        images_release(&cache->images);
    cache->full = false;
}

/* Leaves the last checkpoint, weights and state, or nothing. What cannot be removed stays. */
static void tidy(const struct trial_run *t, const char *last)
{
    char folder[4096], path[4096];
    if (t->keep == KEEP_ALL || file_join(folder, sizeof folder, t->path, "checkpoints", NULL))
        return;
    const char *slash = strrchr(last, '/'), *kept = slash ? slash + 1 : last;
    size_t stem = strcspn(kept, "."); /* step_00001200 */
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        const char *name = entry->d_name;
        bool keep = t->keep == KEEP_LAST && stem > 0 && strncmp(name, kept, stem + 1) == 0;
        if (!keep && name[0] != '.' && !file_join(path, sizeof path, folder, name, NULL))
            unlink(path);
    }
    closedir(d);
}

/* One attempt with the resolved configuration; `from` is the checkpoint to go on from, or "". */
static int attempt(const struct trial_run *t, const struct config *c, struct recorder *r,
                   const char *from, struct train_result *result, struct err *e)
{
    struct observer observers[SESSION_OBSERVERS];
    int status, count = t->open ? t->open(t->context, t, r, observers, e) : 0;
    if (count < 0)
        return -1;
    const struct session session = {
        .config = c,
        .images = t->images,
        .recorder = r,
        .resume_from = *from ? from : NULL,
        .observers = observers,
        .observer_count = count,
    };
    int rc = session_train(&session, result, &status, e);
    if (t->close)
        t->close(t->context, t, r);
    return rc;
}

/* Begins the records, or goes on with them: then with what the run chose for itself, which another
 * machine might choose otherwise. */
static int begin(const struct trial_run *t, struct recorder *r, bool begun, struct config *c,
                 char *from, struct err *e)
{
    from[0] = 0;
    if (!begun)
        return recorder_begin(r, t->from, t->config, t->recipe, t->images, t->steps_down, e);
    if (session_find_checkpoint(&r->dir, from, NULL))
        from[0] = 0; /* lost: begun anew, to the same bits */
    return recorder_resume(r, t->from, c, t->images, e) ||
                   manifest_take_tier(r->manifest, t->path, false, c, e) ||
                   manifest_take_convolutions(r->manifest, t->path, c, e)
               ? -1
               : 0;
}

int trial_train(const struct trial_run *t, struct train_result *result, struct err *e)
{
    char from[4096];
    int rc = -1;
    for (int tries = 0; tries < 2; tries++) {
        struct recorder recorder;
        struct config c = *t->config;
        bool begun;
        recorder_init(&recorder, t->stop);
        rc = rundir_take(&recorder.dir, t->path, &begun, e) ||
             begin(t, &recorder, begun, &c, from, e);
        if (tries == 1)
            from[0] = 0;
        rc = rc ? -1 : attempt(t, &c, &recorder, from, result, e);
        recorder_close(&recorder);
        /* A damaged checkpoint: once more, from the first step. */
        if (!rc || e->code != EXIT_DATA || !*from)
            break;
    }
    bool done = rc ? e->code == EXIT_DIVERGED
                   : result->reason == TRAIN_FINISHED || result->reason == TRAIN_STEPS;
    if (done)
        tidy(t, result->checkpoint);
    return rc;
}
