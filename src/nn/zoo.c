/* zoo.c - networks that come with kiln: where their files are, and what they are called. */
#define _POSIX_C_SOURCE 200809L /* dirent */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/options.h"
#include "nn/graph.h"

enum { FOLDERS = 3, PATH_SIZE = 4096 };

/* The folders that hold nets/, best first; NULL where there is none. */
static void find_homes(const char *homes[FOLDERS])
{
    homes[0] = getenv("KILN_HOME");
    homes[1] = KILN_SOURCE_DIR;
    homes[2] = KILN_SHARE_DIR;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_net(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".net") == 0;
}

/* Adds the networks of one folder that are not in names[count] yet; returns the new count. */
static int add_names(struct arena *a, const char *home, const char **names, int count, int limit)
{
    char path[PATH_SIZE];
    DIR *folder = NULL;
    if (home && file_join(path, sizeof path, home, "nets", NULL) == 0)
        folder = opendir(path);
    if (!folder)
        return count;
    for (struct dirent *d = readdir(folder); d && count < limit; d = readdir(folder)) {
        if (!is_net(d->d_name))
            continue;
        const char *name = arena_strndup(a, d->d_name, strlen(d->d_name) - 4);
        bool known = false;
        for (int i = 0; i < count; i++)
            known = known || strcmp(names[i], name) == 0;
        if (!known)
            names[count++] = name;
    }
    closedir(folder);
    return count;
}

const char *const *graph_names(struct arena *a)
{
    enum { LIMIT = 1000 };
    const char *homes[FOLDERS];
    const char **names = arena_alloc(a, LIMIT + 1, sizeof *names);
    int count = 0;
    find_homes(homes);
    for (int i = 0; i < FOLDERS; i++)
        count = add_names(a, homes[i], names, count, LIMIT);
    qsort(names, (size_t)count, sizeof *names, compare_names);
    return names;
}

/* The path of nets/<name>.net in the first home that has it. */
static int find_net(char path[PATH_SIZE], struct arena *a, const char *name, struct err *e)
{
    const char *homes[FOLDERS];
    find_homes(homes);
    for (int i = 0; i < FOLDERS; i++) {
        int n = homes[i] ? snprintf(path, PATH_SIZE, "%s/nets/%s.net", homes[i], name) : -1;
        if (n > 0 && n < PATH_SIZE && file_exists(path))
            return 0;
    }
    const char *near = nearest_name(name, graph_names(a));
    return err_set(e, EXIT_USAGE, "no network is called '%s'%s%s%s; 'kiln net list' names all",
                   name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int graph_load(struct graph *g, struct arena *a, const char *name, const struct graph_options *o,
               struct err *e)
{
    char path[PATH_SIZE];
    bool is_path = strchr(name, '/') || is_net(name);
    if (is_path && snprintf(path, sizeof path, "%s", name) >= PATH_SIZE)
        return err_set(e, EXIT_USAGE, "the path of the network is too long");
    if (!is_path && find_net(path, a, name, e))
        return -1;
    char *text;
    size_t bytes;
    if (file_read(path, &text, &bytes, EXIT_USAGE, e))
        return -1;
    int rc;
    if (strlen(text) != bytes)
        rc = err_set(e, EXIT_USAGE, "%s is no text: it has a zero byte", path);
    else
        rc = graph_parse(g, a, path, text, o, e);
    free(text);
    if (rc)
        return -1;
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    g->name = arena_strndup(a, base, strlen(base) - (is_net(base) ? 4 : 0));
    return 0;
}
