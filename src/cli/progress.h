/* progress.h - how training looks while it goes on, on stderr.
 *
 * On a terminal one line is redrawn, at most ten times a second, below a table that grows by a row
 * an epoch. Elsewhere only whole lines: the rows, and in long epochs a line every 30 seconds.
 */
#ifndef KILN_CLI_PROGRESS_H
#define KILN_CLI_PROGRESS_H

#include <stdbool.h>

#include "train/observer.h"

struct progress {
    bool terminal;
    bool line_stands;            /* an unfinished line is on the terminal */
    double last_drawn;           /* clock_seconds */
    uint64_t first_step, last_step, steps_per_epoch;
    double loss;                 /* smoothed over about 20 steps */
    double step_seconds;         /* likewise, evaluation left out */
    double eval_seconds;         /* of the last evaluation */
};

/* An observer that draws; p must live as long as it. */
struct observer progress_observer(struct progress *p);

/* Finishes the redrawn line, so that something else can be printed. */
void progress_clear(struct progress *p);

/* Width of the terminal behind stderr, 80 if it does not tell. */
int progress_columns(void);

/* "4:05", "1:02:03" or, beyond 99 hours, "12 days" in text[16]. */
void progress_duration(double seconds, char text[16]);

#endif
