/* layer_scale.c - a constant factor, for logits. */
#include "nn/layer.h"
#include "nn/program.h"

struct scale {
    double factor;
};

static const struct attribute attributes[] = {
    {"factor", ATTRIBUTE_REAL, offsetof(struct scale, factor), true, NULL, -1e6, 1e6, NULL,
     "what every number is multiplied with, for example 0.125 or 1/9"},
    {0},
};

static int infer(struct builder *b, struct node *n)
{
    (void)b;
    n->out = n->in;
    return 0;
}

/* y = factor * x and dx = factor * dy: the same step. */
static int scale_step(struct lowering *l, int node, int x)
{
    const struct node *n = &l->graph->nodes[node];
    struct step *s = lower_step(l, &op_scale, node);
    s->factor = ((const struct scale *)n->attributes)->factor;
    step_reads(s, x);
    int y = lower_map(l, n->out);
    step_writes(s, y);
    return y;
}

static void forward(struct lowering *l, int node)
{
    l->values[node] = scale_step(l, node, lower_input(l, node, 0));
}

static void backward(struct lowering *l, int node)
{
    if (lower_wants(l, node, 0))
        lower_give(l, node, 0, scale_step(l, node, lower_gradient(l, node)));
}

extern const struct layer layer_scale;
const struct layer layer_scale = {
    .name = "scale",
    .help = "multiplication with a constant",
    .attributes = attributes,
    .attributes_size = sizeof(struct scale),
    .inputs_min = 1,
    .inputs_max = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
