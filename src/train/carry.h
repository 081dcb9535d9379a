/* carry.h - numbers that a checkpoint carries for those who only watch a run.
 *
 * A probe that counts or averages over a whole run has a state that training knows nothing of. Just
 * before a checkpoint is written every observer may add lists of numbers under names of its own
 * (observer.h: `carry`); they lie in the state file beside what training itself needs, written and
 * replaced with it. After a resume they are in the trainer, where their owners look for them when
 * the run is announced.
 *
 * An observer whose own records of the steps so far are not safe yet may ask there to `wait`: a
 * checkpoint must not be ahead of what a resume from it expects to find beside it.
 */
#ifndef KILN_TRAIN_CARRY_H
#define KILN_TRAIN_CARRY_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

enum { CARRIED_MAX = 16 };

struct carried {
    const char *name;        /* "forgetting" */
    double *values;          /* [count] */
    size_t count;
};

struct carry {
    struct arena memory;     /* owns names and numbers */
    struct carried items[CARRIED_MAX];
    int count;
    struct err wait;         /* a code: no checkpoint now, unless it is the last, and why not */
};

/* Empties it; zeros are an empty one. */
void carry_release(struct carry *c);

/* Adds a list of zeros for the caller to fill; at most CARRIED_MAX, each name once, count > 0. */
double *carry_add(struct carry *c, const char *name, size_t count);

/* The list of this name if it has `count` numbers, else NULL. */
const double *carry_find(const struct carry *c, const char *name, size_t count);

#endif
