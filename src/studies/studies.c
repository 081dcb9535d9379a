/* studies.c - all studies there are. */
#include "studies/study.h"

extern const struct study study_lr_batch;

const struct study *const study_list[] = {
    &study_lr_batch,
    NULL,
};
