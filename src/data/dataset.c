/* dataset.c - the list of kinds, and where their files are looked for. */
#include "data/dataset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "data/fetch.h"
#include "data/kinds.h"

enum { PATH_SIZE = 4096, PLACES_MAX = 8, KINDS_MAX = 16 };

const struct dataset *const dataset_kinds[] = {
    &dataset_cifar10, &dataset_cifar100, &dataset_fashion_mnist, &dataset_mnist,
    &dataset_synthetic, NULL,
};

const struct dataset *dataset_find(const char *name)
{
    for (int i = 0; dataset_kinds[i]; i++)
        if (strcmp(dataset_kinds[i]->name, name) == 0)
            return dataset_kinds[i];
    return NULL;
}

int dataset_unknown(const char *name, struct err *e)
{
    const char *names[KINDS_MAX] = {NULL};
    for (int i = 0; dataset_kinds[i]; i++)
        names[i] = dataset_kinds[i]->name;
    const char *near = nearest_name(name, names);
    return err_set(e, EXIT_USAGE, "there is no data set '%s'%s%s%s", name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool is_set(const char *text)
{
    return text && text[0];
}

/* kiln's folder in the XDG data directory; a relative XDG_DATA_HOME is ignored, as the
 * specification says. Returns false if there is no home either. */
static bool xdg_folder(char path[PATH_SIZE])
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n = -1;
    if (is_set(xdg) && xdg[0] == '/')
        n = snprintf(path, PATH_SIZE, "%s/kiln", xdg);
    else if (is_set(home))
        n = snprintf(path, PATH_SIZE, "%s/.local/share/kiln", home);
    return n > 0 && n < PATH_SIZE;
}

/* The places to look in, in order. */
struct places {
    char paths[PLACES_MAX][PATH_SIZE];
    int count;
};

static void add_place(struct places *p, const char *path)
{
    assert(p->count < PLACES_MAX);
    int n = snprintf(p->paths[p->count], PATH_SIZE, "%s", path);
    p->count += n > 0 && n < PATH_SIZE;
}

static void list_places(struct places *p, const char *data_dir)
{
    char path[PATH_SIZE];
    p->count = 0;
    if (is_set(data_dir)) {
        add_place(p, data_dir);
        return;
    }
    if (is_set(getenv("KILN_DATA")))
        add_place(p, getenv("KILN_DATA"));
    if (xdg_folder(path))
        add_place(p, path);
    add_place(p, "/usr/share/datasets");
}

/* Whether `place`, or its folder of the kind's name, has the set; `found` gets which. */
static bool look(const struct dataset *kind, const char *place, char found[PATH_SIZE])
{
    if (file_join(found, PATH_SIZE, place, kind->name, NULL) == 0 && file_exists(found) &&
        kind->present(found))
        return true;
    snprintf(found, PATH_SIZE, "%s", place);
    return kind->present(place);
}

/* Lists the places that were looked in. */
static int not_found(const struct dataset *kind, const struct places *places, struct err *e)
{
    char looked[700] = "";
    for (int i = 0; i < places->count; i++) {
        size_t used = strlen(looked);
        snprintf(looked + used, sizeof looked - used, "%s'%s'", i ? ", " : "", places->paths[i]);
    }
    return err_set(e, EXIT_DATA, "%s is not there (looked in %s); 'kiln data fetch %s' gets it",
                   kind->title, looked, kind->name);
}

int dataset_locate(const struct dataset *kind, const char *data_dir, char found[4096],
                   struct err *e)
{
    found[0] = '\0';
    if (kind->generated)
        return 0;
    struct places *places = xcalloc(1, sizeof *places);
    list_places(places, data_dir);
    int status = -1;
    for (int i = 0; i < places->count && status != 0; i++)
        status = look(kind, places->paths[i], found) ? 0 : -1;
    if (status != 0)
        not_found(kind, places, e);
    free(places);
    return status;
}

/* The address of d->file below KILN_DATA_URL: a folder's address, or the file's own. */
static void own_address(const char *base, const struct download *d, char url[PATH_SIZE])
{
    size_t n = strlen(base), f = strlen(d->file);
    if (n >= f && strcmp(base + n - f, d->file) == 0)
        snprintf(url, PATH_SIZE, "%s", base);
    else
        snprintf(url, PATH_SIZE, "%s%s%s", base, n && base[n - 1] == '/' ? "" : "/", d->file);
}

int dataset_fetch(const struct dataset *kind, const char *data_dir, char folder[4096],
                  struct err *e)
{
    char base[PATH_SIZE], room[PATH_SIZE], url[PATH_SIZE];
    const char *own = getenv("KILN_DATA_URL");
    folder = folder ? folder : room;
    if (!kind->downloads)
        return err_set(e, EXIT_USAGE, "'%s' is made, not fetched", kind->name);
    if (is_set(data_dir))
        snprintf(base, sizeof base, "%s", data_dir);
    else if (!xdg_folder(base))
        return err_set(e, EXIT_FAILED, "neither XDG_DATA_HOME nor HOME says where to put %s",
                       kind->title);
    if (file_join(folder, PATH_SIZE, base, kind->name, e) != 0)
        return -1;
    for (const struct download *d = kind->downloads; d->file; d++) {
        const char *const urls[] = {url, NULL};
        if (is_set(own))
            own_address(own, d, url);
        if (fetch_file(d, is_set(own) ? urls : NULL, folder, e) != 0)
            return -1;
    }
    return 0;
}

/* A set that is another one under this name: MNIST's files are called like Fashion-MNIST's. */
static int refuse_other_kind(const struct images *images, struct err *e)
{
    for (int i = 0; dataset_kinds[i]; i++) {
        const struct dataset *other = dataset_kinds[i];
        if (other != images->kind && other->published_hash &&
            strcmp(other->published_hash, images->hash) == 0)
            return err_set(e, EXIT_DATA, "'%s' has the images of %s, not of %s", images->source,
                           other->title, images->kind->title);
    }
    return 0;
}

int images_read(struct images *images, const struct dataset *kind, const char *place,
                uint64_t seed, struct err *e)
{
    memset(images, 0, sizeof *images);
    images->kind = kind;
    if (kind->load(images, place, seed, e) != 0)
        return -1;
    assert(images->train.count == kind->train_count && images->test.count == kind->test_count);
    images_finish(images);
    return refuse_other_kind(images, e);
}

/* As images_load. *missing says that the set is nowhere and could not be fetched. */
static int load(struct images *images, const char *name, const char *data_dir, bool fetch,
                uint64_t seed, bool *missing, struct err *e)
{
    memset(images, 0, sizeof *images);
    *missing = false;
    const struct dataset *kind = dataset_find(name);
    if (!kind)
        return dataset_unknown(name, e);
    char found[PATH_SIZE];
    if (dataset_locate(kind, data_dir, found, e) != 0) {
        *missing = true;
        if (!fetch || !kind->downloads || dataset_fetch(kind, data_dir, found, e) != 0)
            return -1;
        *missing = false;
    }
    if (images_read(images, kind, found, seed, e) != 0)
        return -1;
    if (kind->published_hash && !images->published)
        log_warn("'%s' is not the published %s: the hash of its records is %.16s..., not %.16s...",
                 images->source, kind->title, images->hash, kind->published_hash);
    return 0;
}

int images_load(struct images *images, const char *name, const char *data_dir, bool fetch,
                uint64_t seed, struct err *e)
{
    bool missing;
    return load(images, name, data_dir, fetch, seed, &missing, e);
}

int images_load_or_step_down(struct images *images, const char *name, const char *data_dir,
                             bool fetch, uint64_t seed, char *steps, size_t size, struct err *e)
{
    static const char *const lesser[] = {"fashion-mnist", "synthetic", NULL};
    size_t used = 0;
    bool missing;
    assert(size > 0);
    steps[0] = '\0';
    int status = load(images, name, data_dir, fetch, seed, &missing, e);
    for (int i = 0; status != 0 && missing && lesser[i]; i++) {
        if (strcmp(name, lesser[i]) == 0)
            continue;
        struct err why = *e;
        images_release(images);
        log_say("%s", why.text);
        log_say("stepping down to %s", dataset_find(lesser[i])->title);
        int n = snprintf(steps + used, size - used, "%s%s; stepped down to %s", used ? "; " : "",
                         why.text, dataset_find(lesser[i])->title);
        used += n < 0 ? 0 : (size_t)n;
        used = used < size ? used : size - 1;
        /* Only what the user asked for is worth a download; a lesser set only if it is there. */
        status = load(images, lesser[i], i == 0 ? NULL : data_dir, false, seed, &missing, e);
    }
    return status;
}
