/* eval.h - loss and accuracy of a network on held-out images.
 *
 * An image is seen through one or more views and its logits averaged (Jordan 2024, airbench):
 *
 *   TTA_NONE  the image
 *   TTA_FLIP  1/2 image, 1/2 its mirror image
 *   TTA_SIX   1/4 image, 1/4 mirror, and 1/8 each of the two crops at (-1, -1) and (+1, +1) of the
 *             image reflect-padded by 1, and their mirrors
 *
 * Loss is plain cross-entropy of the averaged logits, without label smoothing; the predicted class
 * is the first largest logit. Each image counts alone (batch norm uses running statistics).
 */
#ifndef KILN_TRAIN_EVAL_H
#define KILN_TRAIN_EVAL_H

#include "data/dataset.h"
#include "nn/plan.h"
#include "train/config.h"

/* A plan for evaluation and its host buffers; made once, used often. */
struct evaluator {
    struct model *model;         /* borrowed: what is evaluated */
    struct plan *plan;
    struct image_view *views;    /* [EVAL_BATCH] */
    double *logits, *sum;        /* [EVAL_BATCH, classes] */
};

/* Images to evaluate on: indices[count] into the store, or all count of it when indices is NULL;
 * labels is indexed as the store is. */
struct eval_set {
    const struct image_store *store;
    const uint32_t *indices;
    const uint8_t *labels;
    uint32_t count;
};

struct eval_result {
    uint32_t count;
    double loss;                 /* mean per image */
    double accuracy;             /* share */
    uint32_t class_count[CLASSES_MAX], class_hits[CLASSES_MAX];
};

/* What became of one image: 12 bytes. */
struct eval_outcome {
    float loss;
    float probability;           /* of the predicted class: its softmax of the averaged logits */
    uint8_t predicted;
};

int evaluator_init(struct evaluator *v, struct model *m, struct err *e);
void evaluator_release(struct evaluator *v);

/* Fills `result`; `confusion` [classes, classes], if not NULL, gets the counts of (label, predicted
 * class), `outcomes` [set->count], if not NULL, what became of each image of the set. */
void evaluate(struct evaluator *v, const struct eval_set *set, enum tta tta,
              struct eval_result *result, uint32_t *confusion, struct eval_outcome *outcomes);

/* Bytes of the plan that evaluator_init makes, for --dry-run. */
size_t evaluator_bytes(const struct graph *g, struct backend *b);

/* For kiln eval: builds the config's network, loads the weights from `checkpoint` (a safetensors
 * file with its names and shapes), and evaluates it on the test images with one view (`plain`) and
 * with the config's tta (`tta`; a copy of plain if it is none). `confusion` as above, of the tta
 * result. */
int eval_checkpoint(const struct config *c, const struct images *images, const char *checkpoint,
                    struct eval_result *plain, struct eval_result *tta, uint32_t *confusion,
                    char weights_hash[65], struct err *e);

#endif
