/* select.c - which tiers the machine has, and the table of kernels for one of them. */
#include <assert.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

static const char *const names[TIER_COUNT] = {
    [TIER_AUTO] = "auto",
    [TIER_REF] = "ref",
    [TIER_AVX2] = "avx2",
    [TIER_AVX512] = "avx512",
    [TIER_AVX512BF16] = "avx512bf16",
    [TIER_AMX] = "amx",
};

const char *tier_name(enum tier t)
{
    assert(t < TIER_COUNT);
    return names[t];
}

int tier_parse(const char *name)
{
    for (int t = 0; t < TIER_COUNT; t++)
        if (strcmp(name, names[t]) == 0)
            return t;
    return -1;
}

/* The compiler's own test covers both the CPU's flags and the registers the system saves. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const char *tier_lacks(enum tier t)
{
    assert(t < TIER_COUNT);
    if (t >= TIER_AVX2 && !has_avx2())
        return "the processor has no AVX2 with FMA";
    if (t >= TIER_AVX512 && !has_avx512())
        return "the processor has no AVX-512 (F, BW, DQ and VL)";
    if (t >= TIER_AVX512BF16 && !__builtin_cpu_supports("avx512bf16"))
        return "the processor has no AVX-512 with bf16";
    if (t >= TIER_AMX)
        return cpu_lacks_tiles();
    return NULL;
}

bool tier_available(enum tier t)
{
    return !tier_lacks(t);
}

enum tier tier_best(void)
{
    enum tier best = TIER_REF;
    for (enum tier t = TIER_AVX2; t < TIER_COUNT; t++)
        if (tier_available(t))
            best = t;
    return best;
}

static const char *const precision_names[PRECISION_COUNT] = {
    [PRECISION_AUTO] = "auto",
    [PRECISION_FP32] = "fp32",
    [PRECISION_BF16] = "bf16",
    [PRECISION_FP64] = "fp64",
};

const char *precision_name(enum precision p)
{
    assert(p < PRECISION_COUNT);
    return precision_names[p];
}

enum precision precision_resolve(enum precision p, enum tier tier)
{
    (void)tier;
    return p == PRECISION_AUTO ? PRECISION_FP32 : p;
}

static void init_fp32(struct kernels *k)
{
    if (k->tier >= TIER_AVX2) {
        conv_kernels_init__avx2(&k->conv);
        pointwise_kernels_init__avx2(&k->pointwise);
        winograd_kernels_init__avx2(&k->winograd);
        winograd6_kernels_init__avx2(&k->winograd6);
    }
    if (k->tier >= TIER_AVX512) {
        conv_kernels_init__avx512(&k->conv);
        pointwise_kernels_init__avx512(&k->pointwise);
        winograd_kernels_init__avx512(&k->winograd);
    }
}

static void init_bf16(struct kernels *k)
{
    if (k->tier >= TIER_AVX2) {
        conv_kernels_init_bf16__avx2(&k->conv);
        pointwise_kernels_init_bf16__avx2(&k->pointwise);
    }
    if (k->tier >= TIER_AVX512) {
        conv_kernels_init_bf16__avx512(&k->conv);
        pointwise_kernels_init_bf16__avx512(&k->pointwise);
    }
    if (k->tier >= TIER_AVX512BF16) {
        conv_kernels_init_bf16__avx512bf16(&k->conv);
        pointwise_kernels_init_bf16__avx512bf16(&k->pointwise);
        winograd_kernels_init__avx512bf16(&k->winograd);
        winograd_row_kernels_init__avx512bf16(&k->rows);
    }
    if (k->tier >= TIER_AMX)
        conv_tiles_init(&k->tiles);
}

void kernels_init(struct kernels *k, enum tier tier, enum precision precision)
{
    assert(tier != TIER_AUTO && tier_available(tier) && precision != PRECISION_AUTO);
    k->tier = precision == PRECISION_FP64 ? TIER_REF : tier;
    k->precision = precision;
    conv_kernels_init(&k->conv, precision);
    pointwise_kernels_init(&k->pointwise, precision);
    winograd_kernels_init(&k->winograd, precision);
    winograd6_kernels_init(&k->winograd6, precision);
    k->tiles = (struct conv_tile_kernels){0};
    k->rows = (struct winograd_row_kernels){0};
    if (precision == PRECISION_FP32)
        init_fp32(k);
    if (precision == PRECISION_BF16)
        init_bf16(k);
}
