/* activation_body.h - the body of activation.c for one type: REAL the type, NAME(x) x's name. */

static void NAME(act_forward)(enum activation act, double param, size_t count, const void *vx,
                              void *vy)
{
    const REAL *x = vx;
    REAL *y = vy;
    for (size_t i = 0; i < count; i++)
        y[i] = (REAL)activation_value(act, param, (double)x[i]);
}

static void NAME(act_backward)(enum activation act, double param, size_t count, const void *vx,
                               const void *vdy, void *vdx)
{
    const REAL *x = vx, *dy = vdy;
    REAL *dx = vdx;
    for (size_t i = 0; i < count; i++)
        dx[i] = (REAL)((double)dy[i] * activation_slope(act, param, (double)x[i]));
}

static void NAME(activation_init)(struct pointwise_kernels *k)
{
    k->act_forward = NAME(act_forward);
    k->act_backward = NAME(act_backward);
}
