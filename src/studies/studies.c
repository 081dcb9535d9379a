/* studies.c - all studies there are. */
#include "studies/study.h"

extern const struct study study_schedules, study_lr_batch, study_scaling;

const struct study *const study_list[] = {
    &study_schedules,
    &study_lr_batch,
    &study_scaling,
    NULL,
};
