/* signals.h - asking a run to end.
 *
 * SIGINT, SIGTERM and SIGUSR1 ask: the step is finished and a checkpoint written. A second SIGINT
 * or SIGTERM quits at once. SIGPIPE is ignored: talk that nobody reads must not end a run.
 */
#ifndef KILN_CLI_SIGNALS_H
#define KILN_CLI_SIGNALS_H

#include <signal.h>

void signals_install(void);

/* SIGPIPE alone, from the first word on: what is said while images load has readers too. */
void signals_ignore_pipe(void);

/* 0, or the number of the signal that came first. The recorder (sweep/recorder.h) asks for an end
 * through the same flag. */
volatile sig_atomic_t *signals_flag(void);

#endif
