/* cifar.h - the official binary layout of CIFAR-10 and CIFAR-100 (Krizhevsky 2009).
 *
 * A file is an array of records: one or two label bytes, then 1024 red, 1024 green and 1024 blue
 * bytes, row by row. The files lie in a folder, or in a tar.gz under any folder.
 */
#ifndef KILN_DATA_CIFAR_H
#define KILN_DATA_CIFAR_H

#include "data/dataset.h"

enum { CIFAR_FILES_MAX = 6 };

struct cifar_layout {
    const char *folder;        /* "cifar-10-batches-bin" */
    const char *archive;       /* "cifar-10-binary.tar.gz" */
    const char *files[CIFAR_FILES_MAX + 1]; /* training files, NULL; each has `records` records */
    const char *test_file;
    uint32_t records, test_records;
    const char *names_file;    /* one class name a line */
    int classes;
    int label_bytes;           /* the last of them is the label */
    int coarse_classes;        /* range of the first of two label bytes */
};

/* Reads the set at `place`: the folder, one that has the folder or the archive, or the archive.
 * See struct dataset for what is filled and what fails. */
int cifar_load(const struct cifar_layout *layout, struct images *images, const char *place,
               struct err *e);
bool cifar_present(const struct cifar_layout *layout, const char *place);

#endif
