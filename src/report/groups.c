/* groups.c - see groups.h. */
#include "report/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Settings that do not make another experiment of a run: where and how it is computed and kept, and
 * the seed, over which groups average. */
static const char *const incidental[] = {
    "seed",      "name",      "threads",    "isa",    "data_dir", "checkpoint_every",
    "keep_last", "keep_best", "hash_steps", "target", "steps",    "probes",
    "predictions", "probe_budget", "probe_images", "probe_precision", "probe_iterations", NULL,
};

static bool is_incidental(const char *key)
{
    for (const char *const *k = incidental; *k; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

static const char *setting_of(const struct run_summary *s, const char *key)
{
    const char *value = summary_setting(s, key);
    return value ? value : "";
}

/* Two runs are of one group when all settings that count are equal. */
static bool same_configuration(const struct report_run *a, const struct report_run *b)
{
    const struct run_summary *s = &a->summary, *t = &b->summary;
    if (strcmp(s->data_hash, t->data_hash) != 0 && *s->data_hash && *t->data_hash)
        return false;
    for (size_t i = 0; i < s->setting_count; i++)
        if (!is_incidental(s->settings[i].key) &&
            strcmp(s->settings[i].value, setting_of(t, s->settings[i].key)) != 0)
            return false;
    for (size_t i = 0; i < t->setting_count; i++)
        if (!is_incidental(t->settings[i].key) && !summary_setting(s, t->settings[i].key))
            return false;
    return true;
}

/* The same for runs of one configuration, whatever the order of their settings. */
static uint64_t hash_of(const struct run_summary *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->setting_count; i++)
        if (!is_incidental(s->settings[i].key))
            sum += buckets_hash(buckets_hash(0, s->settings[i].key), s->settings[i].value);
    return sum;
}

/* The group that a run belongs to, or BUCKETS_END. */
static size_t find_group(const struct report *r, const struct buckets *known, size_t run,
                         uint64_t hash)
{
    size_t g = buckets_first(known, hash);
    while (g != BUCKETS_END &&
           !same_configuration(&r->runs[run], report_first(r, &r->groups[g])))
        g = buckets_next(known, g);
    return g;
}

void groups_make(struct report *r)
{
    struct buckets known = {0};
    for (size_t i = 0; i < r->run_count; i++) {
        const uint64_t hash = hash_of(&r->runs[i].summary);
        size_t g = find_group(r, &known, i, hash);
        if (g == BUCKETS_END) {
            g = buckets_add(&known, hash);
            r->group_count++;
            r->groups = xrealloc(r->groups, r->group_count * sizeof *r->groups);
            r->groups[g] = (struct report_group){0};
        }
        struct report_group *group = &r->groups[g];
        group->runs = xrealloc(group->runs, (group->count + 1) * sizeof *group->runs);
        group->runs[group->count++] = i;
    }
    buckets_release(&known);
}

static void add_varied(struct report *r, const char *key)
{
    r->varied = xrealloc(r->varied, (r->varied_count + 1) * sizeof *r->varied);
    r->varied[r->varied_count++] = arena_strdup(&r->memory, key);
}

/* What successive halving sets with the epochs of a rung tells nothing more than they do. */
static bool follows_epochs(const struct report *r, const char *key)
{
    static const char *const squeezed[] = {"knots", "step_at", "warmup", NULL};
    for (const char *const *k = squeezed; r->halved && *k; k++)
        if (strcmp(*k, key) == 0)
            return true;
    return false;
}

static void find_varied(struct report *r)
{
    const struct report_run *first = report_first(r, &r->groups[0]);
    for (size_t i = 0; i < first->summary.setting_count; i++) {
        const struct run_setting *s = &first->summary.settings[i];
        bool differs = false;
        for (size_t g = 1; g < r->group_count && !differs; g++)
            differs = strcmp(report_setting(r, &r->groups[g], s->key), s->value) != 0;
        if (differs && !is_incidental(s->key) && !follows_epochs(r, s->key))
            add_varied(r, s->key);
    }
}

/* Numbers are shown as short as they are: 0.10000000000000001 is 0.1. */
static const char *short_value(struct report *r, const char *text)
{
    char *end, number[32];
    double value = strtod(text, &end);
    if (end == text || *end || strlen(text) < 8)
        return text;
    snprintf(number, sizeof number, "%.4g", value);
    return arena_strdup(&r->memory, number);
}

/* What somebody called a run: its user, or its study; "" if nobody did. */
static const char *given_name(const struct report_run *run)
{
    return *run->summary.name ? run->summary.name : run->label;
}

/* The name that all runs of a group share and nobody else has, or NULL; `names` are those of all
 * runs. */
static const char *own_name(const struct report *r, const struct report_group *g,
                            const struct buckets *names)
{
    const char *name = given_name(report_first(r, g));
    size_t found = 0;
    if (!*name)
        return NULL;
    for (size_t i = buckets_first(names, buckets_hash(0, name)); i != BUCKETS_END;
         i = buckets_next(names, i)) {
        if (strcmp(given_name(&r->runs[i]), name) != 0)
            continue;
        if (r->runs[i].group != (size_t)(g - r->groups))
            return NULL;
        found++;
    }
    return found == g->count ? name : NULL;
}

/* Charts have no room for more than some settings: the others are left out, and a number tells the
 * group from those that differ in them alone. */
static void make_label(struct report *r, struct report_group *g, const char *name)
{
    enum { ROOM = 120 };
    const char *label = "";
    if (name) {
        g->label = name;
        return;
    }
    for (size_t i = 0; i < r->varied_count; i++) {
        const char *more = arena_printf(&r->memory, "%s%s%s %s", label, *label ? " · " : "",
                                        r->varied[i],
                                        short_value(r, report_setting(r, g, r->varied[i])));
        if (*label && strlen(more) > ROOM) {
            label = arena_printf(&r->memory, "%s · … (%zu)", label,
                                 (size_t)(g - r->groups) + 1);
            break;
        }
        label = more;
    }
    g->label = *label ? label : report_first(r, g)->summary.recipe;
}

void groups_label(struct report *r)
{
    struct buckets names = {0};
    for (size_t i = 0; i < r->run_count; i++)
        buckets_add(&names, buckets_hash(0, given_name(&r->runs[i])));
    find_varied(r);
    for (size_t g = 0; g < r->group_count; g++)
        make_label(r, &r->groups[g], own_name(r, &r->groups[g], &names));
    buckets_release(&names);
}
