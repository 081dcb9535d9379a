/* chart.h - curves drawn with characters. */
#ifndef KILN_CLI_CHART_H
#define KILN_CLI_CHART_H

#include <stdbool.h>
#include <stdio.h>

struct chart {
    const char *title;
    const double *values;   /* [count]: the curve, evenly spaced in x */
    int count;              /* columns of the drawing */
    int rows;
    double x_first, x_last; /* what the ends of the x axis stand for */
    const char *x_name;
    bool ascii;             /* only characters that every terminal has */
};

/* Draws the curve over axes with numbers; the y axis goes from 0, or the least value if that is
 * below, to the greatest. */
void chart_print(const struct chart *chart, FILE *out);

/* Whether the locale of the environment can show more than ASCII. */
bool chart_unicode(void);

#endif
