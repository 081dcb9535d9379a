/* eval.c - see eval.h. */
#include "train/eval.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

enum { EVAL_BATCH = 256 };

struct eye {
    int8_t shift;            /* of the crop, down and right, in pixels */
    uint8_t flip;
    double weight;
};

static const struct {
    int count;
    struct eye eyes[6];
} ways[] = {
    [TTA_NONE] = {1, {{0, 0, 1}}},
    [TTA_FLIP] = {2, {{0, 0, 0.5}, {0, 1, 0.5}}},
    [TTA_SIX] = {6,
                 {{0, 0, 0.25},
                  {0, 1, 0.25},
                  {-1, 0, 0.125},
                  {-1, 1, 0.125},
                  {1, 0, 0.125},
                  {1, 1, 0.125}}},
};

int evaluator_init(struct evaluator *v, struct model *m, struct err *e)
{
    *v = (struct evaluator){.model = m};
    v->plan = plan_new(m, EVAL_BATCH, PLAN_EVAL, e);
    if (!v->plan)
        return -1;
    size_t logits = (size_t)EVAL_BATCH * (size_t)m->graph->classes;
    v->views = xcalloc(EVAL_BATCH, sizeof *v->views);
    v->logits = xcalloc(logits, sizeof *v->logits);
    v->sum = xcalloc(logits, sizeof *v->sum);
    return 0;
}

void evaluator_release(struct evaluator *v)
{
    if (v->plan)
        plan_free(v->plan);
    free(v->views);
    free(v->logits);
    free(v->sum);
    *v = (struct evaluator){0};
}

size_t evaluator_bytes(const struct graph *g, struct backend *b)
{
    return plan_bytes(g, b, EVAL_BATCH, PLAN_EVAL);
}

static uint32_t image_at(const struct eval_set *set, uint32_t i)
{
    return set->indices ? set->indices[i] : i;
}

/* v->sum[n, classes] = the weighted logits of images first .. first + n. */
static void average_logits(struct evaluator *v, const struct eval_set *set, enum tta tta,
                           uint32_t first, int n)
{
    struct backend *b = v->model->backend;
    size_t count = (size_t)n * (size_t)v->model->graph->classes;
    memset(v->sum, 0, count * sizeof *v->sum);
    for (int w = 0; w < ways[tta].count; w++) {
        const struct eye *eye = &ways[tta].eyes[w];
        for (int i = 0; i < n; i++) {
            v->views[i] = (struct image_view){.index = image_at(set, first + (uint32_t)i),
                                              .dy = eye->shift,
                                              .dx = eye->shift,
                                              .flip = eye->flip};
        }
        b->ops->load_images(b, n, set->store, v->views, plan_input(v->plan));
        plan_forward(v->plan, n);
        b->ops->read_map(b, n, v->logits, plan_logits(v->plan));
        for (size_t i = 0; i < count; i++)
            v->sum[i] += eye->weight * v->logits[i];
    }
}

static int first_largest(const double *x, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++) {
        if (x[i] > x[best])
            best = i;
    }
    return best;
}

/* log of the sum of exponentials of x[count]. */
static double log_sum_exp(const double *x, int count)
{
    double top = x[first_largest(x, count)], sum = 0;
    for (int i = 0; i < count; i++)
        sum += exp(x[i] - top);
    return top + log(sum);
}

void evaluate(struct evaluator *v, const struct eval_set *set, enum tta tta,
              struct eval_result *result, uint32_t *confusion, struct eval_outcome *outcomes)
{
    int classes = v->model->graph->classes;
    assert(classes <= CLASSES_MAX);
    *result = (struct eval_result){.count = set->count};
    if (confusion)
        memset(confusion, 0, (size_t)classes * (size_t)classes * sizeof *confusion);
    double loss = 0;
    uint32_t hits = 0;
    for (uint32_t first = 0; first < set->count; first += EVAL_BATCH) {
        int n = (int)(set->count - first < EVAL_BATCH ? set->count - first : EVAL_BATCH);
        average_logits(v, set, tta, first, n);
        for (int i = 0; i < n; i++) {
            const double *x = v->sum + (size_t)i * (size_t)classes;
            int label = set->labels[image_at(set, first + (uint32_t)i)];
            int guess = first_largest(x, classes);
            double lse = log_sum_exp(x, classes);
            loss += lse - x[label];
            if (outcomes)
                outcomes[first + (uint32_t)i] = (struct eval_outcome){
                    .loss = (float)(lse - x[label]),
                    .probability = (float)exp(x[guess] - lse),
                    .predicted = (uint8_t)guess,
                };
            hits += guess == label;
            result->class_count[label]++;
            result->class_hits[label] += guess == label;
            if (confusion)
                confusion[label * classes + guess]++;
        }
    }
    result->loss = loss / set->count;
    result->accuracy = (double)hits / set->count;
}

int eval_checkpoint(const struct config *c, const struct images *images, const char *checkpoint,
                    struct eval_result *plain, struct eval_result *tta, uint32_t *confusion,
                    char weights_hash[65], struct err *e)
{
    struct network net;
    struct evaluator v = {0};
    struct image_store store = {0};
    int status = -1;
    if (network_init(&net, c, images, e) || checkpoint_load_weights(&net.model, checkpoint, e) ||
        evaluator_init(&v, &net.model, e) ||
        network_upload(&net, &store, images, &images->test, "test images", e))
        goto out;
    const struct eval_set set = {
        .store = &store, .labels = images->test.labels, .count = images->test.count};
    evaluate(&v, &set, TTA_NONE, plain, c->tta == TTA_NONE ? confusion : NULL, NULL);
    *tta = *plain;
    if (c->tta != TTA_NONE)
        evaluate(&v, &set, (enum tta)c->tta, tta, confusion, NULL);
    model_hash(&net.model, weights_hash);
    status = 0;
out:
    network_free_images(&net, &store, images->test.count);
    evaluator_release(&v);
    network_release(&net);
    return status;
}
