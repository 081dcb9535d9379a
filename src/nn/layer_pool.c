/* layer_pool.c - max and average pooling over windows without padding, or over the whole map. */
#include "nn/layer.h"
#include "nn/program.h"

struct pool {
    int window;          /* 0: the whole map */
    int stride;          /* 0: the window */
};

static const struct attribute attributes[] = {
    {"window", ATTRIBUTE_WINDOW, offsetof(struct pool, window), true, NULL, 1, 16, NULL,
     "side of the window, or 'global'"},
    {"stride", ATTRIBUTE_INT, offsetof(struct pool, stride), true, "0", 1, 16, NULL,
     "step of the window; the window's side if not given"},
    {0},
};

static int infer(struct builder *b, struct node *n)
{
    struct pool *pool = n->attributes;
    if (pool->window == 0) {
        if (n->in.h != n->in.w || n->in.h > 16)
            return builder_fail(b, "window", "global pooling needs a square map of at most 16x16, "
                                "not %dx%d", n->in.h, n->in.w);
        pool->window = n->in.h;
        if (pool->stride)
            return builder_fail(b, "stride", "global pooling has no stride");
    }
    if (pool->window > n->in.h || pool->window > n->in.w)
        return builder_fail(b, "window", "a window of %d does not fit into the %dx%d map",
                            pool->window, n->in.h, n->in.w);
    if (pool->stride == 0)
        pool->stride = pool->window;
    n->out = (struct shape){n->in.c, (n->in.h - pool->window) / pool->stride + 1,
                            (n->in.w - pool->window) / pool->stride + 1};
    return 0;
}

static struct step *pool_step(struct lowering *l, const struct operation *op, int node)
{
    const struct node *n = &l->graph->nodes[node];
    const struct pool *pool = n->attributes;
    struct step *s = lower_step(l, op, node);
    s->pool = (struct pool_shape){
        .c = n->in.c, .h = n->in.h, .w = n->in.w, .p = n->out.h, .q = n->out.w,
        .window = pool->window, .stride = pool->stride,
    };
    return s;
}

static struct step *lower_forward(struct lowering *l, const struct operation *op, int node)
{
    struct step *s = pool_step(l, op, node);
    step_reads(s, lower_input(l, node, 0));
    l->values[node] = lower_map(l, l->graph->nodes[node].out);
    step_writes(s, l->values[node]);
    return s;
}

static struct step *lower_backward(struct lowering *l, const struct operation *op, int node)
{
    if (!lower_wants(l, node, 0))
        return NULL;
    struct step *s = pool_step(l, op, node);
    step_reads(s, lower_gradient(l, node));
    int dx = lower_map(l, l->graph->nodes[node].in);
    step_writes(s, dx);
    lower_give(l, node, 0, dx);
    return s;
}

static void max_forward(struct lowering *l, int node)
{
    struct step *s = lower_forward(l, &op_maxpool, node);
    if (l->training)
        step_writes(s, lower_bytes(l)); /* the positions of the maxima */
}

static void max_backward(struct lowering *l, int node)
{
    const struct step *max = program_writer(l->program, l->values[node]);
    struct step *s = lower_backward(l, &op_maxpool_backward, node);
    if (s)
        step_reads(s, max->writes[1]);
}

static void average_forward(struct lowering *l, int node)
{
    lower_forward(l, &op_avgpool, node);
}

static void average_backward(struct lowering *l, int node)
{
    lower_backward(l, &op_avgpool_backward, node);
}

extern const struct layer layer_maxpool, layer_avgpool;
const struct layer layer_maxpool = {
    .name = "maxpool",
    .help = "largest value of each window; rows and columns past the last window are dropped",
    .attributes = attributes,
    .attributes_size = sizeof(struct pool),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .forward = max_forward,
    .backward = max_backward,
};
const struct layer layer_avgpool = {
    .name = "avgpool",
    .help = "mean of each window; rows and columns past the last window are dropped",
    .attributes = attributes,
    .attributes_size = sizeof(struct pool),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .forward = average_forward,
    .backward = average_backward,
};
