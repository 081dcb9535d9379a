/* forgetting.h - what the two files of the study forgetting share: its runs. */
#ifndef KILN_STUDIES_FORGETTING_H
#define KILN_STUDIES_FORGETTING_H

#include "studies/study.h"

enum { FORGETTING_FACTORS = 6, FORGETTING_FRACTIONS = 4, FORGETTING_BATCHES = 2 };

/* What differs between the scales; lists end with 0. */
struct forgetting_scale {
    int images, batches[FORGETTING_BATCHES + 1];
    double factors[FORGETTING_FACTORS + 1];   /* of the square: lr = 0.1 factor */
    double sweep[FORGETTING_FACTORS + 1];     /* of the sweep over fractions */
    double fractions[FORGETTING_FRACTIONS + 1];
};
extern const struct forgetting_scale forgetting_scales[STUDY_SCALES];

/* The corners of the square, and the half with as many steps as the whole. */
enum corner { HALF_PLAIN, HALF_AUGMENTED, WHOLE_PLAIN, WHOLE_AUGMENTED, HALF_STEPS, CORNERS };
extern const char *const corner_names[CORNERS];

/* Labels of groups of runs. */
void forgetting_corner(enum corner corner, double factor, char label[80]);
void forgetting_fraction(double fraction, int batch, double factor, char label[80]);

/* The shares of a run at which the learning rate begins to fall from its plateau, and from which on
 * losses count as the plateau's. */
#define PLATEAU_END (2.0 / 3)
#define PLATEAU_FROM (1.0 / 3)

int forgetting_analyse(struct study_results *r, struct err *e);

#endif
