/* winograd.h - the transforms of Winograd's convolution with a 3x3 filter and stride 1.
 *
 * m outputs of a one-dimensional filter of three taps need m + 2 products, not 3 m: the filter and
 * the m + 2 inputs are looked at as polynomials, evaluated at m + 2 points, multiplied point by
 * point, and interpolated (Toom and Cook; Winograd 1980; Lavin and Gray 2016). In two dimensions
 *
 *      y = A^T [ (G w G^T) * (B^T x B) ] A             forward; backward-data with w flipped
 *      dw = G^T [ (B^T x B) * (A dy A^T) ] G           backward-weights
 *
 * where * is element by element; summed over channels (or pixels and images) it becomes one matrix
 * product for each of the (m + 2)^2 pairs of points.
 *
 * The points of tiles of 2 to 4 are 0, a, -a, b, -b and infinity with a = 2/3, b = 3/2, in this
 * order; docs/kernels.md says why. A tile of m = 4 uses them all, m = 3 all but 0, m = 2 the points
 * 0, a, -b, infinity. A smaller tile's interpolation lacks factors (p - q) for the points q left
 * out; here they are put into B^T, so that *G is the same for every m*: weights are transformed
 * once for all tilings, and tiles of different sizes, also of different height and width, add to
 * the same sums. The matrices follow from the points alone:
 *
 *      A^T[i][p] = p^i,                        infinity: 1 for i = m - 1, else 0
 *      G[p][j]   = p^j / prod over q != p (p - q), q over all finite points;  infinity: 1 for j = 2
 *      B^T[p][.] = coefficients of prod over q != p (x - q), q over the finite points of m, times
 *                  prod over the finite points r left out of m (p - r);  infinity: prod over all
 *                  finite points of m (x - q)
 *
 * Tiles of 4 to 6 have a set of their own: 0, a, -a, 1, -1, b, -b, infinity with a = 1/2, b = 2. A
 * tile of m = 6 uses them all, m = 5 all but 0, m = 4 all but 1 and -1. Its results are four times
 * as far off, which fp32 can bear and bf16 can not, so bf16 has no such tiles. (The row of the
 * point 0 has its sign changed in G and in B^T.)
 *
 * A frequency f = (index of the row's point) * points + (index of the column's) names one of the 36
 * or 64 matrix products. What the transforms read and write are tiles as in layout.h, so that the
 * products are those of conv.h with one tap: V[f] and D[f] look like pixels of a map.
 */
#ifndef KILN_KERNELS_WINOGRAD_H
#define KILN_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/layout.h"

/* Outputs of a tile in one dimension, points, and pairs of points; of the larger set, which is what
 * has room for either, WINOGRAD6. */
enum {
    WINOGRAD_TAPS = 9,
    WINOGRAD_LEAST = 2,
    WINOGRAD_MOST = 4,
    WINOGRAD_POINTS = 6,
    WINOGRAD_FREQUENCIES = WINOGRAD_POINTS * WINOGRAD_POINTS,
    WINOGRAD6_LEAST = 4,
    WINOGRAD6_MOST = 6,
    WINOGRAD6_POINTS = 8,
    WINOGRAD6_FREQUENCIES = WINOGRAD6_POINTS * WINOGRAD6_POINTS
};

/* A set of points. Of a tile of m: its points as indices in rising order, and as a set of bits. */
struct winograd_set {
    int least, most, points;
    int point[WINOGRAD6_MOST + 1][WINOGRAD6_POINTS];
    unsigned present[WINOGRAD6_MOST + 1];
};

static const struct winograd_set winograd_set4 = {
    WINOGRAD_LEAST, WINOGRAD_MOST, WINOGRAD_POINTS,
    {[2] = {0, 1, 4, 5}, [3] = {1, 2, 3, 4, 5}, [4] = {0, 1, 2, 3, 4, 5}},
    {[2] = 0x33, [3] = 0x3e, [4] = 0x3f},
};
static const struct winograd_set winograd_set6 = {
    WINOGRAD6_LEAST, WINOGRAD6_MOST, WINOGRAD6_POINTS,
    {[4] = {0, 1, 2, 5, 6, 7}, [5] = {1, 2, 3, 4, 5, 6, 7}, [6] = {0, 1, 2, 3, 4, 5, 6, 7}},
    {[4] = 0xe7, [5] = 0xfe, [6] = 0xff},
};

/* Which elements of lines count, where lines are a 2x2 max pool's gradient and a transform reads
 * what the pool's backward pass would have spread out: of pixel i those whose byte in argmax[i],
 * [images][CB], is place[i], a number from 0 to 3; the others are 0. */
struct winograd_taken {
    const uint8_t *argmax[WINOGRAD6_FREQUENCIES];
    uint8_t place[WINOGRAD6_FREQUENCIES];
};

/* my, mx: height and width of the tile of outputs, each of a size that the set has. A line of
 * `images` images is transformed by each call. Steps count bytes. */
struct winograd_kernels {
    const struct winograd_set *set;

    /* v[f] = B^T x B for the frequencies f of the tile. x[(my+2)*(mx+2)]: where the line of each
     * input pixel begins, row by row; A [images][CB]. v: A, frequency f at v + f * step. taken is
     * NULL if all elements count. stream: past the caches; bf16 takes no notice. */
    void (*input)(int my, int mx, int images, const void *const *x,
                  const struct winograd_taken *taken, bool stream, void *v, size_t step);

    /* y = A^T m A + bias. m: P [images][CB], frequency f at m + f * step; bias P [CB]; y[my*mx]:
     * where the line of each output pixel begins. stream: past the caches. */
    void (*output)(int my, int mx, int images, const void *m, size_t step, const void *bias,
                   bool stream, void *const *y);

    /* d[f] = A dy A^T. dy[my*mx]: where the line of each pixel begins. */
    void (*gradient)(int my, int mx, int images, const void *const *dy,
                     const struct winograd_taken *taken, bool stream, void *d, size_t step);

    /* In place: u[f] = G w G^T for all frequencies of c * lines * CB weights. u: P
     * [frequency][c][lines*CB]; w lies in the last nine, in the order of taps; with flip they are
     * taken in reverse order. */
    void (*weights)(int c, int lines, bool flip, void *u);

    /* dw[t] = G^T du G, t < 9. du: P [c][lines*CB], frequency f at du + f * du_step; dw: tap t at
     * dw + t * dw_step, there channel c at c * dw_row. stream: past the caches. */
    void (*weights_gradient)(int c, int lines, const void *du, size_t du_step, bool stream,
                             void *dw, size_t dw_step, size_t dw_row);

    /* The rest is bf16's and NULL elsewhere; see below. input_rows is `input` for `outer`. */
    void (*input_rows)(int my, int mx, int images, const void *const *x,
                       const struct winograd_taken *taken, bool stream, void *v, size_t step);
    void (*pack)(int to, int from, bool transposed, const float *w, int line, bool stream, void *u,
                 size_t step);
    void (*product)(int c, int images, const void *v, const void *u, size_t u_step, void *m);
    void (*outer)(int pixels, int images, int c, bool add, const void *v, size_t v_step,
                  const void *d, size_t d_step, void *du);
};

/* In bf16 the instruction that multiplies takes pairs of numbers and adds both products to a float.
 * Pairs are neighbours in what is summed over, and the transforms write them so; these arrangements
 * are between the kernels alone. A line has 32 channels here, computed as 16 even and 16 odd ones:
 *
 *      V for product   [32 images][pairs of channels (0,2) (4,6) ... (28,30) (1,3) ... (29,31)]
 *      U               [lines of C][the same 16 pairs][32 channels of K][2], zero past C and K
 *      M               float [32 images][32 channels of K]
 *      V, D for outer  [16 pairs of images][even, odd channels][16][2]; an odd last image is paired
 *                      with zeros
 *      dU              float [lines of C][even, odd channels][16][even, odd channels of K][16]
 *
 *      pack       makes U of the 32 channels from 32*line on out of w [k][c][9], to = k and
 *                 from = c; transposed, for backward-data: to = c, from = k, taps in reverse.
 *                 Frequency f at u + f * step. stream: past the caches
 *      product    m[i][k] = sum over c of v[i][c] * u[c][k], one frequency; `images` is a
 *                 multiple of 8; asks for what lies u_step bytes on, the next frequency's
 *      outer      du[c][k] = sum over pixels and images of v * d, for one line of C with c
 *                 channels and one of K, or += with `add`; the tiles of neighbouring pixels
 *                 follow on each other;
 *                 asks for what lies v_step and d_step bytes on, the next frequency's
 */

/* Along rows alone: of a map whose rows are cut into tiles of m outputs, 2 to 4,
 *
 *      y = A^T [ sum over rows r of the filter of (G w[r]) * (B^T x[r]) ]
 *
 * takes m + 2 products for each of three rows instead of 9 m, half of them for m = 4, where V is
 * one and a half times as large as the map. What is summed over rows and channels is, for each
 * point, a convolution with a filter of one column, which the kernels of conv_tiles.h compute. Only
 * bf16 has these transforms; elsewhere they are NULL. The channels of V and U stand in another
 * order than those of a map, [0 2 4 ... 30 1 3 ... 31] of each line: they are summed over. */
struct winograd_row_kernels {
    /* m + 2 lines of V, `step` bytes apart, from those of as many neighbouring pixels. taken as in
     * winograd_kernels. Asks for what lies `ahead` bytes behind each line. */
    void (*input)(int m, int images, const void *const *x, const struct winograd_taken *taken,
                  ptrdiff_t ahead, void *v, size_t step);

    /* m lines of outputs. sums: float [images][32], the next frequency `step` bytes on; bias [32]
     * aligned to a line. stream: past the caches. */
    void (*output)(int m, int images, const void *sums, size_t step, const float *bias, bool stream,
                   void *const *y);

    /* The 2x2 max pool of two rows of such outputs, m 2 or 4, as maxpool_forward makes it from
     * them: m / 2 lines, and the positions of their maxima (argmax NULL: not wanted). The sums of
     * the second row lie `row` bytes behind those of the first. Images past `images` become 0. */
    void (*output_pooled)(int m, int images, const void *sums, size_t step, size_t row,
                          const float *bias, void *const *y, uint8_t *const *argmax);

    /* The weights of 32 channels from to_first on: for each of the six points, `step` bytes apart,
     * what conv_tiles.h packs of a filter of 1 x 3, in which the three columns are the rows of w.
     * w[i * to_step + j * from_step + tap] belongs to channel i of `to` and j of `from`; with
     * `reverse` taps are taken in reverse order. stream: past the caches. */
    void (*pack)(int to, int from, bool reverse, const float *w, size_t to_step, size_t from_step,
                 int to_first, bool stream, void *u, size_t step);

    /* The transform of m lines of dy, in pairs of images as `outer_row` wants them: the even
     * channels of point i go to d[i], the odd ones `half` bytes further, 16 pairs each, zero for
     * images that there are not. taken and ahead as above. */
    void (*gradient)(int m, int images, const void *const *dy, const struct winograd_taken *taken,
                     ptrdiff_t ahead, void *const *d, size_t half);

    /* dw[s] = G^T du for `count` floats, a multiple of 16: point i at du + i * du_step, column s of
     * the filter at dw + s * dw_step, in floats, aligned to a line. */
    void (*weights_gradient)(int count, const float *du, size_t du_step, float *dw,
                             size_t dw_step);
};

void winograd_row_kernels_init__avx512bf16(struct winograd_row_kernels *k);

/* The plain versions; bf16 has none. */
void winograd_kernels_init(struct winograd_kernels *k, enum precision p);
void winograd6_kernels_init(struct winograd_kernels *k, enum precision p);
void winograd_kernels_init__avx2(struct winograd_kernels *k);
void winograd6_kernels_init__avx2(struct winograd_kernels *k);
void winograd_kernels_init__avx512(struct winograd_kernels *k);
/* The kernels for bf16. */
void winograd_kernels_init__avx512bf16(struct winograd_kernels *k);

#endif
