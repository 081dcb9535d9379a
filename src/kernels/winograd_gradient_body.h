/* winograd_gradient_body.h - the transform of the outputs' gradient; see winograd_body.h, which
 * comes first. */

static void NAME(gradient)(int my, int mx, int images, const void *const *dy, void *d,
                           size_t step)
{
    assert(my >= WINOGRAD_LEAST && my <= WINOGRAD_MOST && mx >= WINOGRAD_LEAST &&
           mx <= WINOGRAD_MOST);
    const ELEMENT *pixels[WINOGRAD_MOST * WINOGRAD_MOST];
    for (int i = 0; i < my * mx; i++)
        pixels[i] = dy[i];
#define GRADIENT(rows, columns)                                                                    \
    for (int i = 0; i * TURN_IMAGES < images; i++)                                                 \
        NAME(to_points)(true, rows, columns, pixels, (size_t)(i * LINE_ELEMENTS), d, step)
    FOR_SIZE(my, mx, GRADIENT)
#undef GRADIENT
}
