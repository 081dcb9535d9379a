/* augment.h - what is done to each training image, drawn from its own random stream.
 *
 * Order as in Page's code and airbench: reflect-pad and crop, flip, cutout (zeros after
 * normalisation). A draw depends only on (seed, epoch, index of the image), and a setting of one
 * kind does not change the draws of another.
 */
#ifndef KILN_DATA_AUGMENT_H
#define KILN_DATA_AUGMENT_H

#include <stdint.h>

enum flip { FLIP_NONE, FLIP_RANDOM, FLIP_ALTERNATING };

struct augment {
    int pad;             /* reflect padding; the crop moves by -pad..pad; 0: no crop; at most 31 */
    enum flip flip;
    int cutout;          /* side of the square, wholly inside the image; 0: none; at most 32 */
};

/* A view of one image: see struct image_view of backend/backend.h, which it mirrors. */
struct view {
    uint32_t index;
    int8_t dy, dx;
    uint8_t flip;
    uint8_t cut_y, cut_x, cut;
};

/* The view of image `index` in `epoch` (0, 1, ...). Alternating: a random half is flipped in even
 * epochs, the other half in odd ones (Jordan 2024, airbench). */
struct view augment_view(const struct augment *a, uint64_t seed, uint32_t epoch, uint32_t index);

#endif
