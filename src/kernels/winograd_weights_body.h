/* winograd_weights_body.h - the transforms of weights and of their gradient where these lie as [c]
 * [lines * CB] of REAL, and the table. Comes after the other bodies. */

/* A line of each tap, to one of each frequency. Lines of all frequencies can fall into the same
 * sets of the caches, and leave them soon: so each is written at once. */
INLINE void NAME(weights_line)(bool flip, const REAL *w, size_t step, REAL *u)
{
    vec half[PARTS][3][SET_POINTS];
    UNROLL for (int part = 0; part < PARTS; part++)
        UNROLL for (int j = 0; j < 3; j++) {
            vec column[3];
            UNROLL for (int i = 0; i < 3; i++)
                column[i] = v_load(w + (size_t)(flip ? 8 - 3 * i - j : 3 * i + j) * step +
                                   part * VEC_REALS);
            NAME(weights_1d)(column, half[part][j]);
        }
    UNROLL for (int i = 0; i < SET_POINTS; i++) {
        vec out[PARTS][SET_POINTS];
        UNROLL for (int part = 0; part < PARTS; part++) {
            const vec row[3] = {half[part][0][i], half[part][1][i], half[part][2][i]};
            NAME(weights_1d)(row, out[part]);
        }
        UNROLL for (int j = 0; j < SET_POINTS; j++)
            UNROLL for (int part = 0; part < PARTS; part++)
                v_store(u + (size_t)(i * SET_POINTS + j) * step + part * VEC_REALS,
                        out[part][j]);
    }
}

static void NAME(weights)(int c, int lines, bool flip, void *u)
{
    size_t step = (size_t)(c * lines * LINE_ELEMENTS);
    REAL *to = u;
    const REAL *w = to + (SET_POINTS * SET_POINTS - WINOGRAD_TAPS) * step;
    for (size_t at = 0; at < step; at += LINE_ELEMENTS)
        NAME(weights_line)(flip, w + at, step, to + at);
}

static void NAME(weights_gradient)(int c, int lines, const void *du, size_t du_step, bool stream,
                                   void *dw, size_t dw_step, size_t dw_row)
{
    int width = lines * LINE_ELEMENTS;
    for (int from = 0; from < c * width; from += VEC_REALS) {
        size_t to = (size_t)(from / width) * dw_row + (size_t)(from % width) * sizeof(REAL);
        vec half[3][SET_POINTS];
        UNROLL for (int j = 0; j < SET_POINTS; j++) {
            vec column[SET_POINTS], out[3];
            UNROLL for (int i = 0; i < SET_POINTS; i++) {
                const char *f = (const char *)du + (size_t)(i * SET_POINTS + j) * du_step;
                column[i] = v_load((const REAL *)(const void *)f + from);
            }
            NAME(weights_gradient_1d)(column, out);
            UNROLL for (int i = 0; i < 3; i++)
                half[i][j] = out[i];
        }
        UNROLL for (int i = 0; i < 3; i++) {
            vec out[3];
            NAME(weights_gradient_1d)(half[i], out);
            UNROLL for (int j = 0; j < 3; j++) {
                REAL *at = (REAL *)(void *)((char *)dw + (size_t)(3 * i + j) * dw_step + to);
                if (stream)
                    v_stream(at, out[j]);
                else
                    v_store(at, out[j]);
            }
        }
    }
    line_stream_end();
}

static void NAME(fill)(struct winograd_kernels *k)
{
    *k = (struct winograd_kernels){
        .set = &SET,
        .input = NAME(input),
        .output = NAME(output),
        .gradient = NAME(gradient),
        .weights = NAME(weights),
        .weights_gradient = NAME(weights_gradient),
    };
}
