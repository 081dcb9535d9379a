/* lower.c - from a graph to a program: every node emits its forward steps in the order of the file
 * and its backward steps in the reverse order. */
#include <assert.h>

#include "nn/layer.h"
#include "nn/program.h"

/* Room for what the nodes emit; a convolution with bias emits most: four steps, six values, and
 * each of its inputs one sum of gradients. */
enum { STEPS_PER_NODE = 12, VALUES_PER_NODE = 16, STEPS_MORE = 8 };

struct step *lower_step(struct lowering *l, const struct operation *op, int node)
{
    struct program *p = l->program;
    assert(p->step_count < p->graph->node_count * STEPS_PER_NODE + STEPS_MORE);
    struct step *s = &p->steps[p->step_count++];
    *s = (struct step){
        .op = op,
        .node = node,
        .tensors = {-1, -1, -1, -1},
        .gradients = {-1, -1},
    };
    return s;
}

static int new_value(struct lowering *l, enum value_kind kind, struct shape shape)
{
    struct program *p = l->program;
    assert(p->value_count < p->graph->node_count * VALUES_PER_NODE + STEPS_MORE);
    p->values[p->value_count] = (struct value){.kind = kind, .shape = shape};
    return p->value_count++;
}

int lower_map(struct lowering *l, struct shape shape)
{
    return new_value(l, VALUE_MAP, shape);
}

int lower_bytes(struct lowering *l)
{
    return new_value(l, VALUE_BYTES, (struct shape){0});
}

void step_reads(struct step *s, int value)
{
    assert(s->read_count < STEP_READS);
    s->reads[s->read_count++] = value;
}

void step_writes(struct step *s, int value)
{
    assert(s->write_count < STEP_WRITES);
    s->writes[s->write_count++] = value;
}

int lower_input(const struct lowering *l, int node, int i)
{
    return l->values[l->graph->nodes[node].inputs[i]];
}

int lower_gradient(const struct lowering *l, int node)
{
    assert(l->gradients[node] != NO_VALUE);
    return l->gradients[node];
}

bool lower_wants(const struct lowering *l, int node, int i)
{
    return l->graph->nodes[node].inputs[i] != 0;
}

void lower_give(struct lowering *l, int node, int i, int value)
{
    int input = l->graph->nodes[node].inputs[i];
    if (input == 0)
        return;
    int *gradient = &l->gradients[input];
    if (*gradient == NO_VALUE) {
        *gradient = value;
        return;
    }
    struct step *s = lower_step(l, &op_add, input);
    step_reads(s, *gradient);
    step_reads(s, value);
    *gradient = lower_map(l, l->graph->nodes[input].out);
    step_writes(s, *gradient);
}

void lower_activation(struct lowering *l, int node, enum activation act, double param)
{
    struct step *s = lower_step(l, &op_act, node);
    s->act = (struct act_params){act, param};
    step_reads(s, lower_input(l, node, 0));
    l->values[node] = lower_map(l, l->graph->nodes[node].out);
    step_writes(s, l->values[node]);
}

void lower_activation_backward(struct lowering *l, int node, enum activation act, double param)
{
    if (!lower_wants(l, node, 0))
        return;
    struct step *s = lower_step(l, &op_act_backward, node);
    s->act = (struct act_params){act, param};
    step_reads(s, lower_input(l, node, 0));
    step_reads(s, lower_gradient(l, node));
    int dx = lower_map(l, l->graph->nodes[node].in);
    step_writes(s, dx);
    lower_give(l, node, 0, dx);
}

static struct step *conv_step(struct lowering *l, const struct operation *op, int node,
                              const struct conv_shape *shape)
{
    const struct node *n = &l->graph->nodes[node];
    struct step *s = lower_step(l, op, node);
    s->conv = *shape;
    s->tensors[0] = n->tensors[0];
    s->tensors[1] = n->tensor_count > 1 ? n->tensors[1] : -1;
    return s;
}

void lower_conv(struct lowering *l, int node, const struct conv_shape *shape)
{
    int packed = lower_bytes(l);
    step_writes(conv_step(l, &op_conv_pack, node, shape), packed);
    struct step *s = conv_step(l, &op_conv, node, shape);
    step_reads(s, lower_input(l, node, 0));
    step_reads(s, packed);
    l->values[node] = lower_map(l, l->graph->nodes[node].out);
    step_writes(s, l->values[node]);
    step_writes(s, lower_bytes(l));
}

/* The weights' gradient comes first: after it the input is free, and its memory can hold dx. */
void lower_conv_backward(struct lowering *l, int node, const struct conv_shape *shape)
{
    const struct step *forward = program_writer(l->program, l->values[node]);
    int dy = lower_gradient(l, node);
    struct step *s = conv_step(l, &op_conv_backward_weights, node, shape);
    step_reads(s, forward->reads[0]);
    step_reads(s, dy);
    step_writes(s, lower_bytes(l));
    s->gradients[0] = s->tensors[0];
    s->gradients[1] = s->tensors[1];
    if (!lower_wants(l, node, 0))
        return;
    s = conv_step(l, &op_conv_backward_data, node, shape);
    step_reads(s, dy);
    step_reads(s, forward->reads[1]);
    int dx = lower_map(l, l->graph->nodes[node].in);
    step_writes(s, dx);
    step_writes(s, lower_bytes(l));
    lower_give(l, node, 0, dx);
}

static void lower_graph(struct lowering *l)
{
    struct program *p = l->program;
    int last = l->graph->node_count - 1;
    p->input = l->values[0] = lower_map(l, l->graph->nodes[0].out);
    step_writes(lower_step(l, &op_input, 0), p->input);
    for (int i = 1; i <= last; i++)
        l->graph->nodes[i].layer->forward(l, i);
    p->logits = l->values[last];
    p->dlogits = NO_VALUE;
    struct step *loss = lower_step(l, &op_loss, last);
    step_reads(loss, p->logits);
    if (!l->training)
        return;
    p->dlogits = l->gradients[last] = lower_map(l, l->graph->nodes[last].out);
    step_writes(loss, p->dlogits);
    for (int i = last; i > 0; i--)
        if (l->gradients[i] != NO_VALUE)
            l->graph->nodes[i].layer->backward(l, i);
}

void program_init(struct program *p, struct arena *a, const struct graph *g, struct backend *b,
                  int batch, enum plan_mode mode)
{
    size_t nodes = (size_t)g->node_count;
    *p = (struct program){
        .graph = g,
        .backend = b,
        .batch = batch,
        .mode = mode,
        .steps = arena_alloc(a, nodes * STEPS_PER_NODE + STEPS_MORE, sizeof *p->steps),
        .values = arena_alloc(a, nodes * VALUES_PER_NODE + STEPS_MORE, sizeof *p->values),
    };
    struct lowering l = {
        .program = p,
        .graph = g,
        .training = mode != PLAN_EVAL,
        .frozen = mode != PLAN_TRAIN,
        .values = arena_alloc(a, nodes, sizeof *l.values),
        .gradients = arena_alloc(a, nodes, sizeof *l.gradients),
    };
    for (size_t i = 0; i < nodes; i++)
        l.gradients[i] = NO_VALUE;
    lower_graph(&l);
    pass_drop_unneeded(p, a);
    pass_trim(p);
    pass_fuse_activation(p);
    pass_fuse_norm_pool(p);
    pass_fuse_bias(p);
    pass_choose_convolutions(p);
    pass_fuse_pool(p);
    program_place(p, a);
}
