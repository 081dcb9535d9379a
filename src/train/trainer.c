/* trainer.c - see trainer.h. */
#include "train/trainer.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/init.h"

/* Steps of an epoch and of the run. The small term keeps 3.3 epochs of 10 steps at 33. */
static int count_steps(const struct config *c, uint32_t images, uint64_t *per_epoch,
                       uint64_t *total, struct err *e)
{
    if ((uint32_t)c->batch > images)
        return err_set(e, EXIT_USAGE,
                       "batch (%d images) is larger than the training set (%u images)", c->batch,
                       images);
    *per_epoch = loader_steps(images, (uint32_t)c->batch, c->drop_last);
    double steps = ceil(c->epochs * (double)*per_epoch - 1e-6);
    if (steps >= 4294967296.0)
        return err_set(e, EXIT_USAGE, "epochs = %g makes a run of %.3g steps, too long to count",
                       c->epochs, steps);
    *total = steps < 1 ? 1 : (uint64_t)steps;
    return 0;
}

static size_t state_bytes(const struct trainer *t)
{
    size_t bytes = t->net.graph.state_count * t->net.backend->real_bytes;
    return bytes ? bytes : 1;
}

static double decay_factor(const struct config *c, const struct tensor *t)
{
    double factor = c->decay_factor[t->role];
    return t->scale_invariant ? factor * c->invariant_decay_factor : factor;
}

static int lars_start(struct trainer *t, struct err *e)
{
    const struct graph *g = &t->net.graph;
    const struct config *c = &t->config;
    struct lars_tensor *tensors =
        arena_alloc(&t->net.arena, (size_t)g->tensor_count, sizeof *tensors);
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *tensor = &g->tensors[i];
        tensors[i] = (struct lars_tensor){.offset = tensor->offset,
                                          .count = tensor->count,
                                          .rows = tensor->ndim > 1 ? (size_t)tensor->dims[0] : 0,
                                          .decay_factor = decay_factor(c, tensor)};
    }
    t->lars = (struct lars){.backend = t->net.backend,
                            .tensors = tensors,
                            .tensor_count = g->tensor_count,
                            .scope = (enum lars_scope)c->lars_scope,
                            .trust = c->lars_trust,
                            .eps = c->lars_eps,
                            .weight_decay = c->weight_decay,
                            .count = g->params_count};
    return lars_init(&t->lars, e);
}

static int optimiser_init(struct trainer *t, struct err *e)
{
    const struct graph *g = &t->net.graph;
    const struct config *c = &t->config;
    struct sgd_tensor *tensors =
        arena_alloc(&t->net.arena, (size_t)g->tensor_count, sizeof *tensors);
    t->hold = arena_alloc(&t->net.arena, (size_t)g->tensor_count, sizeof *t->hold);
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *tensor = &g->tensors[i];
        tensors[i] = (struct sgd_tensor){.offset = tensor->offset,
                                         .count = tensor->count,
                                         .lr_factor = c->lr_factor[tensor->role],
                                         .decay_factor = decay_factor(c, tensor)};
        t->hold[i] = (struct hold_tensor){.offset = tensor->offset, .count = tensor->count};
    }
    bool lars = c->optimizer == OPTIMIZER_LARS;
    t->sgd = (struct sgd){.backend = t->net.backend,
                          .tensors = tensors,
                          .tensor_count = g->tensor_count,
                          .momentum = c->momentum,
                          .weight_decay = lars ? 0 : c->weight_decay,
                          .nesterov = c->nesterov,
                          .count = g->params_count};
    return sgd_init(&t->sgd, e) || (lars && lars_start(t, e)) ? -1 : 0;
}

static void batch_init(struct trainer *t)
{
    struct arena *a = &t->net.arena;
    size_t size = (size_t)t->config.batch;
    t->batch.views = arena_alloc(a, size, sizeof *t->batch.views);
    t->batch.labels = arena_alloc(a, size, sizeof *t->batch.labels);
    t->batch.losses = arena_alloc(a, size, sizeof *t->batch.losses);
    t->batch.hits = arena_alloc(a, size, sizeof *t->batch.hits);
    t->order = arena_alloc(a, t->selection.train_count, sizeof *t->order);
    t->order_epoch = -1;
}

/* Everything on the device: model, slow weights, momentum, plans, images. */
static int device_init(struct trainer *t, struct err *e)
{
    struct network *net = &t->net;
    const struct images *images = t->images;
    if (network_init(net, &t->config, images, e) || optimiser_init(t, e))
        return -1;
    if (t->average.kind != AVERAGE_NONE && model_init(&t->slow, &net->graph, net->backend, e))
        return -1;
    struct backend *b = net->backend;
    t->state_before = b->ops->memory_new(b, state_bytes(t), "running statistics", e);
    if (!t->state_before)
        return -1;
    t->plan = plan_new(&net->model, t->config.batch, PLAN_TRAIN, e);
    if (!t->plan)
        return -1;
    /* Evaluation takes the same algorithms, so that a resumed run evaluates to the same bits. */
    plan_convolutions(t->plan, t->config.convolutions_recorded,
                      sizeof t->config.convolutions_recorded);
    b->convolution = t->config.convolutions_recorded;
    if (t->config.freeze_statistics >= 0) {
        t->frozen_plan = plan_new(&net->model, t->config.batch, PLAN_FROZEN, e);
        if (!t->frozen_plan)
            return -1;
    }
    if (evaluator_init(&t->evaluator, trainer_result_model(t), e))
        return -1;
    if (network_upload(net, &t->train_store, images, &images->train, "training images", e))
        return -1;
    return network_upload(net, &t->test_store, images, &images->test, "test images", e);
}

/* First weights, the slow ones included. */
static int weights_init(struct trainer *t, struct err *e)
{
    struct network *net = &t->net;
    struct backend *b = net->backend;
    if (network_start(net, &t->config, t->images, t->selection.train, t->selection.train_count, e))
        return -1;
    if (t->slow.params) {
        b->ops->copy(b, t->slow.params, net->model.params,
                     net->graph.params_count * b->real_bytes);
        b->ops->copy(b, t->slow.state, net->model.state, net->graph.state_count * b->real_bytes);
    }
    return 0;
}

int trainer_init(struct trainer *t, const struct config *c, const struct images *images,
                 bool start, struct err *e)
{
    memset(t, 0, sizeof *t);
    t->config = *c;
    t->images = images;
    t->best_accuracy = -1;
    t->last_loss = (double)NAN;
    t->last_accuracy = (double)NAN;
    t->average = config_average(c);
    const struct subset_options subset = config_subset(c);
    if (config_check(c, e) || config_schedule(c, &t->schedule, e) || dist_open(&t->dist, e) ||
        selection_init(&t->selection, images, &subset, e) ||
        count_steps(c, t->selection.train_count, &t->per_epoch, &t->total, e) ||
        device_init(t, e))
        return -1;
    batch_init(t);
    return start ? weights_init(t, e) : 0;
}

void trainer_release(struct trainer *t)
{
    struct backend *b = t->net.backend;
    if (t->images) {
        network_free_images(&t->net, &t->train_store, t->images->train.count);
        network_free_images(&t->net, &t->test_store, t->images->test.count);
    }
    evaluator_release(&t->evaluator);
    if (t->plan)
        plan_free(t->plan);
    if (t->frozen_plan)
        plan_free(t->frozen_plan);
    if (t->state_before)
        b->ops->memory_free(b, t->state_before, state_bytes(t));
    sgd_release(&t->sgd);
    lars_release(&t->lars);
    if (t->slow.params)
        model_release(&t->slow);
    network_release(&t->net);
    selection_release(&t->selection);
    carry_release(&t->carry);
    dist_close(&t->dist);
    memset(t, 0, sizeof *t);
}

struct model *trainer_result_model(struct trainer *t)
{
    return t->average.kind == AVERAGE_EMA ? &t->slow : &t->net.model;
}

double trainer_lr(const struct trainer *t)
{
    return t->config.lr * schedule_factor(&t->schedule, t->step, t->total, t->per_epoch);
}

void trainer_evaluate(struct trainer *t, bool validation, enum tta tta, struct eval_result *result,
                      struct eval_outcome *outcomes)
{
    const struct selection *s = &t->selection;
    const struct images *images = t->images;
    struct eval_set set = {
        .store = &t->test_store, .labels = images->test.labels, .count = images->test.count};
    if (validation)
        set = (struct eval_set){.store = &t->train_store,
                                .indices = s->validation,
                                .labels = images->train.labels,
                                .count = s->validation_count};
    evaluate(&t->evaluator, &set, tta, result, NULL, outcomes);
}

/* Bytes of parameters, gradients, state, momentum, the state before a step, and the slow weights;
 * each is a block of its own. */
static size_t weight_bytes(const struct graph *g, const struct backend *b, bool averaging)
{
    size_t params = big_bytes(g->params_count * b->real_bytes);
    size_t state = big_bytes(g->state_count * b->real_bytes);
    size_t model = 2 * params + state;
    return model + params + state + (averaging ? model : 0);
}

/* The host's copy of what a checkpoint writes beside the weights: momentum and slow weights. */
static size_t checkpoint_bytes(const struct graph *g, const struct backend *b, bool averaging)
{
    return (g->params_count * (averaging ? 2 : 1) + g->state_count) * b->real_bytes;
}

/* Images with label, place in the order and in the selection; on the device once more. */
static size_t image_bytes(const struct backend *b, struct shape input, size_t train, size_t test)
{
    size_t pixels = (size_t)(input.c * input.h * input.w) * (train + test);
    return big_bytes(pixels) * (b->shares_memory ? 1 : 2) + (train + test) +
           train * (1 + 2 * sizeof(uint32_t));
}

static size_t batch_bytes(const struct config *c)
{
    const struct batch *one = NULL;
    return (size_t)c->batch * (sizeof *one->views + sizeof *one->labels + sizeof *one->losses +
                               sizeof *one->hits);
}

/* The most at any one time: while training, or at the start, when no step has touched the plans yet
 * and whitening looks at images in double precision. */
static size_t all_bytes(const struct config *c, const struct graph *g, struct backend *b,
                        struct shape input, size_t train, size_t test)
{
    bool averaging = c->average != AVERAGE_NONE;
    size_t start = (size_t)init_images_wanted(g) * (size_t)(input.c * input.h * input.w) *
                   sizeof(double);
    bool freezing = c->freeze_statistics >= 0;
    size_t steps = big_bytes(plan_bytes(g, b, c->batch, PLAN_TRAIN)) +
                   (freezing ? big_bytes(plan_bytes(g, b, c->batch, PLAN_FROZEN)) : 0) +
                   big_bytes(evaluator_bytes(g, b)) + big_bytes(b->scratch_bytes) +
                   checkpoint_bytes(g, b, averaging) + batch_bytes(c);
    size_t lars = c->optimizer == OPTIMIZER_LARS ? g->params_count * b->real_bytes : 0;
    return weight_bytes(g, b, averaging) + big_bytes(lars) +
           image_bytes(b, input, train, test) +
           (start > steps ? start : steps);
}

int trainer_estimate(const struct config *c, struct shape input, int classes, uint32_t train_images,
                     uint32_t test_images, struct train_estimate *out, struct err *e)
{
    struct network net;
    *out = (struct train_estimate){0};
    int status = -1;
    const struct subset_options subset = config_subset(c);
    uint32_t used;
    if (network_open(&net, c, input, classes, e) || config_check(c, e) ||
        selection_count(&subset, train_images, &used, e) ||
        count_steps(c, used, &out->steps_per_epoch, &out->total_steps, e))
        goto out;
    out->train_images = used;
    out->memory = all_bytes(c, &net.graph, net.backend, input, train_images, test_images);
    out->parameters = graph_parameters(&net.graph);
    out->training_macs = graph_training_macs(&net.graph);
    out->total_macs = out->training_macs * (double)out->total_steps * c->batch;
    status = 0;
out:
    network_release(&net);
    return status;
}

size_t trainer_memory(const struct trainer *t)
{
    const struct images *images = t->images;
    const struct shape input = {images->channels, IMAGE_SIDE, IMAGE_SIDE};
    return all_bytes(&t->config, &t->net.graph, t->net.backend, input, images->train.count,
                     images->test.count);
}
