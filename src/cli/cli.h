/* cli.h - what a subcommand is, and what it is handed.
 *
 * A subcommand is one `const struct command` in a file cmd_<name>.c and one line in the list in
 * main.c. Parsing, --help, the man page and the completions come from its tables. It prints its
 * product on stdout, talk goes to stderr through base/log.h, and what went wrong is returned.
 *
 *     kiln train recipes/quickstart.ini --lr 0.2 --set momentum=0.8 --threads 2 --json
 *          |     operand                |        |                 common option  common option
 *          command                      key of the configuration, as an option and through --set
 */
#ifndef KILN_CLI_CLI_H
#define KILN_CLI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/options.h"

/* Options that several commands share and spell alike; a command says which it takes. Commands
 * with COMMON_CONFIG take every key of the training configuration instead (train/config.h has
 * seed, threads, isa, precision, data_dir and steps among them). */
enum common_bit {
    COMMON_JSON = 1 << 0,
    COMMON_QUIET = 1 << 1,
    COMMON_DRY_RUN = 1 << 2,
    COMMON_OUT = 1 << 3,
    COMMON_DATA_DIR = 1 << 4,
    COMMON_THREADS = 1 << 5,
    COMMON_ISA = 1 << 6,
    COMMON_PRECISION = 1 << 7,
    COMMON_SEED = 1 << 8,
    COMMON_CONFIG = 1 << 9, /* --set key=value and --key value for every key */
};

struct common {
    bool json, quiet, dry_run;
    char out[OPTION_TEXT_SIZE];      /* "" if not given */
    char data_dir[OPTION_TEXT_SIZE]; /* "" if not given */
    int threads;                     /* 0: what the machine grants */
    int isa;                         /* enum tier */
    int precision;                   /* enum precision */
    uint64_t seed;
};

/* One key of the configuration as the command line set it. */
struct setting {
    const char *key, *value, *origin; /* origin: "--set" or "--lr" */
};

struct invocation {
    const struct command *command;
    const struct command *const *commands; /* all of them, NULL-ended */
    int argc;                              /* the whole command line, for the manifest */
    char **argv;
    char **operands;                       /* [operand_count], what is not an option */
    int operand_count;
    struct common common;
    void *args;                            /* the command's own options, filled */
    struct setting *settings;              /* [setting_count], in order */
    int setting_count;
};

struct command {
    const char *name;
    const char *summary;          /* one line, no full stop */
    const char *usage;            /* what follows the name: "RECIPE [options]" */
    const char *description;      /* paragraphs for --help and the man page */
    const char *const *examples;  /* NULL-ended: a command line, what it does, ... in turn */
    unsigned common;              /* of enum common_bit */
    const struct option_def *options; /* its own, over a struct of args_size bytes; or NULL */
    size_t args_size;
    int min_operands, max_operands;
    const char *const *operand_words; /* NULL-ended: what completions offer first; or NULL */

    /* Does it. Returns an exit code (base/err.h), having printed what there is to print; or -1
     * with e filled: main.c prints the sentence and exits with e->code. */
    int (*run)(struct invocation *inv, struct err *e);
};

/* Finds the command and reads its options. Returns 0; or -1 with EXIT_USAGE. `inv` needs
 * invocation_release in either case. *help is set, and nothing checked further, when --help was
 * among the options. */
int invocation_parse(struct invocation *inv, const struct command *const *commands, int argc,
                     char **argv, bool *help, struct err *e);
void invocation_release(struct invocation *inv);

const struct command *command_find(const struct command *const *commands, const char *name);

/* Fails with EXIT_USAGE and the nearest command. */
int command_unknown(const struct command *const *commands, const char *name, struct err *e);

/* The table of the common options that the command takes, NULL-name-ended, in `table[10]`. */
void common_table(unsigned common, struct option_def *table);

/* Prints one JSON object on stdout and lets go of it. For --json: the only thing printed there. */
int cli_print_json(json_t *object, struct err *e);

/* Help for all commands, or for one. */
void help_program(const struct command *const *commands, FILE *out);
void help_command(const struct command *command, FILE *out);

/* "kiln 0.1.0 (git rev)" and what it was built with. */
void print_version(FILE *out);

#endif
