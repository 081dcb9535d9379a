/* json.c - see json.h. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"

enum { PRECISION = JSON_REAL_PRECISION(9) };

json_t *json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_text(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    size_t n = strlen(text);
    char *ascii = xmalloc(n + 1);
    for (size_t i = 0; i <= n; i++)
        ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    value = json_string(ascii);
    free(ascii);
    return value;
}

double json_real_of(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *json_text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

double json_real_at(const json_t *o, const char *key)
{
    return json_real_of(json_object_get(o, key));
}

json_t *json_find(const json_t *array, const char *key, const char *value)
{
    size_t i;
    json_t *o;
    json_array_foreach(array, i, o) {
        const char *text = json_string_value(json_object_get(o, key));
        if (text && strcmp(text, value) == 0)
            return o;
    }
    return NULL;
}

/* Only a lack of memory makes dumping fail. */
static char *dump(const json_t *value, size_t flags)
{
    char *text = json_dumps(value, flags | PRECISION);
    if (!text) {
        fprintf(stderr, "kiln: out of memory writing JSON\n");
        exit(EXIT_FAILED);
    }
    return text;
}

char *json_line(const json_t *value)
{
    return dump(value, JSON_COMPACT);
}

int json_print(const json_t *value, FILE *out)
{
    char *text = dump(value, JSON_INDENT(2));
    int rc = fprintf(out, "%s\n", text) < 0 || fflush(out) ? -1 : 0;
    free(text);
    return rc;
}

int json_write(const json_t *value, const char *path, struct err *e)
{
    char *text = dump(value, JSON_INDENT(2));
    size_t n = strlen(text);
    text[n] = '\n'; /* takes the place of the end, which is not written */
    int rc = file_write(path, text, n + 1, e);
    free(text);
    return rc;
}

json_t *json_read(const char *path, enum exit_code code, struct err *e)
{
    char *text;
    size_t bytes;
    if (file_read(path, &text, &bytes, code, e))
        return NULL;
    json_error_t cause;
    json_t *value = json_loadb(text, bytes, 0, &cause);
    free(text);
    if (!value) {
        err_set(e, code, "%s:%d:%d: %s", path, cause.line, cause.column, cause.text);
        return NULL;
    }
    if (!json_is_object(value)) {
        err_set(e, code, "%s: not a JSON object", path);
        json_decref(value);
        return NULL;
    }
    return value;
}
