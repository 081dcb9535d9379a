/* man.h - the manual page and shell completions, from the tables of the commands. */
#ifndef KILN_CLI_MAN_H
#define KILN_CLI_MAN_H

#include "cli/cli.h"

/* The page kiln(1) in man's format. */
void man_print(const struct command *const *commands, FILE *out);

/* Completion scripts: source the bash one, or install it; put the zsh one into fpath as _kiln. */
void completion_bash(const struct command *const *commands, FILE *out);
void completion_zsh(const struct command *const *commands, FILE *out);

#endif
