/* conv_tiles.h - the kernels of convolution in AMX's tile registers (tile.h), in bf16.
 *
 * Direct convolution in the layout of layout.h. A row of a register is one image at one pixel, so a
 * tap that leaves the map is skipped for all images at once, and any stride or filter will do.
 *
 *      gather        sums[image][k]  += x[image][c] * w[c][k]        forward and backward-data
 *      outer         sums[c][k]      += x[image][c] * dy[image][k]   backward-weights
 *
 * As in conv.h, K means the channels that are gathered into and C those that are summed over, also
 * in backward-data. The loops over pixels and the cutting into items are backend/cpu's
 * (conv_amx.c); what is here needs tile registers or vectors. Pointers to maps and packed weights
 * are aligned to a line.
 *
 * The order of every sum is fixed: gather by rows of the filter, then lines of C, then columns of
 * the filter, the same in `pixel` and `row`; outer by blocks, rows, then pixels. Calls may cut the
 * work anywhere along the last without changing a bit. Within one product of registers the order is
 * the instruction's.
 */
#ifndef KILN_KERNELS_CONV_TILES_H
#define KILN_KERNELS_CONV_TILES_H

#include <stdbool.h>
#include <stddef.h>

#include "kernels/layout.h"
#include "kernels/tile.h"

enum {
    ROW_PIXELS = 4,                     /* outputs of one call of `row` */
    ROW_TAPS = 3,                       /* columns of the filter that `row` wants */
    OUTER_TAPS = 3,                     /* likewise `outer_row` */
    LINES_AHEAD = 11,                   /* of the input asked for at a time: in the 6 times that
                                           `row` goes through a line of C, half of what it reads
                                           anew */
    RUN_LINES = ROW_PIXELS * TILE_ROWS, /* of one set of sums */
    REGISTER_REALS = TILE_REGISTER / 4,
    CHANNELS = 32                       /* of a line, in bf16 */
};

/* A row (or column) of the filter, and the row (or column) of the input that it falls on. */
struct conv_hit {
    int tap, at;
};

/* Packed weights, bf16: [half a line of K][row r][line of C][column s] registers, each 16 pairs of
 * channels of C by 16 channels of K (the b of tile.h), zero past the last channel of either. For
 * backward-data rows and columns stand in reverse, so that the taps of neighbouring inputs follow
 * each other as they do in forward. */
static inline size_t conv_tiles_half_bytes(int c_lines, int r, int s)
{
    return (size_t)(r * c_lines * s) * TILE_REGISTER;
}

/* Outputs that are summed up but not yet rounded and stored: `count` lines of 16 low and 16 high
 * channels. Line i belongs at y + i / 16 * step + i % 16 * LINE. */
struct tile_output {
    const float *sums;      /* low half of line i at sums + i*16, high RUN_LINES*16 further on */
    const float *bias;      /* [32], aligned to a line */
    char *y;
    size_t step;
    unsigned count, next;   /* even; next: the first that is not stored */
    bool stream;            /* past the caches */
};

/* The room one thread gathers in. Outputs are stored while the next ones are being summed up, when
 * the multiplier is busy and the vector units are not; so there are two sets of sums. */
struct tile_run {
    _Alignas(LINE) float sums[2][2 * RUN_LINES * TILE_ROWS];
    struct tile_output output;
    int current;            /* the set that the next outputs are summed up in */
    bool stream;            /* outputs go past the caches */
};

/* 32 images and one line of K at one output pixel. */
struct tile_pixel {
    const char *x;          /* the block of the input: pixel (0, 0), line 0 */
    size_t x_row, x_pixel;  /* bytes */
    int c_lines;
    const char *w;          /* two halves, conv_tiles_half_bytes each */
    int r, s;               /* of the whole filter */
    const struct conv_hit *rows, *columns;
    int row_count, column_count; /* 0 is allowed: y becomes the bias */
    const float *bias;      /* [32], aligned to a line; read until `end` or later outputs */
    char *y;                /* the tile */
};

/* The same of half of the images for up to four neighbouring pixels of a row, a filter of three
 * columns, and stride 1. Who goes through a row had better take one half first and then the other:
 * the next call then finds the weights and two columns of the input in the first-level cache. */
struct tile_pixels {
    const char *x;          /* as above */
    size_t x_row, x_pixel;
    int x_width;            /* pixels of a row of the input */
    int column;             /* of the input, under the first tap of the first pixel; outside of
                               [0, x_width) taps are skipped */
    int c_lines;
    const char *w;
    int r;
    const struct conv_hit *rows;
    int row_count;
    const float *bias;
    const char *ahead;      /* pixels of the input that later calls read, as many as count, to be
                               brought into the second-level cache, half of them by either half;
                               NULL: none */
    int half;               /* of the images: 0 or 1 */
    int count;              /* pixels, 1 to 4 */
    char *y;                /* the first tile */
    size_t y_pixel;         /* bytes */
    int k_begin, k_end;     /* `sums`: which halves of the line of K */
};

/* Pixels of dy and those of x that they are multiplied with, over several blocks of images: x as
 * transposed tiles (32 channels by 32 images), dy as half a tile of pairs (tile_lines.h). */
struct tile_outer {
    const char *x, *dy;     /* pixel (i, j) of block g at x + g*x_block + i*x_row + j*x_pixel */
    size_t x_block, x_row, x_pixel;
    size_t dy_block, dy_row, dy_pixel;
    int blocks, rows, pixels;
    int x_width, column;    /* outer_row: as in tile_pixels */
    size_t x_half, dy_half; /* outer_tap: from the low half of a line to the high */
    size_t dw_c_half, dw_k_half; /* outer_tap: likewise of dw, in floats */
    bool add;               /* dw += the sum; otherwise dw = */
};

struct conv_tile_kernels {
    /* Takes the tile registers, shapes them; nothing is being stored. stream: outputs will go past
     * the caches. */
    void (*begin)(struct tile_run *run, bool stream);

    /* Sums up the outputs and stores those of the call before: 2 x 2 registers of 32 images by 32
     * channels, 4 loads for 4 products. */
    void (*pixel)(struct tile_run *run, const struct tile_pixel *p);

    /* The same for four pixels of half of the images, by 16 channels: the three weights of a row of
     * the filter stay in registers, 9 loads for 12 products. */
    void (*row)(struct tile_run *run, const struct tile_pixels *p);

    /* The same sums of some halves of the line, left as they are: pixel i float [32 images]
     * [32 channels] at m + i * m_pixel bytes. Without bias, y, ahead and what is to be stored. */
    void (*sums)(const struct tile_pixels *p, void *m, size_t m_pixel);

    /* Stores what is left. */
    void (*flush)(struct tile_run *run);

    /* Stores what is left and gives the registers up. */
    void (*end)(struct tile_run *run);

    /* Takes the registers for what follows, and gives them up behind it. */
    void (*outer_begin)(void);
    void (*outer_end)(void);

    /* One row of a filter of three columns at stride 1, for half a line of C and of K. dw
     * [3 columns][16 of C][16 of K] stays in registers, and so do three neighbouring pixels of dy:
     * 2 loads for 3 products. dw is aligned to a line; so it is below. */
    void (*outer_row)(const struct tile_outer *o, float *dw);

    /* One tap of any filter, at any stride, for both halves of a line of C and of K: four times
     * [16][16], 4 loads for 4 products. */
    void (*outer_tap)(const struct tile_outer *o, float *dw);

    /* Four pixels of a gradient from the tile of a 2x2 max pool's: each number belongs to the pixel
     * that argmax (32 images of 32 channels) says, the others have zeros there. They go to out,
     * out + pixel, and the same behind out + row, bytes. */
    void (*spread)(const void *tile, const uint8_t *argmax, void *out, size_t pixel, size_t row);

    /* The shapes that `outer` wants, of one tile: 2 x 16 channels of 32 images, and 2 halves of 16
     * pairs, `half` bytes apart. Images past `images` count as zero. */
    void (*transpose)(const void *tile, int images, void *out, size_t half);
    void (*pair)(const void *tile, int images, void *out, size_t half);

    /* The pairs of the four pixels that `spread` would make. */
    void (*pair_pooled)(const void *tile, const uint8_t *argmax, int images, void *out,
                        size_t pixel, size_t row, size_t half);

    /* Packs half a line of K, channels k0..k0+15, from weights w[k*k_step + c*c_step + tap]; with
     * `reverse` the taps stand in reverse. packed: conv_tiles_half_bytes. */
    void (*pack)(int k, int c, int r, int s, const float *weights, size_t k_step, size_t c_step,
                 int k0, bool reverse, void *packed);

    /* sum += more, count floats, a multiple of 16, both aligned to a line. */
    void (*add)(size_t count, float *sum, const float *more);

    /* dw [k][c][taps] of half a line of K by half a line of C, = the binary tree sum
     * ((0+1)+(2+3))+... of lane[0..7], each [taps][16 of C][16 of K]. Lanes that are NULL are left
     * out; one is not. Halves are those that `transpose` and `pair` make; with `parity` they are
     * the even and the odd channels of a line. */
    void (*unpack)(const float *const lane[8], int k, int c, int taps, int k_half, int c_half,
                   bool parity, float *dw);
};

/* Fills the table; its parts lie in two files. */
void conv_tiles_init(struct conv_tile_kernels *k);
void conv_gather_init__amx(struct conv_tile_kernels *k);
void conv_outer_init__amx(struct conv_tile_kernels *k);

#endif
