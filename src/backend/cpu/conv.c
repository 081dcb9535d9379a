/* conv.c - convolution on the CPU: the operations, and which algorithm does which pass.
 * See conv_algorithm.h. Adding the bias is the algorithm's; its gradient is conv_bias.c's. */
#include "backend/cpu/conv.h"

#include <assert.h>

const struct conv_algorithm *const conv_algorithms[] = {
    &conv_direct, &conv_winograd4, &conv_winograd3, &conv_winograd2, &conv_winograd6, &conv_amx,
    &conv_amx_rows, NULL};

static void assert_shape(const struct conv_shape *s)
{
    assert(s->c > 0 && s->h > 0 && s->w > 0 && s->k > 0 && s->p > 0 && s->q > 0);
    assert(s->r > 0 && s->r <= FILTER_MAX && s->s > 0 && s->s <= FILTER_MAX);
    assert(s->stride > 0 && s->pad >= 0);
    assert((s->p - 1) * s->stride + s->r <= s->h + 2 * s->pad);
    assert((s->q - 1) * s->stride + s->s <= s->w + 2 * s->pad);
}

static void assert_map(const struct map *m, int c, int h, int w)
{
    assert(m->data && m->c == c && m->h == h && m->w == w);
    (void)m, (void)c, (void)h, (void)w;
}

double conv_products(const struct conv_shape *s)
{
    return (double)s->k * s->p * s->q * s->c * s->r * s->s;
}

static double inside(int outputs, int filter, int stride, int pad, int size)
{
    int count = 0;
    for (int i = 0; i < outputs; i++)
        for (int tap = 0; tap < filter; tap++)
            count += i * stride + tap >= pad && i * stride + tap - pad < size;
    return count;
}

double conv_row_taps_inside(const struct conv_shape *s)
{
    return inside(s->p, s->r, s->stride, s->pad, s->h);
}

double conv_taps_inside(const struct conv_shape *s)
{
    return conv_row_taps_inside(s) *
           inside(s->q, s->s, s->stride, s->pad, s->w);
}

int conv_hits(const struct conv_shape *s, enum conv_order order, int out, int filter, int size,
              struct conv_hit *hits)
{
    int count = 0;
    for (int t = 0; t < filter; t++) {
        int reach = order == ORDER_TURNED ? filter - 1 - t : t;
        int at = order == ORDER_FORWARD ? out * s->stride + t - s->pad : out + s->pad - reach;
        if (at < 0)
            continue;
        if (order != ORDER_FORWARD && s->stride > 1) {
            if (at % s->stride)
                continue;
            at /= s->stride;
        }
        if (at < size)
            hits[count++] = (struct conv_hit){t, at};
    }
    return count;
}

struct conv_range conv_clip(const struct conv_shape *s, struct conv_range out, int tap, int size)
{
    while (out.begin < out.end && out.begin * s->stride + tap < s->pad)
        out.begin++;
    while (out.begin < out.end && (out.end - 1) * s->stride + tap - s->pad >= size)
        out.end--;
    return out;
}

void conv_unpack(const struct cpu_backend *b, const struct conv_shape *s,
                 void *const lanes[LANES], int panel, int c_first, int c_end, void *dw)
{
    enum precision p = b->base.precision;
    size_t offset = conv_gradient_at(&b->base, panel, s->c, conv_taps(s));
    const void *lane[LANES];
    for (int l = 0; l < LANES; l++)
        lane[l] = lanes[l] ? (const char *)lanes[l] + offset : NULL;
    b->kernels.conv.unpack(LANES, lane, s->k, s->c, conv_taps(s),
                           panel * PANEL_LINES * layout_cb(p), conv_panel_lines(p, s->k, panel),
                           c_first, c_end, dw);
}

/* The choice. */

static int algorithm_count(void)
{
    int count = 0;
    while (conv_algorithms[count])
        count++;
    return count;
}

static const char *conv_algorithm_name(struct backend *b, int algorithm)
{
    (void)b;
    assert(algorithm >= 0);
    return algorithm < algorithm_count() ? conv_algorithms[algorithm]->name : NULL;
}

/* The double-precision backend is for tests and probes: always the plainest way unless told. */
static int conv_choose(struct backend *base, int n, const struct conv_shape *s,
                       enum conv_pass pass, int wanted)
{
    const struct cpu_backend *b = cpu_of(base);
    int best = 0;
    assert(wanted < algorithm_count());
    if (wanted >= 0)
        return conv_algorithms[wanted]->supports(b, s, pass) ? wanted : 0;
    if (base->tier == TIER_REF)
        return 0;
    double least = conv_algorithms[0]->seconds(b, n, s, pass);
    for (int i = 1; conv_algorithms[i]; i++) {
        if (!conv_algorithms[i]->supports(b, s, pass))
            continue;
        double seconds = conv_algorithms[i]->seconds(b, n, s, pass);
        if (seconds < least) {
            least = seconds;
            best = i;
        }
    }
    return best;
}

static double conv_predict(struct backend *base, int n, const struct conv_shape *s,
                           enum conv_pass pass, int algorithm)
{
    const struct conv_algorithm *a = conv_algorithms[algorithm];
    assert(algorithm >= 0 && algorithm < algorithm_count());
    return a->supports(cpu_of(base), s, pass)
               ? a->seconds(cpu_of(base), n, s, pass) / base->threads
               : -1;
}

static const struct conv_algorithm *algorithm_of(struct backend *b, const struct conv_shape *s,
                                                 enum conv_pass pass)
{
    assert(s->algorithm[pass] < algorithm_count());
    const struct conv_algorithm *a = conv_algorithms[s->algorithm[pass]];
    assert(a->supports(cpu_of(b), s, pass));
    (void)b;
    return a;
}

/* Packing: the weights of backward-data lie behind those of forward. */

static size_t packed_bytes(struct backend *b, const struct conv_shape *s, enum conv_pass pass)
{
    size_t bytes = algorithm_of(b, s, pass)->packed_bytes(cpu_of(b), s, pass);
    return (bytes + LINE - 1) / LINE * LINE;
}

static size_t total_packed_bytes(struct backend *b, const struct conv_shape *s, bool with_backward)
{
    return packed_bytes(b, s, CONV_FORWARD) +
           (with_backward ? packed_bytes(b, s, CONV_BACKWARD_DATA) : 0);
}

static void conv_pack(struct backend *b, const struct conv_shape *s, const void *weights,
                      bool with_backward, void *packed)
{
    assert_shape(s);
    algorithm_of(b, s, CONV_FORWARD)->pack(cpu_of(b), s, CONV_FORWARD, weights, packed);
    if (with_backward)
        algorithm_of(b, s, CONV_BACKWARD_DATA)
            ->pack(cpu_of(b), s, CONV_BACKWARD_DATA, weights,
                   (char *)packed + packed_bytes(b, s, CONV_FORWARD));
}

/* The passes. */

static size_t conv_workspace(struct backend *b, int n, const struct conv_shape *s,
                             enum conv_pass pass)
{
    size_t bytes = algorithm_of(b, s, pass)->workspace(cpu_of(b), n, s, pass);
    return bytes + (pass == CONV_BACKWARD_WEIGHTS ? conv_bias_bytes(b, n, s->k) : 0);
}

static void conv_forward(struct backend *b, int n, const struct conv_shape *s, const struct map *x,
                         const void *packed, const void *bias, const struct map *y,
                         void *workspace)
{
    assert_shape(s);
    assert_map(x, s->c, s->h, s->w);
    assert_map(y, s->k, s->p, s->q);
    const struct conv_work w = {.n = n, .shape = s, .pass = CONV_FORWARD, .x = *x, .y = *y,
                                .packed = packed, .bias = bias, .workspace = workspace};
    algorithm_of(b, s, CONV_FORWARD)->run(cpu_of(b), &w);
}

static void conv_backward_data(struct backend *b, int n, const struct conv_shape *s,
                               const struct map *dy, const void *packed, const struct map *dx,
                               void *workspace)
{
    assert_shape(s);
    assert_map(dy, s->k, s->p, s->q);
    assert_map(dx, s->c, s->h, s->w);
    const struct conv_work w = {
        .n = n, .shape = s, .pass = CONV_BACKWARD_DATA, .x = *dx, .y = *dy,
        .packed = (const char *)packed + packed_bytes(b, s, CONV_FORWARD),
        .workspace = workspace};
    algorithm_of(b, s, CONV_BACKWARD_DATA)->run(cpu_of(b), &w);
}

static void conv_backward_weights(struct backend *b, int n, const struct conv_shape *s,
                                  const struct map *x, const struct map *dy, void *dw,
                                  void *dbias, void *workspace)
{
    assert_shape(s);
    assert_map(x, s->c, s->h, s->w);
    assert_map(dy, s->k, s->p, s->q);
    assert(n > 0);
    struct conv_work w = {.n = n, .shape = s, .pass = CONV_BACKWARD_WEIGHTS, .x = *x, .y = *dy,
                          .dw = dw, .workspace = (char *)workspace + conv_bias_bytes(b, n, s->k)};
    if (dw)
        algorithm_of(b, s, CONV_BACKWARD_WEIGHTS)->run(cpu_of(b), &w);
    if (dbias)
        conv_bias(cpu_of(b), n, dy, dbias, workspace);
}

/* With a pool behind. */

static bool conv_pools(struct backend *b, const struct conv_shape *s, enum conv_pass pass)
{
    const struct conv_algorithm *a = algorithm_of(b, s, pass);
    return s->p % 2 == 0 && s->q % 2 == 0 && a->pools && a->pools(cpu_of(b), s, pass);
}

static void conv_pool_forward(struct backend *b, int n, const struct conv_shape *s,
                              const struct map *x, const void *packed, const void *bias,
                              const struct map *y, uint8_t *argmax, void *workspace)
{
    assert_shape(s);
    assert(conv_pools(b, s, CONV_FORWARD));
    assert_map(x, s->c, s->h, s->w);
    assert_map(y, s->k, s->p / 2, s->q / 2);
    const struct conv_work w = {.n = n, .shape = s, .pass = CONV_FORWARD, .x = *x, .y = *y,
                                .argmax = argmax, .pooled = true, .packed = packed, .bias = bias,
                                .workspace = workspace};
    algorithm_of(b, s, CONV_FORWARD)->run(cpu_of(b), &w);
}

static void conv_pool_backward_data(struct backend *b, int n, const struct conv_shape *s,
                                    const struct map *dy, const uint8_t *argmax,
                                    const void *packed, const struct map *dx, void *workspace)
{
    assert_shape(s);
    assert(conv_pools(b, s, CONV_BACKWARD_DATA));
    assert_map(dy, s->k, s->p / 2, s->q / 2);
    assert_map(dx, s->c, s->h, s->w);
    const struct conv_work w = {
        .n = n, .shape = s, .pass = CONV_BACKWARD_DATA, .x = *dx, .y = *dy, .pooled = true,
        .taken = argmax, .packed = (const char *)packed + packed_bytes(b, s, CONV_FORWARD),
        .workspace = workspace};
    algorithm_of(b, s, CONV_BACKWARD_DATA)->run(cpu_of(b), &w);
}

static void conv_pool_backward_weights(struct backend *b, int n, const struct conv_shape *s,
                                       const struct map *x, const struct map *dy,
                                       const uint8_t *argmax, void *dw, void *workspace)
{
    assert_shape(s);
    assert(n > 0 && conv_pools(b, s, CONV_BACKWARD_WEIGHTS));
    assert_map(x, s->c, s->h, s->w);
    assert_map(dy, s->k, s->p / 2, s->q / 2);
    const struct conv_work w = {.n = n, .shape = s, .pass = CONV_BACKWARD_WEIGHTS, .x = *x,
                                .y = *dy, .pooled = true, .taken = argmax, .dw = dw,
                                .workspace = workspace};
    algorithm_of(b, s, CONV_BACKWARD_WEIGHTS)->run(cpu_of(b), &w);
}

void cpu_conv_ops(struct backend_ops *ops)
{
    ops->conv_algorithm_name = conv_algorithm_name;
    ops->conv_choose = conv_choose;
    ops->conv_predict = conv_predict;
    ops->conv_packed_bytes = total_packed_bytes;
    ops->conv_workspace = conv_workspace;
    ops->conv_pack = conv_pack;
    ops->conv_forward = conv_forward;
    ops->conv_backward_data = conv_backward_data;
    ops->conv_backward_weights = conv_backward_weights;
    ops->conv_pools = conv_pools;
    ops->conv_pool_forward = conv_pool_forward;
    ops->conv_pool_backward_data = conv_pool_backward_data;
    ops->conv_pool_backward_weights = conv_pool_backward_weights;
}
