/* kinds.h - the data set kinds that dataset.c lists. */
#ifndef KILN_DATA_KINDS_H
#define KILN_DATA_KINDS_H

#include "data/dataset.h"

extern const struct dataset dataset_cifar10, dataset_cifar100;
extern const struct dataset dataset_fashion_mnist, dataset_mnist;
extern const struct dataset dataset_synthetic;

#endif
