/* dataset.h - labelled images in memory, whatever file they came from.
 *
 * A data set kind is a `const struct dataset`, one per file, named in one NULL-ended list
 * (dataset_kinds). Loading one gives `struct images`: bytes [count][channels][32][32], labels, class
 * names, and the mean and deviation that the network's input is normalised with.
 */
#ifndef KILN_DATA_DATASET_H
#define KILN_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { IMAGE_SIDE = 32, CLASSES_MAX = 100 };

struct image_split {
    uint8_t *pixels;     /* [count][channels][32][32], big_new memory */
    uint8_t *labels;     /* [count] */
    uint32_t count;
};

struct images {
    const struct dataset *kind;
    int channels;        /* 1 or 3 */
    int classes;
    const char *class_names[CLASSES_MAX]; /* static text, or owned by the struct */
    struct image_split train, test;
    float mean[3], std[3];  /* of the training split, in 0..255 */
    char hash[65];       /* SHA-256 hex over the records of both splits, whatever their order */
    bool published;      /* the hash is the published one of this kind */
    char source[4096];   /* the file or folder it was read from, or "seed 1" */
    void *owned;         /* for the kind's own use */
};

struct dataset {
    const char *name;    /* "cifar10" */
    const char *title;   /* "CIFAR-10" */
    int channels, classes;
    uint32_t train_count, test_count; /* of the published set; 0 for synthetic */
    const char *published_hash;  /* NULL if there is none */
    /* Reads the images from where `folder` says (a folder, an archive, or a folder that has one).
     * Returns 0; or -1 with EXIT_DATA: missing, truncated, over-long, or damaged. */
    int (*load)(struct images *images, const char *folder, uint64_t seed, struct err *e);
    /* 1 if `folder` seems to hold this set, without reading it all. */
    int (*present)(const char *folder);
    /* Where to get it; NULL-ended; NULL when it cannot be fetched. */
    const struct download *downloads;
};

/* NULL-ended. */
extern const struct dataset *const dataset_kinds[];

const struct dataset *dataset_find(const char *name);

/* Finds and loads `name`: searches data_dir (if not NULL; then nowhere else), KILN_DATA, the XDG
 * data directory's kiln folder, and where Debian's packages put it. If missing and `fetch` is true,
 * downloads. Says each place it looked in the error. The caller ends it with images_release. */
int images_load(struct images *images, const char *name, const char *data_dir, bool fetch,
                uint64_t seed, struct err *e);

/* As images_load, but steps down aloud (log_say) when cifar10 is not to be had: fashion-mnist, then
 * synthetic. steps[] receives the sentences for the manifest, "" if none. */
int images_load_or_step_down(struct images *images, const char *name, const char *data_dir,
                             bool fetch, uint64_t seed, char *steps, size_t size, struct err *e);

void images_release(struct images *images);

#endif
