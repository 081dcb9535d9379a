/* norm_vector_body.h - batch normalisation of pointwise.h in vectors: the part of
 * pointwise_vector_body.h that is about it, under the same names. */

/* The coefficients of a part; zero past the last channel. */
struct fold_vecs {
    vec mean[PART / VEC], gain[PART / VEC], bias[PART / VEC];
    vec slope[PART / VEC], offset[PART / VEC];
    vec param, inverse;
};

INLINE vec load_channels(const void *reals, int channels, int c0)
{
    return v_load_some((const float *)reals + c0, channels - c0);
}

/* Of the `count` channels from c0 on, in their own order. */
INLINE struct fold_vecs fold_load(const struct norm_fold *f, const void *slope,
                                  const void *offset, int channels, int c0, int count)
{
    struct fold_vecs v = {.param = v_set((float)f->act_param),
                          .inverse = v_set((float)(1 / f->act_param))};
    for (int k = 0; k < count / VEC; k++, c0 += VEC) {
        v.mean[k] = load_channels(f->mean, channels, c0);
        v.gain[k] = load_channels(f->rstd, channels, c0);
        if (f->scale)
            v.gain[k] = v_mul(v.gain[k], load_channels(f->scale, channels, c0));
        v.bias[k] = f->bias ? load_channels(f->bias, channels, c0) : v_set(0);
        v.slope[k] = slope ? load_channels(slope, channels, c0) : v_set(0);
        v.offset[k] = offset ? load_channels(offset, channels, c0) : v_set(0);
    }
    return v;
}

/* In the order of a part. */
INLINE struct fold_vecs fold_load_part(const struct norm_fold *f, const void *slope,
                                       const void *offset, int channels, int c0, int count)
{
    struct fold_vecs v = fold_load(f, slope, offset, channels, c0, count);
#ifdef PLACES
    v_to_places(v.mean);
    v_to_places(v.gain);
    v_to_places(v.bias);
    v_to_places(v.slope);
    v_to_places(v.offset);
#endif
    return v;
}

INLINE int lines_of(const struct tiles *t)
{
    assert(t->pixels >= 0 && t->channels > 0);
    assert(0 <= t->first && t->first < t->last && t->last <= IMAGES);
    return (t->channels + CB - 1) / CB;
}

/* Two sums of VEC channels over one tile, in double precision throughout. */
struct double_sums {
    vec_double low[2], high[2];
};

INLINE struct double_sums double_sums_begin(const double *a, const double *b)
{
    return (struct double_sums){{vd_load(a), vd_load(b)},
                                {vd_load(a + VEC / 2), vd_load(b + VEC / 2)}};
}

INLINE void double_sums_end(const struct double_sums *s, double *a, double *b)
{
    vd_store(a, s->low[0]);
    vd_store(b, s->low[1]);
    vd_store(a + VEC / 2, s->high[0]);
    vd_store(b + VEC / 2, s->high[1]);
}

/* Adds u to the first and u * v to the second; the products of floats are exact. */
INLINE void double_sums_add(struct double_sums *s, vec u, vec v)
{
    vec_double low = v_low(u), high = v_high(u);
    s->low[0] = vd_add(s->low[0], low);
    s->high[0] = vd_add(s->high[0], high);
    s->low[1] = vd_fma(low, v_low(v), s->low[1]);
    s->high[1] = vd_fma(high, v_high(v), s->high[1]);
}

/* The same in floats, whose chains are as short as a tile, added to the doubles at its end. */
struct float_sums {
    vec sum[2];
};

INLINE struct float_sums float_sums_begin(const double *a, const double *b)
{
    (void)a, (void)b;
    return (struct float_sums){{v_set(0), v_set(0)}};
}

INLINE void float_sums_end(const struct float_sums *s, double *a, double *b)
{
    vd_store(a, vd_add(vd_load(a), v_low(s->sum[0])));
    vd_store(b, vd_add(vd_load(b), v_low(s->sum[1])));
    vd_store(a + VEC / 2, vd_add(vd_load(a + VEC / 2), v_high(s->sum[0])));
    vd_store(b + VEC / 2, vd_add(vd_load(b + VEC / 2), v_high(s->sum[1])));
}

INLINE void float_sums_add(struct float_sums *s, vec u, vec v)
{
    s->sum[0] = v_add(s->sum[0], u);
    s->sum[1] = v_fma(u, v, s->sum[1]);
}

/* Of SUMMED channels in the order of a part, to two rows of doubles in the order of channels. */
INLINE void sums_begin(struct SUMS(sums) *s, const double *a, const double *b)
{
    for (int k = 0; k < SUMMED / VEC; k++)
        s[k] = SUMS(sums_begin)(a + k * VEC, b + k * VEC);
}

INLINE void sums_end(struct SUMS(sums) *s, double *a, double *b)
{
#ifdef PLACES
    for (int i = 0; i < 2; i++) {
        vec v[2] = {s[0].sum[i], s[1].sum[i]};
        v_from_places(v);
        s[0].sum[i] = v[0];
        s[1].sum[i] = v[1];
    }
#endif
    for (int k = 0; k < SUMMED / VEC; k++)
        SUMS(sums_end)(&s[k], a + k * VEC, b + k * VEC);
}

static void TIER(norm_sums)(const struct tiles *t, const void *vx, double *sums)
{
    int lines = lines_of(t);
    double *squares = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    const MAP *x = vx;
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE) {
            for (int h = 0; h < CB; h += SUMMED) {
                double *sum = sums + l * CB + h, *square = squares + l * CB + h;
                struct SUMS(sums) s[SUMMED / VEC];
                sums_begin(s, sum, square);
                for (int i = t->first; i < t->last; i++) {
                    vec v[SUMMED / VEC];
                    if (h == 0)
                        v_ask_ahead(x + i * CB);
                    load_part(x + i * CB + h, SUMMED, v);
                    for (int k = 0; k < SUMMED / VEC; k++)
                        SUMS(sums_add)(&s[k], v[k], v[k]);
                }
                sums_end(s, sum, square);
            }
        }
    }
}

INLINE void forward_act(const struct tiles *t, const struct norm_fold *f, const MAP *x,
                        bool stream, MAP *y, enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        for (int l = 0; l < lines; l++, x += TILE, y += TILE) {
            for (int h = 0; h < CB; h += PART) {
                struct fold_vecs c = fold_load_part(f, NULL, NULL, t->channels, l * CB + h, PART);
                for (int at = t->first * CB + h; at < t->last * CB + h; at += CB) {
                    vec v[PART / VEC];
                    v_ask_ahead(x + at);
                    load_part(x + at, PART, v);
#pragma GCC unroll 2
                    for (int k = 0; k < PART / VEC; k++) {
                        vec z = v_fma(v_sub(v[k], c.mean[k]), c.gain[k], c.bias[k]);
                        v[k] = ACT(act, c.param, c.inverse, z);
                    }
                    store_part(y + at, PART, stream, v);
                }
            }
        }
    }
}

static void TIER(norm_forward)(const struct tiles *t, const struct norm_fold *f, const void *x,
                               bool stream, void *y)
{
    if (stream) {
        V_FOR_ACTIVATION(f->act, forward_act, t, f, x, true, y);
        v_stream_end();
    } else {
        V_FOR_ACTIVATION(f->act, forward_act, t, f, x, false, y);
    }
}

/* VEC elements of one window, with coefficients `of`; `at` holds the places of its four pixels. */
INLINE void pool_window(const struct fold_vecs *c, int of, const MAP *x, const size_t at[4],
                        MAP *y, uint8_t *argmax, enum activation act)
{
    vec best = v_set(0), where = v_set_number(0);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        vec z = v_fma(v_sub(LOAD(x + at[k]), c->mean[of]), c->gain[of], c->bias[of]);
        vec v = ROUND(ACT(act, c->param, c->inverse, z));
        if (k == 0) {
            best = v;
            continue;
        }
        vmask better = v_takes_over(best, v);
        best = v_select(better, v, best);
        where = v_select(better, v_set_number(k), where);
    }
    STORE(y, best);
    if (argmax)
        v_store_bytes(argmax, where);
}

INLINE void pool_forward_act(const struct tiles *t, const struct norm_fold *f, int w,
                             const MAP *x, MAP *y, uint8_t *argmax, enum activation act)
{
    int lines = lines_of(t);
    size_t pixel = (size_t)lines * TILE, row = (size_t)w * pixel;
    const size_t at[4] = {0, pixel, row, row + pixel};
    for (int p = 0; p < t->pixels; p++) {
        const MAP *corner = x + (size_t)pooled_corner(p, w) * pixel;
        for (int l = 0; l < lines; l++, corner += TILE, y += TILE, argmax += argmax ? TILE : 0) {
            for (int h = 0; h < CB; h += PART) {
                struct fold_vecs c = fold_load(f, NULL, NULL, t->channels, l * CB + h, PART);
                for (int e = t->first * CB + h; e < t->last * CB + h; e += CB)
#pragma GCC unroll 2
                    for (int k = 0; k < PART; k += VEC)
                        pool_window(&c, k / VEC, corner + e + k, at, y + e + k,
                                    argmax ? argmax + e + k : NULL, act);
            }
        }
    }
}

static void TIER(norm_pool_forward)(const struct tiles *t, const struct norm_fold *f, int w,
                                    const void *x, void *y, uint8_t *argmax)
{
    assert(w % 2 == 0 && t->pixels % (w / 2) == 0);
    V_FOR_ACTIVATION(f->act, pool_forward_act, t, f, w, x, y, argmax);
}

/* The gradient of one pixel's outputs: all of dy, or what a pool took of them (see pooled). */
struct gradient {
    const MAP *dy;
    const uint8_t *argmax; /* NULL: all */
    int taken;
};

INLINE struct gradient gradient_at(const struct pooled *p, const MAP *dy, int pixel, size_t size)
{
    if (!p)
        return (struct gradient){dy + (size_t)pixel * size, NULL, 0};
    size_t window = (size_t)pooled_window(p, pixel) * size;
    return (struct gradient){dy + window, p->argmax + window, pooled_place(p, pixel)};
}

INLINE void gradient_of(const struct gradient *g, size_t at, int count, vec *v)
{
    if (g->argmax)
        load_taken(g->dy + at, g->argmax + at, g->taken, count, v);
    else
        load_part(g->dy + at, count, v);
}

/* What a pool took comes by four times, so only the first pass over it goes to memory. */
INLINE void ask_ahead(const MAP *x, const struct gradient *g, size_t at)
{
    v_ask_ahead(x);
    if (!g->argmax)
        v_ask_ahead(g->dy + at);
}

INLINE void backward_sums_act(const struct tiles *t, const struct norm_fold *f,
                              const struct pooled *pool, const MAP *x, const MAP *dy, MAP *dz,
                              double *sums, enum activation act)
{
    int lines = lines_of(t);
    double *products = sums + lines * CB;
    memset(sums, 0, 2 * (size_t)lines * CB * sizeof *sums);
    for (int p = 0; p < t->pixels; p++) {
        struct gradient g = gradient_at(pool, dy, p, (size_t)lines * TILE);
        for (int l = 0; l < lines; l++, x += TILE, dz += dz ? TILE : 0) {
            for (int h = 0; h < CB; h += SUMMED) {
                struct fold_vecs c = fold_load_part(f, NULL, NULL, t->channels, l * CB + h, SUMMED);
                double *sum = sums + l * CB + h, *product = products + l * CB + h;
                struct SUMS(sums) s[SUMMED / VEC];
                sums_begin(s, sum, product);
                for (int i = t->first; i < t->last; i++) {
                    vec v[SUMMED / VEC], d[SUMMED / VEC];
                    if (h == 0)
                        ask_ahead(x + i * CB, &g, (size_t)(l * TILE + i * CB));
                    load_part(x + i * CB + h, SUMMED, v);
                    gradient_of(&g, (size_t)(l * TILE + i * CB + h), SUMMED, d);
#pragma GCC unroll 2
                    for (int k = 0; k < SUMMED / VEC; k++) {
                        vec centred = v_sub(v[k], c.mean[k]);
                        vec z = v_fma(centred, c.gain[k], c.bias[k]);
                        d[k] = ACT_BACK(act, c.inverse, z, d[k]);
                        SUMS(sums_add)(&s[k], d[k], centred);
                    }
                    if (dz)
                        store_part(dz + i * CB + h, SUMMED, false, d);
                }
                sums_end(s, sum, product);
            }
        }
    }
}

static void TIER(norm_backward_sums)(const struct tiles *t, const struct norm_fold *f,
                                     const struct pooled *pool, const void *x,
                                     const void *dy, void *dz, double *sums)
{
    if (pool)
        V_FOR_ACTIVATION(f->act, backward_sums_act, t, f, pool, x, dy, dz, sums);
    else
        V_FOR_ACTIVATION(f->act, backward_sums_act, t, f, NULL, x, dy, dz, sums);
}

INLINE void backward_act(const struct tiles *t, const struct norm_fold *f,
                         const struct pooled *pool, const void *slope, const void *offset,
                         const MAP *x, const MAP *dy, MAP *dx, enum activation act)
{
    int lines = lines_of(t);
    for (int p = 0; p < t->pixels; p++) {
        struct gradient g = gradient_at(pool, dy, p, (size_t)lines * TILE);
        for (int l = 0; l < lines; l++, x += TILE, dx += TILE) {
            for (int h = 0; h < CB; h += PART) {
                struct fold_vecs c =
                    fold_load_part(f, slope, offset, t->channels, l * CB + h, PART);
                for (int at = t->first * CB + h; at < t->last * CB + h; at += CB) {
                    vec v[PART / VEC], d[PART / VEC];
                    ask_ahead(x + at, &g, (size_t)(l * TILE + at));
                    load_part(x + at, PART, v);
                    gradient_of(&g, (size_t)(l * TILE + at), PART, d);
#pragma GCC unroll 2
                    for (int k = 0; k < PART / VEC; k++) {
                        vec centred = v_sub(v[k], c.mean[k]);
                        vec z = v_fma(centred, c.gain[k], c.bias[k]);
                        vec back = ACT_BACK(act, c.inverse, z, d[k]);
                        d[k] = v_fma(c.gain[k], back, v_fma(c.slope[k], centred, c.offset[k]));
                    }
                    store_part(dx + at, PART, false, d);
                }
            }
        }
    }
}

static void TIER(norm_backward)(const struct tiles *t, const struct norm_fold *f,
                                const struct pooled *pool, const void *slope,
                                const void *offset, const void *x, const void *dy, void *dx)
{
    assert(!slope == !offset);
    if (pool)
        V_FOR_ACTIVATION(f->act, backward_act, t, f, pool, slope, offset, x, dy, dx);
    else
        V_FOR_ACTIVATION(f->act, backward_act, t, f, NULL, slope, offset, x, dy, dx);
}
