/* whiten.c - see whiten.h. */
#include "nn/whiten.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lapacke.h>

/* Copies the r x s patch at (y, x) of an image [c, h, w] to patch [c*r*s]. */
static void gather_patch(double *patch, const double *image, const struct init_images *m, int r,
                         int s, int y, int x)
{
    for (int c = 0; c < m->c; c++)
        for (int i = 0; i < r; i++, patch += s)
            memcpy(patch, image + ((size_t)c * (size_t)m->h + (size_t)(y + i)) * (size_t)m->w + x,
                   (size_t)s * sizeof *patch);
}

/* Upper triangle of C = X^T X / n, C [d, d]. */
static void second_moments(double *moments, int d, const struct init_images *m, int r, int s)
{
    size_t image_size = (size_t)m->c * (size_t)m->h * (size_t)m->w, count = 0;
    double *patch = xmalloc((size_t)d * sizeof *patch);
    memset(moments, 0, (size_t)d * (size_t)d * sizeof *moments);
    for (int image = 0; image < m->count; image++)
        for (int y = 0; y + r <= m->h; y++)
            for (int x = 0; x + s <= m->w; x++, count++) {
                gather_patch(patch, m->pixels + (size_t)image * image_size, m, r, s, y, x);
                for (int i = 0; i < d; i++)
                    for (int j = i; j < d; j++)
                        moments[i * d + j] += patch[i] * patch[j];
            }
    for (int i = 0; i < d * d; i++)
        moments[i] /= (double)count;
    free(patch);
}

/* 1 or -1, so that the vector's entry of largest magnitude becomes positive. */
static double definite_sign(const double *vectors, int d, int column)
{
    int largest = 0;
    for (int i = 1; i < d; i++)
        if (fabs(vectors[i * d + column]) > fabs(vectors[largest * d + column]))
            largest = i;
    return vectors[largest * d + column] < 0 ? -1 : 1;
}

/* Filters from eigenvectors (the columns of vectors [d, d]) and ascending eigenvalues. */
static void fill_filters(double *filters, int k, int d, const double *vectors,
                         const double *eigenvalues, double eps)
{
    for (int f = 0; f < k; f++) {
        int column = d - 1 - f % d;
        double lambda = eigenvalues[column] > 0 ? eigenvalues[column] : 0;
        double factor = definite_sign(vectors, d, column) / sqrt(lambda + eps);
        for (int i = 0; i < d; i++)
            filters[f * d + i] = (f < d ? factor : -factor) * vectors[i * d + column];
    }
}

int whiten_filters(double *filters, const int dims[4], double eps,
                   const struct init_images *images, struct err *e)
{
    int k = dims[0], d = dims[1] * dims[2] * dims[3];
    assert(k == d || k == 2 * d);
    if (images->count == 0)
        return err_set(e, EXIT_FAILED, "whitening needs images, and there are none");
    assert(images->c == dims[1] && images->h >= dims[2] && images->w >= dims[3]);
    double *moments = xmalloc((size_t)d * (size_t)d * sizeof *moments);
    double *eigenvalues = xmalloc((size_t)d * sizeof *eigenvalues);
    second_moments(moments, d, images, dims[2], dims[3]);
    int rc = 0;
    if (LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', d, moments, d, eigenvalues) != 0)
        rc = err_set(e, EXIT_FAILED, "whitening found no eigenvectors of the images' patches");
    else if (!(eigenvalues[0] + eps > 0))
        rc = err_set(e, EXIT_FAILED, "whitening needs patches of full rank or whiten_eps > 0");
    else
        fill_filters(filters, k, d, moments, eigenvalues, eps);
    free(moments);
    free(eigenvalues);
    return rc;
}

void whiten_lapack(char version[32])
{
    lapack_int major = 0, minor = 0, patch = 0;
    LAPACKE_ilaver(&major, &minor, &patch);
    snprintf(version, 32, "%d.%d.%d", (int)major, (int)minor, (int)patch);
}
