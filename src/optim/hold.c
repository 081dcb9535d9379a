/* hold.c - see hold.h. */
#include "optim/hold.h"

#include <math.h>
#include <stdint.h>

static double square_of(struct backend *b, const struct hold_tensor *t, const void *params)
{
    const void *w = (const uint8_t *)params + t->offset * b->real_bytes;
    double square;
    b->ops->row_dots(b, 1, t->count, w, w, &square);
    return square;
}

void hold_note(struct backend *b, struct hold_tensor *tensors, int count, const void *params)
{
    for (int i = 0; i < count; i++)
        if (tensors[i].held)
            tensors[i].square = square_of(b, &tensors[i], params);
}

void hold_restore(struct backend *b, const struct hold_tensor *tensors, int count, void *params)
{
    for (int i = 0; i < count; i++) {
        const struct hold_tensor *t = &tensors[i];
        if (!t->held)
            continue;
        double after = square_of(b, t, params);
        if (after > 0 && t->square > 0)
            b->ops->multiply(b, t->count, (uint8_t *)params + t->offset * b->real_bytes,
                             sqrt(t->square / after));
    }
}
