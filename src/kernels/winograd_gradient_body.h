/* winograd_gradient_body.h - the transform of the outputs' gradient; see winograd_body.h, which
 * comes first. */

#define GRADIENT_WHOLE(my, mx) TO_POINTS(gradient_whole, true, false, my, mx)
#define GRADIENT_TAKEN(my, mx) TO_POINTS(gradient_taken, true, true, my, mx)
FOR_SIZES(GRADIENT_WHOLE)
FOR_SIZES(GRADIENT_TAKEN)
#undef GRADIENT_WHOLE
#undef GRADIENT_TAKEN

static void NAME(gradient)(int my, int mx, int images, const void *const *dy,
                           const struct winograd_taken *taken, bool stream, void *d, size_t step)
{
    static const NAME(to_points_fn) whole[3][3] = SIZES_TABLE(gradient_whole),
                                    masked[3][3] = SIZES_TABLE(gradient_taken);
    assert(my >= SET_LEAST && my <= SET_MOST && mx >= SET_LEAST && mx <= SET_MOST);
    int i = my - SET_LEAST, j = mx - SET_LEAST;
    NAME(to_points_fn) run = taken ? masked[i][j] : whole[i][j];
    run(images, dy, taken, stream, d, step);
}
