/* groups.h - runs put together into configurations: for report.c. */
#ifndef KILN_REPORT_GROUPS_H
#define KILN_REPORT_GROUPS_H

#include "report/report.h"

/* Sorts the runs into groups: those of one differ in their seed, and in settings that do not make
 * another experiment of a run, alone. */
void groups_make(struct report *r);

/* Finds the settings that differ between the groups, and makes of them, or of their names, what the
 * groups are called. Of groups in their final order. */
void groups_label(struct report *r);

#endif
