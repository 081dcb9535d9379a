/* norm_body.h - the body of norm.c for one precision (each_precision_body.h).
 * Every loop runs pixel, line of channels, image, channel: the order of memory. */

enum { NAME(NORM_CB) = LINE / (int)sizeof(MAP) };

/* The coefficients of one line of channels; zero past the last channel. */
struct NAME(norm_line) {
    REAL mean[NAME(NORM_CB)], gain[NAME(NORM_CB)], bias[NAME(NORM_CB)];
    REAL slope[NAME(NORM_CB)], offset[NAME(NORM_CB)];
};

static void NAME(norm_line_init)(struct NAME(norm_line) *l, const struct norm_fold *f,
                                 const REAL *slope, const REAL *offset, int channels, int c0)
{
    const REAL *mean = f->mean, *rstd = f->rstd, *scale = f->scale, *bias = f->bias;
    *l = (struct NAME(norm_line)){0};
    for (int j = 0; j < NAME(NORM_CB) && c0 + j < channels; j++) {
        l->mean[j] = mean[c0 + j];
        l->gain[j] = scale ? rstd[c0 + j] * scale[c0 + j] : rstd[c0 + j];
        l->bias[j] = bias ? bias[c0 + j] : 0;
        l->slope[j] = slope ? slope[c0 + j] : 0;
        l->offset[j] = offset ? offset[c0 + j] : 0;
    }
}

static REAL NAME(norm_z)(const struct NAME(norm_line) *l, REAL x, int j)
{
    return (x - l->mean[j]) * l->gain[j] + l->bias[j];
}

static REAL NAME(norm_dz)(const struct NAME(norm_line) *l, const struct norm_fold *f, REAL x,
                          REAL dy, int j)
{
    if (f->act == ACT_NONE)
        return dy;
    double z = (double)NAME(norm_z)(l, x, j);
    return (REAL)((double)dy * activation_slope(f->act, f->act_param, z));
}

static void NAME(norm_check)(const struct tiles *t)
{
    assert(t->pixels >= 0 && t->channels > 0);
    assert(0 <= t->first && t->first < t->last && t->last <= IMAGES);
    (void)t;
}

/* Two sums of a line of channels over a tile: in double from `a` and `b` on, or in float from zero
 * on and added to them at the end. */
struct NAME(tile_sums) {
    SUM a[NAME(NORM_CB)], b[NAME(NORM_CB)];
};

static struct NAME(tile_sums) NAME(tile_sums_begin)(const double *a, const double *b)
{
    struct NAME(tile_sums) s = {0};
    for (int j = 0; j < NAME(NORM_CB) && sizeof(SUM) == sizeof(double); j++) {
        s.a[j] = (SUM)a[j];
        s.b[j] = (SUM)b[j];
    }
    return s;
}

static void NAME(tile_sums_add)(struct NAME(tile_sums) *s, int j, REAL u, REAL v)
{
    s->a[j] += (SUM)u;
    s->b[j] += (SUM)u * (SUM)v;
}

static void NAME(tile_sums_end)(const struct NAME(tile_sums) *s, double *a, double *b)
{
    for (int j = 0; j < NAME(NORM_CB); j++) {
        a[j] = sizeof(SUM) == sizeof(double) ? (double)s->a[j] : a[j] + (double)s->a[j];
        b[j] = sizeof(SUM) == sizeof(double) ? (double)s->b[j] : b[j] + (double)s->b[j];
    }
}

static void NAME(norm_sums)(const struct tiles *t, const void *vx, double *sums)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    int lines = (t->channels + CB - 1) / CB;
    double *squares = sums + lines * CB;
    for (int c = 0; c < lines * CB; c++)
        sums[c] = squares[c] = 0;
    const MAP *x = vx;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += IMAGES * CB) {
            struct NAME(tile_sums) s = NAME(tile_sums_begin)(sums + l * CB, squares + l * CB);
            for (int i = t->first; i < t->last; i++)
                for (int j = 0; j < CB; j++)
                    NAME(tile_sums_add)(&s, j, GET(x[i * CB + j]), GET(x[i * CB + j]));
            NAME(tile_sums_end)(&s, sums + l * CB, squares + l * CB);
        }
    }
}

static void NAME(norm_forward)(const struct tiles *t, const struct norm_fold *f, const void *vx,
                               bool stream, void *vy)
{
    (void)stream;
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    int lines = (t->channels + CB - 1) / CB;
    const MAP *x = vx;
    MAP *y = vy;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += IMAGES * CB, y += IMAGES * CB) {
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, NULL, NULL, t->channels, l * CB);
            for (int i = t->first; i < t->last; i++) {
                for (int j = 0; j < CB; j++) {
                    REAL z = NAME(norm_z)(&line, GET(x[i * CB + j]), j);
                    y[i * CB + j] =
                        PUT((REAL)activation_value(f->act, f->act_param, (double)z));
                }
            }
        }
    }
}

static void NAME(norm_pool_forward)(const struct tiles *t, const struct norm_fold *f, int w,
                                    const void *vx, void *vy, uint8_t *argmax)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    assert(w % 2 == 0 && t->pixels % (w / 2) == 0);
    size_t lines = (size_t)(t->channels + CB - 1) / CB, pixel = lines * IMAGES * CB;
    for (int p = 0; p < t->pixels; p++) {
        const MAP *corner = (const MAP *)vx + (size_t)pooled_corner(p, w) * pixel;
        for (size_t l = 0; l < lines; l++) {
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, NULL, NULL, t->channels, (int)l * CB);
            for (int e = t->first * CB; e < t->last * CB; e++) {
                size_t in = l * IMAGES * CB + (size_t)e, out = (size_t)p * pixel + in;
                MAP best = {0};
                int where = 0;
                for (int k = 0; k < 4; k++) {
                    REAL x = GET(corner[(size_t)(k / 2 * w + k % 2) * pixel + in]);
                    double z = (double)NAME(norm_z)(&line, x, e % CB);
                    MAP v = PUT((REAL)activation_value(f->act, f->act_param, z));
                    if (k == 0 || GET(v) > GET(best) || isnan(GET(v))) {
                        best = v;
                        where = k;
                    }
                }
                ((MAP *)vy)[out] = best;
                if (argmax)
                    argmax[out] = (uint8_t)where;
            }
        }
    }
}

/* The gradient of one pixel's outputs: all of dy, or what a pool took of them (see pooled). */
struct NAME(gradient) {
    const MAP *dy;
    const uint8_t *argmax; /* NULL: all */
    int taken;
};

static struct NAME(gradient) NAME(gradient_at)(const struct pooled *p, const void *vdy, int pixel,
                                               size_t size)
{
    const MAP *dy = vdy;
    if (!p)
        return (struct NAME(gradient)){dy + (size_t)pixel * size, NULL, 0};
    size_t window = (size_t)pooled_window(p, pixel) * size;
    return (struct NAME(gradient)){dy + window, p->argmax + window, pooled_place(p, pixel)};
}

static REAL NAME(gradient_of)(const struct NAME(gradient) *g, size_t at)
{
    return !g->argmax || g->argmax[at] == g->taken ? GET(g->dy[at]) : 0;
}

static void NAME(norm_backward_sums)(const struct tiles *t, const struct norm_fold *f,
                                     const struct pooled *pool, const void *vx, const void *vdy,
                                     void *vdz, double *sums)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    int lines = (t->channels + CB - 1) / CB;
    double *products = sums + lines * CB;
    for (int c = 0; c < lines * CB; c++)
        sums[c] = products[c] = 0;
    size_t pixel = (size_t)lines * IMAGES * CB;
    for (int p = 0; p < t->pixels; p++) {
        struct NAME(gradient) g = NAME(gradient_at)(pool, vdy, p, pixel);
        for (int l = 0; l < lines; l++) {
            size_t line_at = (size_t)l * IMAGES * CB, tile = (size_t)p * pixel + line_at;
            const MAP *x = (const MAP *)vx + tile;
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, NULL, NULL, t->channels, l * CB);
            struct NAME(tile_sums) s = NAME(tile_sums_begin)(sums + l * CB, products + l * CB);
            for (int i = t->first; i < t->last; i++) {
                for (int j = 0; j < CB; j++) {
                    REAL v = GET(x[i * CB + j]);
                    REAL dy = NAME(gradient_of)(&g, line_at + (size_t)(i * CB + j));
                    REAL dz = NAME(norm_dz)(&line, f, v, dy, j);
                    if (vdz)
                        ((MAP *)vdz)[tile + (size_t)(i * CB + j)] = PUT(dz);
                    NAME(tile_sums_add)(&s, j, dz, v - line.mean[j]);
                }
            }
            NAME(tile_sums_end)(&s, sums + l * CB, products + l * CB);
        }
    }
}

static void NAME(norm_backward)(const struct tiles *t, const struct norm_fold *f,
                                const struct pooled *pool, const void *slope, const void *offset,
                                const void *vx, const void *vdy, void *vdx)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    assert(!slope == !offset);
    int lines = (t->channels + CB - 1) / CB;
    size_t pixel = (size_t)lines * IMAGES * CB;
    for (int p = 0; p < t->pixels; p++) {
        struct NAME(gradient) g = NAME(gradient_at)(pool, vdy, p, pixel);
        for (int l = 0; l < lines; l++) {
            size_t line_at = (size_t)l * IMAGES * CB, tile = (size_t)p * pixel + line_at;
            const MAP *x = (const MAP *)vx + tile;
            MAP *dx = (MAP *)vdx + tile;
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, slope, offset, t->channels, l * CB);
            for (int i = t->first; i < t->last; i++) {
                for (int j = 0; j < CB; j++) {
                    REAL v = GET(x[i * CB + j]);
                    REAL dy = NAME(gradient_of)(&g, line_at + (size_t)(i * CB + j));
                    REAL dz = NAME(norm_dz)(&line, f, v, dy, j);
                    dx[i * CB + j] = PUT(line.gain[j] * dz +
                                         (line.slope[j] * (v - line.mean[j]) + line.offset[j]));
                }
            }
        }
    }
}

static void NAME(norm_init)(struct pointwise_kernels *k)
{
    k->norm_sums = NAME(norm_sums);
    k->norm_forward = NAME(norm_forward);
    k->norm_pool_forward = NAME(norm_pool_forward);
    k->norm_backward_sums = NAME(norm_backward_sums);
    k->norm_backward = NAME(norm_backward);
}
