/* axes.h - the settings that vary between a report's configurations, as axes of drawings. */
#ifndef KILN_REPORT_AXES_H
#define KILN_REPORT_AXES_H

#include "report/report.h"

/* The different values of one varied setting, ascending; values that are no numbers in the order of
 * the groups. */
struct axis {
    const char *key;
    bool numbers;
    bool logarithmic;            /* numbers over a factor of 4 or more, all positive */
    const char **texts;          /* [count]; borrowed from the report */
    double *values;              /* [count]; 0, 1, 2 ... of texts */
    size_t count;
};

void axis_init(struct axis *a, const struct report *r, const char *key);
void axis_release(struct axis *a);

/* Which of the values a group has. */
size_t axis_place(const struct axis *a, const struct report *r, const struct report_group *g);

/* The varied setting that learning curves are best seen against: lr, else the first that is a
 * number; NULL if none is, or no run has a result or will have one. */
const char *axes_main(const struct report *r);

/* The one to set beside it: batch, else the first other number; NULL if there is none. */
const char *axes_second(const struct report *r);

/* Groups that are equal in all varied settings but `key`: family[group_count] gets their number,
 * from 0 in the order of the groups. Returns how many families there are. */
size_t axes_families(const struct report *r, const char *key, size_t *family);

/* The varied settings of a group but `key`: "batch 128 · net resnet9"; "" if there is no other. If
 * there are many, the first of them and the group's number. */
const char *axes_family_label(const struct report *r, const struct report_group *g,
                              const char *key, char text[512]);

#endif
