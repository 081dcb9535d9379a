/* studies.c - all studies there are. */
#include "studies/study.h"

extern const struct study study_schedules, study_lr_batch, study_scaling, study_weight_decay,
    study_curvature, study_forgetting;

const struct study *const study_list[] = {
    &study_schedules,
    &study_curvature,
    &study_lr_batch,
    &study_scaling,
    &study_forgetting,
    &study_weight_decay,
    NULL,
};
