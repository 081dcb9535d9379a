/* attend.h - training that somebody watches: what kiln train and kiln resume share, from resolved
 * configuration to printed result. */
#ifndef KILN_CLI_ATTEND_H
#define KILN_CLI_ATTEND_H

#include "cli/cli.h"
#include "sweep/session.h"

/* What the records of this call say about it. provenance_release ends it. */
struct provenance provenance_of(const struct invocation *inv);
void provenance_release(struct provenance *from);

/* Trains with progress and records, prints the result on stdout, and returns the exit code; or -1
 * with e filled. */
int attend_run(const struct invocation *inv, struct session *s, struct err *e);

#endif
