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

static void NAME(norm_backward_sums)(const struct tiles *t, const struct norm_fold *f,
                                     const void *vx, const void *vdy, void *vdz, double *sums)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    int lines = (t->channels + CB - 1) / CB;
    double *products = sums + lines * CB;
    for (int c = 0; c < lines * CB; c++)
        sums[c] = products[c] = 0;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++) {
            size_t tile = ((size_t)p * (size_t)lines + (size_t)l) * IMAGES * (size_t)CB;
            const MAP *x = (const MAP *)vx + tile, *dy = (const MAP *)vdy + tile;
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, NULL, NULL, t->channels, l * CB);
            struct NAME(tile_sums) s = NAME(tile_sums_begin)(sums + l * CB, products + l * CB);
            for (int i = t->first; i < t->last; i++) {
                for (int j = 0; j < CB; j++) {
                    REAL v = GET(x[i * CB + j]);
                    REAL dz = NAME(norm_dz)(&line, f, v, GET(dy[i * CB + j]), j);
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
                                const void *slope, const void *offset, const void *vx,
                                const void *vdy, void *vdx)
{
    enum { CB = NAME(NORM_CB) };
    NAME(norm_check)(t);
    assert(!slope == !offset);
    int lines = (t->channels + CB - 1) / CB;
    const MAP *x = vx, *dy = vdy;
    MAP *dx = vdx;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += IMAGES * CB, dy += IMAGES * CB, dx += IMAGES * CB) {
            struct NAME(norm_line) line;
            NAME(norm_line_init)(&line, f, slope, offset, t->channels, l * CB);
            for (int i = t->first; i < t->last; i++) {
                for (int j = 0; j < CB; j++) {
                    REAL v = GET(x[i * CB + j]);
                    REAL dz = NAME(norm_dz)(&line, f, v, GET(dy[i * CB + j]), j);
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
    k->norm_backward_sums = NAME(norm_backward_sums);
    k->norm_backward = NAME(norm_backward);
}
