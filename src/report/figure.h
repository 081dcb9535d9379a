/* figure.h - a chart with what a reader needs to understand it.
 *
 * A chart is a Chart.js configuration: the file web/charts/<name>.json, with data filled in. kiln
 * writes the data sets as {"role", "label", "key", "colour", "xy": [x, y, x, y ...]}; a role names
 * a style in the file's "roles", a key the entry of the legend that shows and hides it, a colour
 * the place in the palette (0: none). web/page.js makes Chart.js data sets of them.
 */
#ifndef KILN_REPORT_FIGURE_H
#define KILN_REPORT_FIGURE_H

#include <jansson.h>
#include <stdio.h>

#include "report/report.h"

struct figure {
    const char *id;        /* of the element: lower case and dashes; unique in the page */
    const char *title;
    const char *takeaway;  /* what the data say, in a sentence */
    const char *alt;       /* what is drawn, for who cannot see it */
    const char *notes;     /* n, the definition of the band, what lines are means of */
    const char *section;   /* that it belongs to: report/section.h */
};

/* A copy of web/charts/<name>.json for the caller to fill and to json_decref. */
json_t *chart_new(const char *name);

/* Title of an axis ("x", "y"); `type` "logarithmic" or "linear", or NULL to leave it. */
void chart_axis(json_t *chart, const char *axis, const char *title, const char *type);

/* Points of a page's budget that one curve may have, when `curves` are drawn in all. */
size_t chart_points(size_t curves);

/* Adds a data set of the points x[n], y[n], of which at most `most` are kept (min/max decimation;
 * 0: all). Points that are not finite are left out. Returns the data set, borrowed. */
json_t *chart_add(json_t *chart, const char *role, const char *label, const char *key, int colour,
                  const double *x, const double *y, size_t n, size_t most);

/* Adds low and high as two data sets with the space between them filled. */
void chart_add_band(json_t *chart, const char *label, const char *key, int colour, const double *x,
                    const double *low, const double *high, size_t n);

/* A real as short as JSON can have it: 3 instead of 3.0. */
json_t *chart_number(double value);

/* Writes the figure. The chart is only read. */
void figure_write(FILE *out, const struct report *r, const struct figure *f, const json_t *chart);

/* The command that draws a section of this page again, or all of it (NULL), as a <code> element. Of
 * many runs that of a section names the first. */
void figure_command(FILE *out, const struct report *r, const char *section);

#endif
