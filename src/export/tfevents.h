/* tfevents.h - TensorBoard's event files, written.
 *
 * A file is a sequence of records, numbers little-endian:
 *
 *     u64 length | u32 masked crc32c(length's 8 bytes) | data | u32 masked crc32c(data)
 *
 * whose data are Event messages (tensorflow/core/util/event.proto): wall_time = 1 (double),
 * step = 2, file_version = 3 ("brain.Event:2", the first record), or summary = 5 with values of
 * tag = 1 and simple_value = 2 (float), or metadata = 9 for a plugin. TensorBoard looks for files
 * whose name has "tfevents" in it, one folder a run.
 */
#ifndef KILN_EXPORT_TFEVENTS_H
#define KILN_EXPORT_TFEVENTS_H

#include "export/wire.h"

struct tfevents {
    struct wire file;            /* whole records */
    struct wire summary;         /* of the event in the making */
};

/* Starts a file (zero bits before) with the record that names its version. */
void tfevents_start(struct tfevents *t, double wall);

/* Adds a value to the event in the making, and ends it. An event without values is left out. */
void tfevents_scalar(struct tfevents *t, const char *tag, float value);
void tfevents_end(struct tfevents *t, double wall, int64_t step);

/* A run's settings, for TensorBoard's table of hyperparameters: add each, as number or text, then
 * write them as one event. */
struct hparams {
    struct wire settings;
};
void hparams_number(struct hparams *h, const char *key, double value);
void hparams_text(struct hparams *h, const char *key, const char *value);
void tfevents_hparams(struct tfevents *t, struct hparams *h, const char *group, double wall);

void tfevents_release(struct tfevents *t);

#endif
