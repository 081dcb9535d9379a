/* winograd_output_body.h - the transform from points to maps; see winograd_body.h, which comes
 * first. */

INLINE void NAME(from_points)(int my, int mx, const char *m, size_t step, size_t at,
                              const vec *bias, bool stream, ELEMENT *const *y)
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
            if (stream)
                line_stream(y[i * mx + j] + at, line);
            else
                line_store(y[i * mx + j] + at, line);
        }
    }
}

static void NAME(output)(int my, int mx, int images, const void *m, size_t step, const void *bias,
                         bool stream, void *const *y)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    ELEMENT *pixels[WINOGRAD_MOST * WINOGRAD_MOST];
    vec added[PARTS];
    for (int i = 0; i < my * mx; i++)
        pixels[i] = y[i];
    for (int part = 0; part < PARTS; part++)
        added[part] = v_load((const REAL *)bias + part * VEC_REALS);
#define OUTPUT(stream, rows, columns)                                                              \
    for (int i = 0; i < images; i++)                                                               \
    NAME(from_points)(rows, columns, m, step, (size_t)(i * LINE_ELEMENTS), added, stream, pixels)
#define OUTPUT_STORE(rows, columns) OUTPUT(false, rows, columns)
#define OUTPUT_STREAM(rows, columns) OUTPUT(true, rows, columns)
    if (stream) {
        FOR_SIZE(my, mx, OUTPUT_STREAM)
        line_stream_end();
    } else {
        FOR_SIZE(my, mx, OUTPUT_STORE)
    }
#undef OUTPUT
#undef OUTPUT_STORE
#undef OUTPUT_STREAM
}
