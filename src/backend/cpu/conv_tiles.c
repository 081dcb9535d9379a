/* conv_tiles.c - tiles, positions, chunks and runs; see conv_winograd.h. */
#include <assert.h>

#include "backend/cpu/conv_winograd.h"

static const struct winograd_set *set_of(int most)
{
    return most > WINOGRAD_MOST ? &winograd_set6 : &winograd_set4;
}

bool tiles_cut(int outputs, int most)
{
    int least = set_of(most)->least, count = (outputs + most - 1) / most;
    return outputs >= least && (most <= WINOGRAD_MOST || outputs / count >= least);
}

static void cut(struct tile_axis *t, int outputs, int most)
{
    int least = set_of(most)->least;
    assert(tiles_cut(outputs, most));
    t->count = (outputs + most - 1) / most;
    if (outputs / t->count < least)
        t->count = outputs / least;
    int missing = t->count * most - outputs;
    if (most >= 4 && missing > 0 && missing % 2 == 0) {
        *t = (struct tile_axis){t->count, most, most - 2, t->count - missing / 2};
        return;
    }
    t->small = outputs / t->count;
    t->large = t->small + 1;
    t->large_count = outputs % t->count;
}

void tiling_init(struct tiling *t, int p, int q, int most)
{
    t->set = set_of(most);
    cut(&t->rows, p, most);
    cut(&t->columns, q, most);
}

static int group_of(const struct tiling *t, const struct position *p)
{
    bool tall = p->row < t->rows.large_count, wide = p->column < t->columns.large_count;
    return tall ? (wide ? 1 : 2) : (wide ? 0 : 3);
}

/* The frequencies of the tiles of a group that has any. */
static uint64_t group_frequencies(const struct tiling *t, int group)
{
    bool tall = group == 1 || group == 2, wide = group <= 1;
    const unsigned *present = t->set->present;
    uint64_t rows = present[tall ? t->rows.large : t->rows.small], frequencies = 0;
    uint64_t columns = present[wide ? t->columns.large : t->columns.small];
    for (int row = 0; row < t->set->points; row++)
        if (rows >> row & 1)
            frequencies |= columns << (row * t->set->points);
    return frequencies;
}

/* The next position of a part or, where the frequencies or the number of images differ, of a new
 * one. */
static void add_to_parts(struct chunk *c, uint64_t frequencies, int images)
{
    struct chunk_part *last = c->part_count > 0 ? &c->part[c->part_count - 1] : NULL;
    if (last && last->frequencies == frequencies && last->run.images == images) {
        last->run.end++;
        return;
    }
    int begin = last ? last->run.end : 0;
    assert(c->part_count < RUNS);
    c->part[c->part_count++] = (struct chunk_part){{begin, begin + 1, images}, frequencies};
}

void chunk_init(struct chunk *c, const struct tiling *t, int n, int begin, int end)
{
    struct position all[CHUNK_POSITIONS];
    int tiles = tiling_count(t), columns = t->columns.count, at = 0;
    c->count = end - begin;
    c->part_count = 0;
    assert(c->count <= CHUNK_POSITIONS);
    for (int i = 0; i < c->count; i++) {
        int tile = (begin + i) % tiles;
        all[i] = (struct position){(begin + i) / tiles, tile / columns, tile % columns};
    }
    for (int group = 0; group < GROUPS; group++)
        for (int i = 0; i < c->count; i++)
            if (group_of(t, &all[i]) == group) {
                c->at[at++] = all[i];
                add_to_parts(c, group_frequencies(t, group), cpu_block_images(n, all[i].block));
            }
}

int chunk_runs(const struct chunk *c, int f, struct run runs[RUNS])
{
    int count = 0;
    for (int i = 0; i < c->part_count; i++) {
        const struct run *r = &c->part[i].run;
        if (!(c->part[i].frequencies >> f & 1))
            continue;
        if (count > 0 && runs[count - 1].end == r->begin && runs[count - 1].images == r->images)
            runs[count - 1].end = r->end;
        else
            runs[count++] = *r;
    }
    return count;
}
