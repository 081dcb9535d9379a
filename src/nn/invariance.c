/* invariance.c - which weights have a length that changes nothing. See graph.h. */
#include "nn/layer.h"

/* Reads what the node computes and is none the wiser when it is all multiplied by c > 0. */
static bool ignores_scale(const struct node *n)
{
    if (n->layer != layer_find("batchnorm"))
        return false;
    const int *statistics = node_attribute(n, "statistics");
    return *statistics == 0; /* those of the batch */
}

/* Multiplies what it computes by c > 0, or adds to it, just as its input. */
static bool passes_scale(const struct node *n)
{
    return n->layer == layer_find("maxpool") || n->layer == layer_find("avgpool");
}

/* Whether all that read a node's output ignore its scale. */
static bool scale_is_ignored(const struct graph *g, int node)
{
    for (int i = node + 1; i < g->node_count; i++) {
        const struct node *n = &g->nodes[i];
        for (int k = 0; k < n->input_count; k++)
            if (n->inputs[k] == node && !ignores_scale(n) &&
                !(passes_scale(n) && scale_is_ignored(g, i)))
                return false;
    }
    return node + 1 < g->node_count;
}

void graph_mark_invariant(struct graph *g)
{
    for (int i = 1; i < g->node_count; i++) {
        const struct node *n = &g->nodes[i];
        if (n->layer != layer_find("conv") || n->tensor_count == 0)
            continue;
        struct tensor *weight = &g->tensors[n->tensors[0]];
        weight->scale_invariant = !weight->frozen && scale_is_ignored(g, i);
    }
}
