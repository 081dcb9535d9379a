/* table.c - see table.h. */
#include "store/table.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { ROW = 4096 };

static size_t print_header(const struct table *t, char *row)
{
    size_t used = 0;
    for (int i = 0; t->columns[i]; i++) {
        int n = snprintf(row + used, ROW - used, "%s%s", i ? "," : "", t->columns[i]);
        used += (size_t)n;
        assert(used + 2 < ROW);
    }
    memcpy(row + used, "\r\n", 3);
    return used + 2;
}

static int step_column(const struct table *t)
{
    for (int i = 0; t->columns[i]; i++)
        if (strcmp(t->columns[i], "step") == 0)
            return i;
    assert(false && "a table of a run has a column 'step'");
    return 0;
}

/* The number in field `column` of a row. */
static double field(const char *row, int column)
{
    for (; column > 0 && row; column--) {
        row = strchr(row, ',');
        row = row ? row + 1 : NULL;
    }
    return row ? strtod(row, NULL) : 0;
}

/* How many bytes of the table text[bytes] hold the header and the rows up to last_step. */
static size_t kept_bytes(const struct table *t, const char *text, size_t header,
                         uint64_t last_step)
{
    size_t keep = header;
    int column = step_column(t);
    for (const char *end; (end = strchr(text + keep, '\n')); keep = (size_t)(end - text) + 1)
        if (field(text + keep, column) > (double)last_step)
            break;
    return keep;
}

int table_open(struct table *t, const char *path, const char *const *columns, uint64_t last_step,
               struct err *e)
{
    char header[ROW], *text;
    size_t bytes, keep = 0;
    t->columns = columns;
    t->file.fd = -1;
    size_t header_bytes = print_header(t, header);
    if (file_exists(path)) {
        if (file_read(path, &text, &bytes, EXIT_DATA, e))
            return -1;
        bool mine = bytes >= header_bytes && memcmp(text, header, header_bytes) == 0;
        bool torn = bytes < header_bytes && memcmp(text, header, bytes) == 0;
        keep = mine ? kept_bytes(t, text, header_bytes, last_step) : 0;
        free(text);
        if (!mine && !torn)
            return err_set(e, EXIT_DATA, "'%s' has other columns than this version writes", path);
    }
    if (append_open(&t->file, path, keep, e))
        return -1;
    return keep || append_add(&t->file, header, header_bytes, e) >= 0 ? 0 : -1;
}

int table_add(struct table *t, const double *values, struct err *e)
{
    char row[ROW];
    size_t used = 0;
    for (int i = 0; t->columns[i]; i++) {
        if (i)
            row[used++] = ',';
        if (!isnan(values[i]))
            used += (size_t)snprintf(row + used, ROW - used, "%.9g", values[i]);
        assert(used + 3 < ROW);
    }
    memcpy(row + used, "\r\n", 2);
    int waits = append_add(&t->file, row, used + 2, e);
    return waits ? waits : append_sync(&t->file, e);
}

int table_sync(struct table *t, struct err *e)
{
    return append_sync(&t->file, e);
}

void table_close(struct table *t)
{
    append_close(&t->file);
}
