/* weight_decay_predict.c - what the study weight-decay predicts, from the formulas of theory.h. */
#include <math.h>
#include <stdio.h>

#include "studies/weight_decay.h"

/* Texts are copied by study_predict, so one room serves all. */
#define SAY(...) (snprintf(text, sizeof text, __VA_ARGS__), text)

static void predict_exact(struct study_plan *p)
{
    study_predict(p, &(struct study_claim){
        .id = "invariance",
        .statement = "Multiplying the weights before batch norm by c changes neither the loss nor "
                     "the gradient, but for dividing it by c, and the gradient stands at a right "
                     "angle to them.",
        .formula = "L(c w) = L(w), |g(c w)| c / |g(w)| = 1, <w, g> = 0",
        .prediction = "For c = 4, 32, 1024 none of the three is off by more than 0.001.",
        .low = 0, .high = 1e-3, .unit = "largest deviation",
        .falsified_by = "A layer whose gradient has another length or a part along its weights."});
    study_predict(p, &(struct study_claim){
        .id = "eps",
        .statement = "What breaks the invariance is batch norm's eps, where it is not small "
                     "against the variance.",
        .formula = "variance of the outputs ~ c^2, against eps",
        .prediction = "At c = 1/1024 gradients are off by more than a tenth.",
        .low = 0.1, .high = INFINITY, .unit = "largest deviation",
        .falsified_by = "An invariance that holds at any length."});
    study_predict(p, &(struct study_claim){
        .id = "factor-4",
        .statement = "Weights twice as long take a learning rate four times as high to follow the "
                     "same path.",
        .formula = "lr / |w|^2 stays the same",
        .prediction = "Over 100 steps the losses at learning rate x 4 are more than a hundred "
                      "times closer to those of the original than at x 1, 2 and 8.",
        .low = 0, .high = 0.01, .unit = "distance at x 4 over the least of the others",
        .falsified_by = "A factor other than 4 that follows the original at least as well."});
    study_predict(p, &(struct study_claim){
        .id = "growing-rate",
        .statement = "Weight decay is the same as a learning rate that grows exponentially.",
        .formula = "lr_s = lr a^(-2s-1), a = 1 - lr wd (Li and Arora 2020)",
        .prediction = "Over 100 steps losses differ by less than a hundredth of what leaving out "
                      "the decay makes (what rounding and batch norm's eps grow to).",
        .low = 0, .high = 0.01, .unit = "distance over that without decay",
        .falsified_by = "Losses that drift apart within 100 steps."});
}

static void predict_equilibrium(struct study_plan *p)
{
    char text[400];
    const struct theory t = weight_decay_theory(&p->sweep->base);
    study_predict(p, &(struct study_claim){
        .id = "ratio",
        .statement = "At equilibrium gradient over weights is the same for every layer.",
        .formula = "|g| / |w| = sqrt(2 wd (1 - b) / lr)",
        .prediction = SAY("In the last third of each run it is %.4g: measured over predicted lies "
                          "within 0.7 and 1.3 for every layer.", theory_equilibrium_ratio(&t)),
        .low = 0.7, .high = 1.3, .unit = "measured over predicted",
        .falsified_by = "Layers that settle elsewhere."});
    study_predict(p, &(struct study_claim){
        .id = "ratio-batch",
        .statement = "That formula takes gradients for noise, new in each step. In larger batches "
                     "less of them is, and the ratio is higher: gradients that undo each other's "
                     "steps must be longer to make weights grow as fast.",
        .prediction = "With batches 4 times as large, learning rate, decay and number of steps "
                      "the same, the ratio is higher.",
        .low = 1, .high = INFINITY, .unit = "ratio over that of small batches",
        .falsified_by = "A ratio that does not depend on the batch.",
        .aside = true});
    study_predict(p, &(struct study_claim){
        .id = "angle",
        .statement = "At equilibrium every layer turns by the same angle per step.",
        .formula = "sqrt(2 lr wd / (1 + b)); with Nesterov's momentum times sqrt(1 + 2b - 2b^3)",
        .prediction = SAY("It is %.4g: measured over predicted lies within 0.7 and 1.3 for every "
                          "layer.", theory_equilibrium_angle(&t)),
        .low = 0.7, .high = 1.3, .unit = "measured over predicted",
        .falsified_by = "Angles that depend on the layer or on the gradient's size."});
    study_predict(p, &(struct study_claim){
        .id = "converge",
        .statement = "Runs that start from weights x 1/4, 1 and 4 come to the same lengths.",
        .prediction = SAY("At the end the longest is at most %g times the shortest (mean over "
                          "layers); it was 16 times.", CONVERGED),
        .low = -INFINITY, .high = CONVERGED, .unit = "longest over shortest",
        .falsified_by = "Lengths that remember where they started.",
        .condition = "a run has fewer steps than lengths need to meet by the formula"});
    study_predict(p, &(struct study_claim){
        .id = "relaxation",
        .statement = "Weights that are too long reach their equilibrium in a time set by learning "
                     "rate and decay alone.",
        .formula = "|w|^4 - its limit falls by e in (1 - b) / (4 lr wd) steps",
        .prediction = SAY("From weights x 4 it takes %.4g steps; measured over predicted lies "
                          "within 0.7 and 1.3.", theory_relaxation_steps(&t)),
        .low = 0.7, .high = 1.3, .unit = "measured over predicted",
        .falsified_by = "A time that is another, or differs from layer to layer.",
        .condition = "lengths start less than 1.5 times above their limit"});
}

static void predict_ablations(struct study_plan *p)
{
    study_predict(p, &(struct study_claim){
        .id = "off",
        .statement = "Without decay weights grow and the effective learning rate falls as the "
                     "root of time.",
        .formula = "lr / |w|^2 ~ t^(-1/2)",
        .prediction = "Its power of time, over the second half of the run, lies within -0.65 and "
                      "-0.35.",
        .low = -0.65, .high = -0.35, .unit = "power of time",
        .falsified_by = "An effective learning rate that stays, or falls faster.",
        .aside = true});
    study_predict(p, &(struct study_claim){
        .id = "projection",
        .statement = "Holding lengths by projection does what decay does to scale-invariant "
                     "weights.",
        .prediction = "From half-way on, the training loss over the last third is within 5 % of "
                      "that with decay.",
        .low = -0.05, .high = 0.05, .unit = "relative difference of loss",
        .falsified_by = "A difference beyond 5 %."});
    study_predict(p, &(struct study_claim){
        .id = "others",
        .statement = "It is the scale-invariant weights on which decay acts: decay on them alone "
                     "trains as decay on everything.",
        .prediction = "The training loss over the last third is within 5 % of that with decay on "
                      "everything.",
        .low = -0.05, .high = 0.05, .unit = "relative difference of loss",
        .falsified_by = "A difference beyond 5 %.",
        .aside = true});
}

static void predict_invariances(struct study_plan *p)
{
    char text[300];
    const struct theory t = weight_decay_theory(&p->sweep->base);
    study_predict(p, &(struct study_claim){
        .id = "product",
        .statement = "Learning rate times decay is what counts: lr x k, decay / k, first weights "
                     "x sqrt k is the same run.",
        .prediction = "For k = 4 and 16 the training loss over the whole run is within 3 % of "
                      "that for k = 1.",
        .low = -0.03, .high = 0.03, .unit = "relative difference of loss",
        .falsified_by = "A difference beyond 3 %."});
    study_predict(p, &(struct study_claim){
        .id = "momentum",
        .statement = "lr / (1 - momentum) is what counts, not either of them.",
        .prediction = "With twice the learning rate and twice 1 - momentum the training loss over "
                      "the last third is within 5 %.",
        .low = -0.05, .high = 0.05, .unit = "relative difference of loss",
        .falsified_by = "A difference beyond 5 %."});
    study_predict(p, &(struct study_claim){
        .id = "lars-angle",
        .statement = "LARS at the right rate turns weights as SGD with decay does.",
        .formula = "LARS rate sqrt(2 lr wd (1 - b)), sqrt(2 lr wd) without momentum",
        .prediction = SAY("At rate %.4g the angle per step over that of SGD's formula lies within "
                          "0.7 and 1.3.", weight_decay_lars_rate(&t)),
        .low = 0.7, .high = 1.3, .unit = "measured over predicted",
        .falsified_by = "Angles beyond that."});
    study_predict(p, &(struct study_claim){
        .id = "lars-loss",
        .statement = "LARS at that rate trains like SGD with decay.",
        .prediction = "The training loss over the last third is within 10 %.",
        .low = -0.1, .high = 0.1, .unit = "relative difference of loss",
        .falsified_by = "A difference beyond 10 %.",
        .aside = true});
}

void weight_decay_predict(struct study_plan *p)
{
    predict_exact(p);
    predict_equilibrium(p);
    predict_ablations(p);
    predict_invariances(p);
}
