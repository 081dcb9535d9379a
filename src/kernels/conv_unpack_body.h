/* conv_unpack_body.h - adding up and unpacking the lanes of the gradient of weights. Plain loops; a
 * tier includes them again to have them compiled for its instructions. MAP, REAL and NAME(x) as in
 * each_precision_body.h. */

enum {
    NAME(UNPACK_CB) = LINE / (int)sizeof(MAP),
    NAME(RUN) = 16 * PANEL_LINES * NAME(UNPACK_CB) /* elements that are added up at a time */
};

static int NAME(fewer)(int a, int b)
{
    return a < b ? a : b;
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
    int width = lines * NAME(UNPACK_CB), present = NAME(fewer)(width, k - k0);
    int most = NAME(RUN) / width;
    REAL slab[SLAB_TAPS][NAME(RUN)];
    for (int c0 = c_first; c0 < c_end; c0 += most) {
        int channels = NAME(fewer)(most, c_end - c0);
        for (int t0 = 0; t0 < taps; t0 += SLAB_TAPS) {
            int count = NAME(fewer)(SLAB_TAPS, taps - t0);
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
