/* winograd_gradient_body.h - the transform of the outputs' gradient; see winograd_body.h, which
 * comes first. */

static void NAME(gradient)(int my, int mx, int images, const void *const *dy,
                           const struct winograd_taken *taken, void *d, size_t step)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    const ELEMENT *pixels[WINOGRAD_MOST * WINOGRAD_MOST];
    for (int i = 0; i < my * mx; i++)
        pixels[i] = dy[i];
#define GRADIENT(masked, rows, columns)                                                            \
    for (int i = 0; i * TURN_IMAGES < images; i++)                                                 \
    NAME(to_points)(true, masked, rows, columns, pixels, taken, (size_t)(i * LINE_ELEMENTS), d,    \
                    step)
#define GRADIENT_WHOLE(rows, columns) GRADIENT(false, rows, columns)
#define GRADIENT_TAKEN(rows, columns) GRADIENT(true, rows, columns)
    if (taken)
        FOR_SIZE(my, mx, GRADIENT_TAKEN)
    else
        FOR_SIZE(my, mx, GRADIENT_WHOLE)
#undef GRADIENT
#undef GRADIENT_WHOLE
#undef GRADIENT_TAKEN
}
