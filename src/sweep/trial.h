/* trial.h - one trial of a sweep in this process: begun, gone on with, or begun anew. */
#ifndef KILN_SWEEP_TRIAL_H
#define KILN_SWEEP_TRIAL_H

#include "sweep/session.h"

/* Which checkpoints stay when a trial is done; while it runs all are kept that its configuration
 * says, for it may be interrupted. */
enum keep_weights { KEEP_LAST, KEEP_ALL, KEEP_NONE };

/* The images of the trial before, which most often are those of the next. Zero bits are empty. */
struct image_cache {
    struct images images;
    bool full;
    char data[OPTION_TEXT_SIZE], data_dir[OPTION_TEXT_SIZE]; /* what they were loaded by */
    uint64_t data_seed;
};

/* The images that a configuration names, owned by the cache until the next call; NULL and a
 * sentence in e if they cannot be had. Fetches them when they are missing. */
const struct images *image_cache_get(struct image_cache *cache, const struct config *c,
                                     struct err *e);
void image_cache_release(struct image_cache *cache);

struct trial_run {
    const char *path;            /* its run directory */
    const char *recipe;          /* for the manifest */
    const struct config *config;
    const struct images *images;
    const struct provenance *from;
    const char *steps_down;      /* why other images than asked for, or "" */
    enum keep_weights keep;
    volatile sig_atomic_t *stop; /* asks for an end, as a signal does */
    /* Observers besides the recorder, and what to do when training is over; NULL: none. Called with
     * the recorder begun; returns how many of observers[SESSION_OBSERVERS] it filled, or -1. */
    int (*open)(void *context, const struct trial_run *t, struct recorder *r,
                struct observer *observers, struct err *e);
    void (*close)(void *context, const struct trial_run *t, struct recorder *r);
    void *context;
};

/* Trains the trial from its last checkpoint, or from its first step where there is none that can be
 * read: to the same bits either way. Returns as session_train does, or -1 when the run directory
 * cannot be had. */
int trial_train(const struct trial_run *t, struct train_result *result, struct err *e);

#endif
