/* idx.h - MNIST's format (LeCun, Cortes, Burges 1998), which Fashion-MNIST shares.
 *
 * A file is two zero bytes, 8 for unsigned bytes, the number of dimensions, each dimension as 32
 * bits big-endian, then the data. Images of 28x28 are put into the middle of 32x32; the rim is
 * zero, as their background is. Each file may be gzipped (name.gz) or not.
 */
#ifndef KILN_DATA_IDX_H
#define KILN_DATA_IDX_H

#include "data/dataset.h"

struct idx_layout {
    const char *const *folders; /* below the place: names of a folder with the files; NULL-ended */
    uint32_t train_count, test_count;
    int classes;
    const char *const *class_names;
};

/* Reads the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
 * t10k-labels-idx1-ubyte from `place` or a folder of the layout below it. See struct dataset. */
int idx_load(const struct idx_layout *layout, struct images *images, const char *place,
             struct err *e);
bool idx_present(const struct idx_layout *layout, const char *place);

#endif
