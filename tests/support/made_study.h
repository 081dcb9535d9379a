/* made_study.h - studies whose runs are invented: what a world is like is decided by the test, so
 * that the analysis has a known answer. */
#ifndef KILN_TESTS_MADE_STUDY_H
#define KILN_TESTS_MADE_STUDY_H

#include "studies/engine.h"

enum { MADE_EPOCHS = 64 };

/* What became of one invented run. */
struct made_result {
    bool diverged;
    double test_loss, validation_loss, test_accuracy;
    double noise_scale;          /* > 0: rows of that probe */
    int epochs;                  /* records of epochs and of one step in each */
    double train_loss[MADE_EPOCHS], train_accuracy[MADE_EPOCHS], lr[MADE_EPOCHS],
        epoch_accuracy[MADE_EPOCHS];
    /* Writes records of its own to the run directory; NULL: those of `epochs` are all. */
    void (*records)(const char *dir, const struct config *c, const char *label);
};

/* Fills a result (zeroed) from a trial's configuration and label. */
typedef void (*made_world_fn)(const struct config *c, const char *label, struct made_result *m);

/* Plans the study at scale tiny, writes its prediction, invents its runs, and analyses them in the
 * folder `dir`, which must be new. `measured` (may be NULL): {name: outcome}. Fails the test when
 * anything goes wrong. New reference: what study.json holds. */
json_t *made_study(const char *name, const char *dir, made_world_fn world, const json_t *measured);

/* "supported" ... of a claim. */
const char *made_verdict(const json_t *study, const char *claim);

/* Fails the test, with what was seen, unless that is the claim's verdict. */
void made_check(const json_t *study, const char *claim, const char *verdict);

/* A number of what was seen of a claim: "value", "low", "high". */
double made_seen(const json_t *study, const char *claim, const char *key);

/* A number in [-1, 1] that looks random, the same for equal arguments. */
double made_noise(const struct config *c);

#endif
