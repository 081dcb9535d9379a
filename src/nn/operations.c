/* operations.c - the plain operations: each hands one step to the backend. */
#include <assert.h>

#include "nn/program.h"

static void nothing(const struct run *r, const struct step *s)
{
    (void)r;
    (void)s;
}

const struct operation op_input = {.phase = "input", .run = nothing};
const struct operation op_loss = {.phase = "loss", .run = nothing};

static const struct backend_ops *ops_of(const struct run *r)
{
    return r->model->backend->ops;
}

static const struct map *read_map(const struct run *r, const struct step *s, int i)
{
    return &r->maps[s->reads[i]];
}

static const struct map *write_map(const struct run *r, const struct step *s, int i)
{
    return &r->maps[s->writes[i]];
}

static void *tensor(const struct run *r, int t)
{
    return t < 0 ? NULL : model_tensor(r->model, t);
}

/* Where a gradient goes; NULL if its tensor does not train now. */
static void *gradient(const struct run *r, int t)
{
    return t < 0 || !r->model->trainable[t] ? NULL : model_gradient(r->model, t);
}

/* The written map, without an address if nobody reads it. */
static struct map wanted_map(const struct run *r, const struct step *s, int i)
{
    struct map m = *write_map(r, s, i);
    if (!r->wanted[s->writes[i]])
        m.data = NULL;
    return m;
}

/* Convolution. */

static void pack_run(const struct run *r, const struct step *s)
{
    ops_of(r)->conv_pack(r->model->backend, &s->conv, tensor(r, s->tensors[0]), s->with_backward,
                         write_map(r, s, 0)->data);
}

static void pack_measure(struct program *p, struct step *s)
{
    s->with_backward = false;
    for (int i = 0; i < p->step_count; i++)
        if ((p->steps[i].op == &op_conv_backward_data ||
             p->steps[i].op == &op_conv_pool_backward_data) &&
            p->steps[i].reads[1] == s->writes[0])
            s->with_backward = true;
    p->values[s->writes[0]].bytes =
        p->backend->ops->conv_packed_bytes(p->backend, &s->conv, s->with_backward);
}

static void conv_run(const struct run *r, const struct step *s)
{
    ops_of(r)->conv_forward(r->model->backend, r->n, &s->conv, read_map(r, s, 0),
                            read_map(r, s, 1)->data, tensor(r, s->tensors[1]),
                            write_map(r, s, 0), write_map(r, s, 1)->data);
}

/* Writes the pool's map, a workspace and, in training, the positions of the maxima. */
static void conv_pool_run(const struct run *r, const struct step *s)
{
    uint8_t *argmax = s->write_count > 2 ? write_map(r, s, 2)->data : NULL;
    ops_of(r)->conv_pool_forward(r->model->backend, r->n, &s->conv, read_map(r, s, 0),
                                 read_map(r, s, 1)->data, tensor(r, s->tensors[1]),
                                 write_map(r, s, 0), argmax, write_map(r, s, 1)->data);
}

static void conv_data_run(const struct run *r, const struct step *s)
{
    ops_of(r)->conv_backward_data(r->model->backend, r->n, &s->conv, read_map(r, s, 0),
                                  read_map(r, s, 1)->data, write_map(r, s, 0),
                                  write_map(r, s, 1)->data);
}

static void conv_weights_run(const struct run *r, const struct step *s)
{
    ops_of(r)->conv_backward_weights(r->model->backend, r->n, &s->conv, read_map(r, s, 0),
                                     read_map(r, s, 1), gradient(r, s->gradients[0]),
                                     gradient(r, s->gradients[1]), write_map(r, s, 0)->data);
}

/* From the gradient of the pool behind and the positions of its maxima. */
static void conv_pool_data_run(const struct run *r, const struct step *s)
{
    ops_of(r)->conv_pool_backward_data(r->model->backend, r->n, &s->conv, read_map(r, s, 0),
                                       read_map(r, s, 2)->data, read_map(r, s, 1)->data,
                                       write_map(r, s, 0), write_map(r, s, 1)->data);
}

static void conv_pool_weights_run(const struct run *r, const struct step *s)
{
    void *dw = gradient(r, s->gradients[0]);
    if (dw)
        ops_of(r)->conv_pool_backward_weights(r->model->backend, r->n, &s->conv,
                                              read_map(r, s, 0), read_map(r, s, 1),
                                              read_map(r, s, 2)->data, dw,
                                              write_map(r, s, 0)->data);
}

static void conv_measure(struct program *p, struct step *s)
{
    p->values[s->writes[1]].bytes =
        p->backend->ops->conv_workspace(p->backend, p->batch, &s->conv, CONV_FORWARD);
}

/* Bytes of the positions of the maxima that a pool takes: one for each element of its map. */
static size_t argmax_bytes(const struct program *p, int c, int h, int w)
{
    enum precision precision = p->backend->precision;
    return layout_bytes(precision, p->batch, h, w, c) / precision_bytes(precision);
}

static void conv_pool_measure(struct program *p, struct step *s)
{
    conv_measure(p, s);
    if (s->write_count > 2)
        p->values[s->writes[2]].bytes =
            argmax_bytes(p, s->conv.k, s->conv.p / 2, s->conv.q / 2);
}

static void conv_data_measure(struct program *p, struct step *s)
{
    p->values[s->writes[1]].bytes =
        p->backend->ops->conv_workspace(p->backend, p->batch, &s->conv, CONV_BACKWARD_DATA);
}

static void conv_weights_measure(struct program *p, struct step *s)
{
    p->values[s->writes[0]].bytes =
        p->backend->ops->conv_workspace(p->backend, p->batch, &s->conv, CONV_BACKWARD_WEIGHTS);
}

static double conv_macs(const struct step *s)
{
    const struct conv_shape *c = &s->conv;
    return (double)c->k * c->p * c->q * c->c * c->r * c->s;
}

const struct operation op_conv_pack = {
    .phase = "pack", .run = pack_run, .measure = pack_measure};
const struct operation op_conv = {
    .phase = "forward", .run = conv_run, .measure = conv_measure, .macs = conv_macs};
const struct operation op_conv_pool = {
    .phase = "forward+pool", .run = conv_pool_run, .measure = conv_pool_measure,
    .macs = conv_macs};
const struct operation op_conv_backward_data = {.phase = "backward-data",
                                                .run = conv_data_run,
                                                .measure = conv_data_measure,
                                                .macs = conv_macs};
const struct operation op_conv_backward_weights = {.phase = "backward-weights",
                                                   .run = conv_weights_run,
                                                   .measure = conv_weights_measure,
                                                   .macs = conv_macs};
const struct operation op_conv_pool_backward_data = {.phase = "pool+backward-data",
                                                     .run = conv_pool_data_run,
                                                     .measure = conv_data_measure,
                                                     .macs = conv_macs};
const struct operation op_conv_pool_backward_weights = {.phase = "pool+backward-weights",
                                                        .run = conv_pool_weights_run,
                                                        .measure = conv_weights_measure,
                                                        .macs = conv_macs};

/* Batch norm: tensors are scale, bias, running mean, running variance. */

/* The shape with the number of groups that n images have. */
static struct norm_shape norm_shape_for(const struct norm_params *p, int n, bool training)
{
    struct norm_shape shape = p->shape;
    if (!training || shape.frozen)
        shape.groups = 1;
    else if (p->ghost)
        shape.groups = n / p->ghost > 1 ? n / p->ghost : 1;
    else if (shape.groups > n)
        shape.groups = n;
    return shape;
}

static struct norm_tensors norm_tensors_for(const struct run *r, const struct step *s, int mean,
                                            int rstd)
{
    return (struct norm_tensors){
        .scale = tensor(r, s->tensors[0]),
        .bias = tensor(r, s->tensors[1]),
        .running_mean = tensor(r, s->tensors[2]),
        .running_var = tensor(r, s->tensors[3]),
        .mean = r->maps[mean].data,
        .rstd = r->maps[rstd].data,
    };
}

static void statistics_run(const struct run *r, const struct step *s)
{
    const struct norm_shape shape = norm_shape_for(&s->norm, r->n, r->training);
    const struct norm_tensors t = norm_tensors_for(r, s, s->writes[0], s->writes[1]);
    ops_of(r)->norm_statistics(r->model->backend, r->n, &shape, read_map(r, s, 0), &t,
                               write_map(r, s, 2)->data);
}

static void running_run(const struct run *r, const struct step *s)
{
    const struct norm_shape shape = norm_shape_for(&s->norm, r->n, r->training);
    const struct norm_tensors t = norm_tensors_for(r, s, s->writes[0], s->writes[1]);
    ops_of(r)->norm_use_running(r->model->backend, &shape, &t);
}

static void norm_run(const struct run *r, const struct step *s)
{
    const struct norm_shape shape = norm_shape_for(&s->norm, r->n, r->training);
    const struct norm_tensors t = norm_tensors_for(r, s, s->reads[1], s->reads[2]);
    ops_of(r)->norm_forward(r->model->backend, r->n, &shape, read_map(r, s, 0), &t,
                            write_map(r, s, 0));
}

static void norm_backward_run(const struct run *r, const struct step *s)
{
    const struct norm_shape shape = norm_shape_for(&s->norm, r->n, r->training);
    const struct norm_tensors t = norm_tensors_for(r, s, s->reads[1], s->reads[2]);
    const struct map dx = wanted_map(r, s, 0);
    const uint8_t *argmax = s->read_count > 4 ? read_map(r, s, 4)->data : NULL;
    ops_of(r)->norm_backward(r->model->backend, r->n, &shape, read_map(r, s, 0), &t,
                             read_map(r, s, 3), argmax, gradient(r, s->gradients[0]),
                             gradient(r, s->gradients[1]), &dx, write_map(r, s, 1)->data);
}

/* Writes the pool's map and, in training, the positions of the maxima. */
static void norm_pool_run(const struct run *r, const struct step *s)
{
    const struct norm_shape shape = norm_shape_for(&s->norm, r->n, r->training);
    const struct norm_tensors t = norm_tensors_for(r, s, s->reads[1], s->reads[2]);
    uint8_t *argmax = s->write_count > 1 ? write_map(r, s, 1)->data : NULL;
    ops_of(r)->norm_pool_forward(r->model->backend, r->n, &shape, read_map(r, s, 0), &t,
                                 write_map(r, s, 0), argmax);
}

static void norm_pool_measure(struct program *p, struct step *s)
{
    const struct norm_shape *n = &s->norm.shape;
    if (s->write_count > 1)
        p->values[s->writes[1]].bytes = argmax_bytes(p, n->c, n->h / 2, n->w / 2);
}

static void moments_measure(struct program *p, struct step *s)
{
    const struct norm_shape shape =
        norm_shape_for(&s->norm, p->batch, p->mode != PLAN_EVAL);
    size_t bytes = (size_t)shape.groups * (size_t)shape.c * p->backend->real_bytes;
    p->values[s->writes[0]].bytes = p->values[s->writes[1]].bytes = bytes;
    if (s->op == &op_norm_statistics)
        p->values[s->writes[2]].bytes =
            p->backend->ops->norm_workspace(p->backend, p->batch, &shape);
}

static void norm_backward_measure(struct program *p, struct step *s)
{
    const struct norm_shape shape =
        norm_shape_for(&s->norm, p->batch, p->mode != PLAN_EVAL);
    p->values[s->writes[1]].bytes = p->backend->ops->norm_workspace(p->backend, p->batch, &shape);
}

const struct operation op_norm_statistics = {
    .phase = "statistics", .run = statistics_run, .measure = moments_measure};
const struct operation op_norm_running = {
    .phase = "running-statistics", .run = running_run, .measure = moments_measure};
const struct operation op_norm = {.phase = "norm", .run = norm_run};
const struct operation op_norm_backward = {.phase = "norm-backward",
                                           .in_place = 1u << 3,
                                           .run = norm_backward_run,
                                           .measure = norm_backward_measure};
const struct operation op_norm_pool = {
    .phase = "norm+pool", .run = norm_pool_run, .measure = norm_pool_measure};
const struct operation op_norm_pool_backward = {.phase = "pool+norm-backward",
                                                .in_place = 1,
                                                .run = norm_backward_run,
                                                .measure = norm_backward_measure};

/* Activations. */

static void act_run(const struct run *r, const struct step *s)
{
    ops_of(r)->act_forward(r->model->backend, r->n, s->act.act, s->act.param, read_map(r, s, 0),
                           write_map(r, s, 0));
}

static void act_backward_run(const struct run *r, const struct step *s)
{
    ops_of(r)->act_backward(r->model->backend, r->n, s->act.act, s->act.param, read_map(r, s, 0),
                            read_map(r, s, 1), write_map(r, s, 0));
}

/* What of a convolution in front of it is left to be done: the gradient of its bias. */
static void act_bias_run(const struct run *r, const struct step *s)
{
    void *dbias = gradient(r, s->gradients[1]);
    if (dbias)
        ops_of(r)->act_backward_bias(r->model->backend, r->n, s->act.act, s->act.param,
                                     read_map(r, s, 0), read_map(r, s, 1), dbias,
                                     write_map(r, s, 0)->data);
}

static void act_bias_measure(struct program *p, struct step *s)
{
    const struct shape *shape = &p->values[s->reads[1]].shape;
    const struct map dy = {NULL, shape->c, shape->h, shape->w};
    p->values[s->writes[0]].bytes =
        p->backend->ops->act_bias_workspace(p->backend, p->batch, &dy);
}

const struct operation op_act = {.phase = "activation", .in_place = 1, .run = act_run};
const struct operation op_act_backward = {
    .phase = "activation-backward", .in_place = 1u << 1, .run = act_backward_run};
const struct operation op_act_backward_bias = {
    .phase = "act+backward-bias", .run = act_bias_run, .measure = act_bias_measure};

/* Pooling: maxpool writes the map and, in training, the positions of the maxima. */

static void maxpool_run(const struct run *r, const struct step *s)
{
    uint8_t *argmax = s->write_count > 1 ? write_map(r, s, 1)->data : NULL;
    ops_of(r)->maxpool_forward(r->model->backend, r->n, &s->pool, read_map(r, s, 0),
                               write_map(r, s, 0), argmax);
}

static void maxpool_measure(struct program *p, struct step *s)
{
    if (s->write_count > 1)
        p->values[s->writes[1]].bytes = argmax_bytes(p, s->pool.c, s->pool.p, s->pool.q);
}

static void maxpool_backward_run(const struct run *r, const struct step *s)
{
    ops_of(r)->maxpool_backward(r->model->backend, r->n, &s->pool, read_map(r, s, 0),
                                read_map(r, s, 1)->data, write_map(r, s, 0));
}

static void avgpool_run(const struct run *r, const struct step *s)
{
    ops_of(r)->avgpool_forward(r->model->backend, r->n, &s->pool, read_map(r, s, 0),
                               write_map(r, s, 0));
}

static void avgpool_backward_run(const struct run *r, const struct step *s)
{
    ops_of(r)->avgpool_backward(r->model->backend, r->n, &s->pool, read_map(r, s, 0),
                                write_map(r, s, 0));
}

const struct operation op_maxpool = {
    .phase = "pool", .run = maxpool_run, .measure = maxpool_measure};
const struct operation op_maxpool_backward = {
    .phase = "pool-backward", .run = maxpool_backward_run};
const struct operation op_avgpool = {.phase = "pool", .run = avgpool_run};
const struct operation op_avgpool_backward = {
    .phase = "pool-backward", .run = avgpool_backward_run};

/* The rest. */

static void add_run(const struct run *r, const struct step *s)
{
    ops_of(r)->add(r->model->backend, r->n, read_map(r, s, 0), read_map(r, s, 1),
                   write_map(r, s, 0));
}

static void concat_run(const struct run *r, const struct step *s)
{
    for (int i = 0, first = 0; i < s->read_count; i++) {
        const struct map *part = read_map(r, s, i);
        ops_of(r)->concat(r->model->backend, r->n, part, first, write_map(r, s, 0));
        first += part->c;
    }
}

static void split_run(const struct run *r, const struct step *s)
{
    ops_of(r)->split(r->model->backend, r->n, read_map(r, s, 0), s->first_channel,
                     write_map(r, s, 0));
}

static void scale_run(const struct run *r, const struct step *s)
{
    ops_of(r)->scale(r->model->backend, r->n, s->factor, read_map(r, s, 0), write_map(r, s, 0));
}

const struct operation op_add = {.phase = "add", .in_place = 3, .run = add_run};
const struct operation op_concat = {.phase = "concat", .run = concat_run};
const struct operation op_split = {.phase = "split", .run = split_run};
const struct operation op_scale = {.phase = "scale", .in_place = 1, .run = scale_run};
