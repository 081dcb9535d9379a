/* whiten.h - filters that whiten the patches of images. */
#ifndef KILN_NN_WHITEN_H
#define KILN_NN_WHITEN_H

#include "nn/init.h"

/* Fills filters [k, c, r, s] with v_i / sqrt(lambda_i + eps), where v_i are the orthonormal
 * eigenvectors of X^T X / n (not centred), X being all r x s patches of all images, one a row, and
 * lambda_0 >= lambda_1 >= ... their eigenvalues (Page 2019, "How to train your ResNet" 8; Jordan
 * 2024). Filters from k/2 on are the negation of the first half if k = 2 * c*r*s. An eigenvector's
 * sign is made definite: its entry of largest magnitude is positive. All in double precision, in a
 * fixed order. dims is [k, c, r, s]; k is c*r*s or twice that. */
int whiten_filters(double *filters, const int dims[4], double eps,
                   const struct init_images *images, struct err *e);

/* Version of the LAPACK that finds the eigenvectors: "3.9.0". */
void whiten_lapack(char version[32]);

#endif
