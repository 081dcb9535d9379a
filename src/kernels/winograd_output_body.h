/* winograd_output_body.h - the transform from points to maps; see winograd_body.h, which comes
 * first. */

INLINE void NAME(from_points)(int my, int mx, const char *m, size_t step, size_t at,
                              const vec *bias, bool stream, void *const *y)
{
    vec half[PARTS][SET_MOST][SET_POINTS];
    UNROLL for (int j = 0; j < mx + 2; j++)
        UNROLL for (int part = 0; part < PARTS; part++) {
            vec column[SET_POINTS], out[SET_MOST];
            UNROLL for (int i = 0; i < my + 2; i++)
                column[i] = v_load((const REAL *)(const void *)(m + NAME(frequency)(my, i, mx, j) *
                                                                        step) +
                                   at + (size_t)(part * VEC_REALS));
            NAME(output_1d)(my, column, out);
            UNROLL for (int i = 0; i < my; i++)
                half[part][i][j] = out[i];
        }
    UNROLL for (int i = 0; i < my; i++) {
        vec out[PARTS][SET_MOST];
        UNROLL for (int part = 0; part < PARTS; part++)
            NAME(output_1d)(mx, half[part][i], out[part]);
        UNROLL for (int j = 0; j < mx; j++) {
            vec line[PARTS];
            UNROLL for (int part = 0; part < PARTS; part++)
                line[part] = v_add(out[part][j], bias[part]);
            ELEMENT *to = (ELEMENT *)y[i * mx + j] + at;
            if (stream)
                line_stream(to, line);
            else
                line_store(to, line);
        }
    }
}

typedef void (*NAME(from_points_fn))(int images, const char *m, size_t step, const REAL *bias,
                                     void *const *y);

#define FROM_POINTS(name, stream, my, mx)                                                          \
    static NOINLINE void NAME(name##my##mx)(int images, const char *m, size_t step,                \
                                            const REAL *bias, void *const *y)                      \
    {                                                                                              \
        vec added[PARTS];                                                                          \
        for (int part = 0; part < PARTS; part++)                                                   \
            added[part] = v_load(bias + part * VEC_REALS);                                         \
        for (int i = 0; i < images; i++)                                                           \
            NAME(from_points)(my, mx, m, step, (size_t)(i * LINE_ELEMENTS), added, stream, y);     \
    }
#define OUTPUT_STORE(my, mx) FROM_POINTS(output_store, false, my, mx)
#define OUTPUT_STREAM(my, mx) FROM_POINTS(output_stream, true, my, mx)
FOR_SIZES(OUTPUT_STORE)
FOR_SIZES(OUTPUT_STREAM)
#undef OUTPUT_STORE
#undef OUTPUT_STREAM
#undef FROM_POINTS

static void NAME(output)(int my, int mx, int images, const void *m, size_t step, const void *bias,
                         bool stream, void *const *y)
{
    static const NAME(from_points_fn) stored[3][3] = SIZES_TABLE(output_store),
                                      streamed[3][3] = SIZES_TABLE(output_stream);
    assert(my >= SET_LEAST && my <= SET_MOST && mx >= SET_LEAST && mx <= SET_MOST);
    int i = my - SET_LEAST, j = mx - SET_LEAST;
    NAME(from_points_fn) run = stream ? streamed[i][j] : stored[i][j];
    run(images, m, step, bias, y);
    if (stream)
        line_stream_end();
}
