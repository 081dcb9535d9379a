/* write_report.c - see write_report.h. */
#include "cli/write_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/html.h"
#include "report/page.h"

int write_page(const struct report *r, const char *title, const char *const *only,
               const char *path, struct err *e)
{
    const struct page_options o = {.title = title, .only = only};
    char *text;
    size_t bytes;
    FILE *out = html_memory(&text, &bytes);
    page_write(out, r, &o);
    fclose(out);
    int rc = 0;
    if (strcmp(path, "-") == 0)
        fwrite(text, 1, bytes, stdout);
    else
        rc = file_write(path, text, bytes, e);
    free(text);
    return rc;
}

int write_report(const char *const *paths, size_t count, const char *title, const char *path,
                 const char *const *only, struct err *e)
{
    struct report r;
    int rc = report_open(&r, paths, count, e);
    if (!rc)
        rc = write_page(&r, title, only, path, e);
    report_release(&r);
    return rc;
}
