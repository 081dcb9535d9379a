/* winograd_body.h - the transforms of winograd.h between maps and points, one body for all tiers
 * and precisions: input, gradient, output. Needs winograd_points_body.h, and
 *
 *      ELEMENT          the type A
 *      LINE_ELEMENTS    elements between what one turn of a loop reads and the next: a line
 *      PARTS            the vecs that these elements are computed in
 *      line_load(ELEMENT *, vec [PARTS]), line_store(ELEMENT *, vec [PARTS])
 *      line_stream(ELEMENT *, vec [PARTS]), line_stream_end()
 *                       line_store past the caches; afterwards others may read what was stored
 *      line_load_taken(ELEMENT *, uint8_t *, uint8_t, vec [PARTS])
 *                       the elements whose byte is the one given; see struct winograd_taken
 *      TURN_IMAGES      images of one turn: 1 unless a line_load takes several
 *
 * Maps are asked for a few images ahead, into the second-level cache: a tile reads from up to 36
 * places at once, more than processors follow by themselves, and which all fall into two sets of
 * the first-level cache. */

#ifndef PREFETCH_IMAGES
#define PREFETCH_IMAGES 4
#endif

/* Asks for what a later turn will read; write. */
INLINE void NAME(prefetch_source)(const ELEMENT *from)
{
    for (int image = PREFETCH_IMAGES; image < PREFETCH_IMAGES + TURN_IMAGES; image++)
        __builtin_prefetch(from + image * (LINE_ELEMENTS / TURN_IMAGES), 0, 2);
}

INLINE void NAME(prefetch_target)(const ELEMENT *to)
{
    if (TURN_IMAGES > 1)
        __builtin_prefetch(to + 2 * LINE_ELEMENTS, 1);
}

/* Where frequency (i, j) of a tile of my by mx is. */
INLINE size_t NAME(frequency)(int my, int i, int mx, int j)
{
    return (size_t)(winograd_points[my][i] * WINOGRAD_POINTS + winograd_points[mx][j]);
}

/* The next `from` by `from` lines to `my + 2` by `mx + 2`, columns first: B^T x B or A dy A^T.
 * `masked`: not all elements count. */
INLINE void NAME(to_points)(bool gradient, bool masked, int my, int mx, const ELEMENT *const *x,
                            const struct winograd_taken *taken, size_t at, char *v, size_t step)
{
    int rows = gradient ? my : my + 2, columns = gradient ? mx : mx + 2;
    vec half[PARTS][WINOGRAD_POINTS][WINOGRAD_POINTS];
    UNROLL for (int j = 0; j < columns; j++) {
        vec in[WINOGRAD_POINTS][PARTS], column[WINOGRAD_POINTS], out[WINOGRAD_POINTS];
        UNROLL for (int i = 0; i < rows; i++) {
            int pixel = i * columns + j;
            NAME(prefetch_source)(x[pixel] + at);
            if (masked)
                line_load_taken(x[pixel] + at, taken->argmax[pixel] + at, taken->place[pixel],
                                in[i]);
            else
                line_load(x[pixel] + at, in[i]);
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
            ELEMENT *to = (ELEMENT *)(void *)(v + NAME(frequency)(my, i, mx, j) * step) + at;
            NAME(prefetch_target)(to);
            line_store(to, line);
        }
    }
}

/* CALL(my, mx) for the constants equal to my and mx, so that every size has code of its own. */
#ifndef FOR_SIZE
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
#endif

static void NAME(input)(int my, int mx, int images, const void *const *x,
                        const struct winograd_taken *taken, void *v, size_t step)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    const ELEMENT *pixels[WINOGRAD_FREQUENCIES];
    for (int i = 0; i < (my + 2) * (mx + 2); i++)
        pixels[i] = x[i];
#define INPUT(masked, rows, columns)                                                               \
    for (int i = 0; i * TURN_IMAGES < images; i++)                                                 \
    NAME(to_points)(false, masked, rows, columns, pixels, taken, (size_t)(i * LINE_ELEMENTS), v,   \
                    step)
#define INPUT_WHOLE(rows, columns) INPUT(false, rows, columns)
#define INPUT_TAKEN(rows, columns) INPUT(true, rows, columns)
    if (taken)
        FOR_SIZE(my, mx, INPUT_TAKEN)
    else
        FOR_SIZE(my, mx, INPUT_WHOLE)
#undef INPUT
#undef INPUT_WHOLE
#undef INPUT_TAKEN
}
