/* hessian.h - second derivatives of a surface (probes/surface.h), applied to vectors.
 *
 *     H v = (g(w + r v) - g(w - r v)) / 2r + E,   |v| = 1
 *
 * What E is, from Taylor's formula and the rounding of g (k u relative to |g|, with u = 2^-53 in
 * double and 2^-24 in single precision, and a small k for the sums in it):
 *
 *     |E| <= r^2 / 6 max |g'''| + k u |g| / r
 *
 * Scale-invariant weights change the gradient by its own size over a distance |w|, so |g'''| is
 * |g| / |w|^3 or so, and the sum is least at r = (3 k u)^(1/3) |w|, where E is about u^(2/3) |g| /
 * |w|.
 *
 * But ReLU and max pooling have kinks, which a smooth E leaves out. Among a million of them the
 * number between w - r v and w + r v grows with r, and each adds its jump over 2r: the quotient is
 * then the mean curvature over that distance and no longer the Hessian at w. In double there is
 * room to avoid them: r = u^(1/2) |w| = 1e-8 |w| crosses a thousand times fewer, hardly any, and E
 * is still only k u^(1/2) |g| / |w|, nearly all of it rounding. In single precision there is no
 * such room: what is measured is the curvature over a distance that training covers in some steps.
 * The search for r starts at u^(1/3) |w| = 4e-3 |w| and halves it for as long as that brings
 * D(2r) v and D(r) v closer together, v along the gradient: a network that has nearly learnt its
 * images bends on a far shorter scale than |w|.
 *
 * hessian_error measures |D(2r) v - D(r) v|: rounding, truncation (3/4 of its part at 2r) and kinks
 * between r and 2r all show in it.
 */
#ifndef KILN_PROBES_HESSIAN_H
#define KILN_PROBES_HESSIAN_H

#include "probes/surface.h"

enum { HESSIAN_ALL = -1 };

struct hessian {
    struct surface *surface;     /* borrowed; its weights move during a call and come back */
    double *w, *moved, *minus;   /* [surface.count] */
    double step;                 /* r, for |v| = 1 */
    int batch;                   /* which batch of the surface; HESSIAN_ALL: the mean over all */
};

/* At the surface's present weights. In single precision up to 18 gradients find the step. */
void hessian_init(struct hessian *h, struct surface *s);
void hessian_release(struct hessian *h);

/* y = H x for any x; a lanczos_apply_fn. Two gradients. */
void hessian_apply(void *hessian, const double *x, double *y);

/* Estimated |E| of hessian_apply for x of length 1. Four gradients. */
double hessian_error(struct hessian *h, const double *x);

/* <x, H x> / |x|^2: the curvature along x. */
double hessian_curvature(struct hessian *h, const double *x);

#endif
