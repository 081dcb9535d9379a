/* peak__amx.c - four accumulators of 16x16 sums over tiles that are loaded anew for each product.
 *
 * Registers alone would show a fifth more than any convolution can have: its operands come from
 * memory. Two input and two weight tiles are loaded for four products, as in a 2x2 block of
 * accumulators; dense random values, because the rate depends on them through the power they take.
 */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/peak.h"

enum { ROWS = 16, ROW_BYTES = 64, TILE_BYTES = ROWS * ROW_BYTES, BLOCKS = 4 };

struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* bf16 numbers in (-1, 1) in tiles[count * TILE_BYTES / 2], varied from the given ones. */
static void fill(uint16_t *tiles, int count, const float *values)
{
    for (int i = 0; i < count * TILE_BYTES / 2; i++) {
        float v = values[(i * 7 + i / 32) % PEAK_VALUES];
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        tiles[i] = (uint16_t)(bits >> 16);
    }
}

float peak_tiles__amx(const float *values, long rounds)
{
    _Alignas(64) uint16_t tiles[4 * BLOCKS * TILE_BYTES / 2];
    _Alignas(64) float sums[ROWS * 16];
    struct tile_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.rows[i] = ROWS;
        config.row_bytes[i] = ROW_BYTES;
    }
    fill(tiles, 4 * BLOCKS, values);
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (long r = 0; r < rounds; r++) {
        const char *at = (const char *)tiles + r % BLOCKS * 4 * TILE_BYTES;
        _tile_loadd(4, at, ROW_BYTES);
        _tile_loadd(5, at + TILE_BYTES, ROW_BYTES);
        _tile_loadd(6, at + 2 * TILE_BYTES, ROW_BYTES);
        _tile_loadd(7, at + 3 * TILE_BYTES, ROW_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    float sum = 0;
    _tile_stored(0, sums, ROW_BYTES);
    sum += sums[0];
    _tile_stored(1, sums, ROW_BYTES);
    sum += sums[1];
    _tile_stored(2, sums, ROW_BYTES);
    sum += sums[2];
    _tile_stored(3, sums, ROW_BYTES);
    sum += sums[3];
    _tile_release();
    return sum;
}
