/* share.c - see share.h. */
#define _POSIX_C_SOURCE 200809L /* dirent */
#include "base/share.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { PLACES = 3, PATH_SIZE = 4096, NAMES_MAX = 1000 };

/* The folders, best first; NULL or "" where there is none. */
static void find_places(const char *places[PLACES])
{
    places[0] = getenv("KILN_HOME");
    places[1] = KILN_SOURCE_DIR;
    places[2] = KILN_SHARE_DIR;
}

bool share_find(const char *folder, const char *name, const char *ending, char *path)
{
    const char *places[PLACES];
    find_places(places);
    for (int i = 0; i < PLACES; i++) {
        if (!places[i] || !*places[i])
            continue;
        int n = snprintf(path, PATH_SIZE, "%s/%s/%s%s", places[i], folder, name, ending);
        if (n > 0 && n < PATH_SIZE && file_exists(path))
            return true;
    }
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_known(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Adds the names in one folder that are not in names[count] yet; returns the new count. */
static int add_names(struct arena *a, const char *path, const char *ending, const char **names,
                     int count)
{
    size_t tail = strlen(ending);
    DIR *d = opendir(path);
    for (struct dirent *entry; d && count < NAMES_MAX && (entry = readdir(d));) {
        size_t n = strlen(entry->d_name);
        if (n <= tail || strcmp(entry->d_name + n - tail, ending) != 0)
            continue;
        const char *name = arena_strndup(a, entry->d_name, n - tail);
        if (!is_known(names, count, name))
            names[count++] = name;
    }
    if (d)
        closedir(d);
    return count;
}

const char *const *share_names(struct arena *a, const char *folder, const char *ending)
{
    const char *places[PLACES], **names = arena_alloc(a, NAMES_MAX + 1, sizeof *names);
    char path[PATH_SIZE];
    int count = 0;
    find_places(places);
    for (int i = 0; i < PLACES; i++) {
        if (places[i] && *places[i] && !file_join(path, sizeof path, places[i], folder, NULL))
            count = add_names(a, path, ending, names, count);
    }
    qsort(names, (size_t)count, sizeof *names, compare_names);
    return names;
}
