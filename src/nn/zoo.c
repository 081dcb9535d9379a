/* zoo.c - networks that come with kiln: where their files are, and what they are called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/options.h"
#include "base/share.h"
#include "nn/graph.h"

enum { PATH_SIZE = 4096 };

static const char ending[] = ".net";

static bool is_net(const char *name)
{
    size_t n = strlen(name), tail = sizeof ending - 1;
    return n > tail && strcmp(name + n - tail, ending) == 0;
}

const char *const *graph_names(struct arena *a)
{
    return share_names(a, "nets", ending);
}

/* The path of nets/<name>.net in the first home that has it. */
static int find_net(char path[PATH_SIZE], struct arena *a, const char *name, struct err *e)
{
    if (share_find("nets", name, ending, path))
        return 0;
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
