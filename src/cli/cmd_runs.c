/* cmd_runs.c - kiln runs: list, show, compare and remove runs. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/runs.h"
#include "store/rundir.h"
#include "train/config.h"

#define AT(member) offsetof(struct runs_args, member)

enum { ANY = OPTION_TEXT_SIZE - 1 };

static const struct option_def options[] = {
    {"runs", OPTION_TEXT, AT(runs), "runs", 0, ANY, NULL, NULL, "runs",
     "folder that holds the runs, or folders of them", NULL},
    {"where", OPTION_TEXT, AT(where), "", 0, ANY, NULL, NULL, "runs",
     "list, rm: only runs for which this is true: 'lr > 0.1 and net = resnet9'", NULL},
    {"sort", OPTION_TEXT, AT(sort), "", 0, ANY, NULL, NULL, "runs",
     "list: order by this key; without it the newest come first", NULL},
    {"reverse", OPTION_FLAG, AT(reverse), "no", 0, 0, NULL, NULL, "runs",
     "list: the other way round", NULL},
    {"limit", OPTION_INT, AT(limit), "0", 0, 2147483647.0, NULL, "runs", "runs",
     "list: at most so many; 0: all", NULL},
    {"columns", OPTION_TEXT, AT(columns), "", 0, ANY, NULL, NULL, "runs",
     "list: keys to show, separated by commas", NULL},
    {"csv", OPTION_FLAG, AT(csv), "no", 0, 0, NULL, NULL, "runs",
     "list: print CSV (RFC 4180), of every key unless --columns chooses", NULL},
    {"yes", OPTION_FLAG, AT(yes), "no", 0, 0, NULL, NULL, "runs", "rm: do not ask", NULL},
    {0},
};

const char *const *setting_names(struct setting_list *l)
{
    size_t n = 0;
    for (const struct option_def *o = config_options; o->name; o++) {
        assert(n + 1 < sizeof l->names / sizeof l->names[0]);
        l->names[n++] = o->name;
    }
    l->names[n] = NULL;
    return l->names;
}

int run_find(const char *folder, const char *name, char *path, struct err *e)
{
    struct index x;
    struct setting_list settings;
    if (rundir_is(name)) {
        snprintf(path, 4096, "%s", name);
        return 0;
    }
    if (index_open(&x, folder, setting_names(&settings), e))
        return err_prefix(e, "'%s' is not a run directory", name);
    int rc = index_find(&x, name, path, e);
    index_close(&x);
    return rc;
}

int run_named(const char *name, char *path, struct err *e)
{
    struct err cause;
    snprintf(path, 4096, "%s", name);
    if (file_exists(name) || !file_exists("runs") || run_find("runs", name, path, &cause) == 0)
        return 0;
    snprintf(path, 4096, "%s", name);
    return cause.code == EXIT_USAGE ? err_set(e, EXIT_USAGE, "%s", cause.text) : 0;
}

static int reindex(struct invocation *inv, struct err *e)
{
    static const char *const columns[] = {"path"};
    const struct runs_args *a = inv->args;
    struct index x;
    struct setting_list settings;
    struct index_rows rows;
    double start = clock_seconds();
    if (index_open(&x, a->runs, setting_names(&settings), e))
        return -1;
    int rc = index_rebuild(&x, e);
    if (!rc)
        rc = index_select(&x, &(struct index_query){0}, columns, 1, &rows, e);
    if (!rc) {
        double seconds = clock_seconds() - start;
        if (inv->common.json)
            rc = cli_print_json(json_pack("{s:i, s:f}", "runs", (int)rows.count, "seconds",
                                          seconds),
                                e);
        else
            printf("%zu runs in '%s' read anew in %.2f s\n", rows.count, a->runs, seconds);
        index_rows_release(&rows);
    }
    index_close(&x);
    return rc;
}

static const struct {
    const char *name;
    int min, max; /* operands behind it */
    int (*run)(struct invocation *inv, struct err *e);
} verbs[] = {
    {"list", 0, 0, runs_list},       {"show", 1, 1, runs_show},   {"diff", 2, 1000, runs_diff},
    {"rm", 0, 100000, runs_remove},  {"reindex", 0, 0, reindex},
};

static int run(struct invocation *inv, struct err *e)
{
    const char *name = inv->operands[0];
    const char *names[sizeof verbs / sizeof verbs[0] + 1] = {NULL};
    int operands = inv->operand_count - 1;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        names[i] = verbs[i].name;
        if (strcmp(name, verbs[i].name) != 0)
            continue;
        if (operands < verbs[i].min || operands > verbs[i].max)
            return err_set(e, EXIT_USAGE, "'kiln runs %s' %s", name,
                           operands > verbs[i].max ? "takes fewer runs" : "wants a run");
        return verbs[i].run(inv, e);
    }
    const char *nearest = nearest_name(name, names);
    if (nearest)
        return err_set(e, EXIT_USAGE, "no '%s' here; did you mean 'kiln runs %s'?", name, nearest);
    return err_set(e, EXIT_USAGE,
                   "no '%s' here: it is 'kiln runs list', 'show', 'diff', 'rm' or 'reindex'", name);
}

static const char *const examples[] = {
    "kiln runs list --where 'lr > 0.1 and net = resnet9' --sort test_accuracy --reverse",
    "the best first",
    "kiln runs list --columns path,lr,seed,test_loss --csv > runs.csv", "for a spreadsheet",
    "kiln runs show 4e682d54", "everything about one run",
    "kiln runs diff 4e682d54 c490eb4f", "what was set differently, and what came of it",
    "kiln runs rm --where 'state = dead and epoch < 1' --yes", "clear away what was killed",
    NULL,
};

static const char *const words[] = {"list", "show", "diff", "rm", "reindex", NULL};

const struct command command_runs = {
    .name = "runs",
    .summary = "List, show, compare or remove runs",
    .usage = "list|show|diff|rm|reindex [RUN...] [options]",
    .description =
        "A RUN is the path of a run directory, or its name in the folder of --runs, or the\n"
        "beginning of that or of any part of it behind a '-', where only one run has it: the\n"
        "eight letters of its hash will do.\n\n"
        "list prints a table that fits the terminal, or CSV, or JSON. Runs in folders below, as\n"
        "those of sweeps, are listed too. --where compares keys: the fields that 'runs list\n"
        "--csv' has as its header, and every key of the configuration.\n"
        "    = != < <= > >=    numbers as numbers, texts byte by byte: start > 2026-11-23\n"
        "    ~ !~              contains, or not, whatever the case\n"
        "    and or not ( )    'texts in quotes' where they hold spaces or signs\n"
        "A comparison with what is not known is false; 'test_loss = null' asks for just that.\n\n"
        "show prints all that is known of a run and the settings that are not the default; diff\n"
        "prints what differs between runs. rm removes run directories with everything in them,\n"
        "after asking, or with --yes; never one that is being written, and nothing else.\n\n"
        "The index, .index.sqlite in the folder of runs, only makes this quick: it can be deleted\n"
        "at any time, and reindex reads every run anew.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_QUIET | COMMON_DRY_RUN,
    .options = options,
    .args_size = sizeof(struct runs_args),
    .min_operands = 1,
    .max_operands = 100000,
    .operand_words = words,
    .run = run,
};
