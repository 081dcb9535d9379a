/* cmd_completion.c - kiln completion: scripts that let a shell complete kiln's command lines. */
#include <string.h>

#include "cli/cli.h"
#include "cli/man.h"

static int run(struct invocation *inv, struct err *e)
{
    const char *shell = inv->operands[0];
    if (strcmp(shell, "bash") == 0)
        completion_bash(inv->commands, stdout);
    else if (strcmp(shell, "zsh") == 0)
        completion_zsh(inv->commands, stdout);
    else
        return err_set(e, EXIT_USAGE, "no completions for '%s'; there are bash and zsh", shell);
    return EXIT_DONE;
}

static const char *const examples[] = {
    "eval \"$(kiln completion bash)\"", "complete kiln's commands and options in this shell",
    NULL,
};

static const char *const shells[] = {"bash", "zsh", NULL};

const struct command command_completion = {
    .name = "completion",
    .summary = "Print a completion script for a shell",
    .usage = "bash|zsh",
    .examples = examples,
    .min_operands = 1,
    .max_operands = 1,
    .operand_words = shells,
    .run = run,
};
