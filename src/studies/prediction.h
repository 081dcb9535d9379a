/* prediction.h - prediction.json: what was claimed before the runs. */
#ifndef KILN_STUDIES_PREDICTION_H
#define KILN_STUDIES_PREDICTION_H

#include "studies/engine.h"

/* The prediction that is on record in `dir` (new reference): the plan's, written now with its time,
 * where there is none yet and no run has begun. NULL and EXIT_DATA where runs were begun without
 * one, or when the file is damaged. When many processes do it at once, the first one's stays. */
json_t *prediction_settle(const struct study_plan *p, const char *dir, struct err *e);

#endif
