/* peak__amx.c - four accumulators of 16x16 sums over tiles that are loaded anew for each product.
 *
 * Registers alone would show a fifth more than any convolution can have: its operands come from
 * memory. Two input and two weight tiles are loaded for four products, as in a 2x2 block of
 * accumulators; dense random values, because the rate depends on them through the power they take.
 */
#include <string.h>

#include "kernels/peak.h"
#include "kernels/tile.h"

enum { ROW_BYTES = TILE_REGISTER / TILE_ROWS, BLOCKS = 4 };

/* bf16 numbers in (-1, 1) in tiles[count * TILE_REGISTER / 2], varied from the given ones. */
static void fill(uint16_t *tiles, int count, const float *values)
{
    for (int i = 0; i < count * TILE_REGISTER / 2; i++) {
        float v = values[(i * 7 + i / 32) % PEAK_VALUES];
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        tiles[i] = (uint16_t)(bits >> 16);
    }
}

float peak_tiles__amx(const float *values, long rounds)
{
    _Alignas(64) uint16_t tiles[4 * BLOCKS * TILE_REGISTER / 2];
    _Alignas(64) float sums[TILE_REGISTER / 4];
    fill(tiles, 4 * BLOCKS, values);
    TILE_CONFIGURE();
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (long r = 0; r < rounds; r++) {
        const char *at = (const char *)tiles + r % BLOCKS * 4 * TILE_REGISTER;
        TILE_LOAD(4, at, ROW_BYTES);
        TILE_LOAD(5, at + TILE_REGISTER, ROW_BYTES);
        TILE_LOAD(6, at + 2 * TILE_REGISTER, ROW_BYTES);
        TILE_LOAD(7, at + 3 * TILE_REGISTER, ROW_BYTES);
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    float sum = 0;
    TILE_STORE(0, sums, ROW_BYTES);
    sum += sums[0];
    TILE_STORE(1, sums, ROW_BYTES);
    sum += sums[1];
    TILE_STORE(2, sums, ROW_BYTES);
    sum += sums[2];
    TILE_STORE(3, sums, ROW_BYTES);
    sum += sums[3];
    TILE_RELEASE();
    return sum;
}
