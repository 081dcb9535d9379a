/* dataset.h - labelled images in memory, whatever file they came from.
 *
 * A data set kind is a `const struct dataset`, one per file, named in one NULL-ended list
 * (dataset_kinds). Loading one gives struct images: bytes [count][channels][32][32], labels, class
 * names, and the mean and deviation that the network's input is normalised with.
 *
 * A set is known by its *hash*, which does not depend on the order of its records, so that a
 * rearranged copy is still recognised: SHA-256 of
 *
 *      "kiln images 1\n" channels  train count, sorted train digests, test count, sorted digests
 *
 * where a record's digest is the SHA-256 of its label byte and its pixels as they lie in memory,
 * and numbers are 32 bits, little-endian. A record that is changed, missing, doubled, or moved to
 * the other split changes the hash; a sum or XOR of digests would miss some of these.
 */
#ifndef KILN_DATA_DATASET_H
#define KILN_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum { IMAGE_SIDE = 32, IMAGE_AREA = IMAGE_SIDE * IMAGE_SIDE, CLASSES_MAX = 100 };

struct image_split {
    uint8_t *pixels;     /* [count][channels][32][32], big_new memory */
    uint8_t *labels;     /* [count], heap */
    uint32_t count;
};

struct images {
    const struct dataset *kind;
    int channels;        /* 1 or 3 */
    int classes;
    const char *class_names[CLASSES_MAX]; /* static text, or in `names` */
    struct image_split train, test;
    float mean[3], std[3];  /* per channel, of the training split, in 0..255 */
    char hash[65];       /* SHA-256 hex over the records of both splits, whatever their order */
    bool published;      /* the hash is the published one of this kind */
    char source[4096];   /* the file or folder it was read from, or "seed 1" */
    struct arena names;  /* owns what class_names points to */
};

/* One file of a published set, and where it can be had. */
struct download {
    const char *file;         /* name on disk, "cifar-10-binary.tar.gz" */
    uint64_t bytes;
    const char *sha256;       /* hex, or NULL: then md5 is what is checked */
    const char *md5;          /* hex */
    const char *const *urls;  /* full addresses, NULL-ended, best first */
};

struct dataset {
    const char *name;    /* "cifar10" */
    const char *title;   /* "CIFAR-10" */
    int channels, classes;
    uint32_t train_count, test_count; /* of the published set, or as many as are made */
    const char *published_hash;  /* NULL if kiln knows none */
    bool generated;      /* made from the seed: no files, never missing */
    /* Reads the images from where `place` says (a folder, an archive, or a folder that has one)
     * and fills all but kind, mean, std, hash and published. Returns 0; or -1 with EXIT_DATA:
     * missing, truncated, over-long, or damaged; what is then in `images` can be released. */
    int (*load)(struct images *images, const char *place, uint64_t seed, struct err *e);
    /* Whether `place` seems to hold this set, without reading it all. */
    bool (*present)(const char *place);
    /* Where to get it: ended by file = NULL; NULL when it cannot be fetched. */
    const struct download *downloads;
};

/* NULL-ended: cifar10, cifar100, fashion-mnist, mnist, synthetic. */
extern const struct dataset *const dataset_kinds[];

/* The kind of this name, or NULL. */
const struct dataset *dataset_find(const char *name);

/* Fails with EXIT_USAGE: there is no kind of this name; and which is nearest. */
int dataset_unknown(const char *name, struct err *e);

/* Looks for the files of a kind where images_load does; `found` gets the place ("" for a generated
 * kind). EXIT_DATA, and the places, if they are nowhere. */
int dataset_locate(const struct dataset *kind, const char *data_dir, char found[4096],
                   struct err *e);

/* Reads the images of a kind from a place, as images_load does, but says nothing when the hash is
 * not the published one. The caller ends it with images_release, after a failure too. */
int images_read(struct images *images, const struct dataset *kind, const char *place,
                uint64_t seed, struct err *e);

/* Finds and loads `name`: searches data_dir (if not NULL or ""; then nowhere else), KILN_DATA, the
 * XDG data directory's kiln folder, and where Debian's packages put it; in each the place itself
 * and its folder `name`. A set that is there but damaged is an error, not a reason to look further.
 * If missing and `fetch` is true, downloads into data_dir or the XDG folder. Says each place it
 * looked in the error. Warns in one line when the hash is not the published one, and refuses a set
 * whose hash is another kind's. `seed` matters to generated sets only. The caller ends it with
 * images_release, after a failure too. */
int images_load(struct images *images, const char *name, const char *data_dir, bool fetch,
                uint64_t seed, struct err *e);

/* As images_load, but steps down aloud (log_say) when `name` is missing and cannot be fetched:
 * fashion-mnist, then synthetic. steps[size] receives the sentences for the manifest, "" if none. A
 * damaged set is still an error. */
int images_load_or_step_down(struct images *images, const char *name, const char *data_dir,
                             bool fetch, uint64_t seed, char *steps, size_t size, struct err *e);

/* Frees everything. Zero bits, and what a failed load left, are fine. */
void images_release(struct images *images);

/* Downloads the files of a kind (KILN_DATA_URL, if set, replaces its addresses) into the folder
 * `name` of data_dir or, if that is NULL or "", of the XDG folder. Files that are there and whole
 * are left alone. `folder` (may be NULL) receives the folder. EXIT_DATA when no address serves. */
int dataset_fetch(const struct dataset *kind, const char *data_dir, char folder[4096],
                  struct err *e);

/* For the kinds' own use. */

/* Gives the split room for `count` images; zeroed. */
int image_split_init(struct image_split *s, uint32_t count, int channels, struct err *e);

/* Computes mean, std, hash and published from the records. */
void images_finish(struct images *images);

#endif
