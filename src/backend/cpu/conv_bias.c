/* conv_bias.c - the gradient of a convolution's bias: the same for all algorithms. A bias is the
 * weight of one tap on one channel that is always 1. */
#include "backend/cpu/conv.h"

#include <assert.h>
#include <string.h>

/* The activation that dy still has to go back through, a row of pixels at a time. */
struct bias_act {
    enum activation act;
    double param;
    const struct map *x;        /* its input */
    char *rows;                 /* [threads] rows of one line */
    size_t row_bytes;
};

struct bias_job {
    struct cpu_backend *b;
    int n;
    const struct map *dy;
    const struct bias_act *act; /* NULL: none */
    int k_lines;                /* of one pixel of dy */
    int lanes[LANES];           /* the lanes that have images */
    char *lane[LANES];          /* P [k_lines * CB], the sum of each of them */
};

/* The row of a line that begins at byte `at` of dy and x, gone back through the activation; *step
 * becomes the elements from pixel to pixel. */
static const void *turn_back(const struct bias_job *j, size_t at, int worker, size_t *step)
{
    const struct bias_act *a = j->act;
    const char *x = (const char *)a->x->data + at, *dy = (const char *)j->dy->data + at;
    char *row = a->rows + (size_t)worker * a->row_bytes;
    size_t tile = TILE / precision_bytes(j->b->base.precision);
    for (int i = 0; i < j->dy->w; i++) {
        size_t pixel = (size_t)(i * j->k_lines) * TILE;
        j->b->kernels.pointwise.act_backward(a->act, a->param, tile, x + pixel, dy + pixel,
                                             row + (size_t)i * TILE);
    }
    *step = tile;
    return row;
}

/* One lane's sum of one line of dy. */
static void bias_item(void *ctx, int item, int worker)
{
    const struct bias_job *j = ctx;
    int line = item % j->k_lines, lane = j->lanes[item / j->k_lines];
    int rows = j->dy->h, end = cpu_lane_begin(j->n, lane + 1);
    enum precision p = j->b->base.precision;
    size_t row_bytes = (size_t)(j->dy->w * j->k_lines) * TILE;
    size_t bytes = conv_gradient_bytes(p, 1, 1, 1);
    char *sum = j->lane[lane] + (size_t)line * bytes;
    memset(sum, 0, bytes);
    for (int block = cpu_lane_begin(j->n, lane); block < end; block++)
        for (int y = 0; y < rows; y++) {
            size_t at = (size_t)(block * rows + y) * row_bytes + (size_t)line * TILE;
            size_t step = (size_t)j->k_lines * (TILE / precision_bytes(p));
            const void *row = j->act ? turn_back(j, at, worker, &step)
                                     : (const char *)j->dy->data + at;
            j->b->kernels.conv.sum_images(j->dy->w, cpu_block_images(j->n, block), row, step,
                                          sum);
        }
}

size_t conv_bias_bytes(const struct backend *b, int n, int k)
{
    int lanes[LANES];
    return (size_t)conv_lanes(n, lanes) * conv_gradient_size(b, k, 1, 1);
}

static void sum_bias(struct cpu_backend *b, int n, const struct map *dy,
                     const struct bias_act *act, void *dbias, char *workspace)
{
    enum precision p = b->base.precision;
    struct bias_job j = {
        .b = b, .n = n, .dy = dy, .act = act, .k_lines = layout_cblocks(p, dy->c)};
    int lanes = conv_lanes(n, j.lanes);
    size_t line_bytes = conv_gradient_bytes(p, 1, 1, 1);
    for (int i = 0; i < lanes; i++, workspace += (size_t)j.k_lines * line_bytes)
        j.lane[j.lanes[i]] = workspace;
    cpu_parallel(b, lanes * j.k_lines, bias_item, &j);
    for (int line = 0; line < j.k_lines; line++) {
        const void *lane[LANES];
        for (int l = 0; l < LANES; l++)
            lane[l] = j.lane[l] ? j.lane[l] + (size_t)line * line_bytes : NULL;
        b->kernels.conv.unpack(LANES, lane, dy->c, 1, 1, line * layout_cb(p), 1, 0, 1, dbias);
    }
}

void conv_bias(struct cpu_backend *b, int n, const struct map *dy, void *dbias, void *workspace)
{
    sum_bias(b, n, dy, NULL, dbias, workspace);
}

/* Through an activation: the rows, then the lanes. */

static size_t row_bytes(const struct map *dy)
{
    return (size_t)dy->w * TILE;
}

static size_t act_bias_workspace(struct backend *b, int n, const struct map *dy)
{
    return (size_t)b->threads * row_bytes(dy) + conv_bias_bytes(b, n, dy->c);
}

static void act_backward_bias(struct backend *b, int n, enum activation act, double param,
                              const struct map *x, const struct map *dy, void *dbias,
                              void *workspace)
{
    assert(n > 0 && dy->c == x->c && dy->h == x->h && dy->w == x->w);
    struct bias_act a = {act, param, x, workspace, row_bytes(dy)};
    sum_bias(cpu_of(b), n, dy, &a, dbias,
             (char *)workspace + (size_t)b->threads * a.row_bytes);
}

void cpu_conv_bias_ops(struct backend_ops *ops)
{
    ops->act_bias_workspace = act_bias_workspace;
    ops->act_backward_bias = act_backward_bias;
}
