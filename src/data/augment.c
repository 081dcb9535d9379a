/* augment.c - see augment.h. */
#include "data/augment.h"

#include <assert.h>

#include "base/rng.h"
#include "data/dataset.h"

struct view augment_view(const struct augment *a, uint64_t seed, uint32_t epoch, uint32_t index)
{
    assert(a->pad >= 0 && a->pad < IMAGE_SIDE && a->cutout >= 0 && a->cutout <= IMAGE_SIDE);
    /* Each draw is made whether it is used or not, so that, for one, adding cutout to a recipe
     * leaves its crops as they were. */
    struct rng r = rng_at(seed, RNG_AUGMENT, epoch, index);
    int dy = (int)rng_below(&r, 2 * (uint32_t)a->pad + 1) - a->pad;
    int dx = (int)rng_below(&r, 2 * (uint32_t)a->pad + 1) - a->pad;
    uint32_t coin = rng_u32(&r) >> 31;
    uint32_t corners = IMAGE_SIDE - (uint32_t)a->cutout + 1;
    uint32_t cut_y = rng_below(&r, corners), cut_x = rng_below(&r, corners);

    if (a->flip == FLIP_NONE) {
        coin = 0;
    } else if (a->flip == FLIP_ALTERNATING) {
        struct rng once = rng_at(seed, RNG_FLIP_ONCE, 0, index);
        coin = (rng_u32(&once) >> 31) ^ (epoch & 1);
    }
    return (struct view){
        .index = index,
        .dy = (int8_t)dy,
        .dx = (int8_t)dx,
        .flip = (uint8_t)coin,
        .cut_y = (uint8_t)(a->cutout ? cut_y : 0),
        .cut_x = (uint8_t)(a->cutout ? cut_x : 0),
        .cut = (uint8_t)a->cutout,
    };
}
