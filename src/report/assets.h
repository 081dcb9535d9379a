/* assets.h - the files of web/, and Chart.js where the build found it, inside the program.
 *
 * A report must open years later, on another machine, without a network: so whatever a page needs
 * travels with kiln and is written into the page. The table is made by cmake/embed.cmake.
 */
#ifndef KILN_REPORT_ASSETS_H
#define KILN_REPORT_ASSETS_H

#include <stddef.h>

struct asset {
    const char *name;    /* "page.css", "charts/curve.json", "chart.js"; NULL ends the table */
    const char *text;    /* ended by a zero byte that `bytes` does not count */
    size_t bytes;
};

extern const struct asset assets[];

/* The file of this name, or NULL: only chart.js may be missing. */
const struct asset *asset_find(const char *name);

#endif
