/* conv_body.h - the body of conv.c for one type: REAL the type, NAME(x) x's name in that type.
 * Sums run in the order of the loops: taps then channels; pixels then images; lanes as a tree. */

enum { NAME(CB) = LINE / (int)sizeof(REAL) };

static void NAME(gather)(int count, const struct conv_tap *taps, int c, int images, int lines,
                         const void *bias, bool add, void *y)
{
    enum { CB = NAME(CB) };
    assert(count >= 0 && c > 0 && images > 0 && images <= IMAGES);
    assert(lines > 0 && lines <= PANEL_LINES);
    int width = lines * CB;
    for (int i = 0; i < images; i++) {
        REAL sum[PANEL_LINES * CB];
        for (int j = 0; j < width; j++)
            sum[j] = add    ? ((REAL *)y)[(j / CB * IMAGES + i) * CB + j % CB]
                     : bias ? ((const REAL *)bias)[j]
                            : 0;
        for (int t = 0; t < count; t++) {
            const REAL *x = taps[t].x, *w = taps[t].w;
            for (int cc = 0; cc < c; cc++, w += width)
                for (int j = 0; j < width; j++)
                    sum[j] += x[(cc / CB * IMAGES + i) * CB + cc % CB] * w[j];
        }
        for (int j = 0; j < width; j++)
            ((REAL *)y)[(j / CB * IMAGES + i) * CB + j % CB] = sum[j];
    }
}

static void NAME(outer)(int pixels, int images, const void *x, size_t x_step, int c, const void *dy,
                        size_t dy_step, int lines, void *dw)
{
    enum { CB = NAME(CB) };
    assert(pixels > 0 && images > 0 && images <= IMAGES);
    assert(c > 0 && c <= CB && lines > 0 && lines <= PANEL_LINES);
    int width = lines * CB;
    for (int cc = 0; cc < c; cc++) {
        REAL sum[PANEL_LINES * CB] = {0};
        for (int p = 0; p < pixels; p++) {
            const REAL *a = (const REAL *)x + (size_t)p * x_step + cc;
            const REAL *b = (const REAL *)dy + (size_t)p * dy_step;
            for (int i = 0; i < images; i++)
                for (int j = 0; j < width; j++)
                    sum[j] += a[i * CB] * b[(j / CB * IMAGES + i) * CB + j % CB];
        }
        for (int j = 0; j < width; j++)
            ((REAL *)dw)[cc * width + j] += sum[j];
    }
}

static void NAME(sum_images)(int pixels, int images, const void *dy, size_t dy_step, void *sum)
{
    enum { CB = NAME(CB) };
    assert(pixels > 0 && images > 0 && images <= IMAGES);
    REAL part[CB] = {0};
    for (int p = 0; p < pixels; p++) {
        const REAL *line = (const REAL *)dy + (size_t)p * dy_step;
        for (int i = 0; i < images; i++, line += CB)
            for (int j = 0; j < CB; j++)
                part[j] += line[j];
    }
    for (int j = 0; j < CB; j++)
        ((REAL *)sum)[j] += part[j];
}

static void NAME(pack)(int k, int c, int taps, const void *weights, int k0, int lines,
                       void *packed)
{
    int width = lines * NAME(CB);
    REAL *out = packed;
    for (int j = 0; j < width; j++) {
        if (k0 + j >= k) {
            for (size_t i = 0; i < (size_t)taps * (size_t)c; i++)
                out[i * (size_t)width + (size_t)j] = 0;
            continue;
        }
        const REAL *w = (const REAL *)weights + (size_t)(k0 + j) * (size_t)c * (size_t)taps;
        for (int cc = 0; cc < c; cc++)
            for (int t = 0; t < taps; t++)
                out[((size_t)t * (size_t)c + (size_t)cc) * (size_t)width + (size_t)j] = *w++;
    }
}

static void NAME(pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                                  void *packed)
{
    int width = lines * NAME(CB);
    REAL *out = packed;
    for (int kk = 0; kk < k; kk++) {
        const REAL *w = (const REAL *)weights + ((size_t)kk * (size_t)c + (size_t)c0) *
                                                    (size_t)taps;
        for (int j = 0; j < width; j++)
            for (int t = 0; t < taps; t++)
                out[((size_t)t * (size_t)k + (size_t)kk) * (size_t)width + (size_t)j] =
                    c0 + j < c ? w[j * taps + t] : 0;
    }
}

/* The tree over lanes [first, first + count) of one element; false if all of them are missing. */
static bool NAME(tree)(int first, int count, const void *const *lane, size_t at, REAL *sum)
{
    if (count == 1) {
        if (lane[first])
            *sum = ((const REAL *)lane[first])[at];
        return lane[first] != NULL;
    }
    REAL a = 0, b = 0;
    bool has_a = NAME(tree)(first, count / 2, lane, at, &a);
    bool has_b = NAME(tree)(first + count / 2, count / 2, lane, at, &b);
    *sum = has_a && has_b ? a + b : has_a ? a : b;
    return has_a || has_b;
}

static void NAME(unpack)(int lanes, const void *const *lane, int k, int c, int taps, int k0,
                         int lines, int c_first, int c_end, void *dw)
{
    int width = lines * NAME(CB);
    assert(lanes > 0 && (lanes & (lanes - 1)) == 0);
    for (int j = 0; j < width && k0 + j < k; j++) {
        for (int cc = c_first; cc < c_end; cc++) {
            REAL *out = (REAL *)dw + ((size_t)(k0 + j) * (size_t)c + (size_t)cc) * (size_t)taps;
            for (int t = 0; t < taps; t++) {
                size_t at = ((size_t)t * (size_t)c + (size_t)cc) * (size_t)width + (size_t)j;
                bool any = NAME(tree)(0, lanes, lane, at, &out[t]);
                assert(any);
                (void)any;
            }
        }
    }
}

static void NAME(conv_init)(struct conv_kernels *k)
{
    *k = (struct conv_kernels){
        .gather = NAME(gather),
        .outer = NAME(outer),
        .sum_images = NAME(sum_images),
        .pack = NAME(pack),
        .pack_transposed = NAME(pack_transposed),
        .unpack = NAME(unpack),
    };
}
