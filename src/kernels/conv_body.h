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

/* The outer products of one row of the rectangle, one channel of x. */
static void NAME(outer_row)(int pixels, int images, const REAL *x, size_t x_pixel, const REAL *dy,
                            size_t dy_pixel, int width, REAL *sum)
{
    enum { CB = NAME(CB) };
    for (int q = 0; q < pixels; q++, x += x_pixel, dy += dy_pixel)
        for (int i = 0; i < images; i++)
            for (int j = 0; j < width; j++)
                sum[j] += x[i * CB] * dy[(j / CB * IMAGES + i) * CB + j % CB];
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
            NAME(outer_row)(r->pixels, images, (const REAL *)r->x + (size_t)p * r->x_row + cc,
                            r->x_pixel, (const REAL *)r->dy + (size_t)p * r->dy_row, r->dy_pixel,
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
        const REAL *line = (const REAL *)dy + (size_t)p * dy_step;
        for (int i = 0; i < images; i++, line += CB)
            for (int j = 0; j < CB; j++)
                part[j] += line[j];
    }
    for (int j = 0; j < CB; j++)
        ((REAL *)sum)[j] += part[j];
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
