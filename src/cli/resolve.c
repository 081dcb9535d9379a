/* resolve.c - see resolve.h. */
#include "cli/resolve.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/share.h"
#include "cli/machine.h"
#include "kernels/kernels.h"

const char *const reserved_keys[] = {"data", NULL};

/* Variables that are no keys. */
static const char *const other_variables[] = {"data", "data_url", "home", NULL};

static int ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int unknown_recipe(const char *recipe, struct err *e)
{
    struct arena a;
    char list[512] = "";
    arena_init(&a);
    const char *const *names = share_names(&a, "recipes", ".ini");
    const char *near = nearest_name(recipe, names);
    for (; *names; names++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", *names);
    }
    if (near)
        err_set(e, EXIT_USAGE, "no recipe '%s'; did you mean '%s'?", recipe, near);
    else
        err_set(e, EXIT_USAGE, "no recipe '%s'; give the path of an .ini file, or one of %s",
                recipe, list);
    arena_release(&a);
    return -1;
}

int resolve_recipe(const char *recipe, char *path, struct err *e)
{
    if (strchr(recipe, '/') || ends_with(recipe, ".ini")) {
        snprintf(path, 4096, "%s", recipe);
        return 0;
    }
    return share_find("recipes", recipe, ".ini", path) ? 0 : unknown_recipe(recipe, e);
}

void recipe_slug(const char *recipe, char slug[64])
{
    const char *slash = strrchr(recipe, '/'), *name = slash ? slash + 1 : recipe;
    size_t n = strlen(name);
    if (ends_with(name, ".ini"))
        n -= 4;
    if (n > 63)
        n = 63;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        slug[i] = (char)(isalnum(c) || c == '-' || c == '_' || c == '.' ? c : '-');
    }
    slug[n] = 0;
}

bool asked_for_tier(const struct invocation *inv)
{
    for (int i = 0; i < inv->setting_count; i++) {
        if (strcmp(inv->settings[i].key, "isa") == 0)
            return true;
    }
    return false;
}

static int apply_settings(const struct invocation *inv, int from_set, struct config *c,
                          struct err *e)
{
    for (int i = 0; i < inv->setting_count; i++) {
        const struct setting *s = &inv->settings[i];
        if ((strcmp(s->origin, "--set") == 0) == from_set &&
            options_set(config_options, c, s->key, s->value, s->origin, e))
            return -1;
    }
    return 0;
}

static int resolve(const struct invocation *inv, const char *path, const char *const *pairs,
                   int resumed, struct config *c, struct err *e)
{
    config_default(c);
    if (path && options_read_ini(config_options, c, path, e))
        return -1;
    for (; pairs && *pairs; pairs += 2)
        if (options_set(config_options, c, pairs[0], pairs[1], "study", e))
            return -1;
    if (resumed)
        c->steps = 0;
    if (options_check_environment(config_options, other_variables, e) ||
        options_read_environment(config_options, c, reserved_keys, e) ||
        apply_settings(inv, 1, c, e) || apply_settings(inv, 0, c, e))
        return -1;
    return config_check(c, e);
}

int resolve_keys(const struct invocation *inv, const char *recipe, struct config *c, struct err *e)
{
    char path[4096];
    if (recipe && resolve_recipe(recipe, path, e))
        return -1;
    return resolve(inv, recipe ? path : NULL, NULL, 0, c, e);
}

int resolve_study(const struct invocation *inv, const char *recipe, const char *const *pairs,
                  struct config *c, struct err *e)
{
    char path[4096];
    if (resolve_recipe(recipe, path, e))
        return -1;
    return resolve(inv, path, pairs, 0, c, e) || machine_resolve(c, e) ? -1 : 0;
}

int resolve_config(const struct invocation *inv, const char *recipe, struct config *c,
                   struct err *e)
{
    return resolve_keys(inv, recipe, c, e) || machine_resolve(c, e) ? -1 : 0;
}

int resolve_resumed(const struct invocation *inv, const char *ini, struct config *c,
                    struct err *e)
{
    return resolve(inv, ini, NULL, 1, c, e) || machine_resolve(c, e) ? -1 : 0;
}
