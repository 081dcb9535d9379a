/* cmd_report.c - kiln report: runs become one HTML file. */
#define _POSIX_C_SOURCE 200809L /* strtok_r */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/runs.h"
#include "cli/write_report.h"
#include "report/section.h"

struct args {
    char title[OPTION_TEXT_SIZE], only[OPTION_TEXT_SIZE];
};

static const struct option_def options[] = {
    {"title", OPTION_TEXT, offsetof(struct args, title), "", 0, 0, NULL, NULL, "page",
     "heading of the page; the run, the folder or the configuration if not given", NULL},
    {"only", OPTION_TEXT, offsetof(struct args, only), "", 0, 0, NULL, NULL, "page",
     "sections to write, with commas between; all if not given", NULL},
    {0},
};

enum { SECTIONS_MOST = 32 };

/* Cuts `text` at its commas into names[SECTIONS_MOST + 1], which point into it. */
static int split_sections(char *text, const char **names, struct err *e)
{
    const char *known[SECTIONS_MOST + 1] = {0};
    size_t count = 0;
    for (size_t i = 0; report_sections[i]; i++)
        known[i] = report_sections[i]->name;
    for (char *rest = NULL, *name = strtok_r(text, ",", &rest); name;
         name = strtok_r(NULL, ",", &rest)) {
        const char *near = nearest_name(name, known);
        if (!section_find(name))
            return err_set(e, EXIT_USAGE, "--only: there is no section '%s'%s%s%s", name,
                           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        if (count < SECTIONS_MOST)
            names[count++] = name;
    }
    names[count] = NULL;
    return 0;
}

static int print_result(const struct invocation *inv, const struct report *r, const char *path,
                        struct err *e)
{
    size_t warnings = report_warnings(r, NULL, NULL);
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "report", json_string(path));
        json_object_set_new(o, "runs", json_integer((json_int_t)r->run_count));
        json_object_set_new(o, "configurations", json_integer((json_int_t)r->group_count));
        json_object_set_new(o, "warnings", json_integer((json_int_t)warnings));
        return cli_print_json(o, e);
    }
    if (strcmp(path, "-") != 0)
        printf("report of %zu run%s in %zu configuration%s%s: %s\n", r->run_count,
               r->run_count == 1 ? "" : "s", r->group_count, r->group_count == 1 ? "" : "s",
               warnings ? " (with warnings)" : "", path);
    return EXIT_DONE;
}

/* The paths that the operands name, or the folder of runs if there are none: a list in `memory`. */
static int find_paths(const struct invocation *inv, struct arena *memory,
                      const char *const **paths, size_t *count, struct err *e)
{
    char path[4096];
    *count = inv->operand_count > 0 ? (size_t)inv->operand_count : 1;
    const char **list = arena_alloc(memory, *count, sizeof *list);
    list[0] = "runs";
    for (int i = 0; i < inv->operand_count; i++) {
        if (run_named(inv->operands[i], path, e))
            return -1;
        list[i] = arena_strdup(memory, path);
    }
    *paths = list;
    return 0;
}

static int draw(const struct invocation *inv, const char *const *only, struct arena *memory,
                struct err *e)
{
    const struct args *args = inv->args;
    const char *out = *inv->common.out ? inv->common.out : "report.html";
    const char *const *paths;
    size_t count;
    struct report r;
    if (find_paths(inv, memory, &paths, &count, e))
        return -1;
    int rc = report_open(&r, paths, count, e);
    if (!rc)
        rc = write_page(&r, *args->title ? args->title : NULL, only[0] ? only : NULL, out, e);
    if (!rc)
        rc = print_result(inv, &r, out, e);
    report_release(&r);
    return rc;
}

static int run(struct invocation *inv, struct err *e)
{
    struct args *args = inv->args;
    const char *only[SECTIONS_MOST + 1];
    struct arena memory = {0};
    if (split_sections(args->only, only, e))
        return -1;
    if (inv->common.json && strcmp(inv->common.out, "-") == 0)
        return err_set(e, EXIT_USAGE, "--json and --out - both want standard output");
    int rc = draw(inv, only, &memory, e);
    arena_release(&memory);
    return rc;
}

static const char *const examples[] = {
    "kiln report runs/20261123-203259-quickstart-1a2b3c4d", "one run, into report.html",
    "kiln report seed1 seed2 seed3 --out seeds.html", "means and bands over three seeds",
    "kiln report sweeps/lr-batch --out sweep.html", "a sweep: heat map, optima, everything",
    NULL,
};

const struct command command_report = {
    .name = "report",
    .summary = "Draw runs or a sweep as one HTML file",
    .usage = "[RUN|FOLDER...] [options]",
    .description =
        "Writes one HTML file that opens in any browser without a network: the answer first, then\n"
        "charts with hover, zoom and legends, then what to be wary of and where it comes from.\n"
        "Runs that differ only in their seed are averaged. A FOLDER holds run directories, or is\n"
        "a sweep; a RUN may be named as in 'kiln runs'. Without any, all runs in the folder\n"
        "'runs' are compared. The same runs give the same file. '--out -' writes to standard\n"
        "output.",
    .examples = examples,
    .common = COMMON_JSON | COMMON_QUIET | COMMON_OUT,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 0,
    .max_operands = 100000,
    .run = run,
};
