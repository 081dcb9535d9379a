/* carry.c - see carry.h. */
#include "train/carry.h"

#include <assert.h>
#include <string.h>

void carry_release(struct carry *c)
{
    arena_release(&c->memory);
    *c = (struct carry){0};
}

double *carry_add(struct carry *c, const char *name, size_t count)
{
    assert(c->count < CARRIED_MAX && count > 0 && !carry_find(c, name, count));
    struct carried *item = &c->items[c->count++];
    *item = (struct carried){.name = arena_strdup(&c->memory, name),
                             .values = arena_alloc(&c->memory, count, sizeof *item->values),
                             .count = count};
    return item->values;
}

const double *carry_find(const struct carry *c, const char *name, size_t count)
{
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->items[i].name, name) == 0)
            return c->items[i].count == count ? c->items[i].values : NULL;
    return NULL;
}
