/* tile_lines.h - bf16 lines in and out of the shapes that tile registers want.
 *
 * Operations on whole lines of 64 bytes, all pointers aligned to 64. In a file compiled for
 * AVX-512 with bf16 they are a few instructions each; compiled for less they are plain loops with
 * the same results, bit by bit, which is what the tests of the tile kernels run on other machines.
 *
 *      line_round(out, low, high, bias)       32 sums become a line
 *          out[j] = bf16(low[j] + bias[j]), out[16+j] = bf16(high[j] + bias[16+j]), j < 16;
 *          rounded to nearest even, numbers below the normal ones become zero.
 *          line_round_stream: past the caches; others may read it after line_stream_end().
 *
 *      tile_transpose(tile, images, out, half)     a tile of a map becomes rows of channels
 *          out[c][i] = tile[i][c] for i < images, 0 for the other images; 32 x 32 in two tile
 *          registers, rows 16 and more `half` bytes from the others.
 *
 *      tile_pair(tile, images, out, half)     a tile of a map becomes rows of pairs of images
 *          out[h][i/2][2j + i%2] = tile[i][tile_pair_channel(h, j)] for i < images, 0 for the
 *          other images; h < 2, j < 16: two tile registers, half of the channels each, `half` bytes
 *          apart.
 *
 *      tile_spread(tile, argmax, out)                   a tile becomes four
 *          out[place] = tile where argmax[i][c] == place, and 0 elsewhere; place < 4.
 *
 *      tile_pair_pooled(tile, argmax, images, out, half)    tile_pair of each of these four
 *
 *      line_weights(w, step, next, even, odd, out)      32 weights become a line of pairs
 *          out[2j] = bf16(w[j*step]) if bit j of `even` is set, out[2j+1] = bf16(w[next + j*step])
 *          if bit j of `odd` is, j < 16; otherwise 0, and that weight is not read.
 */
#ifndef KILN_KERNELS_TILE_LINES_H
#define KILN_KERNELS_TILE_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "kernels/layout.h"

/* Which channel of a line is column j of half h of its pairs: interleaving two lines goes by parts
 * of 16 bytes, whose first halves make h = 0. */
static inline int tile_pair_channel(int h, int j)
{
    return j / 4 * 8 + h * 4 + j % 4;
}

#if defined(__AVX512BF16__)
#include "kernels/tile_lines_vector.h"
#else
#include "kernels/tile_lines_plain.h"
#endif

#endif
