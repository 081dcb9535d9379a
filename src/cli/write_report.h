/* write_report.h - a report of runs as an HTML file: for the commands that end with one. */
#ifndef KILN_CLI_WRITE_REPORT_H
#define KILN_CLI_WRITE_REPORT_H

#include "report/report.h"

/* Writes the page of an opened report to `path` ("-": standard output). `title` may be NULL, as may
 * `only`, a NULL-ended list of sections. */
int write_page(const struct report *r, const char *title, const char *const *only,
               const char *path, struct err *e);

/* Opens what lies at paths[count] and writes its page. */
int write_report(const char *const *paths, size_t count, const char *title, const char *path,
                 const char *const *only, struct err *e);

#endif
