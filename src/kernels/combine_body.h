/* combine_body.h - the body of combine.c for one precision (each_precision_body.h). */

static void NAME(add)(size_t count, const void *va, const void *vb, void *vy)
{
    const MAP *a = va, *b = vb;
    MAP *y = vy;
    for (size_t i = 0; i < count; i++)
        y[i] = PUT(GET(a[i]) + GET(b[i]));
}

static void NAME(scale)(size_t count, double factor, const void *vx, void *vy)
{
    const MAP *x = vx;
    MAP *y = vy;
    REAL f = (REAL)factor;
    for (size_t i = 0; i < count; i++)
        y[i] = PUT(f * GET(x[i]));
}

static void NAME(copy_channels)(const struct channel_copy *c, const void *vfrom, void *vto)
{
    enum { CB = LINE / (int)sizeof(MAP) };
    assert(c->from >= 0 && c->from + c->count <= c->from_channels);
    assert(c->to >= 0 && c->to + c->count <= c->to_channels);
    int from_lines = (c->from_channels + CB - 1) / CB, to_lines = (c->to_channels + CB - 1) / CB;
    int end = c->to + c->count;
    int padded = end == c->to_channels ? to_lines * CB : end;
    const MAP *from = vfrom, zero = PUT(0);
    MAP *to = vto;
    for (int p = 0; p < c->pixels; p++) {
        for (int j = c->to; j < padded; j++) {
            MAP *out = to + j / CB * IMAGES * CB + j % CB;
            int source = c->from + j - c->to;
            const MAP *in = from + source / CB * IMAGES * CB + source % CB;
            for (int i = 0; i < IMAGES; i++)
                out[i * CB] = j < end ? in[i * CB] : zero;
        }
        from += from_lines * IMAGES * CB;
        to += to_lines * IMAGES * CB;
    }
}

static void NAME(combine_init)(struct pointwise_kernels *k)
{
    k->add = NAME(add);
    k->scale = NAME(scale);
    k->copy_channels = NAME(copy_channels);
}
