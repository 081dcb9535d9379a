/* man.c - the manual page, in the macros of man(7). */
#include <string.h>

#include "cli/man.h"
#include "cli/version.h"
#include "train/config.h"

/* Text as roff wants it: backslashes and dashes escaped, no line that begins like a macro. */
static void print_text(const char *text, FILE *out)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fprintf(out, "\\&");
        if (*text == '\\')
            fprintf(out, "\\e");
        else if (*text == '-')
            fprintf(out, "\\-");
        else
            fputc(*text, out);
        line_start = *text == '\n';
    }
}

static void print_option(const struct option_def *o, FILE *out)
{
    fprintf(out, ".TP\n.B \\-\\-");
    for (const char *p = o->name; *p; p++)
        fprintf(out, *p == '_' ? "\\-" : "%c", *p);
    fprintf(out, "%s\n", options_placeholder(o));
    print_text(o->help, out);
    if (o->choices) {
        fprintf(out, ": ");
        print_text(o->choices, out);
    }
    if (o->unit)
        fprintf(out, ", in %s", o->unit);
    if (*o->fallback) {
        fprintf(out, " (default ");
        print_text(o->fallback, out);
        fprintf(out, ")");
    }
    fprintf(out, ".\n");
}

static void print_table(const struct option_def *table, FILE *out)
{
    for (; table && table->name; table++)
        print_option(table, out);
}

static void print_command(const struct command *c, FILE *out)
{
    fprintf(out, ".SS kiln %s ", c->name);
    print_text(c->usage, out);
    fprintf(out, "\n");
    print_text(c->summary, out);
    fprintf(out, ".\n");
    if (c->description) {
        fprintf(out, ".PP\n");
        print_text(c->description, out);
        fprintf(out, "\n");
    }
    for (const char *const *x = c->examples; x && x[0]; x += 2) {
        fprintf(out, ".PP\n.EX\n");
        print_text(x[0], out);
        fprintf(out, "\n.EE\n");
        print_text(x[1], out);
        fprintf(out, "\n");
    }
    struct option_def common[16];
    common_table(c->common, common);
    print_table(c->options, out);
    print_table(common, out);
    if (c->common & COMMON_CONFIG)
        fprintf(out, ".PP\nand every key of the configuration, see below.\n");
}

static void print_exit_codes(FILE *out)
{
    static const struct {
        enum exit_code code;
        const char *meaning;
    } codes[] = {
        {EXIT_DONE, "Done."},
        {EXIT_FAILED, "The environment failed: a full disk, no permission, no memory."},
        {EXIT_USAGE, "The command line, a recipe or a network file is wrong."},
        {EXIT_DATA, "A data set or a checkpoint is missing or damaged."},
        {EXIT_DIVERGED, "A loss or gradient was not finite; the last good state was kept."},
        {EXIT_TARGET, "The target accuracy was not reached."},
        {EXIT_MISMATCH, "Verification found different bits."},
        {EXIT_REQUEUE, "Checkpointed on request (SIGUSR1); resume to go on."},
        {EXIT_SIGINT, "Checkpointed after SIGINT. A second SIGINT quits at once."},
        {EXIT_SIGTERM, "Checkpointed after SIGTERM."},
    };
    fprintf(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        fprintf(out, ".TP\n.B %d\n%s\n", codes[i].code, codes[i].meaning);
}

void man_print(const struct command *const *commands, FILE *out)
{
    fprintf(out, ".TH KILN 1 \"\" \"kiln %s\" \"User Commands\"\n", version_number());
    fprintf(out, ".SH NAME\nkiln \\- train small residual networks: fast, exact, honest\n");
    fprintf(out, ".SH SYNOPSIS\n.B kiln\n.I COMMAND\n.RI [ options ]\n");
    fprintf(out,
            ".SH DESCRIPTION\n"
            "Kiln trains small residual networks on CIFAR\\-10\\-sized images as fast as the CPU "
            "allows.\nThe same seed gives the same bits: on any number of threads, and after a "
            "resume.\nResults go to standard output, talk to standard error.\n");
    fprintf(out, ".SH COMMANDS\n");
    for (const struct command *const *c = commands; *c; c++)
        print_command(*c, out);
    fprintf(out, ".SH CONFIGURATION\n"
                 "Recipes are .ini files of key = value lines. Each key can be set by an option "
                 "(\\-\\-weight\\-decay 5e\\-4),\nby \\-\\-set weight_decay=5e\\-4, by the "
                 "environment (KILN_WEIGHT_DECAY), and by the recipe; the first of these wins.\n");
    print_table(config_options, out);
    print_exit_codes(out);
    fprintf(out,
            ".SH ENVIRONMENT\n"
            ".TP\n.B KILN_DATA\nFolder in which data sets are looked for.\n"
            ".TP\n.B KILN_DATA_URL\nAddress from which data sets are fetched: folder or file.\n"
            ".TP\n.B KILN_HOME\nFolder that holds nets/ and recipes/.\n"
            ".TP\n.B KILN_KEY\nAny key of the configuration but data, in upper case.\n"
            ".TP\n.B XDG_DATA_HOME\nFetched data sets go to its folder kiln "
            "(else to ~/.local/share/kiln).\n"
            ".TP\n.B XDG_CACHE_HOME\nWhich kernels are fastest is kept in its folder kiln "
            "(else in ~/.cache/kiln).\n"
            ".TP\n.B NO_COLOR\nRespected: kiln colours nothing.\n");
}
