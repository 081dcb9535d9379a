/* config.c - the table of keys, and what is derived from them. See config.h. */
#include "train/config.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "optim/lars.h"
#include "base/json.h"

#define AT(member) offsetof(struct config, member)
#define LIMIT 2147483647.0

static int check_knots(const char *value, struct err *e)
{
    struct schedule s;
    return *value ? schedule_parse_knots(&s, value, 1, e) : 0;
}

static int check_positions(const char *value, struct err *e)
{
    struct schedule s;
    return *value ? schedule_parse_knots(&s, value, 0, e) : 0;
}

/* JSON and HTML know no other text; jansson refuses what is not UTF-8. */
static int check_utf8(const char *value, struct err *e)
{
    json_t *text = json_string(value);
    json_decref(text);
    return text ? 0 : err_set(e, EXIT_USAGE, "not UTF-8");
}

/* Name, type, member, default, least, most, choices, unit, group, help, check. */
const struct option_def config_options[] = {
    {"data", OPTION_TEXT, AT(data), "cifar10", 0, 0, NULL, NULL, "data",
     "data set: cifar10, cifar100, fashion-mnist, mnist or synthetic", NULL},
    {"data_dir", OPTION_TEXT, AT(data_dir), "", 0, 0, NULL, NULL, "data",
     "folder or archive that holds the images; empty: look in the usual places", NULL},
    {"train_count", OPTION_INT, AT(train_count), "0", 0, LIMIT, NULL, "images", "data",
     "train on so many images, class-balanced; 0: all", NULL},
    {"train_fraction", OPTION_REAL, AT(train_fraction), "1", 1e-6, 1, NULL, NULL, "data",
     "train on this share of the images, class-balanced", NULL},
    {"validation", OPTION_INT, AT(validation), "0", 0, LIMIT, NULL, "images", "data",
     "hold so many training images out, class-balanced, for validation", NULL},
    {"label_noise", OPTION_REAL, AT(label_noise), "0", 0, 1, NULL, NULL, "data",
     "share of training labels replaced by another class", NULL},
    {"data_seed", OPTION_SEED, AT(data_seed), "0", 0, 18446744073709551615.0, NULL, NULL, "data",
     "seed of subsets, label noise and synthetic images", NULL},

    {"net", OPTION_TEXT, AT(net), "resnet9", 0, 0, NULL, NULL, "network",
     "network: a name from nets/ or the path of a .net file", NULL},
    {"width", OPTION_REAL, AT(width), "1", 1.0 / 64, 16, NULL, NULL, "network",
     "factor on the network's channel counts; 1: as published", NULL},
    {"init_scale", OPTION_REAL, AT(init_scale), "1", 1e-6, 1e6, NULL, NULL, "network",
     "factor on the first values of scale-invariant weights (a batch norm follows them)", NULL},

    {"batch", OPTION_INT, AT(batch), "512", 1, 65536, NULL, "images", "training",
     "images of one step", NULL},
    {"epochs", OPTION_REAL, AT(epochs), "24", 1e-3, 1e6, NULL, "epochs", "training",
     "length of the run and of its schedule; fractions are fine", NULL},
    {"steps", OPTION_INT, AT(steps), "0", 0, LIMIT, NULL, "steps", "training",
     "stop after so many steps of the schedule; 0: go to its end", NULL},
    {"drop_last", OPTION_FLAG, AT(drop_last), "no", 0, 0, NULL, NULL, "training",
     "leave out an epoch's last batch when it is not full", NULL},
    {"seed", OPTION_SEED, AT(seed), "1", 0, 18446744073709551615.0, NULL, NULL, "training",
     "seed of the first weights, the order of images, and augmentation", NULL},
    {"label_smoothing", OPTION_REAL, AT(label_smoothing), "0", 0, 1, NULL, NULL, "training",
     "share of the target spread evenly over the classes", NULL},
    {"freeze_statistics", OPTION_REAL, AT(freeze_statistics), "-1", -1, 1e6, NULL, "epochs",
     "training", "batch norms train with running statistics that stand still from here; -1: never",
     NULL},
    {"reduction", OPTION_CHOICE, AT(reduction), "mean", 0, 0, "mean|sum", NULL, "training",
     "how the losses of a batch become the one that is minimised", NULL},

    {"crop", OPTION_INT, AT(crop), "4", 0, 15, NULL, "pixels", "augmentation",
     "reflect padding for the random crop; 0: none", NULL},
    {"flip", OPTION_CHOICE, AT(flip), "random", 0, 0, "none|random|alternating", NULL,
     "augmentation", "mirror images: half at random, or every other epoch (airbench)", NULL},
    {"cutout", OPTION_INT, AT(cutout), "0", 0, 31, NULL, "pixels", "augmentation",
     "side of the square set to zero in each image; 0: none", NULL},

    {"optimizer", OPTION_CHOICE, AT(optimizer), "sgd", 0, 0, "sgd|lars", NULL, "optimiser",
     "update rule", NULL},
    {"lr", OPTION_REAL, AT(lr), "0.4", 0, 1e6, NULL, NULL, "optimiser",
     "learning rate at schedule factor 1", NULL},
    {"momentum", OPTION_REAL, AT(momentum), "0.9", 0, 0.99999, NULL, NULL, "optimiser",
     "momentum, as PyTorch's SGD", NULL},
    {"nesterov", OPTION_FLAG, AT(nesterov), "yes", 0, 0, NULL, NULL, "optimiser",
     "Nesterov's form of momentum", NULL},
    {"weight_decay", OPTION_REAL, AT(weight_decay), "0.0005", 0, 1e6, NULL, NULL, "optimiser",
     "weight decay, added to the gradient as in PyTorch", NULL},
#define ROLE_KEYS(key, role, what)                                                                 \
    {key "_lr_factor", OPTION_REAL, AT(lr_factor[role]), "1", 0, 1e6, NULL, NULL, "optimiser",     \
     "factor on the learning rate of " what, NULL},                                                \
    {key "_decay_factor", OPTION_REAL, AT(decay_factor[role]), "1", 0, 1e6, NULL, NULL,            \
     "optimiser", "factor on the weight decay of " what, NULL}
    ROLE_KEYS("bias", ROLE_BIAS, "convolution biases"),
    ROLE_KEYS("norm_scale", ROLE_NORM_SCALE, "batch-norm scales"),
    ROLE_KEYS("norm_bias", ROLE_NORM_BIAS, "batch-norm biases"),
    ROLE_KEYS("head", ROLE_HEAD, "the final linear layer"),
    ROLE_KEYS("whiten", ROLE_WHITEN, "the whitening layer's bias"),
#undef ROLE_KEYS
    {"invariant_decay_factor", OPTION_REAL, AT(invariant_decay_factor), "1", 0, 1e6, NULL, NULL,
     "optimiser", "factor on the weight decay of scale-invariant weights", NULL},
    {"hold_norms", OPTION_REAL, AT(hold_norms), "-1", -1, 1e6, NULL, "epochs", "optimiser",
     "from this epoch on hold the lengths of scale-invariant weights by projection, instead of by "
     "their weight decay; -1: never", NULL},
    {"whiten_bias_epochs", OPTION_REAL, AT(whiten_bias_epochs), "-1", -1, 1e6, NULL, "epochs",
     "optimiser", "train the whitening layer's bias for so many epochs; -1: throughout", NULL},
    {"lars_scope", OPTION_CHOICE, AT(lars_scope), "layer", 0, 0, "layer|filter", NULL, "optimiser",
     "lars: what is scaled as a whole, a layer's weights or each output filter's", NULL},
    {"lars_trust", OPTION_REAL, AT(lars_trust), "0.001", 0, 1e6, NULL, NULL, "optimiser",
     "lars: length of a step over that of the weights, at learning rate 1", NULL},
    {"lars_eps", OPTION_REAL, AT(lars_eps), "1e-08", 0, 1e6, NULL, NULL, "optimiser",
     "lars: added to the length of the gradient", NULL},

    {"schedule", OPTION_CHOICE, AT(schedule), "constant", 0, 0,
     "constant|linear|step|cosine|onecycle|exponential", NULL, "schedule",
     "shape of the learning rate over the run", NULL},
    {"knots", OPTION_TEXT, AT(knots), "", 0, 0, NULL, NULL, "schedule",
     "linear: position:factor, ... with positions in epochs (15), steps (100s) or % of the run",
     check_knots},
    {"step_at", OPTION_TEXT, AT(step_at), "", 0, 0, NULL, NULL, "schedule",
     "step: where the factor drops, as positions of knots: 60, 120, 160", check_positions},
    {"step_factor", OPTION_REAL, AT(step_factor), "0.1", 0, 1, NULL, NULL, "schedule",
     "step: factor of each drop", NULL},
    {"final_factor", OPTION_REAL, AT(final_factor), "0", 0, 1e12, NULL, NULL, "schedule",
     "cosine, onecycle, exponential: factor at the end", NULL},
    {"cycle_start", OPTION_REAL, AT(cycle_start), "0.04", 0, 1, NULL, NULL, "schedule",
     "onecycle: factor at the start", NULL},
    {"cycle_peak", OPTION_REAL, AT(cycle_peak), "0.3", 0, 1, NULL, NULL, "schedule",
     "onecycle: share of the run up to the peak", NULL},
    {"warmup", OPTION_REAL, AT(warmup), "0", 0, 1e6, NULL, "epochs", "schedule",
     "linear warm-up from warmup_factor, on top of any schedule", NULL},
    {"warmup_factor", OPTION_REAL, AT(warmup_factor), "0", 0, 1, NULL, NULL, "schedule",
     "factor at the first step of the warm-up", NULL},
    {"schedule_origin", OPTION_INT, AT(schedule_origin), "0", 0, 1, NULL, NULL, "schedule",
     "position of the first step: 0 as in PyTorch, 1 as in Page's code", NULL},

    {"average", OPTION_CHOICE, AT(average), "none", 0, 0, "none|ema|lookahead", NULL, "averaging",
     "averaging of weights and running statistics over steps", NULL},
    {"average_every", OPTION_INT, AT(average_every), "5", 1, LIMIT, NULL, "steps", "averaging",
     "how often the average moves", NULL},
    {"average_decay", OPTION_REAL, AT(average_decay), "0.95", 0, 1, NULL, NULL, "averaging",
     "what one step leaves of the average: decay ^ every * (step / total) ^ power", NULL},
    {"average_power", OPTION_REAL, AT(average_power), "3", 0, 16, NULL, NULL, "averaging",
     "how the decay grows over the run; 0: constant", NULL},

    {"tta", OPTION_CHOICE, AT(tta), "none", 0, 0, "none|flip|six", NULL, "evaluation",
     "test-time augmentation of the last evaluation: mirror images, or six views", NULL},
    {"eval_every", OPTION_INT, AT(eval_every), "1", -1, LIMIT, NULL, "epochs", "evaluation",
     "evaluate after every so many epochs, and at the end; 0: only at the end; -1: never", NULL},
    {"target", OPTION_REAL, AT(target), "0", 0, 1, NULL, NULL, "evaluation",
     "accuracy (0.94) that the last evaluation must reach, else exit code 5", NULL},

    {"checkpoint_every", OPTION_INT, AT(checkpoint_every), "0", 0, LIMIT, NULL, "steps",
     "checkpoints", "write a checkpoint every so many steps; 0: after every epoch", NULL},
    {"keep_last", OPTION_INT, AT(keep_last), "2", 1, LIMIT, NULL, "checkpoints", "checkpoints",
     "how many of the newest checkpoints stay", NULL},
    {"keep_best", OPTION_FLAG, AT(keep_best), "yes", 0, 0, NULL, NULL, "checkpoints",
     "keep the weights of the best evaluation as best.safetensors", NULL},
    {"hash_steps", OPTION_INT, AT(hash_steps), "3", 0, LIMIT, NULL, "steps", "checkpoints",
     "record the hash of the weights after each of the first steps, for kiln verify", NULL},
    {"predictions", OPTION_FLAG, AT(predictions), "yes", 0, 0, NULL, NULL, "checkpoints",
     "at the end, keep what each held-out image was taken for, and a picture of the hardest", NULL},

    {"probes", OPTION_TEXT, AT(probes), "", 0, 0, NULL, NULL, "probes",
     "what to measure along the way, as in norms,sharpness; 'kiln probe' lists them", NULL},
    {"probe_budget", OPTION_REAL, AT(probe_budget), "0.05", 1e-6, 1e6, NULL, NULL, "probes",
     "share of the training's work (5%) that probes may cost: they measure less often to keep it",
     NULL},
    {"probe_images", OPTION_INT, AT(probe_images), "512", 1, LIMIT, NULL, "images", "probes",
     "training images that a probe looks at when it has a choice", NULL},
    {"probe_precision", OPTION_CHOICE, AT(probe_precision), "fp64", 0, 0, "fp32|fp64", NULL,
     "probes", "numbers that second derivatives are computed with", NULL},
    {"probe_iterations", OPTION_INT, AT(probe_iterations), "40", 2, 1000, NULL, NULL, "probes",
     "Lanczos iterations, at most", NULL},

    {"threads", OPTION_INT, AT(threads), "0", 0, 1024, NULL, NULL, "machine",
     "threads; 0: as many as this process may use", NULL},
    {"isa", OPTION_CHOICE, AT(isa), "auto", 0, 0, TIER_CHOICES, NULL, "machine",
     "kernel tier", NULL},
    {"precision", OPTION_CHOICE, AT(precision), "auto", 0, 0, PRECISION_CHOICES, NULL, "machine",
     "numbers that the network computes with: auto is the fastest that trains as well; "
     "bf16 has weights and sums in fp32; fp64 is slow, for tests", NULL},
    {"convolution", OPTION_TEXT, AT(convolution), "auto", 0, 0, NULL, NULL, "machine",
     "algorithm of convolutions: auto, direct, winograd4 ..., or a list: layer1.conv:direct, ...",
     NULL},

    {"name", OPTION_TEXT, AT(name), "", 0, 0, NULL, NULL, "record",
     "what you call this run, in lists and reports; any text in UTF-8", check_utf8},
    {0},
};

static_assert(OPTIMIZER_SGD == 0 && OPTIMIZER_LARS == 1 && LARS_LAYER == 0 && LARS_FILTER == 1,
              "the choices of `optimizer` and `lars_scope` are in the order of their enums");
static_assert(FLIP_NONE == 0 && FLIP_RANDOM == 1 && FLIP_ALTERNATING == 2,
              "the choices of `flip` are in the order of enum flip");

void config_default(struct config *c)
{
    memset(c, 0, sizeof *c);
    options_default(config_options, c);
    c->lr_factor[ROLE_WEIGHT] = 1;
    c->decay_factor[ROLE_WEIGHT] = 1;
}

int config_schedule(const struct config *c, struct schedule *s, struct err *e)
{
    *s = (struct schedule){
        .kind = (enum schedule_kind)c->schedule,
        .step_factor = c->step_factor,
        .final_factor = c->final_factor,
        .cycle_start = c->cycle_start,
        .cycle_peak = c->cycle_peak,
        .warmup = c->warmup,
        .warmup_factor = c->warmup_factor,
        .origin = c->schedule_origin,
    };
    if (c->schedule == SCHEDULE_LINEAR && schedule_parse_knots(s, c->knots, 1, e))
        return err_prefix(e, "knots");
    if (c->schedule == SCHEDULE_STEP && schedule_parse_knots(s, c->step_at, 0, e))
        return err_prefix(e, "step_at");
    return 0;
}

int config_check(const struct config *c, struct err *e)
{
    struct schedule s;
    if (c->schedule == SCHEDULE_LINEAR && !*c->knots)
        return err_set(e, EXIT_USAGE, "schedule = linear needs knots, as in knots = 0:0,5:1,24:0");
    if (c->schedule == SCHEDULE_STEP && !*c->step_at)
        return err_set(e, EXIT_USAGE, "schedule = step needs step_at, as in step_at = 60, 120");
    if (c->schedule == SCHEDULE_EXPONENTIAL && c->final_factor <= 0)
        return err_set(e, EXIT_USAGE, "schedule = exponential needs a final_factor above 0");
    if (c->schedule != SCHEDULE_EXPONENTIAL && c->final_factor > 1)
        return err_set(e, EXIT_USAGE, "final_factor is %g, but only schedule = exponential rises",
                       c->final_factor);
    if (config_schedule(c, &s, e))
        return -1;
    if (c->nesterov && c->momentum <= 0)
        return err_set(e, EXIT_USAGE, "nesterov = yes needs a momentum above 0");
    if (c->warmup >= c->epochs && c->warmup > 0)
        return err_set(e, EXIT_USAGE, "warmup (%g epochs) is as long as the run (%g epochs)",
                       c->warmup, c->epochs);
    if (c->train_count > 0 && c->train_fraction < 1)
        return err_set(e, EXIT_USAGE, "train_count and train_fraction exclude each other");
    if (c->average == AVERAGE_EMA && c->average_decay >= 1)
        return err_set(e, EXIT_USAGE, "average = ema with average_decay = 1 would never move");
    return 0;
}

struct average_rule config_average(const struct config *c)
{
    return (struct average_rule){.kind = (enum average_kind)c->average,
                                 .every = c->average_every,
                                 .decay = c->average_decay,
                                 .power = c->average_power};
}

struct subset_options config_subset(const struct config *c)
{
    return (struct subset_options){.train_count = (uint32_t)c->train_count,
                                   .train_fraction = c->train_fraction,
                                   .validation = (uint32_t)c->validation,
                                   .label_noise = c->label_noise,
                                   .seed = c->data_seed};
}

struct augment config_augment(const struct config *c)
{
    return (struct augment){.pad = c->crop, .flip = (enum flip)c->flip, .cutout = c->cutout};
}

/* Whether a key decides the weights that training ends with. */
static bool decides_weights(const struct option_def *o)
{
    static const char *const others[] = {"data_dir", "steps", "threads", "isa", "name"};
    if (strcmp(o->group, "evaluation") == 0 || strcmp(o->group, "checkpoints") == 0 ||
        strcmp(o->group, "probes") == 0)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(o->name, others[i]) == 0)
            return false;
    }
    return true;
}

void config_hash(const struct config *c, char hex[65])
{
    struct hash h;
    hash_init(&h, HASH_SHA256);
    for (const struct option_def *o = config_options; o->name; o++) {
        if (!decides_weights(o))
            continue;
        char value[OPTION_TEXT_SIZE];
        options_get(config_options, c, o->name, value);
        hash_add(&h, o->name, strlen(o->name) + 1);
        hash_add(&h, value, strlen(value) + 1);
    }
    hash_hex(&h, hex);
}
