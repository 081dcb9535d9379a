/* runs_remove.c - kiln runs rm: removes run directories, and nothing else. All of them are locked
 * before the first is touched, so a run that somebody writes stops the whole removal. */
#define _GNU_SOURCE /* realpath, isatty */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "cli/runs.h"
#include "store/rundir.h"
#include "store/scan.h"

struct removal {
    struct rundir *runs;         /* [count], locked */
    size_t count;
};

/* Every run that is to go is held by a descriptor of its own. */
static void allow_descriptors(void)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &most) == 0 && most.rlim_cur < most.rlim_max) {
        most.rlim_cur = most.rlim_max;
        setrlimit(RLIMIT_NOFILE, &most); /* if it fails: the limit is told when it is met */
    }
}

static bool is_listed(const struct removal *r, const char *path)
{
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->runs[i].path, path) == 0)
            return true;
    return false;
}

/* Locks the run at `path` and puts it on the list. */
static int add_run(struct removal *r, const char *path, struct err *e)
{
    struct stat st;
    struct scan inside;
    struct rundir run;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        return err_set(e, EXIT_USAGE, "'%s' is a link; remove what it points to, or the link",
                       path);
    char *real = realpath(path, NULL);
    if (!real || is_listed(r, real)) {
        free(real);
        return 0;
    }
    int rc = rundir_open(&run, real, e);
    free(real);
    if (rc)
        return -1;
    if (scan_folder(&inside, run.path, e) == 0 && inside.count > 0)
        rc = err_set(e, EXIT_USAGE, "'%s' has other runs in it: '%s'", path, inside.runs[0].path);
    scan_release(&inside);
    if (rc) {
        rundir_close(&run);
        return -1;
    }
    r->runs = xrealloc(r->runs, (r->count + 1) * sizeof *r->runs);
    r->runs[r->count++] = run;
    return 0;
}

static int add_matching(struct removal *r, const struct runs_args *a, struct err *e)
{
    static const char *const columns[] = {"path"};
    const struct index_query q = {.where = a->where, .sort = "path"};
    struct index x;
    struct setting_list settings;
    struct index_rows rows;
    char path[4096];
    if (index_open(&x, a->runs, setting_names(&settings), e))
        return -1;
    int rc = index_select(&x, &q, columns, 1, &rows, e);
    for (size_t i = 0; rc == 0 && i < rows.count; i++) {
        snprintf(path, sizeof path, "%s/%s", a->runs, rows.values[i].text);
        rc = add_run(r, path, e);
    }
    index_rows_release(&rows);
    index_close(&x);
    return rc;
}

static int collect(struct removal *r, const struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    char path[4096];
    if (a->where[0] && inv->operand_count > 1)
        return err_set(e, EXIT_USAGE, "'kiln runs rm' takes runs or --where, not both");
    if (!a->where[0] && inv->operand_count < 2)
        return err_set(e, EXIT_USAGE, "'kiln runs rm' wants runs, or --where");
    if (a->where[0])
        return add_matching(r, a, e);
    for (int i = 1; i < inv->operand_count; i++)
        if (run_find(a->runs, inv->operands[i], path, e) || add_run(r, path, e))
            return -1;
    return 0;
}

static const char *runs_noun(size_t count)
{
    return count == 1 ? "run" : "runs";
}

/* Asks on the terminal; without one there must have been --yes. */
static int confirm(const struct removal *r, struct err *e)
{
    char answer[8] = "";
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return err_set(e, EXIT_USAGE, "%zu %s would be removed; --yes does so without asking",
                       r->count, runs_noun(r->count));
    for (size_t i = 0; i < r->count; i++)
        fprintf(stderr, "%s\n", r->runs[i].path);
    fprintf(stderr, "remove %s with everything in %s? [y/N] ",
            r->count == 1 ? "this run" : "these runs", r->count == 1 ? "it" : "them");
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
        return 0;
    return err_set(e, EXIT_FAILED, "nothing was removed");
}

static int remove_all(struct removal *r, const struct invocation *inv, struct err *e)
{
    const struct runs_args *a = inv->args;
    json_t *removed = json_array();
    int rc = r->count == 0 || a->yes || inv->common.dry_run ? 0 : confirm(r, e);
    size_t i = 0;
    for (; rc == 0 && i < r->count; i++) {
        if (!inv->common.dry_run && (rc = rundir_remove(&r->runs[i], e)))
            break;
        json_array_append_new(removed, json_text(r->runs[i].path));
        if (!inv->common.json)
            printf("%s\n", r->runs[i].path);
    }
    if (rc && i > 0)
        err_prefix(e, "after %zu of %zu runs", i, r->count);
    if (rc == 0 && inv->common.json)
        return cli_print_json(
            json_pack("{s:o}", inv->common.dry_run ? "would_remove" : "removed", removed), e);
    json_decref(removed);
    if (rc == 0)
        log_say("%s %zu %s", inv->common.dry_run ? "would remove" : "removed", r->count,
                runs_noun(r->count));
    return rc;
}

int runs_remove(struct invocation *inv, struct err *e)
{
    struct removal r = {0};
    allow_descriptors();
    int rc = collect(&r, inv, e);
    if (!rc)
        rc = remove_all(&r, inv, e);
    for (size_t i = 0; i < r.count; i++)
        rundir_close(&r.runs[i]);
    free(r.runs);
    return rc;
}
