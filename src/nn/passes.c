/* passes.c - rewrites of a program that leave its numbers as they are. */
#include <assert.h>
#include <string.h>

#include "nn/program.h"

int program_readers(const struct program *p, int value, struct step **only)
{
    int count = 0;
    for (int i = 0; i < p->step_count; i++) {
        struct step *s = &p->steps[i];
        bool reads = false;
        for (int j = 0; s->op && j < s->read_count; j++)
            reads = reads || s->reads[j] == value;
        if (reads && only)
            *only = s;
        count += reads;
    }
    return count;
}

struct step *program_writer(const struct program *p, int value)
{
    for (int i = 0; i < p->step_count; i++)
        for (int j = 0; p->steps[i].op && j < p->steps[i].write_count; j++)
            if (p->steps[i].writes[j] == value)
                return &p->steps[i];
    assert(false && "a value that no step writes");
    return NULL;
}

void program_compact(struct program *p)
{
    int kept = 0;
    for (int i = 0; i < p->step_count; i++) {
        if (!p->steps[i].op)
            continue;
        p->steps[kept] = p->steps[i];
        if (p->steps[kept].op == &op_loss)
            p->loss = kept;
        kept++;
    }
    p->step_count = kept;
}

void program_needs(const struct program *p, const bool *trainable, bool *running, bool *wanted)
{
    memset(wanted, 0, (size_t)p->value_count * sizeof *wanted);
    for (int i = p->step_count - 1; i >= 0; i--) {
        const struct step *s = &p->steps[i];
        bool needed = i <= p->loss;
        for (int j = 0; j < STEP_GRADIENTS; j++)
            needed = needed || (s->gradients[j] >= 0 && trainable[s->gradients[j]]);
        for (int j = 0; j < s->write_count; j++)
            needed = needed || wanted[s->writes[j]];
        running[i] = needed;
        for (int j = 0; needed && j < s->read_count; j++)
            wanted[s->reads[j]] = true;
    }
}

void pass_drop_unneeded(struct program *p, struct arena *a)
{
    const struct graph *g = p->graph;
    bool *trainable = arena_alloc(a, (size_t)g->tensor_count, sizeof *trainable);
    bool *running = arena_alloc(a, (size_t)p->step_count, sizeof *running);
    bool *wanted = arena_alloc(a, (size_t)p->value_count, sizeof *wanted);
    for (int t = 0; t < g->tensor_count; t++)
        trainable[t] = !g->tensors[t].frozen && !g->tensors[t].is_state;
    program_compact(p); /* finds the loss step */
    program_needs(p, trainable, running, wanted);
    for (int i = 0; i < p->step_count; i++)
        if (!running[i])
            p->steps[i].op = NULL;
    program_compact(p);
}

static bool is_conv(const struct step *s)
{
    return s->op == &op_conv || s->op == &op_conv_pack || s->op == &op_conv_backward_data ||
           s->op == &op_conv_backward_weights;
}

static bool is_pool(const struct step *s)
{
    return s->op == &op_maxpool || s->op == &op_maxpool_backward || s->op == &op_avgpool ||
           s->op == &op_avgpool_backward;
}

/* Rows (or columns) that windows of a pool cover. */
static int covered(int outputs, const struct pool_shape *s)
{
    return (outputs - 1) * s->stride + s->window;
}

/* Makes every step of the two nodes work on the smaller map between them. */
static void trim_between(struct program *p, int conv, int pool, int h, int w)
{
    for (int i = 0; i < p->step_count; i++) {
        struct step *s = &p->steps[i];
        if (s->node == conv && is_conv(s)) {
            s->conv.p = h;
            s->conv.q = w;
        } else if (s->node == pool && is_pool(s)) {
            s->pool.h = h;
            s->pool.w = w;
            if (s->op == &op_maxpool_backward || s->op == &op_avgpool_backward) {
                p->values[s->writes[0]].shape.h = h;
                p->values[s->writes[0]].shape.w = w;
            }
        }
    }
}

void pass_trim(struct program *p)
{
    for (int i = 0; i < p->loss; i++) {
        struct step *conv = &p->steps[i], *pool = NULL;
        if (conv->op != &op_conv || program_readers(p, conv->writes[0], &pool) != 1 ||
            !is_pool(pool))
            continue;
        struct value *y = &p->values[conv->writes[0]];
        int h = covered(pool->pool.p, &pool->pool), w = covered(pool->pool.q, &pool->pool);
        if (h >= y->shape.h && w >= y->shape.w)
            continue;
        y->shape.h = h;
        y->shape.w = w;
        trim_between(p, conv->node, pool->node, h, w);
    }
}
