/* resolve.h - one configuration out of everything that sets it. */
#ifndef KILN_CLI_RESOLVE_H
#define KILN_CLI_RESOLVE_H

#include "cli/cli.h"
#include "train/config.h"

/* Keys whose KILN_ variable means something else (KILN_DATA is where images lie). NULL-ended. */
extern const char *const reserved_keys[];

/* Resolves a recipe: option > --set > KILN_* environment > recipe > default, then checks the whole.
 * precision = auto becomes what this machine does best.
 * `recipe` is the path of an .ini file, or a name from recipes/ (looked for in KILN_HOME, the
 * source tree, the installed share folder); NULL: defaults only. What is recorded with a run must
 * not depend on how a later machine would choose: isa and precision are never auto afterwards
 * (cli/machine.h). */
int resolve_config(const struct invocation *inv, const char *recipe, struct config *c,
                   struct err *e);

/* The same without choosing kernels, for what computes nothing: isa and precision may stay auto. */
int resolve_keys(const struct invocation *inv, const char *recipe, struct config *c, struct err *e);

/* The same as resolve_config, with keys that a study sets over its recipe: key, value ... NULL (or
 * NULL). What the user sets goes over them. */
int resolve_study(const struct invocation *inv, const char *recipe, const char *const *pairs,
                  struct config *c, struct err *e);

/* The same as resolve_config, but for a run that is taken up again: `steps`, which only says where
 * the last call stopped, starts from its default. */
int resolve_resumed(const struct invocation *inv, const char *ini, struct config *c,
                    struct err *e);

/* Whether the command line names a kernel tier. */
bool asked_for_tier(const struct invocation *inv);

/* Finds the file that a recipe's name means: path[4096]. */
int resolve_recipe(const char *recipe, char *path, struct err *e);

/* The recipe's name for a run directory: "recipes/dawn-128.ini" -> "dawn-128". */
void recipe_slug(const char *recipe, char slug[64]);

#endif
