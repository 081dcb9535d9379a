/* completion.c - words for the shell to offer. */
#include <string.h>

#include "cli/man.h"
#include "train/config.h"

static void print_names(const struct option_def *table, FILE *out)
{
    for (; table && table->name; table++) {
        fprintf(out, " --");
        for (const char *p = table->name; *p; p++)
            fputc(*p == '_' ? '-' : *p, out);
    }
}

/* All words that can follow `kiln COMMAND`, each after a space. */
static void print_words(const struct command *c, FILE *out)
{
    for (const char *const *w = c->operand_words; w && *w; w++)
        fprintf(out, " %s", *w);
    struct option_def common[16];
    common_table(c->common, common);
    print_names(c->options, out);
    print_names(common, out);
    if (c->common & COMMON_CONFIG) {
        fprintf(out, " --set");
        print_names(config_options, out);
    }
    fprintf(out, " --help");
}

void completion_bash(const struct command *const *commands, FILE *out)
{
    fprintf(out, "# bash completion for kiln; made by 'kiln completion bash'\n"
                 "_kiln()\n{\n    local words\n    case \"${COMP_WORDS[1]}\" in\n");
    for (const struct command *const *c = commands; *c; c++) {
        fprintf(out, "    %s) words=\"", (*c)->name);
        print_words(*c, out);
        fprintf(out, "\" ;;\n");
    }
    fprintf(out, "    *) words=\"\" ;;\n    esac\n"
                 "    [ \"$COMP_CWORD\" -eq 1 ] && words=\"");
    for (const struct command *const *c = commands; *c; c++)
        fprintf(out, "%s ", (*c)->name);
    fprintf(out, "--help --version\"\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
                 "complete -o default -F _kiln kiln\n");
}

/* Text between single quotes, as a shell reads it. */
static void print_quoted(const char *text, FILE *out)
{
    for (; *text; text++)
        fputs(*text == '\'' ? "'\\''" : (const char[]){*text, 0}, out);
}

void completion_zsh(const struct command *const *commands, FILE *out)
{
    fprintf(out, "#compdef kiln\n# zsh completion for kiln; made by 'kiln completion zsh'\n"
                 "if (( CURRENT == 2 )); then\n    local -a commands=(\n");
    for (const struct command *const *c = commands; *c; c++) {
        fprintf(out, "        '%s:", (*c)->name);
        print_quoted((*c)->summary, out);
        fprintf(out, "'\n");
    }
    fprintf(out, "    )\n    _describe command commands\n    return\nfi\ncase $words[2] in\n");
    for (const struct command *const *c = commands; *c; c++) {
        fprintf(out, "%s) compadd --", (*c)->name);
        print_words(*c, out);
        fprintf(out, " ;;\n");
    }
    fprintf(out, "esac\n_files\n");
}
