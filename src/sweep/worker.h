/* worker.h - one worker process of a sweep: claims, trains, and goes on until nothing is left. */
#ifndef KILN_SWEEP_WORKER_H
#define KILN_SWEEP_WORKER_H

#include "sweep/board.h"
#include "sweep/sweep.h"

struct worker {
    const struct sweep_plan *plan;
    const char *dir;
    const struct sweep_options *options;
    struct board *board;
    int number;                  /* its slot */
    int threads;                 /* its share */
    int bell;                    /* descriptor: a byte for the watcher when a trial ends */
    struct image_cache *images;
};

/* Works until no trial is left that can be had, or the slot's stop is set. */
void worker_main(struct worker *w);

#endif
