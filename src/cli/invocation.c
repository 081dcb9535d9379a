/* invocation.c - from the command line to struct invocation; see cli.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/arena.h"
#include "cli/cli.h"
#include "train/config.h"

#define AT(member) offsetof(struct common, member)

/* Keep in the order of enum common_bit. */
static const struct option_def common_options[] = {
    {"json", OPTION_FLAG, AT(json), "no", 0, 0, NULL, NULL, "common",
     "print one JSON object on stdout and nothing else", NULL},
    {"quiet", OPTION_FLAG, AT(quiet), "no", 0, 0, NULL, NULL, "common",
     "say only warnings and errors on stderr", NULL},
    {"dry_run", OPTION_FLAG, AT(dry_run), "no", 0, 0, NULL, NULL, "common",
     "show what would be done, and do nothing", NULL},
    {"out", OPTION_TEXT, AT(out), "", 0, 0, NULL, NULL, "common", "where the results go", NULL},
    {"data_dir", OPTION_TEXT, AT(data_dir), "", 0, 0, NULL, NULL, "common",
     "look for images here and nowhere else", NULL},
    {"threads", OPTION_INT, AT(threads), "0", 0, 1024, NULL, NULL, "common",
     "threads; 0: as many as the machine grants", NULL},
    {"isa", OPTION_CHOICE, AT(isa), "auto", 0, 0, TIER_CHOICES, NULL, "common",
     "kernel tier", NULL},
    {"precision", OPTION_CHOICE, AT(precision), "auto", 0, 0, PRECISION_CHOICES, NULL, "common",
     "numbers that the network computes with", NULL},
    {"seed", OPTION_SEED, AT(seed), "1", 0, 18446744073709551615.0, NULL, NULL, "common",
     "names all random numbers", NULL},
    {0},
};

enum { COMMON_COUNT = sizeof common_options / sizeof common_options[0] - 1 };

static_assert(COMMON_SEED == 1 << (COMMON_COUNT - 1), "one bit an option, in order");

void common_table(unsigned common, struct option_def *table)
{
    for (int i = 0; i < COMMON_COUNT; i++)
        if (common & (1u << i))
            *table++ = common_options[i];
    *table = (struct option_def){0};
}

const struct command *command_find(const struct command *const *commands, const char *name)
{
    for (; *commands; commands++)
        if (strcmp((*commands)->name, name) == 0)
            return *commands;
    return NULL;
}

int command_unknown(const struct command *const *commands, const char *name, struct err *e)
{
    const char *names[64];
    size_t n = 0;
    for (; commands[n] && n + 1 < sizeof names / sizeof names[0]; n++)
        names[n] = commands[n]->name;
    names[n] = NULL;
    const char *nearest = nearest_name(name, names);
    if (nearest)
        return err_set(e, EXIT_USAGE, "no command '%s'; did you mean '%s'?", name, nearest);
    return err_set(e, EXIT_USAGE, "no command '%s'; 'kiln help' lists them", name);
}

/* One place that an option can belong to. */
struct target {
    const struct option_def *table; /* NULL: none */
    void *values;                   /* NULL: kept as a setting of the configuration */
};

enum { TARGETS = 3 };

/* "--weight-decay" without its dashes is the key weight_decay; option[n] of text. */
static void key_of(const char *text, size_t n, char *key, size_t size)
{
    size_t length = n < size - 1 ? n : size - 1;
    memcpy(key, text, length);
    key[length] = 0;
    for (char *p = key; *p; p++)
        if (*p == '-')
            *p = '_';
}

static int unknown_option(const struct target *targets, const char *option, struct err *e)
{
    const char *names[256];
    char key[128], hint[128];
    size_t n = 0;
    for (int t = 0; t < TARGETS; t++)
        for (const struct option_def *o = targets[t].table; o && o->name && n < 250; o++)
            names[n++] = o->name;
    if (targets[TARGETS - 1].table)
        names[n++] = "set";
    names[n++] = "help";
    names[n] = NULL;
    key_of(option, strcspn(option, "="), key, sizeof key);
    const char *nearest = nearest_name(key, names);
    if (!nearest)
        return err_set(e, EXIT_USAGE, "unknown option '--%s'", option);
    snprintf(hint, sizeof hint, "%s", nearest);
    for (char *p = hint; *p; p++)
        if (*p == '_')
            *p = '-';
    return err_set(e, EXIT_USAGE, "unknown option '--%s'; did you mean '--%s'?", option, hint);
}

static const struct option_def *find_option(const struct target *targets, const char *key,
                                            const struct target **found)
{
    for (int t = 0; t < TARGETS; t++) {
        const struct option_def *o =
            targets[t].table ? options_find(targets[t].table, key) : NULL;
        if (o) {
            *found = &targets[t];
            return o;
        }
    }
    return NULL;
}

static void add_setting(struct invocation *inv, char *key, const char *value, const char *origin)
{
    size_t n = (size_t)inv->setting_count++;
    inv->settings = xrealloc(inv->settings, (n + 1) * sizeof *inv->settings);
    inv->settings[n] = (struct setting){key, value, origin};
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(xmalloc(n), text, n);
}

/* `--set key=value`. The pair is checked when the configuration is put together. */
static int add_set(struct invocation *inv, const char *pair, struct err *e)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return err_set(e, EXIT_USAGE, "--set wants key=value, not '%s'", pair);
    char key[128];
    key_of(pair, (size_t)(equals - pair), key, sizeof key);
    add_setting(inv, copy(key), equals + 1, "--set");
    return 0;
}

/* Walks over argv; `at` is the argument being read. */
struct walk {
    struct invocation *inv;
    struct target targets[TARGETS];
    int argc, at;
    char **argv;
    bool *help;
};

/* The value of the option being read: what follows '=', or the next argument. */
static const char *option_value(struct walk *w, const char *option, struct err *e)
{
    const char *equals = strchr(option, '=');
    if (equals)
        return equals + 1;
    if (w->at + 1 < w->argc)
        return w->argv[++w->at];
    err_set(e, EXIT_USAGE, "option '--%s' wants a value", option);
    return NULL;
}

static int read_option(struct walk *w, const char *option, struct err *e)
{
    char key[128];
    size_t n = strcspn(option, "=");
    key_of(option, n, key, sizeof key);
    if (strcmp(key, "help") == 0) {
        *w->help = true;
        return 0;
    }
    const char *value;
    if (strcmp(key, "set") == 0 && w->targets[TARGETS - 1].table)
        return (value = option_value(w, option, e)) ? add_set(w->inv, value, e) : -1;

    const struct target *target = NULL;
    const struct option_def *o = find_option(w->targets, key, &target);
    bool negated = false;
    if (!o && strncmp(key, "no_", 3) == 0) {
        o = find_option(w->targets, key + 3, &target);
        negated = o && o->type == OPTION_FLAG && !option[n];
        if (!negated)
            o = NULL;
    }
    if (!o)
        return unknown_option(w->targets, option, e);
    if (o->type == OPTION_FLAG && !option[n])
        value = negated ? "no" : "yes";
    else if (!(value = option_value(w, option, e)))
        return -1;
    if (!target->values) {
        add_setting(w->inv, copy(o->name), value, "the command line");
        return 0;
    }
    return options_set(target->table, target->values, o->name, value, "the command line", e);
}

static int read_arguments(struct walk *w, struct err *e)
{
    bool options_over = false;
    for (; w->at < w->argc; w->at++) {
        char *argument = w->argv[w->at];
        if (options_over || argument[0] != '-' || !argument[1]) {
            w->inv->operands[w->inv->operand_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            options_over = true;
        } else if (strcmp(argument, "-h") == 0) {
            *w->help = true;
        } else if (strcmp(argument, "-q") == 0 && (w->inv->command->common & COMMON_QUIET)) {
            w->inv->common.quiet = true;
        } else if (argument[1] != '-') {
            return err_set(e, EXIT_USAGE, "unknown option '%s'; options begin with two dashes",
                           argument);
        } else if (read_option(w, argument + 2, e)) {
            return -1;
        }
    }
    return 0;
}

static int check_operands(const struct invocation *inv, struct err *e)
{
    const struct command *c = inv->command;
    if (inv->operand_count >= c->min_operands && inv->operand_count <= c->max_operands)
        return 0;
    return err_set(e, EXIT_USAGE, "%s; usage: kiln %s %s",
                   inv->operand_count < c->min_operands ? "something is missing"
                                                        : "too many arguments",
                   c->name, c->usage);
}

int invocation_parse(struct invocation *inv, const struct command *const *commands, int argc,
                     char **argv, bool *help, struct err *e)
{
    *inv = (struct invocation){.commands = commands, .argc = argc, .argv = argv};
    *help = false;
    assert(argc >= 2);
    inv->command = command_find(commands, argv[1]);
    if (!inv->command)
        return command_unknown(commands, argv[1], e);
    const struct command *c = inv->command;
    inv->operands = xcalloc((size_t)argc, sizeof *inv->operands);
    inv->args = xcalloc(1, c->args_size);

    struct option_def common[COMMON_COUNT + 1];
    common_table(c->common, common);
    options_default(common_options, &inv->common);
    if (c->options)
        options_default(c->options, inv->args);
    if (options_read_environment(common, &inv->common, NULL, e))
        return -1;
    struct walk w = {.inv = inv, .argc = argc, .at = 2, .argv = argv, .help = help};
    w.targets[0] = (struct target){c->options, inv->args};
    w.targets[1] = (struct target){common, &inv->common};
    w.targets[2] = (struct target){c->common & COMMON_CONFIG ? config_options : NULL, NULL};
    if (read_arguments(&w, e))
        return -1;
    return *help ? 0 : check_operands(inv, e);
}

void invocation_release(struct invocation *inv)
{
    for (int i = 0; i < inv->setting_count; i++)
        free((char *)inv->settings[i].key);
    free(inv->settings);
    free(inv->operands);
    free(inv->args);
}
