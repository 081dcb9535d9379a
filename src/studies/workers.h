/* workers.h - how fast training goes on more workers, and that they change no bit.
 *
 * A worker is whatever shares a batch: a thread here, a rank where there are several processes.
 * What is measured is written against their number alone.
 */
#ifndef KILN_STUDIES_WORKERS_H
#define KILN_STUDIES_WORKERS_H

#include "studies/study.h"

/* A study_measurement's: trains a little, with 1, 2, 4 ... workers up to what this process may use.
 *
 *     {"kind": "threads", "batch_per_worker": 64,
 *      "weak":   [{"workers": 1, "batch": 64, "images_per_second": [...]}, ...]   batch grows
 *      "strong": [{"workers": 1, "batch": 256, "images_per_second": [...]}, ...]  batch is the same
 *      "bits":   {"batch": 256, "steps": 5, "hashes": ["...", ...]}}              of "strong"
 *
 * Repetitions are interleaved over the numbers of workers, so that a busy moment hits all. */
json_t *workers_measure(const struct study_plan *p, const char *dir, struct err *e);

#endif
