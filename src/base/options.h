/* options.h - one table of keys drives everything that reads or shows them.
 *
 * A table (ended by name = NULL) describes the members of one plain struct: parsing of command
 * lines, `--set key=value`, KILN_* environment variables and recipe files, range checks, --help,
 * the banner, the saved config.ini, the man page and the completions all come from it. The key
 * weight_decay is --weight-decay on the command line and KILN_WEIGHT_DECAY in the environment.
 */
#ifndef KILN_BASE_OPTIONS_H
#define KILN_BASE_OPTIONS_H

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

enum option_type {
    OPTION_INT,      /* int */
    OPTION_SEED,     /* uint64_t */
    OPTION_REAL,     /* double; prints so that it reads back to the same bits */
    OPTION_FLAG,     /* bool: yes/no, true/false, on/off, 1/0; --name and --no-name */
    OPTION_TEXT,     /* char [OPTION_TEXT_SIZE] */
    OPTION_CHOICE,   /* int: index into `choices`, "constant|linear|cosine" */
    OPTION_LIST,     /* char [OPTION_LIST_SIZE]: may be given again, each time adds a line; its
                        default is ""; for command lines only */
};

enum { OPTION_TEXT_SIZE = 512, OPTION_LIST_SIZE = 4096 };

struct option_def {
    const char *name;       /* key: lower case, underscores */
    enum option_type type;
    size_t offset;          /* of the member */
    const char *fallback;   /* default, as text */
    double min, max;        /* inclusive, for INT, SEED, REAL. TEXT: 0 for what must survive
                               config.ini; else the longest, in bytes, and any text will do */
    const char *choices;    /* for CHOICE */
    const char *unit;       /* "images", "epochs", ... or NULL */
    const char *group;      /* heading in --help and in config.ini */
    const char *help;       /* one line, no full stop */
    /* Further check of the whole value, or NULL; fills e's text with the cause. */
    int (*check)(const char *value, struct err *e);
};

/* Sets every member to its default. */
void options_default(const struct option_def *table, void *config);

/* Sets one key. `origin` says where the value came from, for the message ("recipes/a.ini:12",
 * "--set", "KILN_LR"). Unknown keys (with the nearest match), values that do not parse and values
 * out of range fail with EXIT_USAGE and leave the config as it was. */
int options_set(const struct option_def *table, void *config, const char *key, const char *value,
                const char *origin, struct err *e);

/* The value as text that options_set reads back; out[OPTION_TEXT_SIZE]. */
void options_get(const struct option_def *table, const void *config, const char *key, char *out);

/* Reads an .ini file (inih; sections are only headings). Reports file and line. */
int options_read_ini(const struct option_def *table, void *config, const char *path,
                     struct err *e);

/* Reads any .ini file: calls `visit` with each key and value in order, and where they stand
 * ("recipes/a.ini:12"), until it returns non-zero (it fills e). Fails with EXIT_USAGE for a file
 * that cannot be read or a line that is neither. */
typedef int (*ini_visit_fn)(void *context, const char *origin, const char *key, const char *value,
                            struct err *e);
int ini_each(const char *path, ini_visit_fn visit, void *context, struct err *e);

/* Sets every key that has a KILN_<KEY> environment variable, but those of `except` (NULL-ended, or
 * NULL), whose variables mean something else. */
int options_read_environment(const struct option_def *table, void *config,
                             const char *const *except, struct err *e);

/* Fails (EXIT_USAGE) for a KILN_<KEY> variable that is nearly one of the table's, as unknown keys
 * do elsewhere. Any other is taken to be somebody else's, as are those of `others` (NULL-ended). */
int options_check_environment(const struct option_def *table, const char *const *others,
                              struct err *e);

/* Prints the resolved values as .ini text with groups as headings; reading it back gives the same
 * bits. */
void options_print_ini(const struct option_def *table, const void *config, FILE *out);

/* The same as heap text; the caller frees. */
char *options_ini_text(const struct option_def *table, const void *config);

/* Prints the --help lines of a table: option, default, unit, range, help. */
void options_print_help(const struct option_def *table, FILE *out);

/* What stands for the option's value in help: " N", " X", " TEXT", " NAME"; "" for a flag. */
const char *options_placeholder(const struct option_def *o);

const struct option_def *options_find(const struct option_def *table, const char *key);

/* The nearest of a NULL-ended list of names to `name` (edits, a swap of neighbours counting
 * as one, at most 1/3 of its length, at least 1), or NULL. */
const char *nearest_name(const char *name, const char *const *names);

#endif
