/* target.h - what `kiln eval` and others are pointed at: a run directory or a checkpoint file. */
#ifndef KILN_CLI_TARGET_H
#define KILN_CLI_TARGET_H

#include "cli/cli.h"
#include "train/config.h"

/* Finds the weights file that `name` means, and its configuration: a run directory (its newest
 * checkpoint, or best.safetensors if `best`), or a .safetensors file, whose run directory is the
 * one that it lies in, if any. Without a run the configuration comes from options alone. */
int target_find(const struct invocation *inv, const char *name, bool best, char *weights,
                struct config *c, struct err *e);

/* Whether weights lie in a run, RUN/checkpoints/x.safetensors; writes run[4096]. */
bool target_run(const char *weights, char *run);

#endif
