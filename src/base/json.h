/* json.h - jansson, as kiln uses it: keys in insertion order, floats that read back exactly. */
#ifndef KILN_BASE_JSON_H
#define KILN_BASE_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "base/err.h"

/* A real; JSON has no NaN and no infinity, so those become null. */
json_t *json_number(double value);

/* A text of any bytes, as names of files are. JSON knows only UTF-8: where the text is none, every
 * byte beyond ASCII becomes '?'. */
json_t *json_text(const char *text);

/* A number; NaN where there is none (NULL, null) or something else. */
double json_real_of(const json_t *value);

/* A member of an object: "" or NaN where it is not there or of another kind. */
const char *json_text_at(const json_t *o, const char *key);
double json_real_at(const json_t *o, const char *key);

/* The object of an array whose member `key` is the text `value`; NULL if there is none. It stays
 * the array's. */
json_t *json_find(const json_t *array, const char *key, const char *value);

/* One line of text without its newline: floats to 9 significant digits (an fp32 reads back to the
 * same bits). The caller frees. */
char *json_line(const json_t *value);

/* Indented text for people, ended by a newline. Returns -1 if the stream failed. */
int json_print(const json_t *value, FILE *out);

/* Writes the indented text to `path`, atomically. */
int json_write(const json_t *value, const char *path, struct err *e);

/* Reads one JSON object from a file; `code` is the error's. NULL and a sentence in e if the file
 * cannot be read, is not JSON, or is not an object. The caller ends it with json_decref. */
json_t *json_read(const char *path, enum exit_code code, struct err *e);

#endif
