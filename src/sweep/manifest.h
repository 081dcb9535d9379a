/* manifest.h - manifest.json: where a run came from, and what became of it. docs/formats.md lists
 * the keys. */
#ifndef KILN_SWEEP_MANIFEST_H
#define KILN_SWEEP_MANIFEST_H

#include "base/json.h"
#include "data/dataset.h"
#include "train/config.h"
#include "train/observer.h"

/* What a record tells about the program and about the call that made it: cli/ knows them. */
struct provenance {
    int argc;
    char *const *argv;           /* [argc] */
    const json_t *build;         /* version, revision, compiler, libraries ...; borrowed */
};

/* Now, in UTC: "2026-11-23T20:32:59Z". */
json_t *manifest_time(void);

/* {"host": ..., "pid": ...} of this process. */
json_t *manifest_process(void);

/* The manifest of a new run: configuration and data, no session yet. */
json_t *manifest_new(const struct config *c, const char *recipe, const struct images *images,
                     const char *steps_down);

/* Checks that a run can be taken up with this configuration and these images: EXIT_USAGE for
 * another configuration, EXIT_DATA for other images. `path` names the run. */
int manifest_check(const json_t *manifest, const char *path, const struct config *c,
                   const struct images *images, struct err *e);

/* Makes the config take the convolution algorithms that the run recorded, if it recorded any. */
int manifest_take_convolutions(const json_t *manifest, const char *path, struct config *c,
                               struct err *e);

/* Makes the config take the kernel tier of the run's first session; `asked`: unless the user named
 * another, whose bits are others, which is said aloud. Fails with EXIT_USAGE when this machine
 * cannot run the tier. */
int manifest_take_tier(const json_t *manifest, const char *path, bool asked, struct config *c,
                       struct err *e);

/* One process's part in a run, begun now: command line, build, libraries, machine. */
json_t *manifest_session(const struct provenance *from);

/* Adds what is known when the first step is about to be done: network, memory, tier, threads. */
void manifest_add_run(json_t *manifest, json_t *session, const struct run_event *event);

/* Ends a session: time, last step, reason. */
void manifest_end_session(json_t *session, const struct train_result *result, int exit_status,
                          const char *sentence);

#endif
