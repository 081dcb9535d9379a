/* wire.h - messages in Protocol Buffers' wire format, as far as writing them goes.
 *
 *     field:  key = number * 8 + type, as a varint, then
 *     type 0  varint: 7 bits a byte, lowest first, the top bit says that another follows
 *     type 1  8 bytes, little-endian       type 5  4 bytes
 *     type 2  length as a varint, then so many bytes: text, bytes, an inner message
 *
 * Source: developers.google.com/protocol-buffers/docs/encoding. Memory grows as needed; whoever
 * starts one (zero bits) releases it.
 */
#ifndef KILN_EXPORT_WIRE_H
#define KILN_EXPORT_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire {
    unsigned char *data;         /* [size] */
    size_t size, room;
};

void wire_release(struct wire *w);

/* Appends bytes as they are. */
void wire_raw(struct wire *w, const void *data, size_t bytes);

void wire_integer(struct wire *w, int field, int64_t value);
void wire_float(struct wire *w, int field, float value);
void wire_double(struct wire *w, int field, double value);
void wire_bytes(struct wire *w, int field, const void *data, size_t bytes);
void wire_text(struct wire *w, int field, const char *text);

/* Appends `inner` as a message, and releases it. */
void wire_message(struct wire *w, int field, struct wire *inner);

#endif
