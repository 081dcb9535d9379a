/* page.h - a report as one HTML file, or in pieces for a page that is open already. */
#ifndef KILN_REPORT_PAGE_H
#define KILN_REPORT_PAGE_H

#include <jansson.h>
#include <stdio.h>

#include "report/report.h"

struct page_options {
    const char *title;           /* NULL: made from the report */
    const char *const *only;     /* names of sections, NULL-ended; NULL: all */
    const char *version;         /* of what is shown, for a live page; NULL for a file */
    const char *home;            /* address that the wordmark leads to, or NULL */
};

/* Writes the whole page. It asks for nothing from anywhere: styles, code, Chart.js and pictures are
 * in it, and its Content-Security-Policy allows no other. */
void page_write(FILE *out, const struct report *r, const struct page_options *o);

/* {"version", "title", "sections": [{"id", "title", "html"}]}: what a live page replaces. */
json_t *page_json(const struct report *r, const struct page_options *o);

/* The start of a page of kiln's, up to <main>, and its end; `policy` is added to the policy ("" or
 * "connect-src 'self'"). page_begin writes the styles, page_end the code. */
void page_begin(FILE *out, const char *title, const char *policy, const char *home);
void page_end(FILE *out);

#endif
