/* help.c - --help, from the tables. */
#include <string.h>

#include "cli/cli.h"
#include "train/config.h"

void help_program(const struct command *const *commands, FILE *out)
{
    fprintf(out, "usage: kiln COMMAND [options]\n\n"
                 "Trains small residual networks on CIFAR-10-sized images: fast, exact, "
                 "honest.\n\n");
    for (const struct command *const *c = commands; *c; c++)
        fprintf(out, "  %-12s %s\n", (*c)->name, (*c)->summary);
    fprintf(out, "\n'kiln COMMAND --help' says more, 'kiln help --man' prints the manual page,\n"
                 "'kiln --version' what this is and how it was built.\n");
}

/* "a\nb" with every line indented. */
static void print_paragraph(const char *text, FILE *out)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(out, "%.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void help_command(const struct command *command, FILE *out)
{
    fprintf(out, "usage: kiln %s %s\n\n%s.\n", command->name, command->usage, command->summary);
    if (command->description) {
        fprintf(out, "\n");
        print_paragraph(command->description, out);
    }
    if (command->examples && *command->examples)
        fprintf(out, "\nexamples:\n");
    for (const char *const *x = command->examples; x && x[0]; x += 2)
        fprintf(out, "  %s\n      %s\n", x[0], x[1]);
    if (command->options) {
        fprintf(out, "\n");
        options_print_help(command->options, out);
    }
    struct option_def common[16];
    common_table(command->common, common);
    if (common[0].name) {
        fprintf(out, "\n");
        options_print_help(common, out);
    }
    if (command->common & COMMON_CONFIG) {
        fprintf(out, "\nThe keys of the configuration. In a recipe and with --set they are\n"
                     "written key = value with underscores, in the environment KILN_KEY; an\n"
                     "option wins over --set, --set over the environment, and that over the\n"
                     "recipe.\n\n  %-24s %s\n\n",
                "--set KEY=VALUE", "set any of the keys below");
        options_print_help(config_options, out);
    }
}

int cli_print_json(json_t *object, struct err *e)
{
    int rc = json_print(object, stdout);
    json_decref(object);
    return rc ? err_set(e, EXIT_FAILED, "cannot write to standard output") : 0;
}
