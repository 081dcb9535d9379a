/* forgetting.c - does training at a high learning rate forget what it has seen within an epoch?
 *
 *   square     {half, whole} x {plain, augmented} training images over learning-rate factors, and
 *              the plain half with as many steps as the whole: losses on the plateau, with
 *              refreshed running statistics, and at the end
 *   fractions  fraction of the images x factor x batch size, augmented: where the best factor lies
 *   memory     probes along the whole augmented runs: loss against the age of what was seen, and
 *              examples that were right and became wrong
 *
 * The schedule rises over a sixth of the run, stays at the peak up to two thirds, and falls to
 * zero. forgetting_seen.c reads the runs.
 */
#include "studies/forgetting.h"

#include <math.h>
#include <stdio.h>

#include "probes/theory.h"

const struct forgetting_scale forgetting_scales[STUDY_SCALES] = {
    [STUDY_TINY] = {3072, {32, 128}, {1, 4, 16}, {0.25, 1, 4, 16}, {0.25, 1}},
    [STUDY_SMALL] = {24000, {128, 512}, {1, 2, 4, 8, 16}, {0.5, 1, 2, 4, 8, 16},
                     {0.125, 0.25, 0.5, 1}},
    [STUDY_PAPER] = {45000, {128, 512}, {1, 2, 4, 8, 16}, {0.5, 1, 2, 4, 8, 16},
                     {0.125, 0.25, 0.5, 1}},
};

const char *const corner_names[CORNERS] = {"half, plain", "half, augmented", "whole, plain",
                                           "whole, augmented", "half, plain, as many steps"};

void forgetting_corner(enum corner corner, double factor, char label[80])
{
    snprintf(label, 80, "%s, factor %g", corner_names[corner], factor);
}

void forgetting_fraction(double fraction, int batch, double factor, char label[80])
{
    snprintf(label, 80, "fraction %g, batch %d, factor %g", fraction, batch, factor);
}

struct numbers {
    char count[16], batch[16], lr[32], epochs[32];
};

static void fill(struct numbers *n, const struct study_plan *p, double fraction, int batch,
                 double factor, int times)
{
    const struct config *base = &p->sweep->base;
    snprintf(n->count, sizeof n->count, "%d",
             (int)(fraction * forgetting_scales[p->scale].images));
    snprintf(n->batch, sizeof n->batch, "%d", batch);
    snprintf(n->lr, sizeof n->lr, "%.6g", 0.1 * factor);
    snprintf(n->epochs, sizeof n->epochs, "%g", times * base->epochs);
}

static int plan_corner(struct study_plan *p, enum corner corner, double factor, struct err *e)
{
    const struct forgetting_scale *s = &forgetting_scales[p->scale];
    bool whole = corner == WHOLE_PLAIN || corner == WHOLE_AUGMENTED;
    bool augmented = corner == HALF_AUGMENTED || corner == WHOLE_AUGMENTED;
    char label[80];
    struct numbers n;
    fill(&n, p, whole ? 1 : 0.5, s->batches[0], factor, corner == HALF_STEPS ? 2 : 1);
    forgetting_corner(corner, factor, label);
    return study_trials(p, label,
                        (const char *[]){"train_count", n.count, "batch", n.batch, "lr", n.lr,
                                         "epochs", n.epochs, "crop", augmented ? "4" : "0",
                                         "flip", augmented ? "random" : "none", "probes",
                                         corner == WHOLE_AUGMENTED ? "losses,recency,forgetting"
                                                                   : "losses", NULL}, e);
}

static int plan_fraction(struct study_plan *p, double fraction, int batch, double factor,
                         struct err *e)
{
    char label[80];
    struct numbers n;
    fill(&n, p, fraction, batch, factor, 1);
    forgetting_fraction(fraction, batch, factor, label);
    return study_trials(p, label,
                        (const char *[]){"train_count", n.count, "batch", n.batch, "lr", n.lr,
                                         NULL}, e);
}

static void predict_square(struct study_plan *p, double most)
{
    char text[300];
    study_predict(p, &(struct study_claim){
        .id = "gap",
        .statement = "At a low learning rate the whole augmented set is worth far more than the "
                     "plain half.",
        .formula = "loss(half, plain) / loss(whole, augmented) at factor 1, at the end",
        .prediction = "The quotient is above 1.3 (published: 0.55 / 0.19 = 2.9).",
        .low = 1.3, .high = INFINITY, .unit = "quotient of losses",
        .falsified_by = "Losses that are alike at factor 1."});
    snprintf(text, sizeof text, "On the plateau at factor %g the difference is within a quarter of "
                                "that at factor 1, either way.", most);
    study_predict(p, &(struct study_claim){
        .id = "shrinks",
        .statement = "The difference vanishes as the learning rate grows: the network cannot hold "
                     "what more images tell.",
        .formula = "(loss(half, plain) - loss(whole, augmented)) at the highest factor over that "
                   "at 1",
        .prediction = text,
        .low = -0.25, .high = 0.25, .unit = "quotient of differences",
        .falsified_by = "A difference that stays.",
        .condition = "the difference at factor 1 cannot be told from 0"});
    study_predict(p, &(struct study_claim){
        .id = "equal",
        .statement = "At a very high learning rate the plain half is as good as the whole "
                     "augmented set.",
        .formula = "loss(half, plain) / loss(whole, augmented) at the highest factor, on the "
                   "plateau",
        .prediction = "The quotient is within 0.95 and 1.05: the claim under test.",
        .low = 0.95, .high = 1.05, .unit = "quotient of losses",
        .falsified_by = "A quotient beyond 5 % of 1."});
    study_predict(p, &(struct study_claim){
        .id = "steps",
        .statement = "It is not for want of steps that the half is worse at factor 1.",
        .formula = "(loss(half with as many steps) - loss(whole)) / (loss(half) - loss(whole)), "
                   "plain and augmented as above",
        .prediction = "With as many steps as the whole more than half of the difference is left.",
        .low = 0.5, .high = INFINITY, .unit = "share of the difference",
        .falsified_by = "A difference that twice the epochs take away.",
        .condition = "the difference cannot be told from 0"});
}

static void predict_memory(struct study_plan *p, double most)
{
    char text[300];
    const struct config *base = &p->sweep->base;
    const struct theory t = {.lr = 0.1 * most, .momentum = base->momentum,
                             .weight_decay = base->weight_decay};
    study_predict(p, &(struct study_claim){
        .id = "recency",
        .statement = "At the peak of a high learning rate the loss is lower on what was trained "
                     "on a moment ago than on what was seen most of an epoch ago.",
        .prediction = "At the highest factor the loss on the youngest sixteenth is lower than on "
                      "the oldest half.",
        .low = 0, .high = INFINITY, .unit = "difference of losses",
        .falsified_by = "A loss that does not depend on age."});
    snprintf(text, sizeof text, "At factor %g it is %.4g steps; fitted over predicted is within "
                                "0.5 and 2.", most, theory_memory_steps(&t));
    study_predict(p, &(struct study_claim){
        .id = "memory",
        .statement = "What is remembered fades in the time over which weights average updates.",
        .formula = "loss(age) = a - c exp(-age / tau), tau = (1 - b) / (lr wd)",
        .prediction = text,
        .low = 0.5, .high = 2, .unit = "fitted over predicted",
        .falsified_by = "A time that is far from it. The formula is a hypothesis for SGD.",
        .condition = "the dip cannot be told from noise (chi^2 falls by less than 9)",
        .aside = true});
    study_predict(p, &(struct study_claim){
        .id = "events",
        .statement = "A higher learning rate forgets more examples.",
        .prediction = "At the end fewer examples were never forgotten at the highest factor than "
                      "at factor 1.",
        .low = -INFINITY, .high = 0, .unit = "difference of shares",
        .falsified_by = "As many or more examples that are never forgotten."});
}

static void predict_fractions(struct study_plan *p)
{
    const struct forgetting_scale *s = &forgetting_scales[p->scale];
    char text[200];
    snprintf(text, sizeof text, "At batch %d the slope of log2 best factor over log2 fraction is "
                                "below 0.", s->batches[0]);
    study_predict(p, &(struct study_claim){
        .id = "optimum",
        .statement = "With a small batch the best learning rate falls as there is more to learn.",
        .prediction = text, .low = -INFINITY, .high = 0, .unit = "slope",
        .falsified_by = "A best rate that stays or grows.",
        .condition = "an optimum lies at the edge of its grid or cannot be fitted"});
    snprintf(text, sizeof text, "At batch %d the slope is within -0.25 and 0.25.", s->batches[1]);
    study_predict(p, &(struct study_claim){
        .id = "bunched",
        .statement = "With a large batch the best learning rates of all fractions bunch together: "
                     "curvature limits them, which does not depend on the number of images.",
        .prediction = text, .low = -0.25, .high = 0.25, .unit = "slope",
        .falsified_by = "Best rates that move with the fraction as they do with a small batch.",
        .condition = "an optimum lies at the edge of its grid or cannot be fitted", .aside = true});
}

static int plan(struct study_plan *p, struct err *e)
{
    const struct forgetting_scale *s = &forgetting_scales[p->scale];
    double most = 1;
    for (int i = 0; s->factors[i] > 0; i++) {
        for (int c = 0; c < CORNERS; c++)
            if (plan_corner(p, (enum corner)c, s->factors[i], e))
                return -1;
        most = s->factors[i];
    }
    for (int b = 0; s->batches[b]; b++)
        for (int f = 0; s->fractions[f] > 0; f++)
            for (int i = 0; s->sweep[i] > 0; i++)
                if (plan_fraction(p, s->fractions[f], s->batches[b], s->sweep[i], e))
                    return -1;
    predict_square(p, most);
    predict_memory(p, most);
    predict_fractions(p);
    return 0;
}

static const struct study_disagreement disagreements[] = {
    {"At a very high learning rate half of the data without augmentation trains as well as all of "
     "it with augmentation.",
     "Both published curves are titled 'Learn rate factor=1'; they end at validation losses of "
     "0.55 (half, plain) and 0.19 (all, augmented), 2.9 times apart. The pair at a very high rate "
     "was not published.",
     "Both ends of the range are run, and what lies between; equality at the highest factor is a "
     "claim of its own."},
    {"Half of the data without augmentation is compared with all of it with augmentation.",
     "Size and augmentation change together, and the half makes half the updates in equal epochs.",
     "All four combinations are run, and the half once more with as many steps."},
    {0},
};

static const char *const caveats[] = {
    "Equal losses at a high learning rate also follow from plain underfitting: where the "
    "generalisation gap is small, more images cannot help. The recency curve is what tells the "
    "two apart.",
    "The time over which weights average updates is a property of the optimiser; that what is "
    "remembered fades with it is a hypothesis, not a published law.",
    "The anneal to zero lets the half memorise at last, so losses on the plateau and at the end "
    "differ.",
    "On the plateau losses are means over its last two thirds, of weights as they are and "
    "batch-norm statistics refreshed at them: the running ones trail fast weights, which alone "
    "costs loss at a high rate, and another amount in each run.",
    NULL,
};

#define SHARED                                                                                     \
    "cutout", "0", "keep_best", "no", "eval_every", "0", "schedule", "linear", "knots",            \
        "0:0, 16.67%:1, 66.67%:1, 100%:0", "probe_budget", "1"

extern const struct study study_forgetting;
const struct study study_forgetting = {
    .name = "forgetting",
    .title = "Forgetting within a single task",
    .question = "Does training at a high learning rate forget what it saw a moment ago?",
    .background =
        "Each step overwrites a little of what earlier steps wrote into the weights. With weight "
        "decay the weights are an average of updates over the last (1 - b) / (lr wd) steps or so: "
        "at a high learning rate less than an epoch. If what an image taught is gone before it is "
        "seen again, more images cannot help, and half of the data would do as well as all of it. "
        "At a low learning rate they do help.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "dawn-128"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            SHARED, "width", "0.0625", "epochs", "6", "weight_decay", "0.002", "validation", "2000",
            "probe_images", "256", NULL},
        [STUDY_SMALL] = (const char *const[]){
            SHARED, "width", "0.125", "epochs", "6", "validation", "5000", "probe_images", "1024",
            NULL},
        [STUDY_PAPER] = (const char *const[]){
            SHARED, "epochs", "36", "validation", "5000", "probe_images", "2048", NULL},
    },
    .seeds = {2, 2, 5},
    .keep = KEEP_NONE,
    .plan = plan,
    .analyse = forgetting_analyse,
    .caveats = caveats,
    .disagreements = disagreements,
};
