/* activation_body.h - the body of activation.c for one precision (each_precision_body.h). */

static void NAME(act_forward)(enum activation act, double param, size_t count, const void *vx,
                              bool stream, void *vy)
{
    (void)stream;
    const MAP *x = vx;
    MAP *y = vy;
    for (size_t i = 0; i < count; i++)
        y[i] = PUT((REAL)activation_value(act, param, (double)GET(x[i])));
}

static void NAME(act_backward)(enum activation act, double param, size_t count, const void *vx,
                               const void *vdy, void *vdx)
{
    const MAP *x = vx, *dy = vdy;
    MAP *dx = vdx;
    for (size_t i = 0; i < count; i++)
        dx[i] = PUT((REAL)((double)GET(dy[i]) *
                           activation_slope(act, param, (double)GET(x[i]))));
}

static void NAME(activation_init)(struct pointwise_kernels *k)
{
    k->act_forward = NAME(act_forward);
    k->act_backward = NAME(act_backward);
}
