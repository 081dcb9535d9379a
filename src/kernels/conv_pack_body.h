/* conv_pack_body.h - packing of weights in fp32, faster than conv_body.h: plain loops that a tier
 * has compiled for its instructions. REAL and NAME(x) as in each_precision_body.h. */

enum { NAME(PACK_CB) = LINE / (int)sizeof(REAL) };

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
