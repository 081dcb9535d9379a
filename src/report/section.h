/* section.h - the parts of a page, each one `const struct report_section` in a file of its own and
 * a line in the list in sections.c.
 *
 * A section writes HTML about a report, or nothing when it does not apply: then the page leaves it
 * out. Text from outside goes through report/html.h, charts through report/figure.h.
 */
#ifndef KILN_REPORT_SECTION_H
#define KILN_REPORT_SECTION_H

#include <stdio.h>

#include "report/report.h"

struct report_section {
    const char *name;    /* its id in the page, and what --only calls it: lower case */
    const char *title;   /* heading, or "" for none */
    void (*write)(const struct report *r, FILE *out);
};

/* NULL-ended, in the order of the page. */
extern const struct report_section *const report_sections[];

const struct report_section *section_find(const char *name);

/* Calls `say` with each thing that a reader should be wary of: a heading and a sentence. Returns
 * how many there are; `say` may be NULL. */
size_t report_warnings(const struct report *r,
                       void (*say)(void *context, const char *title, const char *sentence),
                       void *context);

#endif
