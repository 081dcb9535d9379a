/* pool_body.h - the body of pool.c for one precision (each_precision_body.h). A "pixel" is all
 * tiles of one pixel: IMAGES * the padded channels. */

static size_t NAME(pixel_size)(const struct pool_shape *s)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    return (size_t)((s->c + CB - 1) / CB) * IMAGES * CB;
}

static void NAME(pool_check)(const struct pool_shape *s, int first, int last, int rows)
{
    assert(s->c > 0 && s->window > 0 && s->stride > 0 && s->window * s->window <= 256);
    assert((s->p - 1) * s->stride + s->window <= s->h);
    assert((s->q - 1) * s->stride + s->window <= s->w);
    assert(0 <= first && first <= last && last <= rows);
    (void)s, (void)first, (void)last, (void)rows;
}

/* Input pixel k of window (p, q). */
static const MAP *NAME(window_at)(const struct pool_shape *s, const MAP *x, int p, int q, int k)
{
    int y = p * s->stride + k / s->window, column = q * s->stride + k % s->window;
    return x + ((size_t)y * (size_t)s->w + (size_t)column) * NAME(pixel_size)(s);
}

/* Where the windows that hold input row (or column) y begin and end: [*begin, *end) of `windows`.*/
static void NAME(windows_of)(const struct pool_shape *s, int y, int windows, int *begin, int *end)
{
    *begin = y < s->window ? 0 : (y - s->window) / s->stride + 1;
    *end = y / s->stride + 1 < windows ? y / s->stride + 1 : windows;
}

static void NAME(maxpool_forward)(const struct pool_shape *s, int first, int last, const void *x,
                                  void *y, uint8_t *argmax)
{
    NAME(pool_check)(s, first, last, s->p);
    size_t size = NAME(pixel_size)(s);
    for (int p = first; p < last; p++) {
        for (int q = 0; q < s->q; q++) {
            size_t at = ((size_t)p * (size_t)s->q + (size_t)q) * size;
            for (size_t e = 0; e < size; e++) {
                REAL best = GET(NAME(window_at)(s, x, p, q, 0)[e]);
                int where = 0;
                for (int k = 1; k < s->window * s->window; k++) {
                    REAL v = GET(NAME(window_at)(s, x, p, q, k)[e]);
                    if (v > best || isnan(v)) {
                        best = v;
                        where = k;
                    }
                }
                ((MAP *)y)[at + e] = PUT(best);
                if (argmax)
                    argmax[at + e] = (uint8_t)where;
            }
        }
    }
}

/* The pixel (y, column) of dx: from the windows that hold it, those of which it is the maximum. */
static void NAME(maxpool_backward_pixel)(const struct pool_shape *s, int y, int column,
                                         const MAP *dy, const uint8_t *argmax, MAP *dx)
{
    size_t size = NAME(pixel_size)(s);
    int p0, p1, q0, q1;
    NAME(windows_of)(s, y, s->p, &p0, &p1);
    NAME(windows_of)(s, column, s->q, &q0, &q1);
    for (size_t e = 0; e < size; e++) {
        REAL sum = 0;
        for (int p = p0; p < p1; p++) {
            for (int q = q0; q < q1; q++) {
                size_t at = ((size_t)p * (size_t)s->q + (size_t)q) * size + e;
                int k = (y - p * s->stride) * s->window + column - q * s->stride;
                sum += argmax[at] == k ? GET(dy[at]) : 0;
            }
        }
        dx[e] = PUT(sum);
    }
}

static void NAME(maxpool_backward)(const struct pool_shape *s, int first, int last,
                                   const void *dy, const uint8_t *argmax, bool stream, void *dx)
{
    (void)stream;
    NAME(pool_check)(s, first, last, s->h);
    for (int y = first; y < last; y++)
        for (int column = 0; column < s->w; column++) {
            size_t pixel = (size_t)y * (size_t)s->w + (size_t)column;
            NAME(maxpool_backward_pixel)(s, y, column, dy, argmax,
                                         (MAP *)dx + pixel * NAME(pixel_size)(s));
        }
}

static void NAME(avgpool_forward)(const struct pool_shape *s, int first, int last, const void *x,
                                  void *y)
{
    NAME(pool_check)(s, first, last, s->p);
    size_t size = NAME(pixel_size)(s);
    REAL area = (REAL)(s->window * s->window);
    for (int p = first; p < last; p++) {
        for (int q = 0; q < s->q; q++) {
            MAP *out = (MAP *)y + ((size_t)p * (size_t)s->q + (size_t)q) * size;
            for (size_t e = 0; e < size; e++) {
                REAL sum = 0;
                for (int k = 0; k < s->window * s->window; k++)
                    sum += GET(NAME(window_at)(s, x, p, q, k)[e]);
                out[e] = PUT(sum / area);
            }
        }
    }
}

static void NAME(avgpool_backward_pixel)(const struct pool_shape *s, int y, int column,
                                         const MAP *dy, MAP *dx)
{
    size_t size = NAME(pixel_size)(s);
    REAL area = (REAL)(s->window * s->window);
    int p0, p1, q0, q1;
    NAME(windows_of)(s, y, s->p, &p0, &p1);
    NAME(windows_of)(s, column, s->q, &q0, &q1);
    for (size_t e = 0; e < size; e++) {
        REAL sum = 0;
        for (int p = p0; p < p1; p++)
            for (int q = q0; q < q1; q++)
                sum += GET(dy[((size_t)p * (size_t)s->q + (size_t)q) * size + e]) / area;
        dx[e] = PUT(sum);
    }
}

static void NAME(avgpool_backward)(const struct pool_shape *s, int first, int last,
                                   const void *dy, void *dx)
{
    NAME(pool_check)(s, first, last, s->h);
    for (int y = first; y < last; y++)
        for (int column = 0; column < s->w; column++) {
            size_t pixel = (size_t)y * (size_t)s->w + (size_t)column;
            NAME(avgpool_backward_pixel)(s, y, column, dy,
                                         (MAP *)dx + pixel * NAME(pixel_size)(s));
        }
}

static void NAME(pool_init)(struct pointwise_kernels *k)
{
    k->maxpool_forward = NAME(maxpool_forward);
    k->maxpool_backward = NAME(maxpool_backward);
    k->avgpool_forward = NAME(avgpool_forward);
    k->avgpool_backward = NAME(avgpool_backward);
}
