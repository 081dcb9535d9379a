/* optimise_body.h - the body of optimise.c for one type: REAL the type, NAME(x) x's name. */

static void NAME(sgd_stretch)(size_t count, const struct sgd_step *s, REAL *restrict w,
                              const REAL *restrict g, REAL *restrict m)
{
    REAL lr = (REAL)s->lr, decay = (REAL)s->weight_decay, mu = (REAL)s->momentum;
    if (s->momentum == 0) {
        for (size_t i = 0; i < count; i++)
            w[i] -= lr * (g[i] + decay * w[i]);
        return;
    }
    if (s->nesterov) {
        for (size_t i = 0; i < count; i++) {
            REAL d = g[i] + decay * w[i];
            m[i] = mu * m[i] + d;
            w[i] -= lr * (d + mu * m[i]);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        m[i] = mu * m[i] + (g[i] + decay * w[i]);
        w[i] -= lr * m[i];
    }
}

/* Stretches, so that each can ask for what is 2 KB further. */
static void NAME(sgd)(size_t count, const struct sgd_step *s, void *vw, const void *vg, void *vm)
{
    enum { STRETCH = 64, AHEAD = 2048 / sizeof(REAL), EACH = 64 / sizeof(REAL) };
    REAL *w = vw, *m = vm;
    const REAL *g = vg;
    assert(m || s->momentum == 0);
    for (size_t at = 0; at < count; at += STRETCH) {
        for (size_t i = at + AHEAD; i < at + AHEAD + STRETCH; i += EACH) {
            __builtin_prefetch(w + i);
            __builtin_prefetch(g + i);
            if (m)
                __builtin_prefetch(m + i);
        }
        NAME(sgd_stretch)(count - at < STRETCH ? count - at : STRETCH, s, w + at, g + at,
                          m ? m + at : NULL);
    }
}

static void NAME(average)(size_t count, double decay, const void *vsrc, void *vdst)
{
    const REAL *restrict src = vsrc;
    REAL *restrict dst = vdst, keep = (REAL)decay, take = (REAL)(1 - decay);
    for (size_t i = 0; i < count; i++)
        dst[i] = keep * dst[i] + take * src[i];
}

static void NAME(multiply)(size_t count, double factor, void *vx)
{
    REAL *x = vx, f = (REAL)factor;
    for (size_t i = 0; i < count; i++)
        x[i] *= f;
}

static size_t NAME(first_nonfinite)(size_t count, const void *vx)
{
    const REAL *x = vx;
    /* A stretch is looked at without a branch per element, in sums that do not wait for another. */
    enum { SUMS = 32, STRETCH = 1024 };
    for (size_t start = 0; start < count; start += STRETCH) {
        size_t length = count - start < STRETCH ? count - start : STRETCH;
        size_t whole = length / SUMS * SUMS;
        REAL sums[SUMS] = {0}, sum = 0; /* x - x is 0 for a finite x and NaN for others */
        for (size_t i = 0; i < whole; i += SUMS)
            for (size_t j = 0; j < SUMS; j++)
                sums[j] += x[start + i + j] - x[start + i + j];
        for (size_t j = 0; j < SUMS; j++)
            sum += sums[j];
        for (size_t i = whole; i < length; i++)
            sum += x[start + i] - x[start + i];
        for (size_t i = start; sum != 0 && i < start + length; i++)
            if (!isfinite(x[i]))
                return i;
    }
    return count;
}

static double NAME(dot)(size_t count, const void *vx, const void *vy)
{
    enum { SUMS = 8 };
    const REAL *x = vx, *y = vy;
    double sums[SUMS] = {0};
    size_t whole = count / SUMS * SUMS;
    for (size_t i = 0; i < whole; i += SUMS)
        for (size_t j = 0; j < SUMS; j++)
            sums[j] += (double)x[i + j] * (double)y[i + j];
    for (size_t i = whole; i < count; i++)
        sums[i - whole] += (double)x[i] * (double)y[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static void NAME(optimise_init)(struct pointwise_kernels *k)
{
    k->sgd = NAME(sgd);
    k->average = NAME(average);
    k->multiply = NAME(multiply);
    k->first_nonfinite = NAME(first_nonfinite);
    k->dot = NAME(dot);
}
