/* engine.h - runs a study from plan to study.json; study.h draws the way. */
#ifndef KILN_STUDIES_ENGINE_H
#define KILN_STUDIES_ENGINE_H

#include "studies/study.h"

/* Begins a plan over a resolved base (its images may be NULL) and lets the study fill it, with
 * `seeds` repetitions (0: as many as the study has at this scale). The caller ends it with
 * study_plan_release, also after a failure. */
int study_plan_init(struct study_plan *p, const struct study *study, enum study_scale scale,
                    int seeds, const struct config *base, const struct images *images,
                    struct err *e);
void study_plan_release(struct study_plan *p);

/* The prediction as prediction.json has it, but for when it was written. New reference. */
json_t *study_prediction(const struct study_plan *p);

/* Runs what is missing in `dir` and analyses all of it. `o` as for sweep_run, without the
 * observers. *result is what study.json now holds (new reference), or NULL when trials are left;
 * the report says why. Returns 0, or -1 with e filled. Many processes may do it at once. */
int study_run(struct study_plan *p, const char *dir, const struct sweep_options *o,
              json_t **result, struct sweep_report *report, struct err *e);

/* The last part alone: from runs that are done to study.json. */
int study_analyse(const struct study_plan *p, const char *dir, json_t **result, struct err *e);

#endif
