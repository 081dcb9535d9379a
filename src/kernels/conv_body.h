/* conv_body.h - the body of conv.c for one precision (each_precision_body.h). Sums run in the order
 * of the loops: taps then channels; pixels then images; lanes as a tree. */

enum { NAME(CB) = LINE / (int)sizeof(MAP) };

/* One channel of one image. */
static void NAME(gather_channel)(REAL x, const MAP *w, int c, int cc, int width, REAL *sum)
{
    enum { RUN = NAME(CB) < 16 ? NAME(CB) : 16, STEP = PRECISION == PRECISION_BF16 ? 2 : 1 };
    for (int j = 0; j < width; j += RUN) {
        const MAP *run = w + conv_packed_at(PRECISION, c, width, cc, j);
        for (int i = 0; i < RUN; i++)
            sum[j + i] += x * GET(run[i * STEP]);
    }
}

static void NAME(gather)(int count, const struct conv_tap *taps, int c, int images, int lines,
                         const void *bias, bool add, void *y)
{
    enum { CB = NAME(CB) };
    assert(count >= 0 && c > 0 && images > 0 && images <= IMAGES);
    assert(lines > 0 && lines <= PANEL_LINES);
    int width = lines * CB;
    for (int i = 0; i < images; i++) {
        REAL sum[PANEL_LINES * CB];
        MAP *row = (MAP *)y + i * CB;
        for (int j = 0; j < width; j++)
            sum[j] = add    ? GET(row[j / CB * IMAGES * CB + j % CB])
                     : bias ? ((const REAL *)bias)[j]
                            : 0;
        for (int t = 0; t < count; t++) {
            const MAP *x = taps[t].x, *w = taps[t].w;
            for (int cc = 0; cc < c; cc++)
                NAME(gather_channel)(GET(x[(cc / CB * IMAGES + i) * CB + cc % CB]), w, c, cc,
                                     width, sum);
        }
        for (int j = 0; j < width; j++)
            row[j / CB * IMAGES * CB + j % CB] = PUT(sum[j]);
    }
}

/* The outer products of one row of the rectangle, one channel of x. */
static void NAME(outer_row)(int pixels, int images, const MAP *x, size_t x_pixel, const MAP *dy,
                            size_t dy_pixel, int width, REAL *sum)
{
    enum { CB = NAME(CB) };
    for (int q = 0; q < pixels; q++, x += x_pixel, dy += dy_pixel)
        for (int i = 0; i < images; i++)
            for (int j = 0; j < width; j++)
                sum[j] += GET(x[i * CB]) * GET(dy[(j / CB * IMAGES + i) * CB + j % CB]);
}

static void NAME(outer)(const struct conv_rect *r, int images, int c, int lines, void *dw)
{
    enum { CB = NAME(CB) };
    assert(r->rows > 0 && r->pixels > 0 && images > 0 && images <= IMAGES);
    assert(c > 0 && c <= CB && lines > 0 && lines <= PANEL_LINES);
    int width = lines * CB;
    for (int cc = 0; cc < c; cc++) {
        REAL sum[PANEL_LINES * CB] = {0};
        for (int p = 0; p < r->rows; p++)
            NAME(outer_row)(r->pixels, images, (const MAP *)r->x + (size_t)p * r->x_row + cc,
                            r->x_pixel, (const MAP *)r->dy + (size_t)p * r->dy_row, r->dy_pixel,
                            width, sum);
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
        const MAP *line = (const MAP *)dy + (size_t)p * dy_step;
        for (int i = 0; i < images; i++, line += CB)
            for (int j = 0; j < CB; j++)
                part[j] += GET(line[j]);
    }
    for (int j = 0; j < CB; j++)
        ((REAL *)sum)[j] += part[j];
}

/* One panel of `to` channels from to0 on, summed over `from`; strides are those of the weights. */
static void NAME(pack_panel)(int to, size_t to_stride, int from, size_t from_stride, int taps,
                             const REAL *weights, int to0, int lines, MAP *packed)
{
    int width = lines * NAME(CB), depth = conv_packed_depth(PRECISION, from);
    for (int t = 0; t < taps; t++, packed += depth * width)
        for (int f = 0; f < depth; f++)
            for (int j = 0; j < width; j++) {
                bool present = f < from && to0 + j < to;
                size_t at = (size_t)(to0 + j) * to_stride + (size_t)f * from_stride + (size_t)t;
                packed[conv_packed_at(PRECISION, from, width, f, j)] =
                    PUT(present ? weights[at] : 0);
            }
}

static void NAME(pack)(int k, int c, int taps, const void *weights, int k0, int lines,
                       void *packed)
{
    size_t row = (size_t)c * (size_t)taps;
    NAME(pack_panel)(k, row, c, (size_t)taps, taps, weights, k0, lines, packed);
}

static void NAME(pack_transposed)(int k, int c, int taps, const void *weights, int c0, int lines,
                                  void *packed)
{
    size_t row = (size_t)c * (size_t)taps;
    NAME(pack_panel)(c, (size_t)taps, k, row, taps, weights, c0, lines, packed);
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
