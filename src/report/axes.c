/* axes.c - see axes.h. */
#include "report/axes.h"

#include <stdlib.h>
#include <string.h>

#include "report/html.h"

struct place {
    const char *text;
    double value;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct place *)a)->value, y = ((const struct place *)b)->value;
    return (x > y) - (x < y);
}

/* All values of a setting, each once, in the order of the groups. */
static size_t collect(const struct report *r, const char *key, struct place *places, bool *numbers)
{
    size_t count = 0;
    *numbers = true;
    for (size_t g = 0; g < r->group_count; g++) {
        struct place p = {.text = report_setting(r, &r->groups[g], key)};
        size_t k = 0;
        *numbers &= report_number(r, &r->groups[g], key, &p.value);
        while (k < count && strcmp(places[k].text, p.text) != 0)
            k++;
        if (k == count)
            places[count++] = p;
    }
    return count;
}

void axis_init(struct axis *a, const struct report *r, const char *key)
{
    struct place *places = xcalloc(r->group_count, sizeof *places);
    *a = (struct axis){.key = key};
    a->count = collect(r, key, places, &a->numbers);
    if (a->numbers)
        qsort(places, a->count, sizeof *places, by_value);
    a->texts = xcalloc(a->count, sizeof *a->texts);
    a->values = xcalloc(a->count, sizeof *a->values);
    for (size_t i = 0; i < a->count; i++) {
        a->texts[i] = places[i].text;
        a->values[i] = a->numbers ? places[i].value : (double)i;
    }
    a->logarithmic = a->numbers && a->values[0] > 0 && a->values[a->count - 1] >= 4 * a->values[0];
    free(places);
}

void axis_release(struct axis *a)
{
    free(a->texts);
    free(a->values);
    *a = (struct axis){0};
}

size_t axis_place(const struct axis *a, const struct report *r, const struct report_group *g)
{
    const char *text = report_setting(r, g, a->key);
    size_t i = 0;
    while (i + 1 < a->count && strcmp(a->texts[i], text) != 0)
        i++;
    return i;
}

static bool is_number(const struct report *r, const char *key)
{
    double value;
    for (size_t g = 0; g < r->group_count; g++)
        if (!report_number(r, &r->groups[g], key, &value))
            return false;
    return true;
}

/* `wanted` if it varies, else the first varied number that is not `taken`. */
static const char *choose(const struct report *r, const char *wanted, const char *taken)
{
    const char *first = NULL;
    for (size_t i = 0; i < r->varied_count; i++) {
        const char *key = r->varied[i];
        if ((taken && strcmp(key, taken) == 0) || !is_number(r, key))
            continue;
        if (strcmp(key, wanted) == 0)
            return key;
        first = first ? first : key;
    }
    return first;
}

/* Whether some run has come to something that can be drawn, or still may. */
static bool has_results(const struct report *r)
{
    for (size_t g = 0; g < r->group_count; g++)
        if (r->groups[g].loss.n || r->groups[g].diverged || r->groups[g].running)
            return true;
    return r->waiting > 0;
}

const char *axes_main(const struct report *r)
{
    return has_results(r) ? choose(r, "lr", NULL) : NULL;
}

const char *axes_second(const struct report *r)
{
    const char *main_key = axes_main(r);
    return main_key ? choose(r, "batch", main_key) : NULL;
}

static bool same_but(const struct report *r, const struct report_group *a,
                     const struct report_group *b, const char *key)
{
    for (size_t i = 0; i < r->varied_count; i++)
        if (strcmp(r->varied[i], key) != 0 && strcmp(report_setting(r, a, r->varied[i]),
                                                     report_setting(r, b, r->varied[i])) != 0)
            return false;
    return true;
}

static uint64_t hash_but(const struct report *r, const struct report_group *g, const char *key)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < r->varied_count; i++)
        if (strcmp(r->varied[i], key) != 0)
            hash = buckets_hash(hash, report_setting(r, g, r->varied[i]));
    return hash;
}

size_t axes_families(const struct report *r, const char *key, size_t *family)
{
    struct buckets known = {0};
    size_t count = 0;
    for (size_t g = 0; g < r->group_count; g++) {
        const uint64_t hash = hash_but(r, &r->groups[g], key);
        size_t k = buckets_first(&known, hash);
        while (k != BUCKETS_END && !same_but(r, &r->groups[g], &r->groups[k], key))
            k = buckets_next(&known, k);
        family[g] = k != BUCKETS_END ? family[k] : count++;
        buckets_add(&known, hash);
    }
    buckets_release(&known);
    return count;
}

const char *axes_family_label(const struct report *r, const struct report_group *g,
                              const char *key, char text[512])
{
    enum { ROOM = 120 };
    size_t used = 0;
    *text = 0;
    for (size_t i = 0; i < r->varied_count; i++) {
        double value;
        char number[32], more[256];
        const char *shown = report_setting(r, g, r->varied[i]);
        if (strcmp(r->varied[i], key) == 0)
            continue;
        if (report_number(r, g, r->varied[i], &value))
            shown = html_number(value, 6, number);
        size_t length = (size_t)snprintf(more, sizeof more, "%s%s %s", used ? " · " : "",
                                         r->varied[i], shown);
        if (used && used + length > ROOM) {
            snprintf(text + used, 512 - used, " · … (%zu)", (size_t)(g - r->groups) + 1);
            break;
        }
        used += (size_t)snprintf(text + used, 512 - used, "%s", more);
    }
    return text;
}
