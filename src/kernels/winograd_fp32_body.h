/* winograd_fp32_body.h - a line of floats as vecs, for winograd_body.h. */
#define UNROLL _Pragma("GCC unroll 8")
#define VEC_REALS VEC
#define PARTS LINE_VECS
#define TURN_IMAGES 1
#define STREAMS_POINTS 1
#define LINE_ELEMENTS (VEC * LINE_VECS)

INLINE void line_load(const float *p, vec line[PARTS])
{
    UNROLL for (int part = 0; part < PARTS; part++)
        line[part] = v_load(p + part * VEC);
}

INLINE void line_load_taken(const float *p, const uint8_t *argmax, uint8_t place, vec line[PARTS])
{
    UNROLL for (int part = 0; part < PARTS; part++)
        line[part] = v_select(v_bytes_equal(argmax + part * VEC, place), v_load(p + part * VEC),
                              v_set(0));
}

INLINE void line_store(float *p, const vec line[PARTS])
{
    UNROLL for (int part = 0; part < PARTS; part++)
        v_store(p + part * VEC, line[part]);
}

INLINE void line_stream(float *p, const vec line[PARTS])
{
    UNROLL for (int part = 0; part < PARTS; part++)
        v_stream(p + part * VEC, line[part]);
}

#define line_stream_end v_stream_end
