/* cmd_help.c - kiln help: the same as --help, and the manual page. */
#include "cli/cli.h"
#include "cli/man.h"

struct args {
    bool man;
};

static const struct option_def options[] = {
    {"man", OPTION_FLAG, offsetof(struct args, man), "no", 0, 0, NULL, NULL, "output",
     "print the manual page in man's format", NULL},
    {0},
};

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    if (args->man) {
        man_print(inv->commands, stdout);
        return EXIT_DONE;
    }
    if (inv->operand_count == 0) {
        help_program(inv->commands, stdout);
        return EXIT_DONE;
    }
    const struct command *c = command_find(inv->commands, inv->operands[0]);
    if (!c)
        return command_unknown(inv->commands, inv->operands[0], e);
    help_command(c, stdout);
    return EXIT_DONE;
}

static const char *const examples[] = {
    "kiln help train", "what train does, and all its options",
    "kiln help --man | man -l -", "the whole manual",
    NULL,
};

const struct command command_help = {
    .name = "help",
    .summary = "Explain the commands",
    .usage = "[COMMAND] [--man]",
    .examples = examples,
    .options = options,
    .args_size = sizeof(struct args),
    .max_operands = 1,
    .run = run,
};
