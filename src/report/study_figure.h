/* study_figure.h - a figure of study.json (docs/formats.md) as a chart of the page. */
#ifndef KILN_REPORT_STUDY_FIGURE_H
#define KILN_REPORT_STUDY_FIGURE_H

#include <jansson.h>
#include <stdio.h>

#include "report/report.h"

/* Writes figure number `number` of the study. What in it is not as it should be is left out. */
void study_figure_write(FILE *out, const struct report *r, const json_t *figure, size_t number);

#endif
