/* winograd_plain_body.h - for winograd_body.h: a vec is one number. The includer defines REAL and
 * LINE_ELEMENTS. */
#define INLINE static inline
#define UNROLL
#define VEC_REALS 1
#define ELEMENT REAL
#define PARTS LINE_ELEMENTS
#define TURN_IMAGES 1
#define STREAMS_POINTS 0
#define vec REAL
#define v_load(p) (*(p))
#define v_store(p, a) (*(p) = (a))
#define v_stream v_store
#define v_set(a) (a)
#define v_add(a, b) ((a) + (b))
#define v_sub(a, b) ((a) - (b))
#define v_mul(a, b) ((a) * (b))
#define v_fma(a, b, c) ((a) * (b) + (c))
#define v_fnma(a, b, c) ((c) - (a) * (b))
#define line_load(p, line)                                                                         \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (line)[part_] = (p)[part_]
#define line_load_taken(p, argmax, place, line)                                                    \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (line)[part_] = (argmax)[part_] == (place) ? (p)[part_] : 0
#define line_store(p, line)                                                                        \
    for (int part_ = 0; part_ < PARTS; part_++)                                                    \
    (p)[part_] = (line)[part_]
#define line_stream line_store
#define line_stream_end() ((void)0)
