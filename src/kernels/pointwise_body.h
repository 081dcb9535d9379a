/* pointwise_body.h - the body of pointwise.c for one type: REAL the type, NAME(x) x's name. */

static void NAME(add)(size_t count, const void *va, const void *vb, void *vy)
{
    const REAL *a = va, *b = vb;
    REAL *y = vy;
    for (size_t i = 0; i < count; i++)
        y[i] = a[i] + b[i];
}

static void NAME(pointwise_init)(struct pointwise_kernels *k)
{
    *k = (struct pointwise_kernels){.add = NAME(add)};
}
