/* gallery.c - see gallery.h. */
#include "sweep/gallery.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/picture.h"
#include "train/safetensors.h"
#include "train/trainer.h"

enum { COLUMNS = 8, HARDEST = 3 * COLUMNS, PAIRS = 6 };

static const uint8_t paper[3] = {127, 127, 127};

/* The outcomes with where their images are. */
struct gallery {
    const struct outcomes_event *event;
    const struct images *images;
    const struct image_split *split;
    struct picture picture;
    int row;                     /* of the picture, the next one that is free */
};

/* One image of the set, in an order; `key` decides, greater first, then the place in the set. */
struct place {
    double key;
    uint32_t at;
};

struct pair {
    uint32_t count;
    int label, predicted;
};

static uint32_t image_of(const struct gallery *g, uint32_t at)
{
    return g->event->indices ? g->event->indices[at] : at;
}

static int label_of(const struct gallery *g, uint32_t at)
{
    return g->split->labels[image_of(g, at)];
}

static int by_key(const void *a, const void *b)
{
    const struct place *p = a, *q = b;
    if (p->key != q->key)
        return p->key < q->key ? 1 : -1;
    return (p->at > q->at) - (p->at < q->at);
}

static int by_count(const void *a, const void *b)
{
    const struct pair *p = a, *q = b;
    if (p->count != q->count)
        return p->count < q->count ? 1 : -1;
    return p->label != q->label ? p->label - q->label : p->predicted - q->predicted;
}

static void draw(struct gallery *g, int column, uint32_t at)
{
    int channels = g->images->channels;
    const uint8_t *pixels = g->split->pixels + (size_t)image_of(g, at) * (size_t)channels *
                                                   IMAGE_AREA;
    for (int i = 0; i < IMAGE_AREA; i++) {
        uint8_t colour[3];
        for (int k = 0; k < 3; k++)
            colour[k] = pixels[(channels == 1 ? 0 : k) * IMAGE_AREA + i];
        picture_fill(&g->picture, column * IMAGE_SIDE + i % IMAGE_SIDE,
                     g->row * IMAGE_SIDE + i / IMAGE_SIDE, 1, 1, colour);
    }
}

/* Draws the first `count` places from the next row on, and lists them. */
static json_t *show(struct gallery *g, const struct place *places, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        int column = (int)(i % COLUMNS);
        uint32_t at = places[i].at;
        const struct eval_outcome *o = &g->event->outcomes[at];
        g->row += i > 0 && column == 0;
        draw(g, column, at);
        json_array_append_new(
            list, json_pack("{s:i, s:I, s:i, s:i, s:o, s:o, s:o}", "cell",
                            g->row * COLUMNS + column, "image", (json_int_t)image_of(g, at),
                            "label", label_of(g, at), "predicted", (int)o->predicted,
                            "probability", json_number((double)o->probability),
                            "label_probability", json_number(exp(-(double)o->loss)), "loss",
                            json_number((double)o->loss)));
    }
    g->row += count > 0;
    return list;
}

static json_t *show_hardest(struct gallery *g, struct place *places)
{
    uint32_t n = g->event->count;
    for (uint32_t i = 0; i < n; i++)
        places[i] = (struct place){(double)g->event->outcomes[i].loss, i};
    qsort(places, n, sizeof *places, by_key);
    return show(g, places, n < HARDEST ? n : HARDEST);
}

static json_t *show_pair(struct gallery *g, const struct pair *pair, struct place *places)
{
    uint32_t n = 0, of = 0;
    for (uint32_t i = 0; i < g->event->count; i++) {
        const struct eval_outcome *o = &g->event->outcomes[i];
        of += label_of(g, i) == pair->label;
        if (label_of(g, i) == pair->label && o->predicted == pair->predicted)
            places[n++] = (struct place){(double)o->probability, i};
    }
    qsort(places, n, sizeof *places, by_key);
    return json_pack("{s:i, s:i, s:I, s:I, s:o}", "label", pair->label, "predicted",
                     pair->predicted, "count", (json_int_t)pair->count, "of", (json_int_t)of,
                     "examples", show(g, places, n < COLUMNS ? n : COLUMNS));
}

/* pairs[classes * classes], those confused most first; returns how many were confused at all. */
static size_t count_pairs(const struct gallery *g, struct pair *pairs)
{
    int classes = g->images->classes;
    size_t all = (size_t)classes * (size_t)classes, confused = 0;
    for (size_t i = 0; i < all; i++)
        pairs[i] = (struct pair){0, (int)i / classes, (int)i % classes};
    for (uint32_t i = 0; i < g->event->count; i++)
        if (label_of(g, i) != g->event->outcomes[i].predicted)
            pairs[label_of(g, i) * classes + g->event->outcomes[i].predicted].count++;
    qsort(pairs, all, sizeof *pairs, by_count);
    while (confused < all && pairs[confused].count)
        confused++;
    return confused;
}

static json_t *describe(const struct gallery *g)
{
    const struct outcomes_event *event = g->event;
    json_t *classes = json_array();
    double loss = 0;
    uint32_t wrong = 0;
    for (int k = 0; k < g->images->classes; k++)
        json_array_append_new(classes, json_text(g->images->class_names[k]));
    for (uint32_t i = 0; i < event->count; i++) {
        loss += (double)event->outcomes[i].loss;
        wrong += event->outcomes[i].predicted != label_of(g, i);
    }
    return json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:i, s:i}", "format", 1, "data",
                     g->images->kind->name, "images", event->validation ? "validation" : "test",
                     "step", (json_int_t)event->step, "count", (json_int_t)event->count, "wrong",
                     (json_int_t)wrong, "loss", json_number(loss / event->count), "classes",
                     classes, "side", IMAGE_SIDE, "columns", COLUMNS);
}

static int write_pictures(struct gallery *g, const struct rundir *dir, struct err *e)
{
    char path[4096];
    int classes = g->images->classes;
    struct place *places = xcalloc(g->event->count, sizeof *places);
    struct pair *pairs = xcalloc((size_t)classes * (size_t)classes, sizeof *pairs);
    json_t *o = describe(g), *confused = json_array();
    size_t shown = count_pairs(g, pairs);
    shown = shown < PAIRS ? shown : PAIRS;
    uint32_t hardest = g->event->count < HARDEST ? g->event->count : HARDEST;
    int rows = (int)((hardest + COLUMNS - 1) / COLUMNS + shown);
    picture_init(&g->picture, COLUMNS * IMAGE_SIDE, rows * IMAGE_SIDE, paper);
    json_object_set_new(o, "hardest", show_hardest(g, places));
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(confused, show_pair(g, &pairs[i], places));
    json_object_set_new(o, "confused", confused);
    int rc = rundir_path(dir, "gallery.png", path, e) || picture_write(&g->picture, path, e) ||
                     rundir_write_json(dir, "gallery.json", o, e)
                 ? -1
                 : 0;
    picture_release(&g->picture);
    json_decref(o);
    free(pairs);
    free(places);
    return rc;
}

static int write_predictions(const struct gallery *g, const struct rundir *dir, struct err *e)
{
    const struct outcomes_event *event = g->event;
    size_t n = event->count;
    int64_t *image = xcalloc(n, sizeof *image);
    float *real = xcalloc(2 * n, sizeof *real);
    uint8_t *class = xcalloc(2 * n, 1);
    char path[4096], step[32];
    for (size_t i = 0; i < n; i++) {
        image[i] = image_of(g, (uint32_t)i);
        real[i] = event->outcomes[i].loss;
        real[n + i] = event->outcomes[i].probability;
        class[i] = (uint8_t)label_of(g, (uint32_t)i);
        class[n + i] = event->outcomes[i].predicted;
    }
    const struct safetensor tensors[] = {
        {"image", SAFETENSOR_I64, {(int64_t)n}, 1, image, n * sizeof *image},
        {"loss", SAFETENSOR_F32, {(int64_t)n}, 1, real, n * sizeof *real},
        {"probability", SAFETENSOR_F32, {(int64_t)n}, 1, real + n, n * sizeof *real},
        {"label", SAFETENSOR_U8, {(int64_t)n}, 1, class, n},
        {"predicted", SAFETENSOR_U8, {(int64_t)n}, 1, class + n, n},
    };
    snprintf(step, sizeof step, "%llu", (unsigned long long)event->step);
    const struct safetensors_pair metadata[] = {
        {"images", event->validation ? "validation" : "test"}, {"step", step}};
    int rc = rundir_path(dir, "predictions.safetensors", path, e) ||
                     safetensors_write(path, tensors, 5, metadata, 2, e)
                 ? -1
                 : 0;
    free(image);
    free(real);
    free(class);
    return rc;
}

int gallery_write(const struct rundir *dir, const struct outcomes_event *event, struct err *e)
{
    const struct images *images = event->trainer->images;
    struct gallery g = {
        .event = event,
        .images = images,
        .split = event->validation ? &images->train : &images->test,
    };
    return write_predictions(&g, dir, e) || write_pictures(&g, dir, e) ? -1 : 0;
}
