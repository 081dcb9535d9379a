/* wire.c - see wire.h. */
#include "export/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are copied as they lie");

void wire_release(struct wire *w)
{
    free(w->data);
    *w = (struct wire){0};
}

void wire_raw(struct wire *w, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    if (w->room - w->size < bytes) {
        size_t room = 2 * w->room + 64;
        w->room = room - w->size < bytes ? w->size + bytes : room;
        w->data = xrealloc(w->data, w->room);
    }
    memcpy(w->data + w->size, data, bytes);
    w->size += bytes;
}

static void varint(struct wire *w, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = 0;
    do {
        bytes[n++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value);
    wire_raw(w, bytes, n);
}

static void key(struct wire *w, int field, unsigned type)
{
    varint(w, (uint64_t)field * 8 + type);
}

void wire_integer(struct wire *w, int field, int64_t value)
{
    key(w, field, 0);
    varint(w, (uint64_t)value);
}

void wire_float(struct wire *w, int field, float value)
{
    key(w, field, 5);
    wire_raw(w, &value, sizeof value);
}

void wire_double(struct wire *w, int field, double value)
{
    key(w, field, 1);
    wire_raw(w, &value, sizeof value);
}

void wire_bytes(struct wire *w, int field, const void *data, size_t bytes)
{
    key(w, field, 2);
    varint(w, bytes);
    wire_raw(w, data, bytes);
}

void wire_text(struct wire *w, int field, const char *text)
{
    wire_bytes(w, field, text, strlen(text));
}

void wire_message(struct wire *w, int field, struct wire *inner)
{
    wire_bytes(w, field, inner->data, inner->size);
    wire_release(inner);
}
