/* hold.h - projection: steps that turn weights but leave their lengths as they are.
 *
 * Where batch norm follows, the length |w| of a weight tensor does nothing but set the effective
 * learning rate lr / |w|^2. Weight decay holds it at an equilibrium with the growth that gradients
 * cause; to see whether it does anything else, its part can be taken over by projection: after each
 * step w is multiplied by |w before| / |w after| (Hoffer et al. 2018, "Norm matters", section 3;
 * weight decay is left out meanwhile).
 *
 * The length to keep is that before the step, so nothing has to be remembered from step to step.
 * Rounding of the factor and of the products moves it by less than 2^-23 a step, at random: by
 * less than 1e-4 in a million steps.
 */
#ifndef KILN_OPTIM_HOLD_H
#define KILN_OPTIM_HOLD_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"

struct hold_tensor {
    size_t offset, count;    /* within the flat vector of parameters */
    bool held;
    double square;           /* |w|^2 before the step */
};

/* Notes the lengths of the held ones of tensors[count]. */
void hold_note(struct backend *b, struct hold_tensor *tensors, int count, const void *params);

/* Brings them back to the noted lengths. What has become zero or was zero is left as it is. */
void hold_restore(struct backend *b, const struct hold_tensor *tensors, int count, void *params);

#endif
