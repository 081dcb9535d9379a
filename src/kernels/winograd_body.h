/* winograd_body.h - the transforms of winograd.h, one body for all tiers and precisions.
 *
 * The includer defines NAME(x) x's name, REAL the type P, VEC_REALS the REALs of a vec, the type
 * vec with v_load, v_store (of REALs), v_set, v_add, v_sub, v_mul, v_fma (a b + c) and v_fnma
 * (c - a b); PARTS the vecs of a line of A, LINE_ELEMENTS its elements of type ELEMENT, with
 * line_load(ELEMENT *, vec [PARTS]) and line_store(ELEMENT *, vec [PARTS]); UNROLL and INLINE.
 *
 * One-dimensional transforms keep the points in the order of winograd_points[m]. a b = 1 has been
 * used to simplify. Terms are shared between the points p and -p: even and odd parts are computed
 * once. */

#define WINOGRAD_A (2.0 / 3)
#define WINOGRAD_B (3.0 / 2)
#define CONSTANT(x) v_set((REAL)(x))

/* The matrix B^T. Its rows for m = 4, with s = a^2 + b^2:
 *      0: 1 - s x^2 + x^4    +-a: (x^4 - b^2 x^2) +- a (x^3 - b^2 x)    infinity: x - s x^3 + x^5
 * and b for a; for m = 3 the same without a factor x; for m = 2, with g = b - a:
 *      0: 1 - g x - x^2   a: -2ag (x^2 + b x)   -b: 2bg (x^2 - a x)   infinity: x^3 + g x^2 - x */
INLINE void NAME(input_1d)(int m, const vec *d, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B, s = a * a + b * b, g = b - a;
    if (m == 4) {
        vec even_a = v_fnma(CONSTANT(b * b), d[2], d[4]);
        vec even_b = v_fnma(CONSTANT(a * a), d[2], d[4]);
        vec odd_a = v_fnma(CONSTANT(b * b), d[1], d[3]);
        vec odd_b = v_fnma(CONSTANT(a * a), d[1], d[3]);
        t[0] = v_fnma(CONSTANT(s), d[2], v_add(d[0], d[4]));
        t[1] = v_fma(CONSTANT(a), odd_a, even_a);
        t[2] = v_fnma(CONSTANT(a), odd_a, even_a);
        t[3] = v_fma(CONSTANT(b), odd_b, even_b);
        t[4] = v_fnma(CONSTANT(b), odd_b, even_b);
        t[5] = v_fnma(CONSTANT(s), d[3], v_add(d[1], d[5]));
    } else if (m == 3) {
        vec even_a = v_sub(v_mul(CONSTANT(a * a), d[2]), d[0]);
        vec even_b = v_sub(v_mul(CONSTANT(b * b), d[2]), d[0]);
        vec odd_a = v_fnma(CONSTANT(b * b), d[1], d[3]);
        vec odd_b = v_fnma(CONSTANT(a * a), d[1], d[3]);
        t[0] = v_fma(CONSTANT(a), odd_a, even_a);
        t[1] = v_fnma(CONSTANT(a), odd_a, even_a);
        t[2] = v_fma(CONSTANT(b), odd_b, even_b);
        t[3] = v_fnma(CONSTANT(b), odd_b, even_b);
        t[4] = v_fnma(CONSTANT(s), d[2], v_add(d[0], d[4]));
    } else {
        t[0] = v_fnma(CONSTANT(g), d[1], v_sub(d[0], d[2]));
        t[1] = v_mul(CONSTANT(-2 * a * g), v_fma(CONSTANT(b), d[1], d[2]));
        t[2] = v_mul(CONSTANT(2 * b * g), v_fnma(CONSTANT(a), d[1], d[2]));
        t[3] = v_fma(CONSTANT(g), d[2], v_sub(d[3], d[1]));
    }
}

/* The matrix A^T: powers of the points. */
INLINE void NAME(output_1d)(int m, const vec *t, vec *y)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    if (m == 2) {
        y[0] = v_add(v_add(t[0], t[1]), t[2]);
        y[1] = v_fma(CONSTANT(a), t[1], v_fnma(CONSTANT(b), t[2], t[3]));
        return;
    }
    const vec *finite = m == 4 ? t + 1 : t, last = t[m + 1];
    vec sum_a = v_add(finite[0], finite[1]), difference_a = v_sub(finite[0], finite[1]);
    vec sum_b = v_add(finite[2], finite[3]), difference_b = v_sub(finite[2], finite[3]);
    y[0] = v_add(sum_a, sum_b);
    y[1] = v_fma(CONSTANT(a), difference_a, v_mul(CONSTANT(b), difference_b));
    if (m == 4) {
        y[0] = v_add(y[0], t[0]);
        y[2] = v_fma(CONSTANT(a * a), sum_a, v_mul(CONSTANT(b * b), sum_b));
        y[3] = v_fma(CONSTANT(a * a * a), difference_a,
                     v_fma(CONSTANT(b * b * b), difference_b, last));
    } else {
        y[2] = v_fma(CONSTANT(a * a), sum_a, v_fma(CONSTANT(b * b), sum_b, last));
    }
}

/* The matrix A. */
INLINE void NAME(gradient_1d)(int m, const vec *d, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    if (m == 2) {
        t[0] = d[0];
        t[1] = v_fma(CONSTANT(a), d[1], d[0]);
        t[2] = v_fnma(CONSTANT(b), d[1], d[0]);
        t[3] = d[1];
        return;
    }
    vec *finite = m == 4 ? t + 1 : t;
    vec even_a = v_fma(CONSTANT(a * a), d[2], d[0]), even_b = v_fma(CONSTANT(b * b), d[2], d[0]);
    vec odd_a = m == 4 ? v_fma(CONSTANT(a * a), d[3], d[1]) : d[1];
    vec odd_b = m == 4 ? v_fma(CONSTANT(b * b), d[3], d[1]) : d[1];
    if (m == 4)
        t[0] = d[0];
    finite[0] = v_fma(CONSTANT(a), odd_a, even_a);
    finite[1] = v_fnma(CONSTANT(a), odd_a, even_a);
    finite[2] = v_fma(CONSTANT(b), odd_b, even_b);
    finite[3] = v_fnma(CONSTANT(b), odd_b, even_b);
    t[m + 1] = d[m - 1];
}

/* 1 / prod (p - q) for p = +-a and +-b; it is 1 for 0. */
#define WEIGHT_A (1 / (2 * WINOGRAD_A * WINOGRAD_A *                                               \
                       (WINOGRAD_A * WINOGRAD_A - WINOGRAD_B * WINOGRAD_B)))
#define WEIGHT_B (1 / (2 * WINOGRAD_B * WINOGRAD_B *                                               \
                       (WINOGRAD_B * WINOGRAD_B - WINOGRAD_A * WINOGRAD_A)))

/* The matrix G. */
INLINE void NAME(weights_1d)(const vec *w, vec *t)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    vec even_a = v_fma(CONSTANT(WEIGHT_A * a * a), w[2], v_mul(CONSTANT(WEIGHT_A), w[0]));
    vec even_b = v_fma(CONSTANT(WEIGHT_B * b * b), w[2], v_mul(CONSTANT(WEIGHT_B), w[0]));
    t[0] = w[0];
    t[1] = v_fma(CONSTANT(WEIGHT_A * a), w[1], even_a);
    t[2] = v_fnma(CONSTANT(WEIGHT_A * a), w[1], even_a);
    t[3] = v_fma(CONSTANT(WEIGHT_B * b), w[1], even_b);
    t[4] = v_fnma(CONSTANT(WEIGHT_B * b), w[1], even_b);
    t[5] = w[2];
}

/* The matrix G^T. */
INLINE void NAME(weights_gradient_1d)(const vec *t, vec *w)
{
    const double a = WINOGRAD_A, b = WINOGRAD_B;
    vec sum_a = v_add(t[1], t[2]), difference_a = v_sub(t[1], t[2]);
    vec sum_b = v_add(t[3], t[4]), difference_b = v_sub(t[3], t[4]);
    w[0] = v_fma(CONSTANT(WEIGHT_A), sum_a, v_fma(CONSTANT(WEIGHT_B), sum_b, t[0]));
    w[1] = v_fma(CONSTANT(WEIGHT_A * a), difference_a,
                 v_mul(CONSTANT(WEIGHT_B * b), difference_b));
    w[2] = v_fma(CONSTANT(WEIGHT_A * a * a), sum_a,
                 v_fma(CONSTANT(WEIGHT_B * b * b), sum_b, t[5]));
}

/* Where frequency (i, j) of a tile of my by mx is. */
INLINE size_t NAME(frequency)(int my, int i, int mx, int j)
{
    return (size_t)(winograd_points[my][i] * WINOGRAD_POINTS + winograd_points[mx][j]);
}

/* The next `from` by `from` lines to `my + 2` by `mx + 2`, columns first: B^T x B or A dy A^T. */
INLINE void NAME(to_points)(bool gradient, int my, int mx, const ELEMENT *const *x, size_t at,
                            char *v, size_t step)
{
    int rows = gradient ? my : my + 2, columns = gradient ? mx : mx + 2;
    vec half[PARTS][WINOGRAD_POINTS][WINOGRAD_POINTS];
    UNROLL for (int j = 0; j < columns; j++) {
        vec in[WINOGRAD_POINTS][PARTS], column[WINOGRAD_POINTS], out[WINOGRAD_POINTS];
        UNROLL for (int i = 0; i < rows; i++)
            line_load(x[i * columns + j] + at, in[i]);
        UNROLL for (int part = 0; part < PARTS; part++) {
            UNROLL for (int i = 0; i < rows; i++)
                column[i] = in[i][part];
            if (gradient)
                NAME(gradient_1d)(my, column, out);
            else
                NAME(input_1d)(my, column, out);
            UNROLL for (int i = 0; i < my + 2; i++)
                half[part][i][j] = out[i];
        }
    }
    UNROLL for (int i = 0; i < my + 2; i++) {
        vec out[PARTS][WINOGRAD_POINTS];
        UNROLL for (int part = 0; part < PARTS; part++) {
            if (gradient)
                NAME(gradient_1d)(mx, half[part][i], out[part]);
            else
                NAME(input_1d)(mx, half[part][i], out[part]);
        }
        UNROLL for (int j = 0; j < mx + 2; j++) {
            vec line[PARTS];
            UNROLL for (int part = 0; part < PARTS; part++)
                line[part] = out[part][j];
            line_store((ELEMENT *)(void *)(v + NAME(frequency)(my, i, mx, j) * step) + at, line);
        }
    }
}

INLINE void NAME(from_points)(int my, int mx, const char *m, size_t step, size_t at,
                              const vec *bias, ELEMENT *const *y)
{
    vec half[PARTS][WINOGRAD_MOST][WINOGRAD_POINTS];
    UNROLL for (int j = 0; j < mx + 2; j++)
        UNROLL for (int part = 0; part < PARTS; part++) {
            vec column[WINOGRAD_POINTS], out[WINOGRAD_MOST];
            UNROLL for (int i = 0; i < my + 2; i++)
                column[i] = v_load((const REAL *)(const void *)(m + NAME(frequency)(my, i, mx, j) *
                                                                        step) +
                                   at + (size_t)(part * VEC_REALS));
            NAME(output_1d)(my, column, out);
            UNROLL for (int i = 0; i < my; i++)
                half[part][i][j] = out[i];
        }
    UNROLL for (int i = 0; i < my; i++) {
        vec out[PARTS][WINOGRAD_MOST];
        UNROLL for (int part = 0; part < PARTS; part++)
            NAME(output_1d)(mx, half[part][i], out[part]);
        UNROLL for (int j = 0; j < mx; j++) {
            vec line[PARTS];
            UNROLL for (int part = 0; part < PARTS; part++)
                line[part] = v_add(out[part][j], bias[part]);
            line_store(y[i * mx + j] + at, line);
        }
    }
}

/* CALL(my, mx) for the constants equal to my and mx, so that every size has code of its own. */
#define FOR_SIZE(my, mx, CALL)                                                                     \
    switch ((my) * 8 + (mx)) {                                                                     \
    case 2 * 8 + 2: CALL(2, 2); break;                                                             \
    case 2 * 8 + 3: CALL(2, 3); break;                                                             \
    case 2 * 8 + 4: CALL(2, 4); break;                                                             \
    case 3 * 8 + 2: CALL(3, 2); break;                                                             \
    case 3 * 8 + 3: CALL(3, 3); break;                                                             \
    case 3 * 8 + 4: CALL(3, 4); break;                                                             \
    case 4 * 8 + 2: CALL(4, 2); break;                                                             \
    case 4 * 8 + 3: CALL(4, 3); break;                                                             \
    default: CALL(4, 4);                                                                           \
    }

static void NAME(input)(int my, int mx, int images, const void *const *x, void *v, size_t step)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    const ELEMENT *pixels[WINOGRAD_FREQUENCIES];
    for (int i = 0; i < (my + 2) * (mx + 2); i++)
        pixels[i] = x[i];
#define INPUT(rows, columns)                                                                       \
    for (int i = 0; i < images; i++)                                                               \
        NAME(to_points)(false, rows, columns, pixels, (size_t)(i * LINE_ELEMENTS), v, step)
    FOR_SIZE(my, mx, INPUT)
#undef INPUT
}

static void NAME(gradient)(int my, int mx, int images, const void *const *dy, void *d,
                           size_t step)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    const ELEMENT *pixels[WINOGRAD_MOST * WINOGRAD_MOST];
    for (int i = 0; i < my * mx; i++)
        pixels[i] = dy[i];
#define GRADIENT(rows, columns)                                                                    \
    for (int i = 0; i < images; i++)                                                               \
        NAME(to_points)(true, rows, columns, pixels, (size_t)(i * LINE_ELEMENTS), d, step)
    FOR_SIZE(my, mx, GRADIENT)
#undef GRADIENT
}

static void NAME(output)(int my, int mx, int images, const void *m, size_t step, const void *bias,
                         void *const *y)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    ELEMENT *pixels[WINOGRAD_MOST * WINOGRAD_MOST];
    vec added[PARTS];
    for (int i = 0; i < my * mx; i++)
        pixels[i] = y[i];
    for (int part = 0; part < PARTS; part++)
        added[part] = v_load((const REAL *)bias + part * VEC_REALS);
#define OUTPUT(rows, columns)                                                                      \
    for (int i = 0; i < images; i++)                                                               \
        NAME(from_points)(rows, columns, m, step, (size_t)(i * LINE_ELEMENTS), added, pixels)
    FOR_SIZE(my, mx, OUTPUT)
#undef OUTPUT
}

static void NAME(weights)(int c, int lines, bool flip, void *u)
{
    size_t step = (size_t)(c * lines * LINE_ELEMENTS);
    REAL *w = (REAL *)u + (WINOGRAD_FREQUENCIES - WINOGRAD_TAPS) * step;
    for (size_t at = 0; at < step; at += VEC_REALS) {
        vec half[3][WINOGRAD_POINTS], out[WINOGRAD_POINTS];
        UNROLL for (int j = 0; j < 3; j++) {
            vec column[3];
            UNROLL for (int i = 0; i < 3; i++)
                column[i] = v_load(w + (size_t)(flip ? 8 - 3 * i - j : 3 * i + j) * step + at);
            NAME(weights_1d)(column, out);
            UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++)
                half[j][i] = out[i];
        }
        UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++) {
            const vec row[3] = {half[0][i], half[1][i], half[2][i]};
            NAME(weights_1d)(row, out);
            UNROLL for (int j = 0; j < WINOGRAD_POINTS; j++)
                v_store((REAL *)u + (size_t)(i * WINOGRAD_POINTS + j) * step + at, out[j]);
        }
    }
}

static void NAME(weights_gradient)(int c, int lines, const void *du, size_t du_step, void *dw,
                                   size_t dw_step)
{
    size_t count = (size_t)(c * lines * LINE_ELEMENTS);
    for (size_t at = 0; at < count; at += VEC_REALS) {
        vec half[3][WINOGRAD_POINTS];
        UNROLL for (int j = 0; j < WINOGRAD_POINTS; j++) {
            vec column[WINOGRAD_POINTS], out[3];
            UNROLL for (int i = 0; i < WINOGRAD_POINTS; i++) {
                const char *f = (const char *)du + (size_t)(i * WINOGRAD_POINTS + j) * du_step;
                column[i] = v_load((const REAL *)(const void *)f + at);
            }
            NAME(weights_gradient_1d)(column, out);
            UNROLL for (int i = 0; i < 3; i++)
                half[i][j] = out[i];
        }
        UNROLL for (int i = 0; i < 3; i++) {
            vec out[3];
            NAME(weights_gradient_1d)(half[i], out);
            UNROLL for (int j = 0; j < 3; j++) {
                char *tap = (char *)dw + (size_t)(3 * i + j) * dw_step;
                v_store((REAL *)(void *)tap + at, out[j]);
            }
        }
    }
}

static void NAME(fill)(struct winograd_kernels *k)
{
    k->input = NAME(input);
    k->output = NAME(output);
    k->gradient = NAME(gradient);
    k->weights = NAME(weights);
    k->weights_gradient = NAME(weights_gradient);
}

#undef WINOGRAD_A
#undef WINOGRAD_B
#undef WEIGHT_A
#undef WEIGHT_B
#undef CONSTANT
#undef FOR_SIZE
