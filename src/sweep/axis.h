/* axis.h - one key of the configuration that varies, and over what: the text behind --vary.
 *
 *     lr=0.05,0.1,0.2          a list
 *     knots=0:0,5:1|0:0,9:1    a list of values that have commas themselves
 *     lr=0.05..1.6:log2        a range that doubles: 0.05, 0.1 ... 1.6 (no further than its end)
 *     lr=0.01..1:log9          9 points, each the same factor from the last
 *     momentum=0.8..0.95:lin4  4 points, each the same step from the last
 *     lr=0.01..1:log           no points of its own, for --sample; without :log it is linear
 *
 * Values are kept as the text that the configuration prints, so that 1e-1 and 0.10 are the same.
 * Points of ranges are rounded to 6 significant digits (to integers where the key is one): they can
 * be read, and no machine's pow() makes other values, and with them other trials, of the same text.
 */
#ifndef KILN_SWEEP_AXIS_H
#define KILN_SWEEP_AXIS_H

#include <stdbool.h>

#include "base/arena.h"
#include "train/config.h"

enum axis_scale { AXIS_LIST, AXIS_LINEAR, AXIS_LOG };

enum { AXIS_VALUES = 4096 }; /* at most */

struct axis {
    const struct option_def *option;
    const char *key;
    enum axis_scale scale;
    bool is_range;               /* it has ends; its points are in `values` unless count is 0 */
    double low, high;
    const char **values;         /* [count]; in `memory` */
    int count;
};

/* "list", "linear", "log". */
const char *axis_scale_name(enum axis_scale scale);

/* Reads one. Fails with EXIT_USAGE: unknown key, value out of range, or a text that is none of the
 * above. */
int axis_parse(struct axis *a, struct arena *memory, const char *text, struct err *e);

/* Its value at u in [0, 1), for sampling: text in `memory`. */
const char *axis_at(const struct axis *a, struct arena *memory, double u);

#endif
