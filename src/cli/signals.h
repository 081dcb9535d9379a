/* signals.h - asking a run to end: by a signal, or because its records cannot be written.
 *
 * SIGINT, SIGTERM and SIGUSR1 ask: the step is finished and a checkpoint written. A second SIGINT
 * or SIGTERM quits at once. SIGPIPE is ignored: talk that nobody reads must not end a run.
 */
#ifndef KILN_CLI_SIGNALS_H
#define KILN_CLI_SIGNALS_H

#include <signal.h>

#include "base/err.h"

/* What the flag holds when no signal, but kiln itself asked. */
enum { STOP_RECORDS = 1000 };

void signals_install(void);

/* 0, or the number of the signal that came first, or STOP_RECORDS. */
const volatile sig_atomic_t *signals_flag(void);

/* Asks for an end because of STOP_RECORDS. */
void signals_stop_records(void);

/* The exit code of a run that ended because of this signal. */
enum exit_code signals_exit_code(int signal_number);

#endif
