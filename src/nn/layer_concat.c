/* layer_concat.c - maps of the same height and width, one behind the other along the channels. */
#include "nn/layer.h"
#include "nn/program.h"

static const struct attribute attributes[] = {{0}};

static int infer(struct builder *b, struct node *n)
{
    n->out = n->in;
    n->out.c = 0;
    for (int i = 0; i < n->input_count; i++) {
        const struct node *input = &b->graph->nodes[n->inputs[i]];
        if (input->out.h != n->in.h || input->out.w != n->in.w)
            return builder_fail(b, NULL, "cannot join '%s' (%dx%d) to maps of %dx%d", input->name,
                                input->out.h, input->out.w, n->in.h, n->in.w);
        n->out.c += input->out.c;
    }
    return 0;
}

static void forward(struct lowering *l, int node)
{
    const struct node *n = &l->graph->nodes[node];
    struct step *s = lower_step(l, &op_concat, node);
    for (int i = 0; i < n->input_count; i++)
        step_reads(s, lower_input(l, node, i));
    l->values[node] = lower_map(l, n->out);
    step_writes(s, l->values[node]);
}

static void backward(struct lowering *l, int node)
{
    const struct node *n = &l->graph->nodes[node];
    for (int i = 0, first = 0; i < n->input_count; i++) {
        const struct shape part = l->graph->nodes[n->inputs[i]].out;
        if (lower_wants(l, node, i)) {
            struct step *s = lower_step(l, &op_split, node);
            s->first_channel = first;
            step_reads(s, lower_gradient(l, node));
            int dx = lower_map(l, part);
            step_writes(s, dx);
            lower_give(l, node, i, dx);
        }
        first += part.c;
    }
}

extern const struct layer layer_concat;
const struct layer layer_concat = {
    .name = "concat",
    .help = "two to four maps, joined along the channels",
    .attributes = attributes,
    .attributes_size = 1,
    .inputs_min = 2,
    .inputs_max = 4,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
