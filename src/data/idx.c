/* idx.c - see idx.h. */
#include "data/idx.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/archive.h"
#include "data/kinds.h"

enum { SIDE = 28, RIM = (IMAGE_SIDE - SIDE) / 2, PATH_SIZE = 4096 };

/* The path of `name`, gzipped or not, in `folder`; false if there is none. */
static bool find_file(const char *folder, const char *name, char path[PATH_SIZE])
{
    char zipped[80];
    snprintf(zipped, sizeof zipped, "%s.gz", name);
    return (file_join(path, PATH_SIZE, folder, zipped, NULL) == 0 && file_exists(path)) ||
           (file_join(path, PATH_SIZE, folder, name, NULL) == 0 && file_exists(path));
}

/* Where at or below `place` the set lies. A folder of its own name is preferred, because MNIST and
 * Fashion-MNIST have files of the same names. */
static bool resolve(const struct idx_layout *layout, const char *place, char folder[PATH_SIZE])
{
    static const char first[] = "train-images-idx3-ubyte";
    char path[PATH_SIZE];
    for (const char *const *name = layout->folders; *name; name++) {
        if (file_join(folder, PATH_SIZE, place, *name, NULL) == 0 && find_file(folder, first, path))
            return true;
    }
    snprintf(folder, PATH_SIZE, "%s", place);
    return find_file(place, first, path);
}

bool idx_present(const struct idx_layout *layout, const char *place)
{
    char folder[PATH_SIZE];
    return resolve(layout, place, folder);
}

/* Reads exactly `bytes` bytes of what belongs at `at`. */
static int read_exactly(struct unpack *u, void *data, size_t bytes, size_t at, const char *what,
                        struct err *e)
{
    int64_t got = unpack_read(u, data, bytes, e);
    if (got < 0)
        return -1;
    if ((size_t)got < bytes)
        return err_set(e, EXIT_DATA, "'%s' is truncated: it ends in %s at byte %zu", u->path, what,
                       at + (size_t)got);
    return 0;
}

static int expect_end(struct unpack *u, uint32_t count, struct err *e)
{
    char more;
    int64_t got = unpack_read(u, &more, 1, e);
    if (got > 0)
        return err_set(e, EXIT_DATA, "'%s' is too long: bytes follow its %u records", u->path,
                       count);
    return got < 0 ? -1 : 0;
}

/* Opens folder/name and checks that its head says these dimensions. */
static int open_idx(struct unpack *u, const char *folder, const char *name, int dimensions,
                    const uint32_t *sizes, struct err *e)
{
    char path[PATH_SIZE];
    uint8_t head[4 + 3 * 4];
    size_t bytes = 4 + (size_t)dimensions * 4;
    memset(u, 0, sizeof *u);
    if (!find_file(folder, name, path))
        return err_set(e, EXIT_DATA, "there is neither '%s' nor '%s.gz' in '%s'", name, name,
                       folder);
    if (unpack_open_file(u, path, e) != 0 || read_exactly(u, head, bytes, 0, "its head", e) != 0)
        return -1;
    if (head[0] != 0 || head[1] != 0 || head[2] != 8 || head[3] != dimensions)
        return err_set(e, EXIT_DATA, "'%s' is not an idx file of bytes in %d dimension%s: it "
                       "starts with %02x %02x %02x %02x", path, dimensions,
                       dimensions > 1 ? "s" : "", head[0], head[1], head[2], head[3]);
    static const char *const units[] = {"records", "rows", "columns"};
    for (int i = 0; i < dimensions; i++) {
        const uint8_t *b = head + 4 + 4 * i;
        uint32_t size = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
        if (size != sizes[i])
            return err_set(e, EXIT_DATA, "'%s' says it has %u %s, but %u belong there", path, size,
                           units[i], sizes[i]);
    }
    return 0;
}

static int read_images(struct unpack *u, const struct image_split *s, struct err *e)
{
    for (uint32_t i = 0; i < s->count; i++) {
        uint8_t record[SIDE * SIDE], *image = s->pixels + (size_t)i * IMAGE_AREA;
        char what[32];
        snprintf(what, sizeof what, "image %u", i);
        if (read_exactly(u, record, sizeof record, 16 + (size_t)i * sizeof record, what, e) != 0)
            return -1;
        for (int y = 0; y < SIDE; y++)
            memcpy(image + (y + RIM) * IMAGE_SIDE + RIM, record + y * SIDE, SIDE);
    }
    return expect_end(u, s->count, e);
}

static int read_labels(struct unpack *u, const struct image_split *s, int classes, struct err *e)
{
    if (read_exactly(u, s->labels, s->count, 8, "its labels", e) != 0)
        return -1;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->labels[i] >= classes)
            return err_set(e, EXIT_DATA, "'%s' is damaged: record %u (byte %u) has label %d, but "
                           "labels are below %d", u->path, i, 8 + i, s->labels[i], classes);
    return expect_end(u, s->count, e);
}

static int read_split(const struct image_split *s, const char *folder, const char *prefix,
                      int classes, struct err *e)
{
    const uint32_t sizes[] = {s->count, SIDE, SIDE};
    char name[64];
    struct unpack u;
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
    int status = open_idx(&u, folder, name, 3, sizes, e);
    if (status == 0)
        status = read_images(&u, s, e);
    unpack_close(&u);
    if (status != 0)
        return -1;
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
    status = open_idx(&u, folder, name, 1, sizes, e);
    if (status == 0)
        status = read_labels(&u, s, classes, e);
    unpack_close(&u);
    return status;
}

int idx_load(const struct idx_layout *layout, struct images *images, const char *place,
             struct err *e)
{
    char folder[PATH_SIZE];
    if (!resolve(layout, place, folder))
        return err_set(e, EXIT_DATA, "there is neither 'train-images-idx3-ubyte' nor "
                       "'train-images-idx3-ubyte.gz' in '%s'", place);
    snprintf(images->source, sizeof images->source, "%s", folder);
    images->channels = 1;
    images->classes = layout->classes;
    for (int c = 0; c < layout->classes; c++)
        images->class_names[c] = layout->class_names[c];
    if (image_split_init(&images->train, layout->train_count, 1, e) != 0 ||
        image_split_init(&images->test, layout->test_count, 1, e) != 0)
        return -1;
    if (read_split(&images->train, folder, "train", layout->classes, e) != 0)
        return -1;
    return read_split(&images->test, folder, "t10k", layout->classes, e);
}

static const struct idx_layout fashion_mnist = {
    .folders = (const char *const[]){"fashion-mnist", "FashionMNIST/raw", NULL},
    .train_count = 60000,
    .test_count = 10000,
    .classes = 10,
    .class_names = (const char *const[]){"T-shirt/top", "trouser", "pullover", "dress", "coat",
                                         "sandal", "shirt", "sneaker", "bag", "ankle boot"},
};

static const struct idx_layout mnist = {
    .folders = (const char *const[]){"mnist", "MNIST/raw", NULL},
    .train_count = 60000,
    .test_count = 10000,
    .classes = 10,
    .class_names = (const char *const[]){"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
};

static int fashion_mnist_load(struct images *images, const char *place, uint64_t seed,
                              struct err *e)
{
    (void)seed;
    return idx_load(&fashion_mnist, images, place, e);
}

static bool fashion_mnist_present(const char *place)
{
    return idx_present(&fashion_mnist, place);
}

static int mnist_load(struct images *images, const char *place, uint64_t seed, struct err *e)
{
    (void)seed;
    return idx_load(&mnist, images, place, e);
}

static bool mnist_present(const char *place)
{
    return idx_present(&mnist, place);
}

#define FASHION(name)                                                                    \
    (const char *const[]){                                                               \
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" name,              \
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/"   \
        "fashion/" name,                                                                 \
        NULL,                                                                            \
    }

#define MNIST(name)                                                                      \
    (const char *const[]){                                                               \
        "https://ossci-datasets.s3.amazonaws.com/mnist/" name,                           \
        "https://storage.googleapis.com/cvdf-datasets/mnist/" name,                      \
        NULL,                                                                            \
    }

#define TRAIN_IMAGES "train-images-idx3-ubyte.gz"
#define TRAIN_LABELS "train-labels-idx1-ubyte.gz"
#define TEST_IMAGES "t10k-images-idx3-ubyte.gz"
#define TEST_LABELS "t10k-labels-idx1-ubyte.gz"

/* The sums that the authors publish. */
static const struct download fashion_mnist_downloads[] = {
    {TRAIN_IMAGES, 26421880, NULL, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", FASHION(TRAIN_IMAGES)},
    {TRAIN_LABELS, 29515, NULL, "25c81989df183df01b3e8a0aad5dffbe", FASHION(TRAIN_LABELS)},
    {TEST_IMAGES, 4422102, NULL, "bef4ecab320f06d8554ea6380940ec79", FASHION(TEST_IMAGES)},
    {TEST_LABELS, 5148, NULL, "bb300cfdad3c16e7a12a480ee83cd310", FASHION(TEST_LABELS)},
    {0},
};

static const struct download mnist_downloads[] = {
    {TRAIN_IMAGES, 9912422, NULL, "f68b3c2dcbeaaa9fbdd348bbdeb94873", MNIST(TRAIN_IMAGES)},
    {TRAIN_LABELS, 28881, NULL, "d53e105ee54ea40749a09fcbcd1e9432", MNIST(TRAIN_LABELS)},
    {TEST_IMAGES, 1648877, NULL, "9fb629c4189551a2d022fa330f9573f3", MNIST(TEST_IMAGES)},
    {TEST_LABELS, 4542, NULL, "ec29112dd5afa0611ce80d1b7f02629c", MNIST(TEST_LABELS)},
    {0},
};

const struct dataset dataset_fashion_mnist = {
    .name = "fashion-mnist",
    .title = "Fashion-MNIST",
    .channels = 1,
    .classes = 10,
    .train_count = 60000,
    .test_count = 10000,
    .published_hash = "a11fd3c62bb77154948113cd00f11c8fc16ac0e9f1d050f3efd8ea35e9c39a90",
    .load = fashion_mnist_load,
    .present = fashion_mnist_present,
    .downloads = fashion_mnist_downloads,
};

const struct dataset dataset_mnist = {
    .name = "mnist",
    .title = "MNIST",
    .channels = 1,
    .classes = 10,
    .train_count = 60000,
    .test_count = 10000,
    .load = mnist_load,
    .present = mnist_present,
    .downloads = mnist_downloads,
};
