/* conv_pack_body.h - packing of weights and unpacking of their gradient, for one type and one set
 * of compiler flags: REAL the type, NAME(x) x's name. Plain loops; a tier includes them again to
 * have them compiled for its instructions. */

enum {
    NAME(PACK_CB) = LINE / (int)sizeof(REAL),
    NAME(RUN) = 16 * PANEL_LINES * NAME(PACK_CB) /* elements that lanes are added up in at a time */
};

/* Copies [width][taps], rows `from_step` apart and those from `present` on zero, to [taps][width],
 * rows `to_step` apart. */
static void NAME(transpose)(int width, int taps, int present, const REAL *from, size_t from_step,
                            REAL *to, size_t to_step)
{
    for (int t = 0; t < taps; t++) {
        REAL *row = to + (size_t)t * to_step;
        for (int j = 0; j < present; j++)
            row[j] = from[(size_t)j * from_step + (size_t)t];
        for (int j = present; j < width; j++)
            row[j] = 0;
    }
}

static int NAME(least)(int a, int b)
{
    return a < b ? a : b;
}

static void NAME(pack)(int k, int c, int taps, const void *weights, int k0, int lines,
                       void *packed)
{
    int width = lines * NAME(PACK_CB);
    size_t row = (size_t)c * (size_t)taps;
    const REAL *w = (const REAL *)weights + (size_t)k0 * row;
    for (int cc = 0; cc < c; cc++)
        NAME(transpose)(width, taps, NAME(least)(width, k - k0), w + (size_t)(cc * taps), row,
                        (REAL *)packed + cc * width, (size_t)c * (size_t)width);
}

static void NAME(pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                                  void *packed)
{
    int width = lines * NAME(PACK_CB);
    size_t row = (size_t)c * (size_t)taps;
    const REAL *w = (const REAL *)weights + (size_t)(c0 * taps);
    for (int kk = 0; kk < k; kk++)
        NAME(transpose)(width, taps, NAME(least)(width, c - c0), w + (size_t)kk * row,
                        (size_t)taps, (REAL *)packed + kk * width, (size_t)k * (size_t)width);
}

/* sum[count] = the tree over lanes [first, first + lanes) from `at` on; false if all of them are
 * missing. count <= RUN. */
static bool NAME(tree)(int first, int lanes, const void *const *lane, size_t at, int count,
                       REAL *sum)
{
    if (lanes == 1) {
        if (lane[first])
            memcpy(sum, (const REAL *)lane[first] + at, (size_t)count * sizeof(REAL));
        return lane[first] != NULL;
    }
    REAL right[NAME(RUN)];
    bool has_left = NAME(tree)(first, lanes / 2, lane, at, count, sum);
    bool has_right = NAME(tree)(first + lanes / 2, lanes / 2, lane, at, count,
                                has_left ? right : sum);
    if (has_left && has_right)
        for (int i = 0; i < count; i++)
            sum[i] += right[i];
    return has_left || has_right;
}

/* Adds up the lanes of `channels` channels and `taps` taps from (c0, t0) on: slab [taps][channels]
 * [width] with room for RUN elements a tap. */
static void NAME(add_lanes)(int lanes, const void *const *lane, int c, int c0, int channels,
                            int t0, int taps, int width, REAL (*slab)[NAME(RUN)])
{
    for (int t = 0; t < taps; t++) {
        size_t at = ((size_t)(t0 + t) * (size_t)c + (size_t)c0) * (size_t)width;
        bool any = NAME(tree)(0, lanes, lane, at, channels * width, slab[t]);
        assert(any);
        (void)any;
    }
}

static void NAME(unpack)(int lanes, const void *const *lane, int k, int c, int taps, int k0,
                         int lines, int c_first, int c_end, void *dw)
{
    assert(lanes > 0 && (lanes & (lanes - 1)) == 0);
    enum { SLAB_TAPS = 9 };
    int width = lines * NAME(PACK_CB), present = NAME(least)(width, k - k0);
    int most = NAME(RUN) / width;
    REAL slab[SLAB_TAPS][NAME(RUN)];
    for (int c0 = c_first; c0 < c_end; c0 += most) {
        int channels = NAME(least)(most, c_end - c0);
        for (int t0 = 0; t0 < taps; t0 += SLAB_TAPS) {
            int count = NAME(least)(SLAB_TAPS, taps - t0);
            NAME(add_lanes)(lanes, lane, c, c0, channels, t0, count, width, slab);
            for (int j = 0; j < present; j++) {
                REAL *row = (REAL *)dw + ((size_t)(k0 + j) * (size_t)c + (size_t)c0) *
                                             (size_t)taps + t0;
                for (int cc = 0; cc < channels; cc++)
                    for (int t = 0; t < count; t++)
                        row[cc * taps + t] = slab[t][cc * width + j];
            }
        }
    }
}
