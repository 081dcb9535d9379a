/* runs.h - what the parts of `kiln runs` share. */
#ifndef KILN_CLI_RUNS_H
#define KILN_CLI_RUNS_H

#include "cli/cli.h"
#include "store/index.h"

struct runs_args {
    char runs[OPTION_TEXT_SIZE];     /* the folder */
    char where[OPTION_TEXT_SIZE];
    char sort[OPTION_TEXT_SIZE];
    char columns[OPTION_TEXT_SIZE];
    bool reverse, csv, yes;
    int limit;
};

struct setting_list {
    const char *names[512];
};

/* The keys of the configuration, NULL-ended, in l->names, for index_open. */
const char *const *setting_names(struct setting_list *l);

/* The run directory that an operand means: a path, or an id as index_find takes it in `folder`.
 * Writes path[4096]. */
int run_find(const char *folder, const char *name, char *path, struct err *e);

/* What `name` means to a command that takes a run or a file: itself if it is there, else the run of
 * that name in runs/, else itself again, for the caller to say that it is not there. Fails with
 * EXIT_USAGE if several runs have the name. Writes path[4096]. */
int run_named(const char *name, char *path, struct err *e);

/* One row's value for people, in text[64] or elsewhere: "" where it is not known. */
const char *value_text(const char *key, const struct index_value *v, char text[64]);

int runs_list(struct invocation *inv, struct err *e);
int runs_show(struct invocation *inv, struct err *e);
int runs_diff(struct invocation *inv, struct err *e);
int runs_remove(struct invocation *inv, struct err *e);

#endif
