/* shapes.h - what pointwise operations are told besides pointers; for kernels and backends. */
#ifndef KILN_KERNELS_SHAPES_H
#define KILN_KERNELS_SHAPES_H

#include <stdbool.h>
#include <stdint.h>

/* relu: max(x, 0). gelu: x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel
 * 2016, the exact form). silu: x / (1 + exp(-x)). celu: x > 0 ? x : alpha * (exp(x / alpha) - 1)
 * (Barron 2017). All map 0 to 0, which keeps the channels past C zero. */
enum activation { ACT_NONE, ACT_RELU, ACT_GELU, ACT_SILU, ACT_CELU };

/* Window pooling without padding; p = (h - window) / stride + 1, floor, and q likewise. Global
 * pooling has window = h. Max pooling keeps the position of the maximum inside its window,
 * row-major, in one byte per output element (same order of elements as y). Of equal maxima the
 * first counts; a NaN is a maximum, and of several the last counts, as in PyTorch. */
struct pool_shape {
    int c, h, w;          /* input */
    int p, q;             /* output */
    int window, stride;   /* window * window <= 256 */
};

/* How one training image is cut from the stored one: out[y][x] = image[y + dy][x + dx], reflected
 * at the borders without repeating them (PyTorch's mode="reflect"), |dy| < h and |dx| < w; then a
 * mirror image; then a square of `cut` zeros a side (after normalisation) with its corner at
 * (cut_y, cut_x), clipped at the border; cut = 0: none. */
struct image_view {
    uint32_t index;       /* which stored image */
    int8_t dy, dx;
    uint8_t flip;
    uint8_t cut_y, cut_x, cut;
};

/* The stored images: bytes [count, c, h, w] in device memory, normalised as (v - mean) * inv_std
 * with v in 0..255. c is 1 or 3. */
struct image_store {
    const uint8_t *pixels;
    int c, h, w;
    float mean[3], inv_std[3];
};

struct sgd_step {
    double lr, weight_decay, momentum;
    bool nesterov;
};

#endif
