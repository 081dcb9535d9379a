/* winograd_body.h - the transforms of winograd.h between maps and points, one body for all tiers
 * and precisions: input, gradient, output. Needs winograd_points4_body.h, and
 *
 *      ELEMENT          the type A
 *      LINE_ELEMENTS    elements between what one turn of a loop reads and the next: a line
 *      PARTS            the vecs that these elements are computed in
 *      line_load(ELEMENT *, vec [PARTS]), line_store(ELEMENT *, vec [PARTS])
 *      line_stream(ELEMENT *, vec [PARTS]), line_stream_end()
 *                       line_store past the caches; afterwards others may read what was stored
 *      STREAMS_POINTS   1 if what becomes points is line_streamed when that is asked for, or 0
 *      line_load_taken(ELEMENT *, uint8_t *, uint8_t, vec [PARTS])
 *                       the elements whose byte is the one given; see struct winograd_taken
 *      TURN_IMAGES      images of one turn: 1 unless a line_load takes several
 *
 * Maps are asked for a few images ahead, into the second-level cache: a tile reads from up to 36
 * places at once, more than processors follow by themselves, and which all fall into two sets of
 * the first-level cache. */

#ifndef PREFETCH_IMAGES
#define PREFETCH_IMAGES 4
#define PREFETCH_MAXIMA 8   /* likewise; of bytes, a line is that of several images */
#endif

/* Asks for what a later turn will read; for what it will know of a pool; write. */
INLINE void NAME(prefetch_source)(const ELEMENT *from)
{
    for (int image = PREFETCH_IMAGES; image < PREFETCH_IMAGES + TURN_IMAGES; image++)
        __builtin_prefetch(from + image * (LINE_ELEMENTS / TURN_IMAGES), 0, 2);
}

INLINE void NAME(prefetch_maxima)(const uint8_t *argmax)
{
    __builtin_prefetch(argmax + PREFETCH_MAXIMA * (LINE_ELEMENTS / TURN_IMAGES), 0, 2);
}

INLINE void NAME(prefetch_target)(const ELEMENT *to)
{
    if (TURN_IMAGES > 1)
        __builtin_prefetch(to + 2 * LINE_ELEMENTS, 1);
}

/* Where frequency (i, j) of a tile of my by mx is. */
INLINE size_t NAME(frequency)(int my, int i, int mx, int j)
{
    return (size_t)(SET.point[my][i] * SET_POINTS + SET.point[mx][j]);
}

/* The next `from` by `from` lines to `my + 2` by `mx + 2`, columns first: B^T x B or A dy A^T.
 * `masked`: not all elements count. */
INLINE void NAME(to_points)(bool gradient, bool masked, int my, int mx, const void *const *x,
                            const struct winograd_taken *taken, bool stream, size_t at, char *v,
                            size_t step)
{
    int rows = gradient ? my : my + 2, columns = gradient ? mx : mx + 2;
    vec half[PARTS][SET_POINTS][SET_POINTS];
    UNROLL for (int j = 0; j < columns; j++) {
        vec in[SET_POINTS][PARTS], column[SET_POINTS], out[SET_POINTS];
        UNROLL for (int i = 0; i < rows; i++) {
            int pixel = i * columns + j;
            const ELEMENT *from = (const ELEMENT *)x[pixel] + at;
            NAME(prefetch_source)(from);
            if (masked) {
                NAME(prefetch_maxima)(taken->argmax[pixel] + at);
                line_load_taken(from, taken->argmax[pixel] + at, taken->place[pixel], in[i]);
            } else {
                line_load(from, in[i]);
            }
        }
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
        vec out[PARTS][SET_POINTS];
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
            ELEMENT *to = (ELEMENT *)(void *)(v + NAME(frequency)(my, i, mx, j) * step) + at;
            if (STREAMS_POINTS && stream) {
                line_stream(to, line);
            } else {
                NAME(prefetch_target)(to);
                line_store(to, line);
            }
        }
    }
}

/* Every size has a function of its own, in which it is a constant. (All of them in one function
 * take up to 1.4 times as long: the compiler moves more out of the loops than there are registers.)
 * FOR_SIZES and SIZES_TABLE are the set's. */
#ifndef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

typedef void (*NAME(to_points_fn))(int images, const void *const *x,
                                   const struct winograd_taken *taken, bool stream, char *v,
                                   size_t step);

#define TO_POINTS(name, gradient, masked, my, mx)                                                  \
    static NOINLINE void NAME(name##my##mx)(int images, const void *const *x,                      \
                                            const struct winograd_taken *taken, bool stream,       \
                                            char *v, size_t step)                                  \
    {                                                                                              \
        for (int i = 0; i * TURN_IMAGES < images; i++)                                             \
            NAME(to_points)(gradient, masked, my, mx, x, taken, stream,                            \
                            (size_t)(i * LINE_ELEMENTS), v, step);                                 \
        if (STREAMS_POINTS && stream)                                                              \
            line_stream_end();                                                                     \
    }
#define INPUT_WHOLE(my, mx) TO_POINTS(input_whole, false, false, my, mx)
#define INPUT_TAKEN(my, mx) TO_POINTS(input_taken, false, true, my, mx)
FOR_SIZES(INPUT_WHOLE)
FOR_SIZES(INPUT_TAKEN)
#undef INPUT_WHOLE
#undef INPUT_TAKEN

static void NAME(input)(int my, int mx, int images, const void *const *x,
                        const struct winograd_taken *taken, bool stream, void *v, size_t step)
{
    static const NAME(to_points_fn) whole[3][3] = SIZES_TABLE(input_whole),
                                    masked[3][3] = SIZES_TABLE(input_taken);
    assert(my >= SET_LEAST && my <= SET_MOST && mx >= SET_LEAST && mx <= SET_MOST);
    int i = my - SET_LEAST, j = mx - SET_LEAST;
    NAME(to_points_fn) run = taken ? masked[i][j] : whole[i][j];
    run(images, x, taken, stream, v, step);
}
