/* cmd_bench.c - kiln bench: how long a training step takes, whole and layer by layer; bench.h. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/resolve.h"

enum { STEPS_DEFAULT = 10 };

struct args {
    int warmup;
    bool table, freeze_whitening, plan;
};

static const struct option_def options[] = {
    {"warmup_steps", OPTION_INT, offsetof(struct args, warmup), "2", 0, 1000, NULL, "steps",
     "measuring", "steps before the clock starts", NULL},
    {"table", OPTION_FLAG, offsetof(struct args, table), "yes", 0, 0, NULL, NULL, "measuring",
     "measure layer by layer too", NULL},
    {"freeze_whitening", OPTION_FLAG, offsetof(struct args, freeze_whitening), "no", 0, 0, NULL,
     NULL, "measuring",
     "the whitening bias does not train, as in airbench after its third epoch", NULL},
    {"plan", OPTION_FLAG, offsetof(struct args, plan), "no", 0, 0, NULL, NULL, "measuring",
     "show which algorithm each convolution takes instead, and time the others beside it", NULL},
    {0},
};

/* The recipe with what a benchmark needs: full batches of random images, whole steps only, a
 * schedule that does not end before (an epoch has a step or more), and a whitening bias that trains
 * throughout (every step is the same and the longest one) or never. */
static int resolve(const struct invocation *inv, struct config *c, struct err *e)
{
    const struct args *args = inv->args;
    const char *recipe = inv->operand_count ? inv->operands[0] : "airbench94";
    if (resolve_config(inv, recipe, c, e))
        return -1;
    c->train_count = 0;
    c->train_fraction = 1;
    c->validation = 0;
    c->label_noise = 0;
    c->drop_last = true;
    c->steps = c->steps > 0 ? c->steps : STEPS_DEFAULT;
    if (c->epochs < args->warmup + (double)c->steps)
        c->epochs = args->warmup + (double)c->steps;
    c->whiten_bias_epochs = args->freeze_whitening ? 0 : -1;
    return 0;
}

static int measure(struct bench *b, const struct args *args, struct err *e)
{
    if (args->plan)
        return bench_candidates(b, e);
    if (bench_steps(b, args->warmup, e))
        return -1;
    if (!args->table)
        return 0;
    bench_rows(b);
    return bench_around(b, e);
}

static int run(struct invocation *inv, struct err *e)
{
    struct config c;
    if (resolve(inv, &c, e))
        return -1;
    struct bench *b = xcalloc(1, sizeof *b);
    int status = -1;
    if (!bench_init(b, &c, c.steps, e) &&
        !measure(b, inv->args, e)) {
        status = 0;
        if (inv->common.json)
            status = bench_print_json(b, e);
        else if (b->candidates)
            bench_plan_print(b);
        else
            bench_print(b);
    }
    bench_release(b);
    free(b);
    return status;
}

static const char *const examples[] = {
    "kiln bench", "the step of the recipe airbench94, whole and layer by layer",
    "kiln bench --plan", "which algorithms its convolutions take, and what others would cost",
    "kiln bench resnet9-24 --batch 512 --threads 1", "another recipe, on one thread",
    "kiln bench --net resnet18 --batch 128 --steps 3 --no-table", "another network, only the whole",
    NULL,
};

const struct command command_bench = {
    .name = "bench",
    .summary = "Time a training step, whole and layer by layer",
    .usage = "[RECIPE] [options]",
    .description =
        "Runs full training steps (load and augment, forward, loss, backward, update) of the\n"
        "recipe on random images, 10 or --steps of them, and prints images per second as their\n"
        "median with the fastest and the slowest; then the parts of the step one by one, with\n"
        "GFLOP/s (nominal: padding counts), the share of what the machine can do (measured\n"
        "first), and the bytes of activations, gradients and weights that each part moves; then\n"
        "what stands around the step: averaging, logging, evaluation. --plan shows the choice of\n"
        "algorithms (key convolution) with the predictions behind it.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
