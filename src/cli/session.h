/* session.h - what kiln train and kiln resume share: from resolved configuration to result. */
#ifndef KILN_CLI_SESSION_H
#define KILN_CLI_SESSION_H

#include "cli/recorder.h"

struct session {
    const struct invocation *inv;
    const struct config *config;
    const struct images *images;
    struct recorder *recorder;
    const char *resume_from;     /* weights file of a checkpoint, or NULL */
};

/* Trains with progress and records, prints the result on stdout, and returns the exit code; or -1
 * with e filled. */
int session_run(const struct session *s, struct err *e);

#endif
