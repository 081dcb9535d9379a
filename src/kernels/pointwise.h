/* pointwise.h - the kernels that are not convolutions: normalisation, activations, pooling, sums
 * of maps, the loss, the optimiser, and the loading of images.
 *
 * All but the loss move more bytes than they compute, so each is one pass over memory in the order
 * in which it lies, and what a pass can do on the way is fused into it. Maps are those of layout.h;
 * pointers to maps are aligned to a line. Every kernel that writes a map leaves its channels past C
 * zero.
 *
 * Sums run in image order within a pixel, pixel after pixel, in doubles. In bf16 each pixel's
 * images of a block, at most 32, are first added up in floats, and these sums in doubles. Where
 * what is summed is the same in every tier (norm_sums) so is the sum, bit for bit. Gradients differ
 * in their last bits: tiers approximate the activations differently, and in bf16 the AVX-512 tiers
 * as coarsely as vector_coarse.h says.
 */
#ifndef KILN_KERNELS_POINTWISE_H
#define KILN_KERNELS_POINTWISE_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/layout.h"
#include "kernels/shapes.h"

/* A run of `pixels` pixels of one block of a map: images first .. last-1 of its 32, all channels.
 * The other images are neither read nor written. */
struct tiles {
    int pixels, channels;
    int first, last;
};

/* Normalisation with one group's statistics, and what follows it: z = (x - mean) * (rstd * scale)
 * + bias, y = act(z). All are P [channels]; scale NULL means 1, bias NULL means 0. */
struct norm_fold {
    const void *mean, *rstd, *scale, *bias;
    enum activation act;
    double act_param;
};

/* Where a gradient comes from when 2x2 windows without gaps were pooled behind a normalisation: its
 * value is that of the window where argmax says that the window took it, and zero elsewhere. The
 * run of tiles begins at pixel `begin` of its block, whose rows are w pixels, an even number. */
struct pooled {
    const uint8_t *argmax;
    int w, begin;
};

/* The first pixel of window `window` where rows are w pixels; the window of pixel `pixel` of the
 * run; and the pixel's place in it, from 0 to 3. */
static inline int pooled_corner(int window, int w)
{
    return window / (w / 2) * 2 * w + window % (w / 2) * 2;
}

static inline int pooled_window(const struct pooled *p, int pixel)
{
    int y = (p->begin + pixel) / p->w, x = (p->begin + pixel) % p->w;
    return y / 2 * (p->w / 2) + x / 2;
}

static inline int pooled_place(const struct pooled *p, int pixel)
{
    return (p->begin + pixel) / p->w % 2 * 2 + (p->begin + pixel) % 2;
}

/* A copy of `count` channels from channel `from` of maps with from_channels to channel `to` of
 * maps with to_channels. Where they are the last of the destination, its padding becomes zero. */
struct channel_copy {
    int pixels;
    int from, from_channels;
    int to, to_channels;
    int count;
};

/* Cross-entropy of `images` images of one block against (1-smoothing) * label + smoothing/classes
 * each; see cross_entropy in backend/backend.h. */
struct loss_step {
    int images, classes;
    double smoothing, gradient_scale;
};

struct pointwise_kernels {
    /* sums[2][padded channels] = sum of x, sum of x^2 over the run; overwritten. "Padded channels"
     * is the next multiple of CB; sums over padding are zero. */
    void (*norm_sums)(const struct tiles *t, const void *x, double *sums);

    /* y = act(z). y may be x. stream: past the caches, for what is too large for them. */
    void (*norm_forward)(const struct tiles *t, const struct norm_fold *f, const void *x,
                         bool stream, void *y);

    /* y = the greatest act(z) of each window of 2x2 pixels of x, without gaps, and its place in
     * the window (argmax may be NULL), as norm_forward and maxpool_forward make them one after the
     * other. The run is of whole rows of y, of w / 2 pixels each; x begins at the same window. */
    void (*norm_pool_forward)(const struct tiles *t, const struct norm_fold *f, int w,
                              const void *x, void *y, uint8_t *argmax);

    /* sums[2][padded channels] = sum of dz, sum of dz * (x - mean) over the run, where dz =
     * dy * act'(z); overwritten. Writes dz unless it is NULL. dz may be dy. If p is not NULL, dy
     * and its argmax are those of pooled windows, from the first of the block on. */
    void (*norm_backward_sums)(const struct tiles *t, const struct norm_fold *f,
                               const struct pooled *p, const void *x, const void *dy, void *dz,
                               double *sums);

    /* dx = rstd * scale * dz + slope * (x - mean) + offset, dz = dy * act'(z); slope and offset
     * are P [channels], both NULL for zero. (With f->act = ACT_NONE dy is dz.) p as above. dx may
     * be dy, and x where p is not NULL. */
    void (*norm_backward)(const struct tiles *t, const struct norm_fold *f,
                          const struct pooled *p, const void *slope, const void *offset,
                          const void *x, const void *dy, void *dx);

    /* y = act(x); dx = dy * act'(x). count elements, a multiple of CB. In place allowed. stream: y
     * past the caches. */
    void (*act_forward)(enum activation act, double param, size_t count, const void *x,
                        bool stream, void *y);
    void (*act_backward)(enum activation act, double param, size_t count, const void *x,
                         const void *dy, void *dx);

    /* Pooling of one block. Forward makes the output rows [first, last), backward the input rows
     * [first, last), each input element being the sum over the windows that hold it, in row-major
     * order, zero where there is none. argmax may be NULL in forward. stream: past the caches. */
    void (*maxpool_forward)(const struct pool_shape *s, int first, int last, const void *x,
                            void *y, uint8_t *argmax);
    void (*maxpool_backward)(const struct pool_shape *s, int first, int last, const void *dy,
                             const uint8_t *argmax, bool stream, void *dx);
    void (*avgpool_forward)(const struct pool_shape *s, int first, int last, const void *x,
                            void *y);
    void (*avgpool_backward)(const struct pool_shape *s, int first, int last, const void *dy,
                             void *dx);

    /* y = a + b; y = factor * x. count elements, a multiple of CB. In place allowed. */
    void (*add)(size_t count, const void *a, const void *b, void *y);
    void (*scale)(size_t count, double factor, const void *x, void *y);

    /* One block, all 32 images; not in place. */
    void (*copy_channels)(const struct channel_copy *c, const void *from, void *to);

    /* One block of logits, labels[images] < classes. losses[images] and hits[images] as in
     * backend.h; dlogits (may be NULL) gets zeros in the images past `images`. Logits are read as
     * doubles and everything is computed in double. */
    void (*cross_entropy)(const struct loss_step *s, const void *logits, const uint8_t *labels,
                          double *losses, uint8_t *hits, void *dlogits);

    /* levels: A [4][256], what each byte of each channel becomes in a map; channels past c zero. */
    void (*image_levels)(const struct image_store *store, void *levels);

    /* Row y of one block of x [32 images][c, h, w of the store]; views[images], images past them
     * become zero. levels: as above. stream: past the caches. */
    void (*load_images)(const struct image_store *store, const void *levels, int images,
                        const struct image_view *views, int y, bool stream, void *x);

    /* As in backend.h, over count P. The constants are rounded to P once; every product and sum
     * is rounded (no FMA), so that all tiers agree to the bit. m may be NULL if momentum is 0. */
    void (*sgd)(size_t count, const struct sgd_step *s, void *w, const void *g, void *m);
    void (*average)(size_t count, double decay, const void *src, void *dst);
    void (*multiply)(size_t count, double factor, void *x);
    size_t (*first_nonfinite)(size_t count, const void *x);

    /* Sum of x * y over count P, products and sums in double: eight partial sums, element i in sum
     * i % 8, added as a binary tree. */
    double (*dot)(size_t count, const void *x, const void *y);
};

/* Fills the table with the plain versions, then replaces those that a tier does better. */
void pointwise_kernels_init(struct pointwise_kernels *k, enum precision p);
void pointwise_kernels_init__avx2(struct pointwise_kernels *k);
void pointwise_kernels_init__avx512(struct pointwise_kernels *k);
void pointwise_kernels_init_bf16__avx2(struct pointwise_kernels *k);
void pointwise_kernels_init_bf16__avx512(struct pointwise_kernels *k);
void pointwise_kernels_init_bf16__avx512bf16(struct pointwise_kernels *k);

/* The parts of the table, one per file; called by the three above. */
void norm_kernels_init(struct pointwise_kernels *k, enum precision p);
void activation_kernels_init(struct pointwise_kernels *k, enum precision p);
void pool_kernels_init(struct pointwise_kernels *k, enum precision p);
void combine_kernels_init(struct pointwise_kernels *k, enum precision p);
void loss_kernels_init(struct pointwise_kernels *k, enum precision p);
void images_kernels_init(struct pointwise_kernels *k, enum precision p);
void optimise_kernels_init(struct pointwise_kernels *k, enum precision p);

/* act(x) and act'(x) in double precision: the specification of the activations. The slope of relu
 * at 0 is 0. */
double activation_value(enum activation act, double param, double x);
double activation_slope(enum activation act, double param, double x);

#endif
