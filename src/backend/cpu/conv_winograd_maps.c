/* conv_winograd_maps.c - where the lines are that Winograd's transforms read and write: in maps, in
 * the pool behind a map, or in the windows that will be pooled; see conv_winograd.h. */
#include <string.h>

#include "backend/cpu/conv_winograd.h"

enum { WINDOW = 4 /* outputs of a 2x2 pool's window */ };

static const _Alignas(LINE) char zeros[TILE];

void list_pixels(const struct map *m, int lines, int line, int block, int y, int x, int rows,
                 int columns, const void **pixels)
{
    for (int i = y; i < y + rows; i++)
        for (int j = x; j < x + columns; j++) {
            bool inside = i >= 0 && i < m->h && j >= 0 && j < m->w;
            size_t pixel = inside ? ((size_t)block * (size_t)m->h + (size_t)i) * (size_t)m->w +
                                        (size_t)j
                                  : 0;
            *pixels++ = inside ? (const char *)m->data +
                                     (pixel * (size_t)lines + (size_t)line) * TILE
                               : zeros;
        }
}

void list_taken(const struct pooled_map *m, int line, int block, int y, int x, int rows,
                int columns, const void **pixels, struct winograd_taken *taken)
{
    const struct map *pool = &m->pool;
    for (int i = 0; i < rows * columns; i++) {
        int row = y + i / columns, column = x + i % columns;
        bool inside = row >= 0 && row < 2 * pool->h && column >= 0 && column < 2 * pool->w;
        size_t pixel = ((size_t)block * (size_t)pool->h + (size_t)(row / 2)) * (size_t)pool->w +
                       (size_t)(column / 2);
        size_t at = (pixel * (size_t)m->lines + (size_t)line) * TILE;
        pixels[i] = inside ? (const char *)pool->data + at : zeros;
        taken->argmax[i] = inside ? m->argmax + at / m->element : (const uint8_t *)zeros;
        taken->place[i] = (uint8_t)(inside ? row % 2 * 2 + column % 2 : 0);
    }
}

void winograd_maps_init(struct winograd_maps *m, const struct cpu_backend *b,
                        const struct conv_work *w)
{
    const struct conv_shape *s = w->shape;
    enum precision p = b->base.precision;
    bool backward = w->pass == CONV_BACKWARD_DATA;
    *m = (struct winograd_maps){
        .in = backward ? w->y : w->x, .out = backward ? w->x : w->y,
        .in_lines = layout_cblocks(p, conv_from(s, w->pass)),
        .out_lines = layout_cblocks(p, conv_to(s, w->pass)),
        .pad = backward ? 2 - s->pad : s->pad,
        .bias = w->bias,
    };
    if (w->pooled && backward) {
        m->taken = (struct pooled_map){w->y, w->taken, precision_bytes(p), m->in_lines};
        m->in = (struct map){NULL, s->k, s->p, s->q};
    } else if (w->pooled) {
        m->pooled = true;
        m->pool = w->y;
        m->argmax = w->argmax;
        m->out = (struct map){NULL, s->k, s->p, s->q};
    }
    m->stream = !m->pooled && cpu_streams(b, w->n, &m->out);
}

const struct winograd_taken *list_inputs(const struct winograd_maps *m, int line, int block, int y,
                                         int x, int rows, int columns, const void **pixels,
                                         struct winograd_taken *taken)
{
    if (m->taken.argmax) {
        list_taken(&m->taken, line, block, y, x, rows, columns, pixels, taken);
        return taken;
    }
    list_pixels(&m->in, m->in_lines, line, block, y, x, rows, columns, pixels);
    return NULL;
}

/* A window's four outputs follow on each other. */
static void list_windows(char *windows, int images, int rows, int columns, void **pixels)
{
    for (int i = 0; i < rows * columns; i++) {
        int y = i / columns, x = i % columns, window = y / 2 * (columns / 2) + x / 2;
        char *tile = windows + (size_t)(window * WINDOW + y % 2 * 2 + x % 2) * TILE;
        memset(tile + images * LINE, 0, (size_t)(IMAGES - images) * LINE);
        pixels[i] = tile;
    }
}

void list_outputs(const struct winograd_maps *m, int line, int block, int y, int x, int rows,
                  int columns, char *windows, int images, void **pixels)
{
    const void *read[WINOGRAD6_MOST * WINOGRAD6_MOST];
    const char *map = m->out.data;
    if (m->pooled) {
        list_windows(windows, images, rows, columns, pixels);
        return;
    }
    list_pixels(&m->out, m->out_lines, line, block, y, x, rows, columns, read);
    for (int i = 0; i < rows * columns; i++)
        pixels[i] = (char *)m->out.data + ((const char *)read[i] - map);
}

void list_pooled(const struct cpu_backend *b, const struct winograd_maps *m, int line, int block,
                 int y, int x, int rows, int columns, void **pooled, uint8_t **argmax)
{
    const void *pixels[WINOGRAD6_MOST * WINOGRAD6_MOST / WINDOW];
    const char *map = m->pool.data;
    list_pixels(&m->pool, m->out_lines, line, block, y / 2, x / 2, rows / 2, columns / 2, pixels);
    for (int i = 0; i < rows * columns / WINDOW; i++) {
        size_t to = (size_t)((const char *)pixels[i] - map);
        pooled[i] = (char *)m->pool.data + to;
        argmax[i] = m->argmax ? m->argmax + to / precision_bytes(b->base.precision) : NULL;
    }
}

void pool_windows(const struct cpu_backend *b, const struct winograd_maps *m, int line, int block,
                  int y, int x, int rows, int columns, const char *windows)
{
    const struct pool_shape window = {.c = layout_cb(b->base.precision), .h = 2, .w = 2, .p = 1,
                                      .q = 1, .window = 2, .stride = 2};
    void *pooled[WINOGRAD6_MOST * WINOGRAD6_MOST / WINDOW];
    uint8_t *argmax[WINOGRAD6_MOST * WINOGRAD6_MOST / WINDOW];
    list_pooled(b, m, line, block, y, x, rows, columns, pooled, argmax);
    for (int i = 0; i < rows * columns / WINDOW; i++)
        b->kernels.pointwise.maxpool_forward(
            &window, 0, 1, windows + (size_t)(i * WINDOW) * TILE, pooled[i], argmax[i]);
}

void copy_bias(const struct cpu_backend *b, const struct winograd_maps *m, int line, void *padded)
{
    size_t real = b->base.real_bytes;
    int cb = layout_cb(b->base.precision), first = line * cb;
    memset(padded, 0, (size_t)cb * real);
    if (m->bias)
        memcpy(padded, (const char *)m->bias + (size_t)first * real,
               (size_t)min_int(m->out.c - first, cb) * real);
}
