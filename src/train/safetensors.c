/* safetensors.c - see safetensors.h. */
#define _GNU_SOURCE /* memmem */
#include "train/safetensors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian and written as they lie in memory"
#endif

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    {"F32", 4},  {"F64", 8}, {"I64", 8}, {"U8", 1},  /* as enum safetensor_type has them */
    {"F16", 2},  {"BF16", 2}, {"I32", 4}, {"I16", 2}, {"I8", 1},
    {"U16", 2},  {"U32", 4}, {"U64", 8}, {"BOOL", 1},
};

enum { TYPE_COUNT = sizeof types / sizeof types[0], HEADER_MAX = 100 * 1000 * 1000 };

static const char seal_key[] = "kiln_sha256";
static const char seal_start[] = "\"kiln_sha256\":\"";
static const char no_seal[] = "0000000000000000000000000000000000000000000000000000000000000000";

/* Where the header's 64 digits of hash stand, or NULL. */
static char *find_seal(char *header, size_t bytes)
{
    char *at = memmem(header, bytes, seal_start, sizeof seal_start - 1);
    if (!at || (size_t)(at - header) + sizeof seal_start - 1 + 64 > bytes)
        return NULL;
    return at + sizeof seal_start - 1;
}

static json_t *tensor_json(const struct safetensor *t, size_t offset)
{
    json_t *shape = json_array();
    for (int d = 0; d < t->ndim; d++)
        json_array_append_new(shape, json_integer(t->dims[d]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", types[t->type].name, "shape", shape,
                     "data_offsets", (json_int_t)offset, (json_int_t)(offset + t->bytes));
}

/* The header's text, padded to a multiple of 8, with zeros for the hash; the caller frees. order[]
 * lists the tensors as they lie in the data. */
static char *make_header(const struct safetensor *tensors, const int *order, int count,
                         const struct safetensors_pair *metadata, int pairs, size_t *bytes)
{
    json_t *root = json_object(), *meta = json_object();
    for (int i = 0; i < pairs; i++)
        json_object_set_new(meta, metadata[i].key, json_string(metadata[i].value));
    json_object_set_new(meta, seal_key, json_string(no_seal));
    json_object_set_new(root, "__metadata__", meta);
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        const struct safetensor *t = &tensors[order[i]];
        json_object_set_new(root, t->name, tensor_json(t, offset));
        offset += t->bytes;
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    assert(text);
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    text = xrealloc(text, padded + 1);
    memset(text + length, ' ', padded - length);
    *bytes = padded;
    return text;
}

/* Fills order[count]: tensors of 8-byte elements first, else as given. */
static void order_by_width(const struct safetensor *tensors, int count, int *order)
{
    int placed = 0;
    for (int wide = 1; wide >= 0; wide--) {
        for (int i = 0; i < count; i++) {
            if ((types[tensors[i].type].bytes == 8) == wide)
                order[placed++] = i;
        }
    }
}

static int write_all(const char *path, const struct safetensor *tensors, const int *order,
                     int count, const char *header, size_t header_bytes, struct err *e)
{
    struct file_writer w = {.fd = -1};
    uint64_t n = header_bytes;
    int status = -1;
    if (file_writer_open(&w, path, e) || file_writer_append(&w, &n, sizeof n, e) ||
        file_writer_append(&w, header, header_bytes, e))
        goto out;
    for (int i = 0; i < count; i++) {
        const struct safetensor *t = &tensors[order[i]];
        if (file_writer_append(&w, t->data, t->bytes, e))
            goto out;
    }
    status = file_writer_commit(&w, e);
out:
    if (status)
        file_writer_abandon(&w);
    return status;
}

int safetensors_write(const char *path, const struct safetensor *tensors, int count,
                      const struct safetensors_pair *metadata, int pairs, struct err *e)
{
    int *order = xcalloc((size_t)count, sizeof *order);
    order_by_width(tensors, count, order);
    size_t header_bytes;
    char *header = make_header(tensors, order, count, metadata, pairs, &header_bytes);
    struct hash h;
    char hex[HASH_HEX];
    hash_init(&h, HASH_SHA256);
    hash_add(&h, header, header_bytes);
    for (int i = 0; i < count; i++)
        hash_add(&h, tensors[order[i]].data, tensors[order[i]].bytes);
    hash_hex(&h, hex);
    memcpy(find_seal(header, header_bytes), hex, 64);
    int status = write_all(path, tensors, order, count, header, header_bytes, e);
    free(header);
    free(order);
    return status;
}

/* Bytes of the elements that shape and type say, or -1. */
static int shape_bytes(struct safetensor *t, const json_t *shape, size_t element, size_t *bytes)
{
    *bytes = element;
    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSOR_DIMS)
        return -1;
    t->ndim = (int)json_array_size(shape);
    for (int d = 0; d < t->ndim; d++) {
        const json_t *dim = json_array_get(shape, (size_t)d);
        if (!json_is_integer(dim) || json_integer_value(dim) < 0)
            return -1;
        t->dims[d] = json_integer_value(dim);
        if (__builtin_mul_overflow(*bytes, (size_t)t->dims[d], bytes))
            return -1;
    }
    return 0;
}

/* One entry of the header; data[size] is the file's data. */
static int read_entry(struct safetensor *t, const char *name, const json_t *entry, const char *data,
                      size_t size, struct err *e)
{
    const char *type_name = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    size_t type = 0, bytes;
    *t = (struct safetensor){.name = name};
    while (type_name && type < TYPE_COUNT && strcmp(types[type].name, type_name) != 0)
        type++;
    if (!type_name || type == TYPE_COUNT)
        return err_set(e, EXIT_DATA, "tensor '%.100s' has an unknown type", name);
    t->type = type < SAFETENSOR_OTHER ? (enum safetensor_type)type : SAFETENSOR_OTHER;
    if (shape_bytes(t, json_object_get(entry, "shape"), types[type].bytes, &bytes))
        return err_set(e, EXIT_DATA, "tensor '%.100s' has an impossible shape", name);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin) ||
        (size_t)json_integer_value(end) > size)
        return err_set(e, EXIT_DATA, "tensor '%.100s' lies outside the file", name);
    t->bytes = (size_t)(json_integer_value(end) - json_integer_value(begin));
    if (t->bytes != bytes)
        return err_set(e, EXIT_DATA, "tensor '%.100s' has %zu bytes, but its shape needs %zu", name,
                       t->bytes, bytes);
    t->data = data + json_integer_value(begin);
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The tensors must cover data[size] without holes or overlaps. Sorts them by place. */
static int check_cover(struct safetensors *s, const char *data, size_t size, struct err *e)
{
    qsort(s->tensors, (size_t)s->count, sizeof *s->tensors, compare_places);
    const char *at = data;
    for (int i = 0; i < s->count; i++) {
        const struct safetensor *t = &s->tensors[i];
        if (t->data != at)
            return err_set(e, EXIT_DATA, "tensor '%.100s' %s", t->name,
                           (const char *)t->data < at ? "overlaps another" : "follows a hole");
        at += t->bytes;
    }
    if (at != data + size)
        return err_set(e, EXIT_DATA, "%zu bytes at the end belong to no tensor",
                       (size_t)(data + size - at));
    return 0;
}

static int check_metadata(const json_t *meta, struct err *e)
{
    const char *key;
    json_t *value;
    if (!json_is_object(meta))
        return err_set(e, EXIT_DATA, "the metadata is not an object");
    json_object_foreach ((json_t *)(uintptr_t)meta, key, value) {
        if (!json_is_string(value))
            return err_set(e, EXIT_DATA, "the metadata '%.100s' is not text", key);
    }
    return 0;
}

/* Compares the file's hash with the one it carries, if it does. */
static int check_seal(struct safetensors *s, char *header, size_t bytes, const char *data,
                      size_t size, struct err *e)
{
    const char *told = safetensors_metadata(s, seal_key);
    if (!told)
        return 0;
    char *at = find_seal(header, bytes), hex[HASH_HEX];
    if (!at || strlen(told) != 64)
        return err_set(e, EXIT_DATA, "its hash is not where it should be");
    memcpy(at, no_seal, 64);
    struct hash h;
    hash_init(&h, HASH_SHA256);
    hash_add(&h, header, bytes);
    hash_add(&h, data, size);
    hash_hex(&h, hex);
    if (memcmp(hex, told, 64) != 0)
        return err_set(e, EXIT_DATA, "the content does not match its SHA-256: it is damaged");
    s->sealed = true;
    return 0;
}

/* Parses s->file[bytes]. */
static int parse(struct safetensors *s, size_t bytes, struct err *e)
{
    uint64_t n;
    json_error_t error;
    if (bytes < sizeof n)
        return err_set(e, EXIT_DATA, "%zu bytes are too few for a header", bytes);
    memcpy(&n, s->file, sizeof n);
    if (n > HEADER_MAX || n > bytes - sizeof n)
        return err_set(e, EXIT_DATA, "it ends within its header, or is no safetensors file");
    char *header = s->file + sizeof n, *data = header + n;
    size_t size = bytes - sizeof n - n;
    if (n == 0 || header[0] != '{')
        return err_set(e, EXIT_DATA, "the header does not start with '{'");
    s->header = json_loadb(header, n, JSON_REJECT_DUPLICATES, &error);
    if (!s->header)
        return err_set(e, EXIT_DATA, "the header does not parse: %.200s", error.text);
    s->tensors = xcalloc(json_object_size(s->header), sizeof *s->tensors);
    const char *name;
    json_t *entry;
    json_object_foreach (s->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0) {
            if (check_metadata(entry, e))
                return -1;
        } else if (read_entry(&s->tensors[s->count++], name, entry, data, size, e)) {
            return -1;
        }
    }
    if (check_cover(s, data, size, e))
        return -1;
    return check_seal(s, header, n, data, size, e);
}

int safetensors_read(struct safetensors *s, const char *path, struct err *e)
{
    size_t bytes;
    *s = (struct safetensors){0};
    if (file_read(path, &s->file, &bytes, EXIT_DATA, e))
        return -1;
    if (parse(s, bytes, e))
        return err_prefix(e, "cannot use '%.200s'", path);
    return 0;
}

void safetensors_release(struct safetensors *s)
{
    json_decref(s->header);
    free(s->tensors);
    free(s->file);
    *s = (struct safetensors){0};
}

const struct safetensor *safetensors_find(const struct safetensors *s, const char *name)
{
    for (int i = 0; i < s->count; i++) {
        if (strcmp(s->tensors[i].name, name) == 0)
            return &s->tensors[i];
    }
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *s, const char *key)
{
    return json_string_value(json_object_get(json_object_get(s->header, "__metadata__"), key));
}
