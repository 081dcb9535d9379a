/* conv_pack_body.h - packing of weights and unpacking of their gradient, for one type and one set
 * of compiler flags: REAL the type, NAME(x) x's name. Plain loops; a tier includes them again to
 * have them compiled for its instructions. */

enum {
    NAME(PACK_CB) = LINE / (int)sizeof(REAL),
    NAME(WIDTH) = PANEL_LINES * LINE / (int)sizeof(REAL),
    NAME(SLAB) = 64 /* rows of a panel that are added up at a time */
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

static int NAME(present)(int width, int rest)
{
    return rest < width ? rest : width;
}

static void NAME(pack)(int k, int c, int taps, const void *weights, int k0, int lines,
                       void *packed)
{
    int width = lines * NAME(PACK_CB);
    size_t row = (size_t)c * (size_t)taps;
    const REAL *w = (const REAL *)weights + (size_t)k0 * row;
    for (int cc = 0; cc < c; cc++)
        NAME(transpose)(width, taps, NAME(present)(width, k - k0), w + (size_t)(cc * taps), row,
                        (REAL *)packed + cc * width, (size_t)c * (size_t)width);
}

static void NAME(pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                                  void *packed)
{
    int width = lines * NAME(PACK_CB);
    size_t row = (size_t)c * (size_t)taps;
    const REAL *w = (const REAL *)weights + (size_t)(c0 * taps);
    for (int kk = 0; kk < k; kk++)
        NAME(transpose)(width, taps, NAME(present)(width, c - c0), w + (size_t)kk * row,
                        (size_t)taps, (REAL *)packed + kk * width, (size_t)k * (size_t)width);
}

/* sum[width] = the tree over lanes [first, first + count) of the row at `at`; false if all of them
 * are missing. */
static bool NAME(tree)(int first, int count, const void *const *lane, size_t at, int width,
                       REAL *sum)
{
    if (count == 1) {
        if (lane[first])
            memcpy(sum, (const REAL *)lane[first] + at, (size_t)width * sizeof(REAL));
        return lane[first] != NULL;
    }
    REAL right[NAME(WIDTH)];
    bool has_left = NAME(tree)(first, count / 2, lane, at, width, sum);
    bool has_right = NAME(tree)(first + count / 2, count / 2, lane, at, width,
                                has_left ? right : sum);
    if (has_left && has_right)
        for (int j = 0; j < width; j++)
            sum[j] += right[j];
    return has_left || has_right;
}

static void NAME(unpack)(int lanes, const void *const *lane, int k, int c, int taps, int k0,
                         int lines, int c_first, int c_end, void *dw)
{
    assert(lanes > 0 && (lanes & (lanes - 1)) == 0);
    int width = lines * NAME(PACK_CB), present = NAME(present)(width, k - k0);
    REAL slab[NAME(SLAB)][NAME(WIDTH)];
    for (int cc = c_first; cc < c_end; cc++) {
        for (int t0 = 0; t0 < taps; t0 += NAME(SLAB)) {
            int count = taps - t0 < NAME(SLAB) ? taps - t0 : NAME(SLAB);
            for (int t = 0; t < count; t++) {
                size_t at = ((size_t)(t0 + t) * (size_t)c + (size_t)cc) * (size_t)width;
                bool any = NAME(tree)(0, lanes, lane, at, width, slab[t]);
                assert(any);
                (void)any;
            }
            for (int j = 0; j < present; j++) {
                REAL *out = (REAL *)dw +
                            ((size_t)(k0 + j) * (size_t)c + (size_t)cc) * (size_t)taps + t0;
                for (int t = 0; t < count; t++)
                    out[t] = slab[t][j];
            }
        }
    }
}
