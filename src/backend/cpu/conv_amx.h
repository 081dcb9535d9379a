/* conv_amx.h - what the algorithms in tile registers share: `amx`, in conv_amx.c (packing, forward,
 * backward-data) and conv_amx_outer.c, and `amx4`, in conv_amx_rows.c and conv_amx_rows_outer.c;
 * the sums of backward-weights of either are conv_amx_weights.c's. */
#ifndef KILN_BACKEND_CPU_CONV_AMX_H
#define KILN_BACKEND_CPU_CONV_AMX_H

#include "backend/cpu/conv.h"

/* Bytes that fit a second-level cache with room for what else passes through it: the machines that
 * have tile registers have 2 MB a core. */
enum { AMX_CACHE = 1 << 20 };

static inline int amx_lines(int channels)
{
    return layout_cblocks(PRECISION_BF16, channels);
}

/* Into how many parts of at most `each` they are cut. */
static inline int parts_of(int count, int each)
{
    return (count + each - 1) / each;
}

/* How backward-weights is cut into items: lines of a part of the gradient, and the lanes that an
 * item adds up, a power of two. */
struct amx_cut {
    int c_lines, k_lines, lanes;
};

/* The part of the gradient that an item owns, and the worker's room. */
struct amx_part {
    const struct cpu_backend *b;
    int n;
    const struct conv_shape *s;
    struct map x, dy;
    const uint8_t *taken;       /* dy is the gradient of a 2x2 max pool, and this is what it took;
                                   NULL: there is no pool */
    struct amx_cut cut;
    int c_begin, c_end, k_begin, k_end; /* lines */
    char *room;
};

/* A way to sum up a part of a lane. Which channels make half a line says `unpack` in
 * conv_tiles.h. */
struct amx_way {
    bool parity;                /* the halves are the even and the odd channels */

    /* Bytes of room that a worker wants. */
    size_t (*room)(int n, const struct conv_shape *s, struct amx_cut cut);

    /* About how many cycles an item takes, by figures from one processor with tile registers. */
    double (*cycles)(int n, const struct conv_shape *s, struct amx_cut cut);

    /* sum = the sum over a lane that has images: float [half a line of C][half a line of K][r][s]
     * [16 of C][16 of K]. Between outer_begin and outer_end. */
    void (*lane)(const struct amx_part *p, int lane, float *sum);
};

extern const struct amx_way amx_outer, amx_rows_outer;

size_t amx_weights_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s,
                             const struct amx_way *way);
void amx_weights(struct cpu_backend *b, const struct conv_work *w, const struct amx_way *way);

/* Floats of a part. */
static inline size_t amx_part_reals(const struct conv_shape *s, struct amx_cut c)
{
    return 4 * (size_t)(c.c_lines * c.k_lines * conv_taps(s)) * REGISTER_REALS;
}

#endif
