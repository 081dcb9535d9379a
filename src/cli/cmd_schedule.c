/* cmd_schedule.c - kiln schedule: the learning rate over a run, drawn before it is trained. */
#include <stdlib.h>

#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/dryrun.h"
#include "cli/resolve.h"

struct args {
    int columns, rows;
    bool ascii;
};

static const struct option_def options[] = {
    {"columns", OPTION_INT, offsetof(struct args, columns), "66", 10, 400, NULL, NULL, "drawing",
     "width of the curve", NULL},
    {"rows", OPTION_INT, offsetof(struct args, rows), "12", 4, 100, NULL, NULL, "drawing",
     "height of the curve", NULL},
    {"ascii", OPTION_FLAG, offsetof(struct args, ascii), "no", 0, 0, NULL, NULL, "drawing",
     "draw with ASCII characters only", NULL},
    {0},
};

static int print_json(const struct config *c, struct err *e)
{
    uint64_t steps, per_epoch;
    double *rates = dryrun_rates(c, &steps, &per_epoch, e);
    if (!rates)
        return -1;
    json_t *o = json_object(), *list = json_array();
    for (uint64_t i = 0; i < steps; i++)
        json_array_append_new(list, json_number(rates[i]));
    free(rates);
    json_object_set_new(o, "steps", json_integer((json_int_t)steps));
    json_object_set_new(o, "steps_per_epoch", json_integer((json_int_t)per_epoch));
    json_object_set_new(o, "momentum", json_number(c->momentum));
    json_object_set_new(o, "weight_decay", json_number(c->weight_decay));
    json_object_set_new(o, "lr", list);
    return cli_print_json(o, e);
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct config c;
    if (resolve_keys(inv, inv->operands[0], &c, e))
        return -1;
    if (inv->common.json)
        return print_json(&c, e);
    return dryrun_draw(&c, args->columns, args->rows, args->ascii || !chart_unicode(), e);
}

static const char *const examples[] = {
    "kiln schedule airbench94", "the recipe's schedule",
    "kiln schedule quickstart --schedule cosine --warmup 1", "the same recipe with another one",
    NULL,
};

const struct command command_schedule = {
    .name = "schedule",
    .summary = "Draw a recipe's learning rate over the run",
    .usage = "RECIPE [options]",
    .description = "Schedules are pure functions of the step: what is drawn is what will be used.\n"
                   "--json prints the learning rate of every step.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
