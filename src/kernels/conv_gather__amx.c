/* conv_gather__amx.c - forward and backward-data in tile registers: see conv_tiles.h.
 *
 * A product keeps the multiplier busy for 16 cycles, a load from the first-level cache takes about
 * 8, one from the second up to 22. So what counts is loads per product. `row` holds four
 * accumulators (pixels), three weights and one input:
 *
 *      input column       0   1   2   3   4   5          register 7, one after the other
 *      times weight of
 *        tap 0 (reg. 4)   0   1   2   3
 *        tap 1 (reg. 5)       0   1   2   3              -> accumulators 0 to 3
 *        tap 2 (reg. 6)           0   1   2   3
 *
 * An accumulator gets its taps in the order 0, 1, 2 whatever the number of pixels, so cutting a row
 * differently changes no bit. Rounding and storing the outputs of the call before is spread over
 * the loop, a few lines after each group of products: it runs while the multiplier works. So is
 * asking for inputs that come later: a register is loaded from sixteen lines in one go, too few
 * for the processor to see in them where the next will be. */
#include "kernels/conv_tiles.h"

#include <assert.h>

#include "kernels/tile_lines.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    TILE_BYTES = IMAGES * LINE,
    HALF = TILE_BYTES / 2,
    HIGH = RUN_LINES * TILE_ROWS,
    SUM_LINE = 2 * LINE     /* 32 sums */
};

INLINE void store_line(const struct tile_output *o, unsigned i)
{
    const float *low = o->sums + i * TILE_ROWS;
    char *to = o->y + i / TILE_ROWS * o->step + i % TILE_ROWS * LINE;
    if (o->stream)
        line_round_stream(to, low, low + HIGH, o->bias);
    else
        line_round(to, low, low + HIGH, o->bias);
}

/* Stores the next two lines, if there are any: counts are even. */
INLINE void store_two(struct tile_output *o)
{
    if (o->next < o->count) {
        store_line(o, o->next);
        store_line(o, o->next + 1);
        o->next += 2;
    }
}

INLINE void store_rest(struct tile_output *o)
{
    for (; o->next < o->count; o->next++)
        store_line(o, o->next);
}

static void begin(struct tile_run *run, bool stream)
{
    run->output = (struct tile_output){0};
    run->current = 0;
    run->stream = stream;
    TILE_CONFIGURE();
}

static void flush(struct tile_run *run)
{
    store_rest(&run->output);
}

static void end(struct tile_run *run)
{
    store_rest(&run->output);
    line_stream_end();
    TILE_RELEASE();
}

static void pixel(struct tile_run *run, const struct tile_pixel *p)
{
    struct tile_output output = run->output;
    size_t w_half = conv_tiles_half_bytes(p->c_lines, p->r, p->s);
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int i = 0; i < p->row_count; i++) {
        const char *x = p->x + (size_t)p->rows[i].at * p->x_row;
        const char *w = p->w + (size_t)(p->rows[i].tap * p->c_lines * p->s) * TILE_REGISTER;
        for (int c = 0; c < p->c_lines; c++, x += TILE_BYTES, w += p->s * TILE_REGISTER) {
            for (int j = 0; j < p->column_count; j++) {
                const char *a = x + (size_t)p->columns[j].at * p->x_pixel;
                const char *b = w + p->columns[j].tap * TILE_REGISTER;
                TILE_LOAD(6, b, LINE);
                TILE_LOAD(4, a, LINE);
                TILE_DOT(0, 4, 6);
                TILE_LOAD(7, b + w_half, LINE);
                TILE_DOT(1, 4, 7);
                store_two(&output);
                TILE_LOAD(5, a + HALF, LINE);
                TILE_DOT(2, 5, 6);
                TILE_DOT(3, 5, 7);
                store_two(&output);
            }
        }
    }
    float *sums = run->sums[run->current];
    TILE_STORE(0, sums, LINE);
    TILE_STORE(1, sums + HIGH, LINE);
    TILE_STORE(2, sums + REGISTER_REALS, LINE);
    TILE_STORE(3, sums + HIGH + REGISTER_REALS, LINE);
    store_rest(&output);
    run->output = (struct tile_output){
        .sums = sums, .bias = p->bias, .y = p->y, .step = HALF, .count = IMAGES,
        .stream = run->stream};
    run->current ^= 1;
}

/* What is left to ask for. */
struct ahead {
    const char *at, *end;
};

INLINE void look_ahead(struct ahead *a)
{
    if (a->at >= a->end)
        return;
    for (int i = 0; i < LINES_AHEAD; i++)
        __builtin_prefetch(a->at + i * LINE, 0, 2);
    a->at += LINES_AHEAD * LINE;
}

/* Where the sums of a quarter go: bytes from row to row, from pixel to pixel. */
struct quarter_sums {
    char *at;
    ptrdiff_t step, pixel;
};

/* A quarter of what `row` computes: 16 images (x) and 16 channels (w). Of the count + 2 input
 * columns those in [first, end) are inside the map. */
INLINE void row_quarter(const int count, const int first, const int end,
                        const struct tile_pixels *p, const char *weights, struct quarter_sums to,
                        struct tile_output *output, struct ahead *ahead)
{
    const size_t step = p->x_pixel;
    TILE_ZERO(0);
    if (count > 1)
        TILE_ZERO(1);
    if (count > 2)
        TILE_ZERO(2);
    if (count > 3)
        TILE_ZERO(3);
    for (int i = 0; i < p->row_count; i++) {
        const char *a = p->x + (ptrdiff_t)((size_t)p->rows[i].at * p->x_row) +
                        (ptrdiff_t)p->column * (ptrdiff_t)step + p->half * HALF;
        const char *w = weights + (size_t)(p->rows[i].tap * p->c_lines) * ROW_TAPS * TILE_REGISTER;
        for (int c = 0; c < p->c_lines; c++, a += TILE_BYTES, w += ROW_TAPS * TILE_REGISTER) {
            TILE_LOAD(4, w, LINE);
            TILE_LOAD(5, w + TILE_REGISTER, LINE);
            look_ahead(ahead);
            if (first == 0 && 0 < end) {
                TILE_LOAD(7, a, LINE);
                TILE_DOT(0, 7, 4);
            }
            TILE_LOAD(6, w + 2 * TILE_REGISTER, LINE);
            if (first <= 1 && 1 < end) {
                TILE_LOAD(7, a + step, LINE);
                TILE_DOT(0, 7, 5);
                if (count > 1)
                    TILE_DOT(1, 7, 4);
            }
            if (output->next < output->count)
                store_two(output);
            else
                TILE_NUDGE();
            if (first <= 2 && 2 < end) {
                TILE_LOAD(7, a + 2 * step, LINE);
                TILE_DOT(0, 7, 6);
                if (count > 1)
                    TILE_DOT(1, 7, 5);
                if (count > 2)
                    TILE_DOT(2, 7, 4);
            }
            store_two(output);
            if (count > 1 && first <= 3 && 3 < end) {
                TILE_LOAD(7, a + 3 * step, LINE);
                TILE_DOT(1, 7, 6);
                if (count > 2)
                    TILE_DOT(2, 7, 5);
                if (count > 3)
                    TILE_DOT(3, 7, 4);
            }
            store_two(output);
            if (count > 2 && first <= 4 && 4 < end) {
                TILE_LOAD(7, a + 4 * step, LINE);
                TILE_DOT(2, 7, 6);
                if (count > 3)
                    TILE_DOT(3, 7, 5);
            }
            if (count > 3 && first <= 5 && 5 < end) {
                TILE_LOAD(7, a + 5 * step, LINE);
                TILE_DOT(3, 7, 6);
            }
        }
    }
    TILE_STORE(0, to.at, to.step);
    if (count > 1)
        TILE_STORE(1, to.at + to.pixel, to.step);
    if (count > 2)
        TILE_STORE(2, to.at + 2 * to.pixel, to.step);
    if (count > 3)
        TILE_STORE(3, to.at + 3 * to.pixel, to.step);
}

INLINE void row_of(const int count, const int first, const int end, struct tile_run *run,
                   const struct tile_pixels *p)
{
    size_t w_half = conv_tiles_half_bytes(p->c_lines, p->r, ROW_TAPS);
    size_t bytes = (size_t)count * p->x_pixel / 2;
    struct ahead ahead = {0};
    if (p->ahead)
        ahead = (struct ahead){p->ahead + (size_t)p->half * bytes,
                               p->ahead + (size_t)(p->half + 1) * bytes};
    struct tile_output output = run->output;
    float *sums = run->sums[run->current];
    struct quarter_sums low = {(char *)sums, LINE, TILE_REGISTER};
    struct quarter_sums high = {(char *)(sums + HIGH), LINE, TILE_REGISTER};
    row_quarter(count, first, end, p, p->w, low, &output, &ahead);
    row_quarter(count, first, end, p, p->w + w_half, high, &output, &ahead);
    store_rest(&output);
    run->output = (struct tile_output){.sums = sums,
                                       .bias = p->bias,
                                       .y = p->y + p->half * HALF,
                                       .step = p->y_pixel,
                                       .count = (unsigned)count * TILE_ROWS,
                                       .stream = run->stream};
    run->current ^= 1;
}

/* The same, but the sums are left as they are, lines of 32 channels. */
INLINE void sums_of(const int count, const int first, const int end, const struct tile_pixels *p,
                    char *m, size_t m_pixel)
{
    size_t w_half = conv_tiles_half_bytes(p->c_lines, p->r, ROW_TAPS);
    m += p->half * TILE_ROWS * SUM_LINE;
    for (int k = p->k_begin; k < p->k_end; k++) {
        struct tile_output nothing = {0};
        struct ahead nowhere = {0};
        struct quarter_sums to = {m + k * LINE, SUM_LINE, (ptrdiff_t)m_pixel};
        row_quarter(count, first, end, p, p->w + (size_t)k * w_half, to, &nothing, &nowhere);
    }
}

/* Inside of the map nothing is asked in the loop, at its edges two numbers are compared. */
#define ROW(count)                                                                                 \
    static void row_inside_##count(struct tile_run *run, const struct tile_pixels *p)              \
    {                                                                                              \
        row_of(count, 0, (count) + ROW_TAPS - 1, run, p);                                          \
    }                                                                                              \
    static void row_edge_##count(struct tile_run *run, const struct tile_pixels *p, int first,     \
                                 int end)                                                          \
    {                                                                                              \
        row_of(count, first, end, run, p);                                                         \
    }                                                                                              \
    static void sums_inside_##count(const struct tile_pixels *p, char *m, size_t m_pixel)          \
    {                                                                                              \
        sums_of(count, 0, (count) + ROW_TAPS - 1, p, m, m_pixel);                                  \
    }                                                                                              \
    static void sums_edge_##count(const struct tile_pixels *p, int first, int end, char *m,        \
                                  size_t m_pixel)                                                  \
    {                                                                                              \
        sums_of(count, first, end, p, m, m_pixel);                                                 \
    }
ROW(1)
ROW(2)
ROW(3)
ROW(4)
#undef ROW

/* The columns [first, end) of those that p's pixels take; whether that is all of them. */
static bool columns_inside(const struct tile_pixels *p, int *first, int *end)
{
    assert(p->count > 0 && p->count <= ROW_PIXELS);
    int columns = p->count + ROW_TAPS - 1, rest = p->x_width - p->column;
    *first = p->column < 0 ? -p->column : 0;
    *end = rest < columns ? rest : columns;
    return *first == 0 && *end == columns;
}

static void row(struct tile_run *run, const struct tile_pixels *p)
{
    static void (*const inside[])(struct tile_run *, const struct tile_pixels *) = {
        row_inside_1, row_inside_2, row_inside_3, row_inside_4};
    static void (*const edge[])(struct tile_run *, const struct tile_pixels *, int, int) = {
        row_edge_1, row_edge_2, row_edge_3, row_edge_4};
    int first, end;
    if (columns_inside(p, &first, &end))
        inside[p->count - 1](run, p);
    else
        edge[p->count - 1](run, p, first, end);
}

static void sums(const struct tile_pixels *p, void *m, size_t m_pixel)
{
    static void (*const inside[])(const struct tile_pixels *, char *, size_t) = {
        sums_inside_1, sums_inside_2, sums_inside_3, sums_inside_4};
    static void (*const edge[])(const struct tile_pixels *, int, int, char *, size_t) = {
        sums_edge_1, sums_edge_2, sums_edge_3, sums_edge_4};
    int first, end;
    if (columns_inside(p, &first, &end))
        inside[p->count - 1](p, m, m_pixel);
    else
        edge[p->count - 1](p, first, end, m, m_pixel);
}

static void spread(const void *tile, const uint8_t *argmax, void *out, size_t pixel, size_t row)
{
    char *const to[] = {(char *)out, (char *)out + pixel, (char *)out + row,
                        (char *)out + row + pixel};
    tile_spread(tile, argmax, to);
}

/* The bits of the channels first .. first+15*step (by step) that are below count. */
static unsigned present(int first, int step, int count)
{
    unsigned bits = 0;
    for (int j = 0; j < TILE_ROWS; j++)
        bits |= (unsigned)(first + j * step < count) << j;
    return bits;
}

static void pack(int k, int c, int r, int s, const float *weights, size_t k_step, size_t c_step,
                 int k0, bool reverse, void *packed)
{
    char *out = packed;
    unsigned columns = present(k0, 1, k);
    const float *w = columns ? weights + (size_t)k0 * k_step : weights;
    for (int i = 0; i < r; i++)
        for (int c0 = 0; c0 < c; c0 += CHANNELS)
            for (int j = 0; j < s; j++) {
                int tap = reverse ? (r - 1 - i) * s + s - 1 - j : i * s + j;
                for (int cc = c0; cc < c0 + CHANNELS; cc += 2, out += LINE) {
                    const float *at = w + (cc < c ? (size_t)cc * c_step + (size_t)tap : 0);
                    line_weights(at, k_step, c_step, cc < c ? columns : 0,
                                 cc + 1 < c ? columns : 0, out);
                }
            }
}

void conv_gather_init__amx(struct conv_tile_kernels *k)
{
    k->begin = begin;
    k->pixel = pixel;
    k->row = row;
    k->sums = sums;
    k->flush = flush;
    k->end = end;
    k->spread = spread;
    k->pack = pack;
}
