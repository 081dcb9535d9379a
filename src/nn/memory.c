/* memory.c - where each value lies in the plan's block.
 *
 * A value lives from the step that writes it to the step that reads it last. Two values may share
 * bytes if their lives do not meet. Placing them in the smallest block is NP-hard; greedy placement
 * of the largest first, each at the lowest address where it fits, comes within a few per cent of
 * the bound for networks (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net
 * inference"); a second order, by time of birth, is tried too and the better one kept.
 */
#include <assert.h>
#include <stdlib.h>

#include "nn/program.h"

enum { ALIGNMENT = 4096 }; /* a page: no two values share one, so no false sharing either */

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void find_lifetimes(struct program *p)
{
    for (int v = 0; v < p->value_count; v++) {
        p->values[v].first = p->values[v].last = -1;
        p->values[v].root = v;
    }
    for (int i = 0; i < p->step_count; i++) {
        const struct step *s = &p->steps[i];
        for (int j = 0; j < s->write_count; j++) {
            assert(p->values[s->writes[j]].first < 0);
            p->values[s->writes[j]].first = p->values[s->writes[j]].last = i;
        }
        for (int j = 0; j < s->read_count; j++) {
            assert(p->values[s->reads[j]].first >= 0);
            p->values[s->reads[j]].last = i;
        }
    }
}

/* A map that nobody reads (the gradient of the image) is never written and takes no room. */
static void find_sizes(struct program *p)
{
    for (int v = 0; v < p->value_count; v++) {
        struct value *x = &p->values[v];
        if (x->kind == VALUE_MAP && x->first >= 0)
            x->bytes = x->last > x->first ? layout_bytes(p->backend->precision, p->batch,
                                                         x->shape.h, x->shape.w, x->shape.c)
                                          : 0;
    }
    for (int i = 0; i < p->step_count; i++)
        if (p->steps[i].op->measure)
            p->steps[i].op->measure(p, &p->steps[i]);
}

/* Lets the step's first result take over the memory of an operand that dies there, if the operation
 * can work in place. The root's life then covers all values that share it. */
static void share_in_place(struct program *p)
{
    for (int i = 0; i < p->step_count; i++) {
        const struct step *s = &p->steps[i];
        for (int j = 0; j < s->read_count; j++) {
            if (!(s->op->in_place & 1u << j))
                continue;
            struct value *y = &p->values[s->writes[0]], *x = &p->values[s->reads[j]];
            if (x->last != i || x->bytes != y->bytes || y->bytes == 0)
                continue;
            y->root = x->root;
            p->values[y->root].last = y->last;
            break;
        }
    }
}

static bool lives_meet(const struct value *a, const struct value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* A value to place, with its sort key. */
struct item {
    int value;
    size_t key;
};

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* The lowest offset where values[items[i]] meets none of the items before it. `placed` holds these
 * in order of offset. */
static size_t lowest_fit(const struct program *p, const int *placed, int count,
                         const struct value *x)
{
    size_t offset = 0;
    for (int i = 0; i < count; i++) {
        const struct value *y = &p->values[placed[i]];
        if (!lives_meet(x, y))
            continue;
        if (y->offset >= offset + round_up(x->bytes))
            break;
        if (y->offset + round_up(y->bytes) > offset)
            offset = y->offset + round_up(y->bytes);
    }
    return offset;
}

/* Places the items in their order; returns the size of the block. */
static size_t place(struct program *p, const struct item *items, int count, int *placed)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++) {
        struct value *x = &p->values[items[i].value];
        x->offset = lowest_fit(p, placed, i, x);
        size_t end = x->offset + round_up(x->bytes);
        bytes = end > bytes ? end : bytes;
        int j = i;
        for (; j > 0 && p->values[placed[j - 1]].offset > x->offset; j--)
            placed[j] = placed[j - 1];
        placed[j] = items[i].value;
    }
    return bytes;
}

void program_place(struct program *p, struct arena *a)
{
    find_lifetimes(p);
    find_sizes(p);
    share_in_place(p);
    struct item *items = arena_alloc(a, (size_t)p->value_count, sizeof *items);
    int *placed = arena_alloc(a, (size_t)p->value_count, sizeof *placed), count = 0;
    for (int v = 0; v < p->value_count; v++)
        if (p->values[v].root == v && p->values[v].first >= 0 && p->values[v].bytes > 0)
            items[count++] = (struct item){v, p->values[v].bytes};
    qsort(items, (size_t)count, sizeof *items, compare_items);
    size_t by_size = place(p, items, count, placed);
    for (int i = 0; i < count; i++)
        items[i].key = (size_t)(p->step_count - p->values[items[i].value].first);
    qsort(items, (size_t)count, sizeof *items, compare_items);
    p->bytes = place(p, items, count, placed);
    if (by_size < p->bytes) {
        for (int i = 0; i < count; i++)
            items[i].key = p->values[items[i].value].bytes;
        qsort(items, (size_t)count, sizeof *items, compare_items);
        p->bytes = place(p, items, count, placed);
    }
    for (int v = 0; v < p->value_count; v++)
        p->values[v].offset = p->values[p->values[v].root].offset;
}

size_t program_least_bytes(const struct program *p)
{
    size_t most = 0;
    for (int i = 0; i < p->step_count; i++) {
        size_t alive = 0;
        for (int v = 0; v < p->value_count; v++) {
            const struct value *x = &p->values[v];
            if (x->root == v && x->first >= 0 && x->first <= i && x->last >= i)
                alive += round_up(x->bytes);
        }
        most = alive > most ? alive : most;
    }
    return most;
}
