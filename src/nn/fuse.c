/* fuse.c - passes that make one step of several, so that what lies between them never goes through
 * memory. What each is worth: docs/kernels.md. */
#include <assert.h>

#include "nn/program.h"

/* The step of `op` that reads `value`, or NULL; *others counts the rest of the readers. */
static struct step *reader_of(struct program *p, int value, const struct operation *op, int *others)
{
    struct step *found = NULL;
    *others = 0;
    for (int i = 0; i < p->step_count; i++) {
        struct step *s = &p->steps[i];
        bool reads = false;
        for (int j = 0; s->op && j < s->read_count; j++)
            reads = reads || s->reads[j] == value;
        if (reads && s->op == op && !found)
            found = s;
        else
            *others += reads;
    }
    return found;
}

static struct step *backward_of_norm(struct program *p, int node)
{
    for (int i = p->loss; i < p->step_count; i++)
        if (p->steps[i].op == &op_norm_backward && p->steps[i].node == node)
            return &p->steps[i];
    return NULL;
}

/* norm: x -> u, act: u -> y             becomes  norm with act: x -> y
 * act-backward: (u, dy) -> du, norm-backward: (x, .., du) -> dx
 *                                       becomes  norm-backward with act: (x, .., dy) -> dx */
static void fuse(struct program *p, struct step *norm, struct step *act, struct step *act_back)
{
    struct step *norm_back = backward_of_norm(p, norm->node);
    norm->norm.shape.act = act->act.act;
    norm->norm.shape.act_param = act->act.param;
    norm->writes[0] = act->writes[0];
    act->op = NULL;
    if (!act_back)
        return;
    assert(norm_back && norm_back->reads[3] == act_back->writes[0]);
    norm_back->norm.shape.act = act->act.act;
    norm_back->norm.shape.act_param = act->act.param;
    norm_back->reads[3] = act_back->reads[1];
    act_back->op = NULL;
}

void pass_fuse_activation(struct program *p)
{
    for (int i = 0; i < p->loss; i++) {
        struct step *norm = &p->steps[i];
        if (norm->op != &op_norm || norm->norm.shape.act != ACT_NONE)
            continue;
        int others, u = norm->writes[0];
        struct step *act = reader_of(p, u, &op_act, &others);
        struct step *act_back = reader_of(p, u, &op_act_backward, &others);
        /* act and act-backward each count the other as one of the others. */
        if (act && program_readers(p, u, NULL) == 1 + (act_back != NULL))
            fuse(p, norm, act, act_back);
    }
    program_compact(p);
}

/* act-backward: (u, dy) -> du, conv-backward-weights: (x, du) -> dbias
 *                                       become  act-backward with bias: (u, dy) -> dbias */
void pass_fuse_bias(struct program *p)
{
    for (int i = p->loss; i < p->step_count; i++) {
        struct step *act = &p->steps[i], *conv = NULL;
        if (act->op != &op_act_backward || program_readers(p, act->writes[0], &conv) != 1 ||
            conv->op != &op_conv_backward_weights || conv->gradients[1] < 0 ||
            !p->graph->tensors[conv->gradients[0]].frozen)
            continue;
        act->op = &op_act_backward_bias;
        act->gradients[1] = conv->gradients[1];
        act->writes[0] = conv->writes[0]; /* the workspace */
        conv->op = NULL;
    }
    program_compact(p);
}

/* Whether the pool takes windows of 2x2 without gaps from all of h x w outputs. */
static bool halves(const struct step *pool, int h, int w)
{
    return pool->pool.window == 2 && pool->pool.stride == 2 && h == 2 * pool->pool.p &&
           w == 2 * pool->pool.q;
}

/* norm-backward behind a pool: pool-backward: (dy, maxima) -> du, norm-backward: (x, .., du) -> dx
 *                                       becomes  norm-backward: (x, .., dy, maxima) -> dx */
static void fuse_norm_pool_backward(struct program *p, const struct step *norm)
{
    struct step *back = backward_of_norm(p, norm->node), *only = NULL;
    if (!back)
        return;
    struct step *pool = program_writer(p, back->reads[3]);
    if (pool->op != &op_maxpool_backward || program_readers(p, pool->writes[0], &only) != 1)
        return;
    back->op = &op_norm_pool_backward;
    back->reads[3] = pool->reads[0];
    step_reads(back, pool->reads[1]);
    pool->op = NULL;
}

/* norm: x -> u, pool: u -> y, maxima     becomes  norm with pool: x -> y, maxima
 * Not behind activations whose slope is dear, because the gradient takes it twice. */
void pass_fuse_norm_pool(struct program *p)
{
    for (int i = 0; i < p->loss; i++) {
        struct step *norm = &p->steps[i], *pool = NULL;
        const struct norm_shape *s = &norm->norm.shape;
        if (norm->op != &op_norm || (s->act != ACT_NONE && s->act != ACT_RELU) ||
            program_readers(p, norm->writes[0], &pool) != 1 || pool->op != &op_maxpool ||
            !halves(pool, s->h, s->w))
            continue;
        norm->op = &op_norm_pool;
        norm->writes[0] = pool->writes[0];
        if (pool->write_count > 1)
            step_writes(norm, pool->writes[1]);
        pool->op = NULL;
        fuse_norm_pool_backward(p, norm);
    }
    program_compact(p);
}

/* conv: x -> u, pool: u -> y, maxima     becomes  conv with pool: x -> y, maxima */
static void pass_fuse_pool_forward(struct program *p)
{
    const struct backend_ops *ops = p->backend->ops;
    for (int i = 0; i < p->loss; i++) {
        struct step *conv = &p->steps[i], *pool = NULL;
        if (conv->op != &op_conv || program_readers(p, conv->writes[0], &pool) != 1 ||
            pool->op != &op_maxpool || !halves(pool, conv->conv.p, conv->conv.q) ||
            !ops->conv_pools(p->backend, &conv->conv, CONV_FORWARD))
            continue;
        conv->op = &op_conv_pool;
        conv->writes[0] = pool->writes[0];
        if (pool->write_count > 1)
            step_writes(conv, pool->writes[1]);
        pool->op = NULL;
    }
}

/* The same pass of a convolution from its pool's gradient instead of its own; NULL if there is
 * none, or if it makes the gradient of a bias too, which is summed over all pixels. */
static const struct operation *from_pool(const struct step *s, enum conv_pass *pass)
{
    bool data = s->op == &op_conv_backward_data;
    *pass = data ? CONV_BACKWARD_DATA : CONV_BACKWARD_WEIGHTS;
    if (data)
        return &op_conv_pool_backward_data;
    return s->op == &op_conv_backward_weights && s->gradients[1] < 0
               ? &op_conv_pool_backward_weights
               : NULL;
}

static bool reads_value(const struct step *s, int value)
{
    for (int j = 0; s->op && j < s->read_count; j++)
        if (s->reads[j] == value)
            return true;
    return false;
}

/* Whether all steps that read what the pool's backward step writes can do without. */
static bool can_spread(const struct program *p, const struct step *pool)
{
    for (int i = p->loss; i < p->step_count; i++) {
        const struct step *s = &p->steps[i];
        enum conv_pass pass;
        if (reads_value(s, pool->writes[0]) &&
            (!from_pool(s, &pass) || !halves(pool, s->conv.p, s->conv.q) ||
             !p->backend->ops->conv_pools(p->backend, &s->conv, pass)))
            return false;
    }
    return true;
}

/* pool-backward: (dy, maxima) -> du, and the convolution's du -> dx, (x, du) -> dw
 *                                       become  (dy, maxima) -> dx, (x, dy, maxima) -> dw */
static void pass_fuse_pool_backward(struct program *p)
{
    for (int i = p->loss; i < p->step_count; i++) {
        struct step *pool = &p->steps[i];
        if (pool->op != &op_maxpool_backward || !can_spread(p, pool))
            continue;
        for (int k = i + 1; k < p->step_count; k++) {
            struct step *s = &p->steps[k];
            enum conv_pass pass;
            if (!reads_value(s, pool->writes[0]))
                continue;
            s->op = from_pool(s, &pass);
            s->reads[pass == CONV_BACKWARD_WEIGHTS] = pool->reads[0];
            step_reads(s, pool->reads[1]);
        }
        pool->op = NULL;
    }
}

void pass_fuse_pool(struct program *p)
{
    pass_fuse_pool_forward(p);
    pass_fuse_pool_backward(p);
    program_compact(p);
}
