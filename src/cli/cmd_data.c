/* cmd_data.c - kiln data: fetch a set of images, verify it, show it. */
#include <string.h>

#include "base/arena.h"
#include "base/cpu.h"
#include "cli/cli.h"
#include "cli/show_images.h"
#include "data/dataset.h"

enum { SPLIT_TRAIN, SPLIT_TEST };

struct args {
    char png[OPTION_TEXT_SIZE];
    int split, count, epoch, columns, scale, pad, flip, cutout;
};

static const struct option_def options[] = {
    {"png", OPTION_TEXT, offsetof(struct args, png), "", 0, 0, NULL, NULL, "show",
     "file to write; NAME.png if not given", NULL},
    {"split", OPTION_CHOICE, offsetof(struct args, split), "train", 0, 0, "train|test", NULL,
     "show", "which images; test images are never augmented", NULL},
    {"count", OPTION_INT, offsetof(struct args, count), "60", 1, 5000, NULL, "images", "show",
     "how many: the first of the epoch", NULL},
    {"epoch", OPTION_INT, offsetof(struct args, epoch), "0", 0, 1000000, NULL, NULL, "show",
     "whose order and augmentation, counted from 0", NULL},
    {"columns", OPTION_INT, offsetof(struct args, columns), "10", 1, 100, NULL, NULL, "show",
     "images in a row", NULL},
    {"scale", OPTION_INT, offsetof(struct args, scale), "3", 1, 16, NULL, NULL, "show",
     "enlarge each pixel to this many in each direction", NULL},
    {"pad", OPTION_INT, offsetof(struct args, pad), "0", 0, 31, NULL, "pixels", "show",
     "crop from the image reflected at its borders by this much", NULL},
    {"flip", OPTION_CHOICE, offsetof(struct args, flip), "none", 0, 0, "none|random|alternating",
     NULL, "show", "mirror a random half; alternating: the other half in the next epoch", NULL},
    {"cutout", OPTION_INT, offsetof(struct args, cutout), "0", 0, 32, NULL, "pixels", "show",
     "side of the square that is cut out", NULL},
    {0},
};

static int find_kind(const char *name, const struct dataset **kind, struct err *e)
{
    *kind = dataset_find(name);
    return *kind ? 0 : dataset_unknown(name, e);
}

static int fetch(struct invocation *inv, const char *name, struct err *e)
{
    const struct dataset *kind;
    char place[4096];
    if (find_kind(name, &kind, e) != 0)
        return -1;
    bool there = !kind->generated &&
                 dataset_locate(kind, inv->common.data_dir, place, NULL) == 0;
    if (!there && dataset_fetch(kind, inv->common.data_dir, place, e) != 0)
        return -1;
    if (inv->common.json)
        return cli_print_json(json_pack("{s:s, s:s, s:b}", "dataset", kind->name, "place", place,
                                        "fetched", !there), e);
    printf("%s is in '%s'%s; 'kiln data verify %s' reads it through\n", kind->title, place,
           there ? " already" : "", kind->name);
    return EXIT_DONE;
}

static json_t *numbers(const float *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_number((double)values[i]));
    return list;
}

/* "published": whether the hash is the published one; null if kiln knows none. */
static json_t *verdict_json(const struct images *images)
{
    return images->kind->published_hash ? json_boolean(images->published) : json_null();
}

static json_t *describe_json(const struct images *images)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:i, s:o, s:o, s:s, s:o}", "dataset",
                     images->kind->name, "source", images->source, "train",
                     (json_int_t)images->train.count, "test", (json_int_t)images->test.count,
                     "channels", images->channels, "classes", images->classes, "mean",
                     numbers(images->mean, images->channels), "std",
                     numbers(images->std, images->channels), "hash", images->hash, "published",
                     verdict_json(images));
}

static void describe(const struct images *images)
{
    const struct dataset *kind = images->kind;
    printf("%s, from %s%s%s\n", kind->title, kind->generated ? "" : "'", images->source,
           kind->generated ? "" : "'");
    printf("  %-9s %u for training, %u for testing, 32x32, %s\n", "images", images->train.count,
           images->test.count, images->channels == 1 ? "grey" : "in colour");
    printf("  %-9s %d: %s ... %s\n", "classes", images->classes, images->class_names[0],
           images->class_names[images->classes - 1]);
    const float *const rows[] = {images->mean, images->std};
    for (int i = 0; i < 2; i++) {
        printf("  %-9s", i == 0 ? "mean" : "deviation");
        for (int c = 0; c < images->channels; c++)
            printf(" %.3f", (double)rows[i][c]);
        printf("  of 255\n");
    }
    printf("  %-9s %s\n", "hash", images->hash);
}

static void print_verdict(const struct images *images)
{
    const struct dataset *kind = images->kind;
    if (images->published)
        printf("every record is that of the published %s\n", kind->title);
    else if (kind->generated)
        printf("made, not read: the same on every machine\n");
    else if (!kind->published_hash)
        printf("sizes and labels are right; kiln knows no hash of the published %s to compare\n",
               kind->title);
}

static int verify(struct invocation *inv, const char *name, struct err *e)
{
    const struct dataset *kind;
    struct images images;
    char place[4096];
    if (find_kind(name, &kind, e) != 0 ||
        dataset_locate(kind, inv->common.data_dir, place, e) != 0)
        return -1;
    int status = images_read(&images, kind, place, inv->common.seed, e);
    if (status == 0 && inv->common.json) {
        status = cli_print_json(describe_json(&images), e);
    } else if (status == 0) {
        describe(&images);
        print_verdict(&images);
    }
    if (status == 0 && kind->published_hash && !images.published)
        status = err_set(e, EXIT_DATA, "'%s' is not the published %s: records are changed, missing "
                         "or doubled; their hash should be %s", images.source, kind->title,
                         kind->published_hash);
    images_release(&images);
    return status;
}

static int draw(struct invocation *inv, const struct images *images, const char *path,
                struct err *e)
{
    const struct args *a = inv->args;
    struct cpu cpu;
    cpu_detect(&cpu);
    const struct show_options o = {
        .test = a->split == SPLIT_TEST,
        .epoch = (uint32_t)a->epoch,
        .count = (uint32_t)a->count,
        .columns = a->columns,
        .scale = a->scale,
        .augment = {.pad = a->pad, .flip = (enum flip)a->flip, .cutout = a->cutout},
        .seed = inv->common.seed,
    };
    const struct backend_options b = {
        .tier = (enum tier)inv->common.isa,
        .precision = PRECISION_FP32,
        .threads = inv->common.threads ? inv->common.threads : cpu.threads,
    };
    struct backend *backend = backend_cpu_new(&b, e);
    if (!backend)
        return -1;
    struct picture picture = {0};
    int status = show_images(images, &o, backend, &picture, e);
    if (status == 0)
        status = picture_write(&picture, path, e);
    picture_release(&picture);
    backend->ops->free(backend);
    return status;
}

static int show(struct invocation *inv, const char *name, struct err *e)
{
    const struct args *a = inv->args;
    struct images images;
    char path[OPTION_TEXT_SIZE + 64];
    if (images_load(&images, name, inv->common.data_dir, false, inv->common.seed, e) != 0) {
        images_release(&images);
        return -1;
    }
    if (a->png[0])
        snprintf(path, sizeof path, "%s", a->png);
    else
        snprintf(path, sizeof path, "%s.png", name);
    int status = draw(inv, &images, path, e);
    if (status == 0 && inv->common.json)
        status = cli_print_json(json_pack("{s:s, s:s}", "dataset", name, "png", path), e);
    else if (status == 0)
        printf("%s\n", path);
    images_release(&images);
    return status;
}

static int run(struct invocation *inv, struct err *e)
{
    const char *what = inv->operands[0];
    if (inv->operand_count < 2) {
        char names[256] = "";
        for (int i = 0; dataset_kinds[i]; i++) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                     dataset_kinds[i]->name);
        }
        return err_set(e, EXIT_USAGE, "'kiln data %s' needs the name of a data set: %s", what,
                       names);
    }
    const char *name = inv->operands[1];
    if (strcmp(what, "fetch") == 0)
        return fetch(inv, name, e);
    if (strcmp(what, "verify") == 0)
        return verify(inv, name, e);
    if (strcmp(what, "show") == 0)
        return show(inv, name, e);
    return err_set(e, EXIT_USAGE, "no '%s' here: it is 'kiln data fetch', 'verify' or 'show'",
                   what);
}

static const char *const examples[] = {
    "kiln data fetch cifar10", "download it, or go on with a download that was cut off",
    "kiln data verify cifar10 --data-dir ~/images", "read all of it and compare its hash",
    "kiln data show cifar10 --pad 2 --flip alternating --epoch 1 --png epoch1.png",
    "what the network sees in the second epoch",
    NULL,
};

static const char *const words[] = {"fetch", "verify", "show", NULL};

const struct command command_data = {
    .name = "data",
    .summary = "Fetch, verify or show a set of images",
    .usage = "fetch|verify|show NAME [options]",
    .description =
        "NAME is cifar10, cifar100, fashion-mnist, mnist or synthetic. Images are looked for in\n"
        "--data-dir and then nowhere else; without it in the folder or archive that KILN_DATA\n"
        "names, in kiln's folder of the XDG data directory (~/.local/share/kiln), and in\n"
        "/usr/share/datasets, where Debian's dataset-fashion-mnist puts its files. In each the\n"
        "published archive will do as it is, or what it unpacks to, also in a folder NAME.\n\n"
        "fetch downloads into --data-dir or the XDG folder from the first of several servers that\n"
        "answers, goes on where an earlier attempt stopped, and checks size and checksum.\n"
        "KILN_DATA_URL, the address of a folder or file, replaces the servers.\n\n"
        "verify reads every record, checks sizes and labels, and compares a hash over the\n"
        "records, whatever their order, with that of the published set; it exits with 3 if they\n"
        "differ.\n\n"
        "show writes a PNG of images as the network sees them: cut, mirrored and cut out by the\n"
        "same code as in training, from the same seed.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_QUIET | COMMON_DATA_DIR | COMMON_THREADS | COMMON_ISA |
              COMMON_SEED,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 2,
    .operand_words = words,
    .run = run,
};
