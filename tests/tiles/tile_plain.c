/* tile_plain.c - tile registers in plain C: see kernels/tile_plain.h. Compiled without AMX, so that
 * kernels/tile.h declares what is defined here. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/tile.h"

enum { REGISTERS = 8, ROW = 64 };

static _Thread_local struct {
    _Alignas(ROW) unsigned char row[REGISTERS][TILE_ROWS][ROW];
    int configured;
} tiles;

static unsigned char (*rows_of(int t))[ROW]
{
    if (!tiles.configured || t < 0 || t >= REGISTERS)
        abort();
    return tiles.row[t];
}

void tile_plain_configure(const struct tile_config *config)
{
    if (memcmp(config, &TILE_CONFIG, sizeof *config))
        abort();
    memset(&tiles, 0, sizeof tiles);
    tiles.configured = 1;
}

void tile_plain_release(void)
{
    memset(&tiles, 0xff, sizeof tiles); /* NaN, should anything read on */
    tiles.configured = 0;
}

int tile_plain_in_use(void)
{
    return tiles.configured;
}

void tile_plain_zero(int t)
{
    memset(rows_of(t), 0, TILE_REGISTER);
}

void tile_plain_load(int t, const void *p, ptrdiff_t step)
{
    unsigned char(*row)[ROW] = rows_of(t);
    for (int i = 0; i < TILE_ROWS; i++)
        memcpy(row[i], (const char *)p + i * step, ROW);
}

void tile_plain_store(int t, void *p, ptrdiff_t step)
{
    unsigned char(*row)[ROW] = rows_of(t);
    for (int i = 0; i < TILE_ROWS; i++)
        memcpy((char *)p + i * step, row[i], ROW);
}

/* Zero, with its sign, in place of a number below the normal ones. */
static float flush(float v)
{
    return fabsf(v) < FLT_MIN ? copysignf(0, v) : v;
}

static float widen(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return flush(v);
}

/* a * b + c, rounded once: the product is exact in double, and 53 bits are enough to round a sum of
 * two numbers of 24 bits twice (Figueroa, When is double rounding innocuous?, 1995). */
static float fused(float a, float b, float c)
{
    return flush((float)((double)a * (double)b + (double)c));
}

void tile_plain_dot(int acc, int a, int b)
{
    enum { PAIRS = 16, COLUMNS = 16 };
    uint16_t left[TILE_ROWS][PAIRS][2], right[PAIRS][COLUMNS][2];
    float even[PAIRS][COLUMNS], odd[PAIRS][COLUMNS], sum[TILE_ROWS][COLUMNS];
    memcpy(left, rows_of(a), sizeof left);
    memcpy(right, rows_of(b), sizeof right);
    memcpy(sum, rows_of(acc), sizeof sum);
    for (int k = 0; k < PAIRS; k++)
        for (int n = 0; n < COLUMNS; n++) {
            even[k][n] = widen(right[k][n][0]);
            odd[k][n] = widen(right[k][n][1]);
        }
    for (int m = 0; m < TILE_ROWS; m++) {
        float evens[COLUMNS] = {0}, odds[COLUMNS] = {0};
        for (int k = 0; k < PAIRS; k++) {
            float first = widen(left[m][k][0]), second = widen(left[m][k][1]);
            for (int n = 0; n < COLUMNS; n++)
                evens[n] = fused(first, even[k][n], evens[n]);
            for (int n = 0; n < COLUMNS; n++)
                odds[n] = fused(second, odd[k][n], odds[n]);
        }
        for (int n = 0; n < COLUMNS; n++)
            sum[m][n] = flush(flush(sum[m][n]) + flush(evens[n] + odds[n]));
    }
    memcpy(rows_of(acc), sum, sizeof sum);
}
