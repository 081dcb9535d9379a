/* layer_add.c - the sum of two maps of the same shape: where a residual branch comes back. */
#include "nn/layer.h"
#include "nn/program.h"

static const struct attribute attributes[] = {{0}};

static int infer(struct builder *b, struct node *n)
{
    const struct shape *x = &b->graph->nodes[n->inputs[0]].out,
                       *y = &b->graph->nodes[n->inputs[1]].out;
    if (x->c != y->c || x->h != y->h || x->w != y->w)
        return builder_fail(b, NULL, "cannot add '%s' (%dx%dx%d) and '%s' (%dx%dx%d)",
                            b->graph->nodes[n->inputs[0]].name, x->c, x->h, x->w,
                            b->graph->nodes[n->inputs[1]].name, y->c, y->h, y->w);
    n->out = n->in;
    return 0;
}

static void forward(struct lowering *l, int node)
{
    struct step *s = lower_step(l, &op_add, node);
    step_reads(s, lower_input(l, node, 0));
    step_reads(s, lower_input(l, node, 1));
    l->values[node] = lower_map(l, l->graph->nodes[node].out);
    step_writes(s, l->values[node]);
}

/* Both inputs have the gradient of the sum: the same value, no copy. */
static void backward(struct lowering *l, int node)
{
    for (int i = 0; i < 2; i++)
        lower_give(l, node, i, lower_gradient(l, node));
}

extern const struct layer layer_add;
const struct layer layer_add = {
    .name = "add",
    .help = "sum of two maps",
    .attributes = attributes,
    .attributes_size = 1,
    .inputs_min = 2,
    .inputs_max = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
