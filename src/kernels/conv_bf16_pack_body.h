/* conv_bf16_pack_body.h - packing of weights in bf16, for tiers that have vectors (vector.h). */

enum { PACK_TAPS = 9 }; /* that are packed at a time */

/* 16 channels of K and a pair of C are a line for each tap. `to` and `from` are K and C or, for
 * backward-data, the other way round; strides are those of the weights. */
struct packing {
    int to, from, taps;
    size_t to_stride, from_stride;
    const float *weights;
};

/* The lines of `count` taps from t0 on, `step` elements apart. */
static void pack_lines(const struct packing *k, int to0, int from0, int t0, int count,
                       struct bf16 *packed, size_t step)
{
    _Alignas(LINE) float line[PACK_TAPS][2 * 16] = {0};
    assert(count <= PACK_TAPS);
    for (int j = 0; j < 16 && to0 + j < k->to; j++)
        for (int f = 0; f < 2 && from0 + f < k->from; f++) {
            const float *w = k->weights + (size_t)(to0 + j) * k->to_stride +
                             (size_t)(from0 + f) * k->from_stride + t0;
            for (int t = 0; t < count; t++)
                line[t][2 * j + f] = w[t];
        }
    for (int t = 0; t < count; t++, packed += step)
        for (int v = 0; v < 2 * 16; v += VEC)
            v_store_bf16(packed + v, v_load(line[t] + v));
}

static void pack_panel(const struct packing *k, int to0, int lines, struct bf16 *packed)
{
    int groups = lines * LINE / 32;
    size_t pairs = (size_t)conv_packed_depth(PRECISION_BF16, k->from) / 2;
    size_t tap = (size_t)groups * pairs * 2 * 16;
    for (int j = 0; j < groups; j++)
        for (size_t p = 0; p < pairs; p++, packed += 2 * 16)
            for (int t = 0; t < k->taps; t += PACK_TAPS)
                pack_lines(k, to0 + j * 16, (int)(2 * p), t,
                           k->taps - t < PACK_TAPS ? k->taps - t : PACK_TAPS,
                           packed + (size_t)t * tap, tap);
}

static void pack(int k, int c, int taps, const void *weights, int k0, int lines, void *packed)
{
    struct packing p = {k, c, taps, (size_t)c * (size_t)taps, (size_t)taps, weights};
    pack_panel(&p, k0, lines, packed);
}

static void pack_transposed(int k, int c, int taps, const void *weights, int c0, int lines,
                            void *packed)
{
    struct packing p = {c, k, taps, (size_t)taps, (size_t)c * (size_t)taps, weights};
    pack_panel(&p, c0, lines, packed);
}
