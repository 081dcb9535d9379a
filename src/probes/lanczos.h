/* lanczos.h - the largest and smallest eigenvalues of a symmetric operator that can only be
 * applied.
 *
 * Lanczos' method with full reorthogonalisation: after k applications the projection of A on the
 * Krylov space of a random vector is a tridiagonal k x k matrix, whose extreme eigenvalues (Ritz
 * values) approach those of A (Golub and Van Loan, Matrix computations, chapter 10). Each new basis
 * vector is made orthogonal to all before it, twice ("twice is enough"), so no spurious copies
 * appear and nothing need be restarted; the price is k vectors of memory.
 *
 * Residuals are measured, not inferred: r = |A v - theta v| with another application of A to the
 * Ritz vector v of length 1. For symmetric A there is an eigenvalue within r of theta, whatever
 * rounding did; and where A is a noisy difference quotient, r shows the noise too.
 */
#ifndef KILN_PROBES_LANCZOS_H
#define KILN_PROBES_LANCZOS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* y = A x, x and y of lanczos.size numbers. */
typedef void (*lanczos_apply_fn)(void *context, const double *x, double *y);

struct lanczos {
    size_t size;             /* A is size x size */
    int limit;               /* iterations at most */
    double tolerance;        /* enough when the error bounds of both ends are below it times |A| */
    uint64_t seed;           /* of the first vector */

    int iterations;          /* made; two more applications measured the residuals */
    double largest, smallest;
    double largest_residual, smallest_residual;
    double *vector;          /* [size]: of the largest, length 1 */
};

/* Fills what stands below the gap; the caller sets what stands above. Fails with EXIT_FAILED when
 * memory is short. lanczos_release ends it, also after a failure. */
int lanczos_run(struct lanczos *l, lanczos_apply_fn apply, void *context, struct err *e);
void lanczos_release(struct lanczos *l);

/* What its vectors would take, in bytes. */
size_t lanczos_bytes(size_t size, int limit);

#endif
