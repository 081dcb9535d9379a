/* conv_subject.c - see conv_subject.h. */
#include "cli/conv_subject.h"

#include <string.h>

#include "base/rng.h"

static void *block(struct conv_subject *s, size_t bytes, struct err *e)
{
    void *p = s->b->ops->memory_new(s->b, bytes ? bytes : 1, "timing a convolution", e);
    if (p) {
        s->blocks[s->block_count].data = p;
        s->blocks[s->block_count++].bytes = bytes ? bytes : 1;
    }
    return p;
}

/* Dense random numbers in (-1, 1), a pattern of 4096 of them over and over: `bytes` of doubles, of
 * floats, or of the upper halves of floats. */
static void fill(struct backend *b, void *device, size_t bytes, size_t element)
{
    enum { PATTERN = 4096 };
    unsigned char pattern[PATTERN * sizeof(double)];
    struct rng r = rng_at(1, RNG_PROBE, 1, 0);
    for (size_t i = 0; i < PATTERN; i++) {
        float v = 2 * rng_uniform(&r) - 1;
        double wide = (double)v;
        const unsigned char *upper = (const unsigned char *)&v + (element == 2 ? 2 : 0);
        memcpy(pattern + i * element, element == 8 ? (const void *)&wide : upper, element);
    }
    size_t size = PATTERN * element;
    for (size_t at = 0; at < bytes; at += size)
        b->ops->write_bytes(b, (char *)device + at, pattern, bytes - at < size ? bytes - at : size);
}

static int map_new(struct conv_subject *s, struct map *m, int c, int h, int w, bool filled,
                   struct err *e)
{
    size_t bytes = layout_bytes(s->b->precision, s->n, h, w, c);
    *m = (struct map){.data = block(s, bytes, e), .c = c, .h = h, .w = w};
    if (!m->data)
        return -1;
    if (filled)
        fill(s->b, m->data, bytes, precision_bytes(s->b->precision));
    return 0;
}

int conv_subject_init(struct conv_subject *s, struct backend *b, int n,
                      const struct conv_shape *shape, struct err *e)
{
    *s = (struct conv_subject){.b = b, .n = n, .shape = *shape};
    const struct conv_shape *c = &s->shape;
    size_t room = 0, count = (size_t)c->k * (size_t)c->c * (size_t)(c->r * c->s) * b->real_bytes;
    for (enum conv_pass p = 0; p < CONV_PASSES; p++) {
        size_t wanted = b->ops->conv_workspace(b, n, c, p);
        room = wanted > room ? wanted : room;
    }
    s->weights = block(s, count, e);
    s->dw = block(s, count, e);
    s->packed = block(s, b->ops->conv_packed_bytes(b, c, true), e);
    s->workspace = block(s, room, e);
    if (!s->weights || !s->dw || !s->packed || !s->workspace ||
        map_new(s, &s->x, c->c, c->h, c->w, true, e) ||
        map_new(s, &s->dy, c->k, c->p, c->q, true, e) ||
        map_new(s, &s->y, c->k, c->p, c->q, false, e) ||
        map_new(s, &s->dx, c->c, c->h, c->w, false, e))
        return -1;
    fill(b, s->weights, count, b->real_bytes);
    conv_subject_pack(s);
    return 0;
}

void conv_subject_release(struct conv_subject *s)
{
    for (int i = 0; i < s->block_count; i++)
        s->b->ops->memory_free(s->b, s->blocks[i].data, s->blocks[i].bytes);
    *s = (struct conv_subject){0};
}

void conv_subject_pack(struct conv_subject *s)
{
    s->b->ops->conv_pack(s->b, &s->shape, s->weights, true, s->packed);
}

void conv_subject_run(struct conv_subject *s, enum conv_pass pass)
{
    struct backend *b = s->b;
    const struct conv_shape *c = &s->shape;
    if (pass == CONV_FORWARD)
        b->ops->conv_forward(b, s->n, c, &s->x, s->packed, NULL, &s->y, s->workspace);
    else if (pass == CONV_BACKWARD_DATA)
        b->ops->conv_backward_data(b, s->n, c, &s->dy, s->packed, &s->dx, s->workspace);
    else
        b->ops->conv_backward_weights(b, s->n, c, &s->x, &s->dy, s->dw, NULL, s->workspace);
}
