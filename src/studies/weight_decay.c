/* weight_decay.c - what weight decay does to weights whose length changes nothing.
 *
 * Four groups of runs at a constant learning rate, all with batch norm after every convolution:
 *
 *   equilibrium   the same run from first weights x 1/4, 1, 4: lengths, ratios and angles; and as
 *                 many steps of larger batches, whose gradients are less noise
 *   ablations     decay on, off, only on scale-invariant weights, only on the others, and replaced
 *                 by projection half-way
 *   invariances   lr x 4 and x 16 at constant lr wd; lr / (1 - momentum) constant; LARS
 *   exact         a few steps: first weights x c; x 2 with lr x 1, 2, 4, 8; decay as a growing
 *                 rate. In double precision on a sliver of the network, the last two with long
 *                 weights, so that neither rounding nor batch norm's eps is in the way
 *
 * weight_decay_seen.c reads them.
 */
#include "studies/weight_decay.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/dataset.h"
#include "train/trainer.h"

const double invariance_factors[INVARIANCE_FACTORS] = {0.0009765625, 0.03125, 0.25, 1, 4, 32, 1024};
const double rescale_factors[RESCALE_FACTORS] = {1, 2, 4, 8};

enum { PAIRS = 32, TEXT = 32, EXACT_BATCH = 16 };
static const double EXACT_WIDTH = 0.0625;
/* First weights x 1024 with a learning rate x 1024^2 and a decay / 1024^2 take the path of weights
 * x 1, but for eps, which is now a millionth of what it was against the variance of the outputs. */
static const double LONG = 1024;

/* Keys and values in the making; numbers are printed into it. */
struct pairs {
    const char *list[2 * PAIRS + 1];
    char texts[PAIRS][TEXT];
    int count;
};

static void set(struct pairs *p, const char *key, const char *value)
{
    p->list[2 * p->count] = key;
    p->list[2 * p->count + 1] = value;
    p->list[2 * ++p->count] = NULL;
}

static void set_number(struct pairs *p, const char *key, double value)
{
    char *text = p->texts[p->count];
    snprintf(text, TEXT, "%.17g", value);
    set(p, key, text);
}

static const char *const rate_keys[] = {"bias_lr_factor", "norm_scale_lr_factor",
                                        "norm_bias_lr_factor", "head_lr_factor"};
static const char *const decay_keys[] = {"bias_decay_factor", "norm_scale_decay_factor",
                                         "norm_bias_decay_factor", "head_decay_factor"};

/* Learning rate and decay of everything that is not a convolution's weights. */
static void set_others(struct pairs *p, double lr_factor, double decay_factor)
{
    for (int i = 0; i < 4; i++) {
        set_number(p, rate_keys[i], lr_factor);
        set_number(p, decay_keys[i], decay_factor);
    }
}

/* So many epochs of a short run are so many steps. */
static int short_epochs(const struct study_plan *p, int steps, double *epochs, struct err *e)
{
    struct config c = p->sweep->base;
    const struct dataset *kind = dataset_find(c.data);
    struct train_estimate size;
    if (!kind)
        return dataset_unknown(c.data, e);
    c.batch = EXACT_BATCH;
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    if (trainer_estimate(&c, input, kind->classes, kind->train_count, kind->test_count, &size, e))
        return -1;
    *epochs = steps / (double)size.steps_per_epoch;
    return 0;
}

/* A run of few steps in double precision, which is slow: of a narrow network on small batches. Its
 * schedule's first step is step 0, whatever the recipe says. */
static void set_short(struct pairs *p, double epochs)
{
    set_number(p, "epochs", epochs);
    set_number(p, "batch", EXACT_BATCH);
    set_number(p, "width", EXACT_WIDTH);
    set(p, "eval_every", "-1");
    set(p, "precision", "fp64");
    set(p, "schedule_origin", "0");
}

void weight_decay_label(const char *format, double factor, char label[64])
{
    const char *at = strstr(format, "%g");
    snprintf(label, 64, "%.*s%g", (int)(at - format), format, factor);
}

struct theory weight_decay_theory(const struct config *c)
{
    return (struct theory){.lr = c->lr, .momentum = c->momentum, .weight_decay = c->weight_decay,
                           .nesterov = c->nesterov};
}

double weight_decay_lars_rate(const struct theory *t)
{
    return t->lr * theory_equilibrium_ratio(t);
}

static int plan_equilibrium(struct study_plan *p, struct err *e)
{
    const struct config *base = &p->sweep->base;
    const char *const labels[] = {START_SHORT, DECAY_ON, START_LONG};
    for (int i = 0; i < 3; i++) {
        struct pairs s = {0};
        set_number(&s, "init_scale", exp2(2 * i - 2));
        if (study_trials(p, labels[i], s.list, e))
            return -1;
    }
    struct pairs large = {0}, off = {0}, inside = {0}, outside = {0}, held = {0};
    set_number(&large, "batch", LARGE_BATCH_TIMES * base->batch);
    set_number(&large, "epochs", LARGE_BATCH_TIMES * base->epochs);
    set_number(&off, "weight_decay", 0);
    set_others(&inside, 1, 0);
    set_number(&outside, "invariant_decay_factor", 0);
    set_number(&held, "hold_norms", floor(base->epochs / 2));
    return study_trials(p, LARGE_BATCH, large.list, e) ||
                   study_trials(p, DECAY_OFF, off.list, e) ||
                   study_trials(p, DECAY_INVARIANT, inside.list, e) ||
                   study_trials(p, DECAY_OTHERS, outside.list, e) ||
                   study_trials(p, DECAY_HELD, held.list, e)
               ? -1
               : 0;
}

/* lr x k, decay / k, first weights x sqrt k: the same path on another scale. */
static int plan_product(struct study_plan *p, double k, const char *label, struct err *e)
{
    const struct config *base = &p->sweep->base;
    struct pairs s = {0};
    set_number(&s, "lr", k * base->lr);
    set_number(&s, "weight_decay", base->weight_decay / k);
    set_number(&s, "init_scale", sqrt(k));
    set_others(&s, 1 / k, k);
    return study_trials(p, label, s.list, e);
}

static int plan_invariances(struct study_plan *p, struct err *e)
{
    const struct config *base = &p->sweep->base;
    const struct theory t = weight_decay_theory(base);
    double rate = weight_decay_lars_rate(&t);
    struct pairs control = {0}, momentum = {0}, lars = {0};
    set_number(&control, "lr", 4 * base->lr);
    set_number(&control, "init_scale", 2);
    set_others(&control, 0.25, 1);
    set_number(&momentum, "lr", 2 * base->lr);
    set_number(&momentum, "momentum", 2 * base->momentum - 1);
    set(&lars, "optimizer", "lars");
    set_number(&lars, "lr", rate);
    set_number(&lars, "lars_trust", 1);
    set_number(&lars, "invariant_decay_factor", 0);
    for (int i = 0; i < 3; i++) /* LARS leaves these to SGD; the head is a layer like others */
        set_number(&lars, rate_keys[i], base->lr / rate);
    return plan_product(p, 4, PRODUCT_4, e) || plan_product(p, 16, PRODUCT_16, e) ||
                   study_trials(p, PRODUCT_CONTROL, control.list, e) ||
                   study_trials(p, HALF_MEMORY, momentum.list, e) ||
                   study_trials(p, LARS, lars.list, e)
               ? -1
               : 0;
}

/* First weights x c, looked at without moving. */
static int plan_scales(struct study_plan *p, double epochs, struct err *e)
{
    for (int i = 0; i < INVARIANCE_FACTORS; i++) {
        char label[64];
        struct pairs s = {0};
        weight_decay_label("first weights x %g", invariance_factors[i], label);
        set_short(&s, epochs);
        set_number(&s, "lr", 0);
        set_number(&s, "init_scale", invariance_factors[i]);
        if (study_repeat(p, 1, label, s.list, e))
            return -1;
    }
    return 0;
}

static int plan_rescaling(struct study_plan *p, double epochs, struct err *e)
{
    /* Low, so that what is left of eps does not grow by chaos to anything within 100 steps. */
    const double long_lr = LONG * LONG * p->sweep->base.lr / 16;
    for (int i = -1; i < RESCALE_FACTORS; i++) {
        char label[64] = RESCALE_NONE;
        double factor = i < 0 ? 1 : rescale_factors[i];
        struct pairs s = {0};
        if (i >= 0)
            weight_decay_label("weights x 2, learning rate x %g", factor, label);
        set_short(&s, epochs);
        set_number(&s, "weight_decay", 0);
        set_number(&s, "lr", factor * long_lr);
        set_number(&s, "init_scale", i < 0 ? LONG : 2 * LONG);
        set_others(&s, 1 / (LONG * LONG * factor), 1);
        if (study_repeat(p, p->seeds + EXACT_SEEDS, label, s.list, e))
            return -1;
    }
    return 0;
}

/* Decay, the growing rate, and neither: without momentum, only convolutions' weights train. */
static int plan_growing(struct study_plan *p, double epochs, struct err *e)
{
    const struct theory t = {.lr = EXACT_RATE, .weight_decay = EXACT_DECAY};
    double a = theory_decay_root(&t);
    const char *const labels[] = {GROWING_DECAY, GROWING_RATE, GROWING_NEITHER};
    for (int i = 0; i < 3; i++) {
        struct pairs s = {0};
        set_short(&s, epochs);
        set_number(&s, "momentum", 0);
        set(&s, "nesterov", "no");
        set_others(&s, 0, 0);
        set_number(&s, "init_scale", LONG);
        set_number(&s, "weight_decay", i == 0 ? EXACT_DECAY / (LONG * LONG) : 0);
        set_number(&s, "lr", LONG * LONG * (i == 1 ? EXACT_RATE / a : EXACT_RATE));
        if (i == 1) {
            /* The schedule's factor is f^(s / (T - 1)): of step s it must be a^(-2s). */
            set(&s, "schedule", "exponential");
            set_number(&s, "final_factor", pow(a, -2 * (EXACT_STEPS - 1)));
        }
        if (study_repeat(p, p->seeds + EXACT_SEEDS, labels[i], s.list, e))
            return -1;
    }
    return 0;
}

static int plan(struct study_plan *p, struct err *e)
{
    double few = 0, exact = 0;
    if (p->sweep->base.momentum <= 0.5 || p->sweep->base.optimizer != OPTIMIZER_SGD)
        return err_set(e, EXIT_USAGE, "it needs SGD with a momentum above 0.5");
    if (short_epochs(p, 10, &few, e) || short_epochs(p, EXACT_STEPS, &exact, e))
        return -1;
    weight_decay_predict(p);
    return plan_equilibrium(p, e) || plan_invariances(p, e) || plan_scales(p, few, e) ||
                   plan_rescaling(p, exact, e) || plan_growing(p, exact, e)
               ? -1
               : 0;
}

static const struct study_disagreement disagreements[] = {
    {"Weights twice as long have gradients half as long, and need a step twice as long to turn as "
     "far: so the learning rate should be doubled.",
     "The two effects multiply. With w -> 2 w the gradient halves and the step has to double, so "
     "the learning rate has to grow four times; what counts is lr / |w|^2.",
     "Runs with weights x 2 and learning rate x 1, 2, 4, 8: which of them follows the run with "
     "weights x 1?"},
    {"Weight decay stabilises the effective step size at sqrt(2 lr wd).",
     "That is without momentum. With momentum b a single gradient moves weights by sqrt(2 lr wd "
     "(1 - b)) of their length, and what they turn in a step depends on the form of momentum.",
     "Predictions use the formulas for the optimiser in use, Nesterov's form included."},
    {0},
};

static const char *const caveats[] = {
    "Equilibrium formulas assume gradients that are all noise, new in each step. Batches are "
    "small here, so that much of them is. What is signal undoes itself from step to step (the "
    "ratio lies above its formula, more so in large batches) or points one way for many; at the "
    "end of training without noise the formulas need not hold.",
    "The learning rate is constant here. Along a schedule that falls to zero norms cannot follow, "
    "and the end of training is no equilibrium.",
    "Weight decay has no regularising effect on scale-invariant weights but through the effective "
    "learning rate; batch norm's own parameters and the last layer are regularised as usual.",
    NULL,
};

extern const struct study study_weight_decay;
const struct study study_weight_decay = {
    .name = "weight-decay",
    .title = "Weight decay and batch norm",
    .question = "What does weight decay do to weights whose length does not matter?",
    .background =
        "Batch norm divides by the spread of what a convolution computes, so multiplying the "
        "convolution's weights by c changes nothing but their gradient, which is divided by c. "
        "The gradient stands at a right angle to the weights: each step makes them longer. Weight "
        "decay makes them shorter, and the two meet at a length at which weights turn by a fixed "
        "angle per step, for every layer the same: sqrt(2 lr wd / (1 + b)) with heavy ball. "
        "Weight decay thereby sets the speed of learning.",
    .recipe = {"resnet9-narrow", "resnet9-narrow", "resnet9-24"},
    .settings = {
        [STUDY_TINY] = (const char *const[]){
            "net", "unbranched", "width", "0.0625", "train_count", "4096", "batch", "16",
            "epochs", "4", "lr", "0.05", "weight_decay", "0.006", "schedule", "constant", "knots",
            "", "cutout", "0", "eval_every", "-1", "keep_best", "no", "probes", "norms",
            "probe_budget", "1", NULL},
        [STUDY_SMALL] = (const char *const[]){
            "net", "unbranched", "width", "0.125", "batch", "16", "epochs", "2", "lr", "0.05",
            "weight_decay", "0.002", "schedule", "constant", "knots", "", "cutout", "0",
            "eval_every", "0", "keep_best", "no", "probes", "norms", "probe_budget", "1", NULL},
        [STUDY_PAPER] = (const char *const[]){
            "lr", "0.4", "schedule", "constant", "knots", "", "keep_best", "no", "probes", "norms",
            NULL},
    },
    .seeds = {2, 3, 5},
    .keep = KEEP_NONE,
    .plan = plan,
    .analyse = weight_decay_analyse,
    .caveats = caveats,
    .disagreements = disagreements,
};
