/* conv_winograd.h - what the two halves of Winograd's convolution share: conv_winograd.c (packing,
 * forward, backward-data) and conv_winograd_weights.c (backward-weights), and in part
 * conv_amx_rows.c.
 *
 * The outputs of a map are cut into tiles of 2 to 4 by 2 to 4 so that none is computed in vain: 7 =
 * 4 + 3, 6 = 4 + 2, 13 = 4 + 3 + 3 + 3, 14 = 4 + 4 + 4 + 2; or into tiles of 4 to 6, where that is
 * possible: 15 = 5 + 5 + 5, 14 = 6 + 4 + 4. A dimension is cut into tiles of at most two sizes, the
 * larger ones first; an even one, unless tiles are of 3, into even tiles, so that no window of a
 * 2x2 pool meets two of them (4 + 2 takes no more products than 3 + 3). Each tile of each block of
 * 32 images is a *position*; transformed, it is 32 rows of each of the matrix products whose
 * frequency its size has (kernels/winograd.h).
 *
 * Positions are worked on in *chunks*, small enough that what is between the transforms and the
 * products stays in cache. Those of a chunk are ordered by size, so that the ones that take part in
 * a product are one or two *runs*:
 *
 *      group      0: small by large   1: large by large   2: large by small   3: small by small
 *      frequency of both sizes        0 1 2 3
 *      of large rows only               1 2
 *      of large columns only          0 1
 */
#ifndef KILN_BACKEND_CPU_CONV_WINOGRAD_H
#define KILN_BACKEND_CPU_CONV_WINOGRAD_H

#include "backend/cpu/conv.h"

enum { CHUNK_POSITIONS = 64, GROUPS = 4, RUNS = 2 * GROUPS };

/* The tiles of one dimension. */
struct tile_axis {
    int count;              /* of tiles */
    int large, small;       /* outputs of a tile */
    int large_count;        /* the first so many are large */
};

struct tiling {
    const struct winograd_set *set;
    struct tile_axis rows, columns;
};

struct position {
    int block, row, column; /* of images; of tiles */
};

/* The transforms of the pass, by the tiles of its algorithm; and how many products they make. */
static inline const struct winograd_kernels *winograd_transforms(const struct cpu_backend *b,
                                                                 const struct conv_shape *s,
                                                                 enum conv_pass pass)
{
    bool large = conv_algorithms[s->algorithm[pass]]->tile > WINOGRAD_MOST;
    return large ? &b->kernels.winograd6 : &b->kernels.winograd;
}

static inline int winograd_frequencies(const struct winograd_kernels *transforms)
{
    return transforms->set->points * transforms->set->points;
}

/* Neighbouring positions [begin, end) of a chunk that take part in a product and have as many
 * images. */
struct run {
    int begin, end, images;
};

/* The positions of a group, cut once more where the batch's last block begins if that has fewer
 * images; and the frequencies in whose products they take part, as a set of bits. */
struct chunk_part {
    struct run run;
    uint64_t frequencies;
};

struct chunk {
    int count, part_count;
    struct position at[CHUNK_POSITIONS];
    struct chunk_part part[RUNS];
};

/* A panel of output channels is 32 of them in fp32 and bf16, 16 in fp64: two lines or, in bf16,
 * one. These are the panels of this algorithm; those of conv.h are wider in bf16. */
static inline int winograd_panel(enum precision p)
{
    return p == PRECISION_BF16 ? 1 : PANEL_LINES;
}

static inline int winograd_panels(enum precision p, int channels)
{
    return (layout_cblocks(p, channels) + winograd_panel(p) - 1) / winograd_panel(p);
}

static inline int winograd_panel_lines(enum precision p, int channels, int panel)
{
    return min_int(winograd_panel(p), layout_cblocks(p, channels) - panel * winograd_panel(p));
}

/* Channels summed over that packed weights hold: whole lines in bf16. */
static inline int winograd_depth(enum precision p, int channels)
{
    return p == PRECISION_BF16 ? layout_cblocks(p, channels) * layout_cb(p) : channels;
}

/* Images of a block that are computed: products go in groups of eight. */
static inline int rounded_images(int n, int block)
{
    return min_int((cpu_block_images(n, block) + 7) / 8 * 8, IMAGES);
}

/* Whether so many outputs can be cut into tiles of at most `most` (2, 3, 4 or 6). */
bool tiles_cut(int outputs, int most);

/* Cuts p by q outputs, which can be, into tiles of at most `most` (3 for an odd number with most =
 * 2). */
void tiling_init(struct tiling *t, int p, int q, int most);

static inline int tiling_count(const struct tiling *t)
{
    return t->rows.count * t->columns.count;
}

/* Outputs of tile i, and the first of them. */
static inline int tile_size(const struct tile_axis *t, int i)
{
    return i < t->large_count ? t->large : t->small;
}

static inline int tile_begin(const struct tile_axis *t, int i)
{
    return i * t->small + min_int(i, t->large_count) * (t->large - t->small);
}

/* Points of all tiles of a dimension together: the products of one row (or column) of outputs. */
static inline int tiles_points(const struct tile_axis *t)
{
    return tile_begin(t, t->count) + 2 * t->count;
}

/* Fills the chunk with the positions [begin, end) of n images, numbered block by block, in each row
 * by row. */
void chunk_init(struct chunk *c, const struct tiling *t, int n, int begin, int end);

/* The runs of frequency f; returns their number. */
int chunk_runs(const struct chunk *c, int f, struct run runs[RUNS]);

/* Where a line of each of `rows` by `columns` pixels from (y, x) on begins, for one position's
 * block; pixels outside the map are a tile of zeros. Lines: of one pixel of the map. */
void list_pixels(const struct map *m, int lines, int line, int block, int y, int x, int rows,
                 int columns, const void **pixels);

/* The gradient of a map behind which a 2x2 max pool stands, as the pool has it: half as high and
 * wide, with the positions of its maxima. */
struct pooled_map {
    struct map pool;
    const uint8_t *argmax;
    size_t element;             /* bytes */
    int lines;                  /* of one pixel */
};

/* As list_pixels, of the map before the pool: lists the pixels' windows, and what of them
 * counts. */
void list_taken(const struct pooled_map *m, int line, int block, int y, int x, int rows,
                int columns, const void **pixels, struct winograd_taken *taken);

/* conv_winograd_maps.c: what forward and backward-data read and write. */
struct winograd_maps {
    struct map in, out;
    int in_lines, out_lines;    /* of one pixel */
    int pad;                    /* the first output's input begins so far above and left of it */
    const void *bias;
    bool pooled;                /* forward: what is written is the 2x2 max pool of `out`, */
    struct map pool;            /* here, */
    uint8_t *argmax;            /* with the positions of the maxima, if not NULL */
    bool stream;                /* what is written is too large for the caches */
    struct pooled_map taken;    /* backward-data: what is read instead of `in`, if it has argmax */
};

void winograd_maps_init(struct winograd_maps *m, const struct cpu_backend *b,
                        const struct conv_work *w);

/* list_taken or list_pixels of what is read. Returns what the transform needs to know of the pool:
 * `taken`, or NULL. */
const struct winograd_taken *list_inputs(const struct winograd_maps *m, int line, int block, int y,
                                         int x, int rows, int columns, const void **pixels,
                                         struct winograd_taken *taken);

/* Where the lines of up to 6 x 6 outputs from (y, x) on go: into the map, or, pooled, into
 * `windows`, tiles of which each four make a window; there the images past `images`, which are not
 * computed, become zero. */
void list_outputs(const struct winograd_maps *m, int line, int block, int y, int x, int rows,
                  int columns, char *windows, int images, void **pixels);

/* Where the lines of the pool of so many outputs go, and the positions of their maxima (NULL, if
 * these are not wanted). */
void list_pooled(const struct cpu_backend *b, const struct winograd_maps *m, int line, int block,
                 int y, int x, int rows, int columns, void **pooled, uint8_t **argmax);

/* Pools the windows that list_outputs has listed. */
void pool_windows(const struct cpu_backend *b, const struct winograd_maps *m, int line, int block,
                  int y, int x, int rows, int columns, const char *windows);

/* The line's part of the bias, P [CB], with zeros past its end. */
void copy_bias(const struct cpu_backend *b, const struct winograd_maps *m, int line, void *padded);

/* In a loop over the lines [first, end) of some pixels: bytes from line `line` to what the next
 * turn reads; after the last line that is the first one of pixels `next` lines behind. */
static inline ptrdiff_t lines_ahead(int line, int first, int end, int next)
{
    return (ptrdiff_t)(line + 1 < end ? 1 : next - (line - first)) * TILE;
}

/* conv_winograd_weights.c. */
size_t conv_winograd_weights_workspace(const struct cpu_backend *b, int n,
                                       const struct conv_shape *s);
void conv_winograd_weights(struct cpu_backend *b, const struct conv_work *w, int most);

#endif
