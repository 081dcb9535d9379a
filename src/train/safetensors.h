/* safetensors.h - the safetensors file format, read and written with every check it allows.
 *
 *     8 bytes   N, little-endian
 *     N bytes   JSON: {"__metadata__": {"key": "text"}, "name": {"dtype": "F32",
 *               "shape": [64, 3, 3, 3], "data_offsets": [begin, end]}, ...}, padded with spaces
 *     the rest  the tensors' numbers, little-endian, row-major, without holes or overlaps
 *
 * Kiln adds one key to the metadata, "kiln_sha256": the hash of the header (with that value read
 * as zeros) and the data, so that a flipped bit anywhere is found. Files from elsewhere lack it and
 * are read without. Writing is atomic.
 */
#ifndef KILN_TRAIN_SAFETENSORS_H
#define KILN_TRAIN_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum safetensor_type { SAFETENSOR_F32, SAFETENSOR_F64, SAFETENSOR_I64, SAFETENSOR_U8,
                       SAFETENSOR_OTHER };

enum { SAFETENSOR_DIMS = 8 };

struct safetensor {
    const char *name;
    enum safetensor_type type;
    int64_t dims[SAFETENSOR_DIMS];
    int ndim;                /* 0: a scalar, one element */
    const void *data;
    size_t bytes;
};

struct safetensors_pair {
    const char *key, *value;
};

/* Writes the tensors, those with the widest elements first, as aligned readers want it. Fails with
 * EXIT_FAILED; then what was at `path` before is still there. */
int safetensors_write(const char *path, const struct safetensor *tensors, int count,
                      const struct safetensors_pair *metadata, int pairs, struct err *e);

/* A file in memory; the tensors point into it. */
struct safetensors {
    char *file;
    void *header;            /* the parsed JSON */
    struct safetensor *tensors;
    int count;
    bool sealed;             /* it carried kiln_sha256, and that matched */
};

/* Reads and checks a whole file: sizes, types, shapes (their products without overflow), offsets
 * that cover the data exactly, duplicate names, the hash. Fails with EXIT_DATA, naming the file and
 * what is wrong. The caller ends it with safetensors_release, also after a failure. */
int safetensors_read(struct safetensors *s, const char *path, struct err *e);
void safetensors_release(struct safetensors *s);

/* The tensor of that name, or NULL. */
const struct safetensor *safetensors_find(const struct safetensors *s, const char *name);

/* The metadata's value, or NULL. */
const char *safetensors_metadata(const struct safetensors *s, const char *key);

#endif
