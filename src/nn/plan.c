/* plan.c - see plan.h: a program with memory under it, and the loop that runs it. */
#include <assert.h>
#include <stdlib.h>

#include "nn/program.h"

struct plan {
    struct program program;
    struct model *model;
    struct arena arena;
    char *block;          /* device, program.bytes */
    struct map *maps;     /* [value_count] */
    bool *running;        /* [step_count]: by the last look at model.trainable */
    bool *wanted;         /* [value_count] */
};

static void set_maps(struct plan *p)
{
    for (int v = 0; v < p->program.value_count; v++) {
        const struct value *x = &p->program.values[v];
        p->maps[v] = (struct map){p->block + x->offset, x->shape.c, x->shape.h, x->shape.w};
    }
}

struct plan *plan_new(struct model *m, int batch, enum plan_mode mode, struct err *e)
{
    assert(batch > 0);
    struct plan *p = xcalloc(1, sizeof *p);
    p->model = m;
    program_init(&p->program, &p->arena, m->graph, m->backend, batch, mode);
    p->block = m->backend->ops->memory_new(m->backend, p->program.bytes, "activations", e);
    if (!p->block) {
        plan_free(p);
        return NULL;
    }
    size_t values = (size_t)p->program.value_count, steps = (size_t)p->program.step_count;
    p->maps = arena_alloc(&p->arena, values, sizeof *p->maps);
    p->wanted = arena_alloc(&p->arena, values, sizeof *p->wanted);
    p->running = arena_alloc(&p->arena, steps, sizeof *p->running);
    set_maps(p);
    program_needs(&p->program, m->trainable, p->running, p->wanted);
    return p;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    if (p->block)
        p->model->backend->ops->memory_free(p->model->backend, p->block, p->program.bytes);
    arena_release(&p->arena);
    free(p);
}

size_t plan_bytes(const struct graph *g, struct backend *b, int batch, enum plan_mode mode)
{
    struct arena arena;
    arena_init(&arena);
    struct program p;
    program_init(&p, &arena, g, b, batch, mode);
    arena_release(&arena);
    return p.bytes;
}

const struct map *plan_input(struct plan *p)
{
    return &p->maps[p->program.input];
}

const struct map *plan_logits(struct plan *p)
{
    return &p->maps[p->program.logits];
}

const struct map *plan_dlogits(struct plan *p)
{
    assert(p->program.mode != PLAN_EVAL);
    return &p->maps[p->program.dlogits];
}

void plan_convolutions(const struct plan *p, char *text, size_t size)
{
    program_convolutions(&p->program, text, size);
}

static void run_steps(struct plan *p, int first, int end, int n)
{
    assert(n > 0 && n <= p->program.batch);
    const struct run run = {
        .model = p->model,
        .maps = p->maps,
        .wanted = p->wanted,
        .n = n,
        .training = p->program.mode != PLAN_EVAL,
    };
    for (int i = first; i < end; i++)
        if (p->running[i])
            p->program.steps[i].op->run(&run, &p->program.steps[i]);
}

void plan_forward(struct plan *p, int n)
{
    run_steps(p, 0, p->program.loss, n);
}

void plan_backward(struct plan *p, int n)
{
    assert(p->program.mode != PLAN_EVAL);
    program_needs(&p->program, p->model->trainable, p->running, p->wanted);
    run_steps(p, p->program.loss, p->program.step_count, n);
}

void plan_set_norm_momentum(struct plan *p, double momentum)
{
    for (int i = 0; i < p->program.step_count; i++)
        if (p->program.steps[i].op == &op_norm_statistics)
            p->program.steps[i].norm.shape.momentum = momentum;
}

int plan_step_count(const struct plan *p)
{
    return p->program.step_count;
}

/* The pass of a convolution that a step is, or -1. */
static int pass_of(const struct step *s)
{
    return s->op == &op_conv || s->op == &op_conv_pool ? CONV_FORWARD
           : s->op == &op_conv_backward_data || s->op == &op_conv_pool_backward_data
               ? CONV_BACKWARD_DATA
           : s->op == &op_conv_backward_weights || s->op == &op_conv_pool_backward_weights
               ? CONV_BACKWARD_WEIGHTS
               : -1;
}

static bool is_pooled(const struct step *s)
{
    return s->op == &op_conv_pool || s->op == &op_conv_pool_backward_data ||
           s->op == &op_conv_pool_backward_weights;
}

void plan_step_describe(const struct plan *p, int step, struct plan_step_info *info)
{
    const struct program *program = &p->program;
    const struct step *s = &program->steps[step];
    double bytes = 0;
    for (int i = 0; i < s->read_count; i++)
        bytes += (double)program->values[s->reads[i]].bytes;
    for (int i = 0; i < s->write_count; i++)
        bytes += (double)program->values[s->writes[i]].bytes;
    *info = (struct plan_step_info){
        .name = program->graph->nodes[s->node].name,
        .phase = s->op->phase,
        .flops = s->op->macs ? 2 * s->op->macs(s) : 0,
        .bytes = bytes / program->batch,
        .conv = pass_of(s) < 0 ? NULL : &s->conv,
        .pass = pass_of(s),
        .pooled = is_pooled(s),
        .needed = p->running[step],
    };
}

void plan_step_run(struct plan *p, int step, int n)
{
    run_steps(p, step, step + 1, n);
}
