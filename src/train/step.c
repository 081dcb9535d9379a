/* step.c - one training step: load and augment, forward, loss, backward, reduce, check, update.
 *
 * This is the whole of training; everything else in kiln prepares it or looks at what it does. The
 * numbers live in device memory and the work is done by two parties: the plan (nn/plan.h) runs the
 * network, the backend (backend/backend.h) does what concerns a whole vector. What a step does is
 * a function of the model, the optimiser's state and the step's number, of nothing else.
 */
#include "train/step.h"

#include <math.h>
#include <stdio.h>

#include "train/batch.h"

/* The whitening layer's bias trains for the first epochs only (airbench: three). */
static void choose_trainable(struct trainer *t)
{
    double epochs = t->config.whiten_bias_epochs;
    bool whiten = epochs < 0 || (double)t->step < epochs * (double)t->per_epoch;
    for (int i = 0; i < t->net.graph.tensor_count; i++) {
        const struct tensor *tensor = &t->net.graph.tensors[i];
        if (tensor->role == ROLE_WHITEN && !tensor->frozen && !tensor->is_state)
            t->net.model.trainable[i] = whiten;
    }
}

/* From the epoch hold_norms on, projection takes the place of scale-invariant weights' decay. */
static void choose_held(struct trainer *t)
{
    double from = t->config.hold_norms;
    if (from < 0 || (double)t->step < from * (double)t->per_epoch)
        return;
    for (int i = 0; i < t->net.graph.tensor_count; i++) {
        t->hold[i].held = t->net.graph.tensors[i].scale_invariant;
        if (!t->hold[i].held)
            continue;
        t->sgd.tensors[i].decay_factor = 0;
        if (t->lars.tensors)
            t->lars.tensors[i].decay_factor = 0;
    }
}

/* Name of the first tensor that trains and has a gradient that is not finite, or NULL. */
static const char *first_bad_gradient(const struct trainer *t)
{
    const struct graph *g = &t->net.graph;
    struct backend *b = t->net.backend;
    size_t at = b->ops->first_nonfinite(b, g->params_count, t->net.model.grads);
    if (at == g->params_count)
        return NULL;
    for (int i = 0; i < g->tensor_count; i++) {
        const struct tensor *tensor = &g->tensors[i];
        if (!tensor->is_state && at >= tensor->offset && at < tensor->offset + tensor->count)
            return tensor->name;
    }
    return "padding";
}

static size_t state_bytes(const struct trainer *t)
{
    return t->net.graph.state_count * t->net.backend->real_bytes;
}

static int check_finite(struct trainer *t, const struct step_report *r, struct err *e)
{
    struct backend *b = t->net.backend;
    const char *bad = first_bad_gradient(t);
    if (isfinite(r->loss) && !bad)
        return 0;
    b->ops->copy(b, t->net.model.state, t->state_before, state_bytes(t));
    char where[300] = "every gradient is finite";
    if (bad)
        snprintf(where, sizeof where, "first bad tensor: the gradient of %s", bad);
    double loss = isnan(r->loss) ? (double)NAN : r->loss; /* a NaN's sign says nothing */
    return err_set(e, EXIT_DIVERGED,
                   "%s is not finite in step %llu (loss %g, learning rate %g); %s",
                   isfinite(loss) ? "a gradient" : "the loss",
                   (unsigned long long)(t->step + 1), loss, r->lr, where);
}

static void update_average(struct trainer *t)
{
    struct backend *b = t->net.backend;
    if (!average_due(&t->average, t->step, t->total))
        return;
    double d = average_decay_at(&t->average, t->step, t->total);
    const struct graph *g = &t->net.graph;
    average_update(&t->average, b, d, t->slow.params, t->net.model.params, g->params_count);
    average_update(&t->average, b, d, t->slow.state, t->net.model.state, g->state_count);
}

/* From the epoch freeze_statistics on, batch norms use their running statistics as they stand. */
static struct plan *choose_plan(const struct trainer *t)
{
    double from = t->config.freeze_statistics;
    bool frozen = t->frozen_plan && (double)t->step >= from * (double)t->per_epoch;
    return frozen ? t->frozen_plan : t->plan;
}

int train_step(struct trainer *t, struct step_report *report, struct err *e)
{
    struct backend *b = t->net.backend;
    struct model *model = &t->net.model;
    struct batch *batch = &t->batch;
    struct plan *plan = choose_plan(t);

    /* Load and augment: which images, how each is cut, and their normalised pixels. */
    batch_fill(t);
    int n = batch->n;
    b->ops->load_images(b, n, &t->train_store, batch->views, plan_input(plan));

    /* Forward, to the logits. This moves batch norm's running statistics: keep the old ones. */
    choose_trainable(t);
    b->ops->copy(b, t->state_before, model->state, state_bytes(t));
    plan_forward(plan, n);

    /* Loss, and its derivative by the logits. */
    double scale = t->config.reduction == REDUCTION_MEAN ? 1.0 / n : 1.0;
    b->ops->cross_entropy(b, n, t->net.graph.classes, t->config.label_smoothing, scale,
                          plan_logits(plan), batch->labels, batch->losses, batch->hits,
                          plan_dlogits(plan));
    *report = (struct step_report){
        .images = n, .loss = batch_mean(batch->losses, n), .lr = trainer_lr(t)};
    for (int i = 0; i < n; i++)
        report->hits += batch->hits[i];

    /* Backward, to the gradient of every tensor that trains; summed over the ranks. */
    plan_backward(plan, n);
    dist_sum(&t->dist, model->grads, t->net.graph.params_count, b->real_bytes);

    /* Nothing that is not finite may reach the weights. */
    if (check_finite(t, report, e))
        return -1;

    /* Update; where lengths are held, directions only. */
    const void *directions = model->grads;
    choose_held(t);
    hold_note(b, t->hold, t->net.graph.tensor_count, model->params);
    if (t->config.optimizer == OPTIMIZER_LARS)
        directions = lars_directions(&t->lars, model->params, model->grads, model->trainable);
    sgd_update(&t->sgd, model->params, directions, model->trainable, report->lr);
    hold_restore(b, t->hold, t->net.graph.tensor_count, model->params);
    t->step++;
    update_average(t);

    t->epoch_loss += report->loss * n;
    t->epoch_hits += (uint64_t)report->hits;
    t->epoch_images += (uint64_t)n;
    return 0;
}
