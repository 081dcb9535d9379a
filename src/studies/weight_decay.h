/* weight_decay.h - what the three files of the study weight-decay share: the names of its runs. */
#ifndef KILN_STUDIES_WEIGHT_DECAY_H
#define KILN_STUDIES_WEIGHT_DECAY_H

#include "probes/theory.h"
#include "studies/study.h"

/* Labels of groups of runs. */
#define DECAY_ON "decay on"
#define DECAY_OFF "decay off"
#define DECAY_INVARIANT "decay only on scale-invariant weights"
#define DECAY_OTHERS "decay only on the others"
#define DECAY_HELD "projection from half-way on"
#define START_SHORT "start x 1/4"
#define START_LONG "start x 4"
#define LARGE_BATCH "batch x 4, as many steps"
#define PRODUCT_4 "learning rate x 4, decay / 4, weights x 2"
#define PRODUCT_16 "learning rate x 16, decay / 16, weights x 4"
#define PRODUCT_CONTROL "learning rate x 4, weights x 2"
#define HALF_MEMORY "learning rate x 2, momentum of half the memory"
#define LARS "lars"
#define RESCALE_NONE "weights x 1"
#define GROWING_DECAY "decay for 100 steps"
#define GROWING_RATE "growing learning rate"
#define GROWING_NEITHER "neither"

/* Runs of EXACT_STEPS steps cost little: they have EXACT_SEEDS seeds more than the others. */
enum { EXACT_STEPS = 100, EXACT_SEEDS = 2, LARGE_BATCH_TIMES = 4 };
enum { INVARIANCE_FACTORS = 7, RESCALE_FACTORS = 4 };
#define EXACT_RATE 0.1
#define EXACT_DECAY 0.03
#define CONVERGED 1.25          /* lengths that differ by less than this factor have met */

extern const double invariance_factors[INVARIANCE_FACTORS];
extern const double rescale_factors[RESCALE_FACTORS];

/* A label with a factor in it; `format` has one %g. */
void weight_decay_label(const char *format, double factor, char label[64]);

struct theory weight_decay_theory(const struct config *c);

/* The learning rate of LARS (trust 1) that moves weights as far per gradient as SGD at equilibrium:
 * lr |g| / |w| = sqrt(2 lr wd (1 - b)); the notes' sqrt(2 lr wd) is that without momentum. */
double weight_decay_lars_rate(const struct theory *t);

void weight_decay_predict(struct study_plan *p);
int weight_decay_analyse(struct study_results *r, struct err *e);

#endif
