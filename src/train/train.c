/* train.c - see train.h. */
#include "train/train.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "train/checkpoint.h"
#include "train/step.h"

/* A run in progress. */
struct run {
    const struct train_request *request;
    struct trainer trainer;
    struct train_result *result;
    uint64_t first, last;        /* steps: where this call starts and stops */
    double started;              /* clock_seconds */
    uint64_t images;             /* trained on in this call */
    double epoch_seconds;        /* in the steps of this epoch, in this call */
    uint64_t epoch_images;
    uint64_t checkpointed;       /* step of the last checkpoint, or UINT64_MAX */
    struct eval_result test, validation; /* the last ones made */
    struct eval_outcome *outcomes; /* of the last one, on the images that decide; or NULL */
    uint64_t evaluated;          /* at this step; UINT64_MAX: never */
    double lr;                   /* of the last step */
};

/* Calls one member of every observer that has it. */
#define NOTIFY(run, member, event)                                                                 \
    do {                                                                                           \
        const struct train_request *notified = (run)->request;                                     \
        for (int i_ = 0; i_ < notified->observer_count; i_++) {                                    \
            if (notified->observers[i_].member)                                                    \
                notified->observers[i_].member(notified->observers[i_].context, (event));          \
        }                                                                                          \
    } while (0)

const char *train_reason_name(enum train_reason r)
{
    static const char *const names[] = {"finished", "step limit", "stopped", "diverged", "failed"};
    return names[r];
}

static double elapsed(const struct run *run)
{
    return clock_seconds() - run->started;
}

static int stop_requested(const struct run *run)
{
    return run->request->stop ? *run->request->stop : 0;
}

static double per_second(uint64_t images, double seconds)
{
    return seconds > 0 ? (double)images / seconds : (double)NAN;
}

static void announce(struct run *run)
{
    const struct trainer *t = &run->trainer;
    const struct run_event event = {
        .trainer = t,
        .first_step = run->first,
        .total_steps = t->total,
        .last_step = run->last,
        .steps_per_epoch = t->per_epoch,
        .train_images = t->selection.train_count,
        .validation_images = t->selection.validation_count,
        .test_images = t->images->test.count,
        .parameters = graph_parameters(&t->net.graph),
        .training_macs = graph_training_macs(&t->net.graph),
        .memory = trainer_memory(t),
        .tier = t->net.backend->tier,
        .precision = t->net.backend->precision,
        .threads = t->net.backend->threads,
    };
    NOTIFY(run, run, &event);
}

static void tell_hash(struct run *run)
{
    struct hash_event event = {.step = run->trainer.step};
    char hash[65];
    model_hash(&run->trainer.net.model, hash);
    event.weights_hash = hash;
    NOTIFY(run, hash, &event);
}

/* One step, timed and told. */
static int step(struct run *run, struct err *e)
{
    struct trainer *t = &run->trainer;
    struct step_report report;
    double start = clock_seconds();
    if (train_step(t, &report, e))
        return -1;
    double seconds = clock_seconds() - start;
    run->lr = report.lr;
    run->images += (uint64_t)report.images;
    run->epoch_images += (uint64_t)report.images;
    run->epoch_seconds += seconds;
    run->result->train_seconds += seconds;
    const struct step_event event = {
        .trainer = t,
        .step = t->step,
        .epoch = (double)t->step / (double)t->per_epoch,
        .images = report.images,
        .loss = report.loss,
        .accuracy = (double)report.hits / report.images,
        .lr = report.lr,
        .weight_decay = t->config.weight_decay,
        .momentum = t->config.momentum,
        .seconds = seconds,
        .elapsed = elapsed(run),
        .images_per_second = per_second(run->images, run->result->train_seconds),
    };
    NOTIFY(run, step, &event);
    if (t->step <= (uint64_t)t->config.hash_steps)
        tell_hash(run);
    return 0;
}

static void evaluate_now(struct run *run)
{
    struct trainer *t = &run->trainer;
    bool validate = t->selection.validation_count > 0;
    trainer_evaluate(t, false, TTA_NONE, &run->test, validate ? NULL : run->outcomes);
    if (validate)
        trainer_evaluate(t, true, TTA_NONE, &run->validation, run->outcomes);
    run->evaluated = t->step;
}

/* What was due could not be written. Returns 0 if it may be missing: for want of room, in the
 * middle of a run. */
static int omit(struct run *run, const struct err *why)
{
    struct trainer *t = &run->trainer;
    if (!why->no_room || t->step == run->last || stop_requested(run))
        return -1;
    const struct omission_event event = {.step = t->step, .why = why};
    NOTIFY(run, omission, &event);
    return 0;
}

/* Keeps the weights if they are the best so far; validation decides where there is one. */
static int keep_if_best(struct run *run, bool *best, struct err *e)
{
    struct trainer *t = &run->trainer;
    bool validated = t->selection.validation_count > 0;
    double accuracy = validated ? run->validation.accuracy : run->test.accuracy;
    double before = t->best_accuracy;
    char path[4096];
    *best = accuracy > before;
    if (!*best)
        return 0;
    t->best_accuracy = accuracy;
    if (!run->request->checkpoints || !t->config.keep_best)
        return 0;
    if (file_make_folders(run->request->checkpoints, e) ||
        file_join(path, sizeof path, run->request->checkpoints, "best.safetensors", e) ||
        checkpoint_save_weights(t, path, e)) {
        *best = false;
        t->best_accuracy = before; /* so that the next that is better than the file is kept */
        return omit(run, e);
    }
    return 0;
}

static bool evaluation_due(const struct run *run)
{
    const struct trainer *t = &run->trainer;
    int every = t->config.eval_every;
    if (every < 0 || run->evaluated == t->step)
        return false;
    return t->step == run->last ||
           (every > 0 && t->step % t->per_epoch == 0 &&
            t->step / t->per_epoch % (uint64_t)every == 0);
}

/* Means over the epoch so far; a whole one starts the next. */
static void close_epoch(struct trainer *t)
{
    if (t->epoch_images > 0) {
        t->last_loss = t->epoch_loss / (double)t->epoch_images;
        t->last_accuracy = (double)t->epoch_hits / (double)t->epoch_images;
    }
    if (t->step % t->per_epoch == 0) {
        t->epoch_loss = 0;
        t->epoch_hits = 0;
        t->epoch_images = 0;
    }
}

/* After the last step of an epoch, or of this call: evaluate, keep the best, tell. */
static int end_epoch(struct run *run, bool *best, struct err *e)
{
    struct trainer *t = &run->trainer;
    double start = clock_seconds();
    close_epoch(t);
    *best = false;
    if (evaluation_due(run)) {
        evaluate_now(run);
        if (keep_if_best(run, best, e))
            return -1;
    }
    bool evaluated = run->evaluated == t->step;
    bool validated = evaluated && t->selection.validation_count > 0;
    const struct epoch_event event = {
        .trainer = t,
        .step = t->step,
        .epoch = (double)t->step / (double)t->per_epoch,
        .train_loss = t->last_loss,
        .train_accuracy = t->last_accuracy,
        .lr = run->lr,
        .evaluated = evaluated,
        .test_loss = evaluated ? run->test.loss : (double)NAN,
        .test_accuracy = evaluated ? run->test.accuracy : (double)NAN,
        .validated = validated,
        .validation_loss = validated ? run->validation.loss : (double)NAN,
        .validation_accuracy = validated ? run->validation.accuracy : (double)NAN,
        .train_seconds = run->epoch_seconds,
        .eval_seconds = clock_seconds() - start,
        .elapsed = elapsed(run),
        .images_per_second = per_second(run->epoch_images, run->epoch_seconds),
    };
    tell_hash(run);
    NOTIFY(run, epoch, &event);
    run->epoch_seconds = 0;
    run->epoch_images = 0;
    return 0;
}

static int checkpoint(struct run *run, bool best, struct err *e)
{
    struct trainer *t = &run->trainer;
    const char *folder = run->request->checkpoints;
    char path[sizeof run->result->checkpoint];
    if (!folder || run->checkpointed == t->step)
        return 0;
    carry_release(&t->carry);
    NOTIFY(run, carry, &t->carry);
    if (t->carry.wait.code && omit(run, &t->carry.wait) == 0)
        return 0;
    if (checkpoint_save(t, folder, path, e))
        return omit(run, e);
    memcpy(run->result->checkpoint, path, sizeof path);
    run->checkpointed = t->step;
    checkpoint_prune(folder, t->config.keep_last);
    const struct checkpoint_event event = {
        .step = t->step, .path = run->result->checkpoint, .best = best};
    NOTIFY(run, checkpoint, &event);
    return 0;
}

static bool checkpoint_due(const struct run *run)
{
    const struct trainer *t = &run->trainer;
    int every = t->config.checkpoint_every;
    return t->step == run->last || stop_requested(run) ||
           t->step % (every > 0 ? (uint64_t)every : t->per_epoch) == 0;
}

/* The step refused to update: what the trainer holds is the last good state. */
static int diverged(struct run *run, struct err *e)
{
    struct trainer *t = &run->trainer;
    struct backend *b = t->net.backend;
    size_t count = t->net.graph.params_count;
    struct err why;
    run->result->reason = TRAIN_DIVERGED;
    if (b->ops->first_nonfinite(b, count, t->net.model.params) < count)
        return err_set(e, EXIT_DIVERGED, "%s; the weights overflowed before, so nothing was saved",
                       e->text);
    if (!run->request->checkpoints)
        return -1;
    if (checkpoint(run, false, &why))
        return err_set(e, EXIT_DIVERGED, "%s; the last good state could not be saved: %.300s",
                       e->text, why.text);
    return err_set(e, EXIT_DIVERGED, "%s; the last good state is in '%.300s'", e->text,
                   run->result->checkpoint);
}

static int loop(struct run *run, struct err *e)
{
    struct trainer *t = &run->trainer;
    while (t->step < run->last && !stop_requested(run)) {
        bool best = false;
        if (step(run, e))
            return e->code == EXIT_DIVERGED ? diverged(run, e) : -1;
        if ((t->step % t->per_epoch == 0 || t->step == run->last) && end_epoch(run, &best, e))
            return -1;
        if (checkpoint_due(run) && checkpoint(run, best, e))
            return -1;
    }
    return checkpoint(run, false, e);
}

static enum train_reason reason(struct run *run)
{
    const struct trainer *t = &run->trainer;
    if (t->step == t->total)
        return TRAIN_FINISHED;
    if (t->step >= run->last)
        return TRAIN_STEPS;
    run->result->stop_signal = stop_requested(run);
    return TRAIN_STOPPED;
}

/* The numbers at the end. An asked-for stop goes without the last evaluations. */
static void conclude(struct run *run)
{
    struct trainer *t = &run->trainer;
    struct train_result *r = run->result;
    r->reason = reason(run);
    bool measure = r->reason != TRAIN_STOPPED && t->config.eval_every >= 0;
    if (measure && run->evaluated != t->step)
        evaluate_now(run);
    if (run->evaluated == t->step) {
        r->test_loss = run->test.loss;
        r->test_accuracy = run->test.accuracy;
        if (t->selection.validation_count > 0) {
            r->validation_loss = run->validation.loss;
            r->validation_accuracy = run->validation.accuracy;
        }
    }
    double reached = r->test_accuracy;
    if (measure && t->config.tta != TTA_NONE) {
        struct eval_result seen;
        trainer_evaluate(t, false, (enum tta)t->config.tta, &seen, NULL);
        r->tta_loss = seen.loss;
        reached = r->tta_accuracy = seen.accuracy;
    }
    r->target_missed = r->reason == TRAIN_FINISHED && !(reached >= t->config.target) &&
                       t->config.target > 0;
}

static void fill_result(struct run *run)
{
    struct trainer *t = &run->trainer;
    struct train_result *r = run->result;
    r->steps = t->step;
    r->epochs = (double)t->step / (double)t->per_epoch;
    model_hash(trainer_result_model(t), r->weights_hash);
    r->train_loss = t->last_loss;
    r->train_accuracy = t->last_accuracy;
    if (t->epoch_images > 0) {
        r->train_loss = t->epoch_loss / (double)t->epoch_images;
        r->train_accuracy = (double)t->epoch_hits / (double)t->epoch_images;
    }
    r->images_per_second = per_second(run->images, r->train_seconds);
    r->seconds = elapsed(run);
}

/* Images that accuracy is judged by. */
static uint32_t deciding_images(const struct trainer *t)
{
    uint32_t held_out = t->selection.validation_count;
    return held_out > 0 ? held_out : t->images->test.count;
}

static void tell_outcomes(struct run *run)
{
    const struct trainer *t = &run->trainer;
    bool validation = t->selection.validation_count > 0;
    if (!run->outcomes || run->evaluated != t->step || run->result->reason == TRAIN_STOPPED)
        return;
    const struct outcomes_event event = {
        .trainer = t,
        .step = t->step,
        .validation = validation,
        .count = deciding_images(t),
        .indices = validation ? t->selection.validation : NULL,
        .outcomes = run->outcomes,
    };
    NOTIFY(run, outcomes, &event);
}

static int open_run(struct run *run, struct err *e)
{
    const struct train_request *r = run->request;
    struct trainer *t = &run->trainer;
    if (trainer_init(t, r->config, r->images, !r->resume_from, e))
        return -1;
    if (r->resume_from && checkpoint_load(t, r->resume_from, e))
        return -1;
    run->first = t->step;
    run->last = t->total;
    if (t->config.steps > 0 && (uint64_t)t->config.steps < run->last)
        run->last = (uint64_t)t->config.steps;
    run->evaluated = run->checkpointed = UINT64_MAX;
    if (t->config.predictions && t->config.eval_every >= 0)
        run->outcomes = xcalloc(deciding_images(t), sizeof *run->outcomes);
    if (r->resume_from) {
        run->checkpointed = t->step;
        snprintf(run->result->checkpoint, sizeof run->result->checkpoint, "%s", r->resume_from);
    }
    return 0;
}

int train_run(const struct train_request *r, struct train_result *result, struct err *e)
{
    assert(e);
    struct run *run = xcalloc(1, sizeof *run);
    const double unknown = (double)NAN;
    *result = (struct train_result){
        .reason = TRAIN_FAILED,
        .train_loss = unknown, .train_accuracy = unknown,
        .test_loss = unknown, .test_accuracy = unknown,
        .tta_loss = unknown, .tta_accuracy = unknown,
        .validation_loss = unknown, .validation_accuracy = unknown,
        .images_per_second = unknown,
    };
    run->request = r;
    run->result = result;
    run->started = clock_seconds();
    int status = open_run(run, e);
    if (!status) {
        announce(run);
        status = loop(run, e);
        if (!status)
            conclude(run);
        fill_result(run);
        if (!status)
            tell_outcomes(run);
        NOTIFY(run, end, result);
    }
    trainer_release(&run->trainer);
    free(run->outcomes);
    free(run);
    return status;
}

int train_replay(const struct config *c, const struct images *images, int steps,
                 char (*hashes)[65], struct err *e)
{
    struct trainer *t = xcalloc(1, sizeof *t);
    struct step_report report;
    int status = trainer_init(t, c, images, true, e);
    for (int i = 0; !status && i < steps && t->step < t->total; i++) {
        status = train_step(t, &report, e);
        model_hash(&t->net.model, hashes[i]);
    }
    trainer_release(t);
    free(t);
    return status;
}
