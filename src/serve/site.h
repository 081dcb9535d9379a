/* site.h - what the live page answers, without the network: a request in, a response out.
 *
 *     /                 the runs of the folder, newest first
 *     /api/runs         rows of that list          ?where= sort= reverse=1 limit=
 *     /report           a report that goes on      ?run=PATH&run=PATH...
 *     /api/report       its parts                  ...&version=V: 304 while nothing has changed
 *
 * Read-only, and only for this machine: whatever is not a GET or HEAD for one of these, comes with
 * another Host than the loopback's (a page elsewhere whose name was pointed here), or names a path
 * that leaves the folder - by "..", absolutely, or through a link - is refused. Nothing here takes
 * a lock that a run could wait for.
 */
#ifndef KILN_SERVE_SITE_H
#define KILN_SERVE_SITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "report/report.h"
#include "store/index.h"

enum { SITE_PARAMETERS = 512, SITE_CACHED = 4 };

/* One ?name=value, decoded; borrowed. */
struct site_parameter {
    const char *name, *value;
};

struct site_request {
    const char *method, *path, *host; /* host: NULL if the request has none */
    bool has_body;
    struct site_parameter parameters[SITE_PARAMETERS];
    size_t parameter_count;
    bool too_many;                    /* there were more of them */
};

struct site_response {
    int status;
    const char *type;                 /* "text/html; charset=utf-8" */
    char *body;                       /* heap; the caller frees. NULL: empty */
    size_t bytes;
};

/* A report that is looked at; kept, so that only what is new of its runs is read. */
struct site_report {
    char *key;                        /* its runs, as they were asked for; NULL: free */
    char **paths;                     /* the same, in the folder */
    size_t path_count;
    struct report report;
    char version[65];
    unsigned long used;               /* the greatest was used last */
};

struct site {
    char folder[4096];                /* without links */
    struct index index;
    double updated;                   /* clock_seconds of the last index_update */
    struct site_report reports[SITE_CACHED];
    unsigned long clock;
};

/* `settings`: all keys of the configuration, NULL-ended; borrowed. Fails with EXIT_DATA when the
 * folder cannot be read. Needs site_close in either case. */
int site_open(struct site *s, const char *folder, const char *const *settings, struct err *e);
void site_close(struct site *s);

/* Answers. Never fails: what went wrong is a response too. Not for several threads at once. */
void site_answer(struct site *s, const struct site_request *q, struct site_response *a);

/* Whether a path below the folder, as a request names it, is a place inside. Writes where it is to
 * place[4096]. */
bool site_inside(const struct site *s, const char *path, char *place);

/* Whether the Host header names this machine's loopback, with any port. */
bool site_host(const char *host);

#endif
