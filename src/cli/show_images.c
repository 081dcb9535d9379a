/* show_images.c - see show_images.h. */
#include "cli/show_images.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "data/loader.h"

enum { GAP = 2 };

static const uint8_t paper[3] = {24, 24, 28}, ink[3] = {235, 235, 235};

/* Which images are shown, and how they are cut. */
struct choice {
    uint32_t count;
    uint32_t *indices;          /* into the split */
    struct image_view *views;   /* of the images that were chosen, 0..count-1 */
};

static void choose(struct choice *c, const struct image_split *split, const struct show_options *o)
{
    uint32_t *order = xcalloc(split->count, sizeof *order);
    c->count = o->count < split->count ? o->count : split->count;
    c->indices = xcalloc(c->count, sizeof *c->indices);
    c->views = xcalloc(c->count, sizeof *c->views);
    loader_order(o->seed, o->epoch, order, split->count);
    for (uint32_t i = 0; i < c->count; i++) {
        struct view v = {0};
        c->indices[i] = o->test ? i : order[i];
        if (!o->test)
            v = augment_view(&o->augment, o->seed, o->epoch, c->indices[i]);
        c->views[i] = (struct image_view){.index = i, .dy = v.dy, .dx = v.dx, .flip = v.flip,
                                          .cut_y = v.cut_y, .cut_x = v.cut_x, .cut = v.cut};
    }
    free(order);
}

/* Copies the chosen images to the device and lets it load them into `pixels`, the network's input:
 * [count][channels][32][32]. */
static int load(const struct images *images, const struct image_split *split,
                const struct choice *c, struct backend *b, double *pixels, struct err *e)
{
    int channels = images->channels, n = (int)c->count;
    size_t image_bytes = (size_t)channels * IMAGE_AREA, store_bytes = c->count * image_bytes;
    size_t map_bytes = layout_bytes(b->precision, n, IMAGE_SIDE, IMAGE_SIDE, channels);
    struct image_store store = {.c = channels, .h = IMAGE_SIDE, .w = IMAGE_SIDE};
    uint8_t *bytes = b->ops->memory_new(b, store_bytes, "the images to show", e);
    struct map x = {.c = channels, .h = IMAGE_SIDE, .w = IMAGE_SIDE};
    x.data = bytes ? b->ops->memory_new(b, map_bytes, "the network's input", e) : NULL;
    if (x.data) {
        for (uint32_t i = 0; i < c->count; i++)
            b->ops->write_bytes(b, bytes + i * image_bytes,
                                split->pixels + c->indices[i] * image_bytes, image_bytes);
        for (int k = 0; k < channels; k++) {
            store.mean[k] = images->mean[k];
            store.inv_std[k] = 1 / images->std[k];
        }
        store.pixels = bytes;
        b->ops->load_images(b, n, &store, c->views, &x);
        b->ops->read_map(b, n, pixels, &x);
    }
    int status = x.data ? 0 : -1;
    b->ops->memory_free(b, x.data, map_bytes);
    b->ops->memory_free(b, bytes, store_bytes);
    return status;
}

static uint8_t to_byte(double v)
{
    return (uint8_t)lround(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void draw_image(struct picture *p, const struct images *images, const double *pixels,
                       int left, int top, int scale)
{
    for (int i = 0; i < IMAGE_AREA; i++) {
        uint8_t colour[3];
        for (int k = 0; k < 3; k++) {
            int channel = images->channels == 1 ? 0 : k;
            double v = pixels[channel * IMAGE_AREA + i];
            colour[k] = to_byte(v * (double)images->std[channel] + (double)images->mean[channel]);
        }
        picture_fill(p, left + i % IMAGE_SIDE * scale, top + i / IMAGE_SIDE * scale, scale, scale,
                     colour);
    }
}

static void draw_grid(struct picture *p, const struct images *images,
                      const struct image_split *split, const struct choice *c,
                      const struct show_options *o, const double *pixels)
{
    int count = (int)c->count, side = IMAGE_SIDE * o->scale;
    int columns = o->columns < count ? o->columns : count;
    int rows = (count + columns - 1) / columns;
    int cell_width = side + 2 * GAP, cell_height = side + GLYPH_HEIGHT + 3 * GAP;
    picture_init(p, columns * cell_width, rows * cell_height, paper);
    for (int i = 0; i < count; i++) {
        int left = i % columns * cell_width + GAP, top = i / columns * cell_height + GAP;
        uint8_t label = split->labels[c->indices[i]];
        draw_image(p, images, pixels + (size_t)i * (size_t)images->channels * IMAGE_AREA, left,
                   top, o->scale);
        picture_text(p, left, top + side + GAP, left + side + GAP, images->class_names[label],
                     ink);
    }
}

int show_images(const struct images *images, const struct show_options *o, struct backend *backend,
                struct picture *picture, struct err *e)
{
    const struct image_split *split = o->test ? &images->test : &images->train;
    struct choice c;
    choose(&c, split, o);
    double *pixels = xcalloc((size_t)c.count * (size_t)images->channels * IMAGE_AREA,
                             sizeof *pixels);
    int status = load(images, split, &c, backend, pixels, e);
    if (status == 0)
        draw_grid(picture, images, split, &c, o, pixels);
    free(pixels);
    free(c.indices);
    free(c.views);
    return status;
}
