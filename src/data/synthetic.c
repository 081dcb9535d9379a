/* synthetic.c - ten classes of made images, for machines without data and for tests.
 *
 * Six classes are shapes, four are textures. Place, size, rotation, colours, contrast, background,
 * clutter and noise vary from image to image and say nothing about the class; a mirror image is of
 * the same class, so flips keep the label. Some images are hard and a few cannot be told: low
 * contrast under strong noise, a bar across the figure, a second figure of another class behind it.
 * A shape may carry a weak texture and a texture lies in a shape, so that neither the outline nor
 * the filling alone decides.
 *
 * An image depends on (seed, split, index) only. All arithmetic is on integers but one square root,
 * which IEEE 754 rounds correctly, so the pixels are the same on every machine. Lengths are in
 * 1/256 of a pixel, directions in 1/4096.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/dataset.h"
#include "data/kinds.h"

enum { CHANNELS = 3, CLASSES = 10, TRAIN_COUNT = 10000, TEST_COUNT = 2000 };
enum { PIXEL = 256, UNIT = 4096, OPAQUE = 256 };

/* The classes come first, in the order of their labels. */
enum form {
    DISC, RING, SQUARE, TRIANGLE, CROSS, STAR, /* shapes */
    STRIPES, ZIGZAG, CHECKS, DOTS,             /* textures */
    PLAIN,                                     /* a filling without texture */
    EVERYWHERE,                                /* an outline without end */
    BAR,
};
enum { SHAPES = STRIPES, TEXTURES = PLAIN - STRIPES };

static const char *const class_names[CLASSES] = {
    "disc", "ring", "square", "triangle", "cross", "star", "stripes", "zigzag", "checks", "dots",
};

/* Where a form lies: centre, direction of its own x axis, and size (a shape's radius, a texture's
 * period). */
struct frame {
    int x, y, cos, sin, size;
};

/* An outline filled with colour a, or with a texture that goes from a to b. */
struct object {
    enum form outline, filling;
    struct frame place, grain;
    int a[CHANNELS], b[CHANNELS];
};

static int between(struct rng *r, int low, int high)
{
    return low + (int)rng_below(r, (uint32_t)(high - low) + 1);
}

static bool chance(struct rng *r, int percent)
{
    return between(r, 1, 100) <= percent;
}

static int clamp(int v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

static int length(int x, int y)
{
    return (int)sqrt((double)x * x + (double)y * y);
}

/* A direction, uniform over the circle: a point of the disc, pushed out to its rim. */
static void draw_direction(struct rng *r, struct frame *f)
{
    int x, y, n;
    do {
        x = between(r, -UNIT, UNIT);
        y = between(r, -UNIT, UNIT);
        n = length(x, y);
    } while (n > UNIT || n < UNIT / 8);
    f->cos = x * UNIT / n;
    f->sin = y * UNIT / n;
}

static struct frame draw_frame(struct rng *r, int reach, int smallest, int largest)
{
    struct frame f;
    int centre = IMAGE_SIDE * PIXEL / 2;
    f.x = centre + between(r, -reach, reach);
    f.y = centre + between(r, -reach, reach);
    f.size = between(r, smallest, largest);
    draw_direction(r, &f);
    return f;
}

/* How far the point (u, v) of its own axes lies inside a shape of size s. */
static int inside(enum form shape, int s, int u, int v)
{
    int au = abs(u), av = abs(v), far = au > av ? au : av, near = au > av ? av : au;
    switch (shape) {
    case DISC:
        return s * 7 / 8 - length(u, v);
    case RING:
        return s / 5 - abs(length(u, v) - s * 4 / 5);
    case SQUARE:
        return s * 3 / 4 - far;
    case TRIANGLE: { /* of its three edges the one that is nearest */
        int slant = (au * 3547 - v * 2048) / UNIT; /* cos and sin of 30 degrees */
        return s * 9 / 16 - (slant > v ? slant : v);
    }
    case CROSS: { /* two crossed bars */
        int arm = s - far, side = s * 5 / 16 - near;
        return arm < side ? arm : side;
    }
    case STAR: /* four points; the edge runs from (s, 0) to (3s/8, 3s/8) */
        return (3 * s - 3 * far - 5 * near) * 44 / 256;
    case BAR:
        return s - av;
    default:
        return OPAQUE;
    }
}

/* How far `u` is from the nearest edge of a square wave of this period; positive in its upper
 * half. */
static int wave(int u, int period)
{
    int phase = u % period;
    if (phase < 0)
        phase += period;
    return abs(phase - period / 2) - period / 4;
}

/* How far the point lies inside the parts of a texture that have colour b. */
static int grain(enum form texture, int period, int u, int v)
{
    switch (texture) {
    case STRIPES:
        return wave(u, period);
    case ZIGZAG:
        return wave(u + wave(v, 2 * period) * 5 / 4, period);
    case CHECKS: {
        int a = wave(u, period * 3 / 2), b = wave(v, period * 3 / 2);
        int near = abs(a) < abs(b) ? abs(a) : abs(b);
        return (a > 0) == (b > 0) ? near : -near;
    }
    case DOTS: {
        int x = wave(u, period) + period / 4, y = wave(v, period) + period / 4;
        return period * 3 / 10 - length(x, y);
    }
    default:
        return -PIXEL;
    }
}

/* The share, 0..OPAQUE, of a pixel whose centre lies `depth` inside an edge. */
static int coverage(int depth)
{
    return clamp(depth + PIXEL / 2, 0, OPAQUE);
}

static void to_frame(const struct frame *f, int x, int y, int *u, int *v)
{
    int dx = x - f->x, dy = y - f->y;
    *u = (dx * f->cos + dy * f->sin) / UNIT;
    *v = (dy * f->cos - dx * f->sin) / UNIT;
}

static void paint(int canvas[CHANNELS][IMAGE_AREA], const struct object *o)
{
    for (int i = 0; i < IMAGE_AREA; i++) {
        int x = i % IMAGE_SIDE * PIXEL + PIXEL / 2, y = i / IMAGE_SIDE * PIXEL + PIXEL / 2;
        int u, v, mix = 0;
        to_frame(&o->place, x, y, &u, &v);
        int cover = coverage(inside(o->outline, o->place.size, u, v));
        if (cover == 0)
            continue;
        if (o->filling != PLAIN) {
            to_frame(&o->grain, x, y, &u, &v);
            mix = coverage(grain(o->filling, o->grain.size, u, v));
        }
        for (int c = 0; c < CHANNELS; c++) {
            int colour = o->a[c] + (o->b[c] - o->a[c]) * mix / OPAQUE;
            canvas[c][i] += (colour - canvas[c][i]) * cover / OPAQUE;
        }
    }
}

/* A colour that is `contrast` away from `from` in mean over the channels. */
static void draw_colour(struct rng *r, const int from[CHANNELS], int contrast, int to[CHANNELS])
{
    int steps[CHANNELS], sum = 1;
    for (int c = 0; c < CHANNELS; c++)
        sum += steps[c] = between(r, 1, 16);
    for (int c = 0; c < CHANNELS; c++) {
        int step = 3 * contrast * steps[c] / sum;
        bool up = rng_below(r, 2);
        if (up ? from[c] + step > 255 : from[c] - step < 0)
            up = !up;
        to[c] = clamp(up ? from[c] + step : from[c] - step, 0, 255);
    }
}

/* The figure that shows class `label`: a shape, perhaps with a weak texture, or a texture in a
 * large disc or square. */
static struct object draw_figure(struct rng *r, int label, const int background[CHANNELS],
                                 int contrast, int scale)
{
    struct object o = {.outline = (enum form)label, .filling = PLAIN};
    bool is_texture = label >= SHAPES;
    int weak = between(r, 4, 14), strong = between(r, 22, 70);
    int texture = between(r, 0, TEXTURES - 1);
    bool textured = chance(r, 40), round = chance(r, 50);
    draw_colour(r, background, contrast, o.a);
    draw_colour(r, o.a, is_texture ? strong : weak, o.b);
    o.place = draw_frame(r, 5 * PIXEL, 7 * PIXEL, 13 * PIXEL);
    o.grain = draw_frame(r, 8 * PIXEL, 7 * PIXEL / 2, 7 * PIXEL);
    if (is_texture) {
        o.outline = round ? DISC : SQUARE;
        o.filling = (enum form)label;
        o.place.size = o.place.size * 5 / 4;
    } else if (textured) {
        o.filling = (enum form)(STRIPES + texture);
    }
    o.place.size = o.place.size * scale / 16;
    return o;
}

static struct object draw_background(struct rng *r)
{
    struct object o = {.outline = EVERYWHERE, .filling = PLAIN};
    for (int c = 0; c < CHANNELS; c++)
        o.a[c] = between(r, 30, 225);
    draw_colour(r, o.a, between(r, 4, 16), o.b);
    o.place = draw_frame(r, 0, 1, 1);
    o.grain = draw_frame(r, 8 * PIXEL, 4 * PIXEL, 12 * PIXEL);
    if (chance(r, 60))
        o.filling = (enum form)between(r, STRIPES, DOTS);
    return o;
}

/* A small shape of no meaning. */
static struct object draw_clutter(struct rng *r, const int background[CHANNELS])
{
    struct object o = {.outline = (enum form)between(r, 0, SHAPES - 1), .filling = PLAIN};
    draw_colour(r, background, between(r, 15, 70), o.a);
    o.place = draw_frame(r, 15 * PIXEL, 3 * PIXEL / 2, 7 * PIXEL / 2);
    return o;
}

static struct object draw_bar(struct rng *r, const int background[CHANNELS])
{
    struct object o = {.outline = BAR, .filling = PLAIN};
    draw_colour(r, background, between(r, 15, 80), o.a);
    o.place = draw_frame(r, 7 * PIXEL, PIXEL, 5 * PIXEL / 2);
    return o;
}

/* Adds to each value the sum of two uniform draws of -amplitude..amplitude. */
static void add_noise(struct rng *r, int canvas[CHANNELS][IMAGE_AREA], int amplitude, uint8_t *out)
{
    for (int i = 0; i < CHANNELS * IMAGE_AREA; i += 2) {
        uint32_t bits = rng_u32(r);
        for (int k = 0; k < 2; k++, bits >>= 16) {
            int two = (int)(bits & 255) + (int)(bits >> 8 & 255) - 255;
            int v = canvas[(i + k) / IMAGE_AREA][(i + k) % IMAGE_AREA] + two * amplitude / 255;
            out[i + k] = (uint8_t)clamp(v, 0, 255);
        }
    }
}

static void draw_image(uint64_t seed, uint32_t split, uint32_t index, int label, uint8_t *out)
{
    static const int gradient_steps = 24;
    int canvas[CHANNELS][IMAGE_AREA] = {{0}};
    struct rng r = rng_at(seed, RNG_SYNTHETIC, split, index);
    struct object background = draw_background(&r);
    paint(canvas, &background);

    struct frame light = draw_frame(&r, 0, 0, gradient_steps);
    for (int i = 0; i < IMAGE_AREA; i++) {
        int u, v;
        to_frame(&light, i % IMAGE_SIDE * PIXEL, i / IMAGE_SIDE * PIXEL, &u, &v);
        for (int c = 0; c < CHANNELS; c++)
            canvas[c][i] += u * light.size / (IMAGE_SIDE * PIXEL / 2);
    }
    for (int n = between(&r, 0, 4); n > 0; n--) {
        struct object clutter = draw_clutter(&r, background.a);
        paint(canvas, &clutter);
    }
    int contrast = between(&r, 20, 100);
    if (chance(&r, 7)) {
        int other = (label + between(&r, 1, CLASSES - 1)) % CLASSES;
        struct object rival = draw_figure(&r, other, background.a, contrast, 13);
        paint(canvas, &rival);
    }
    struct object figure = draw_figure(&r, label, background.a, contrast, 16);
    paint(canvas, &figure);
    if (chance(&r, 25)) {
        struct object bar = draw_bar(&r, background.a);
        paint(canvas, &bar);
    }
    add_noise(&r, canvas, between(&r, 4, 32), out);
}

static void make_split(struct image_split *s, uint64_t seed, uint32_t split)
{
    for (uint32_t i = 0; i < s->count; i++) {
        s->labels[i] = (uint8_t)(i % CLASSES);
        draw_image(seed, split, i, s->labels[i], s->pixels + (size_t)i * CHANNELS * IMAGE_AREA);
    }
}

static int synthetic_load(struct images *images, const char *place, uint64_t seed, struct err *e)
{
    (void)place;
    images->channels = CHANNELS;
    images->classes = CLASSES;
    for (int c = 0; c < CLASSES; c++)
        images->class_names[c] = class_names[c];
    snprintf(images->source, sizeof images->source, "seed %llu", (unsigned long long)seed);
    if (image_split_init(&images->train, TRAIN_COUNT, CHANNELS, e) != 0 ||
        image_split_init(&images->test, TEST_COUNT, CHANNELS, e) != 0)
        return -1;
    make_split(&images->train, seed, 0);
    make_split(&images->test, seed, 1);
    return 0;
}

static bool synthetic_present(const char *place)
{
    (void)place;
    return true;
}

const struct dataset dataset_synthetic = {
    .name = "synthetic",
    .title = "synthetic images",
    .channels = CHANNELS,
    .classes = CLASSES,
    .train_count = TRAIN_COUNT,
    .test_count = TEST_COUNT,
    .generated = true,
    .load = synthetic_load,
    .present = synthetic_present,
};
