/* cmd_eval.c - kiln eval: how good a checkpoint is, class by class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/cli.h"
#include "cli/target.h"
#include "sweep/images.h"
#include "train/eval.h"

struct args {
    bool best;
};

static const struct option_def options[] = {
    {"best", OPTION_FLAG, offsetof(struct args, best), "no", 0, 0, NULL, NULL, "checkpoint",
     "of a run, take the best checkpoint instead of the newest", NULL},
    {0},
};

/* What was found, for both ways of printing it. */
struct findings {
    char weights[4096], hash[65];
    const struct images *images;
    struct eval_result plain, tta;
    uint32_t *confusion;         /* [classes, classes]: label, predicted */
    bool has_tta;
};

static json_t *class_json(const struct findings *f, int label)
{
    const struct eval_result *r = &f->tta;
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(f->images->class_names[label]));
    json_object_set_new(o, "count", json_integer(r->class_count[label]));
    json_object_set_new(o, "accuracy",
                        json_number((double)r->class_hits[label] / r->class_count[label]));
    return o;
}

static int print_json(const struct findings *f, struct err *e)
{
    int n = f->images->classes;
    json_t *o = json_object(), *classes = json_array(), *confusion = json_array();
    for (int i = 0; i < n; i++) {
        json_t *row = json_array();
        for (int k = 0; k < n; k++)
            json_array_append_new(row, json_integer(f->confusion[i * n + k]));
        json_array_append_new(confusion, row);
        json_array_append_new(classes, class_json(f, i));
    }
    json_object_set_new(o, "checkpoint", json_string(f->weights));
    json_object_set_new(o, "weights_hash", json_string(f->hash));
    json_object_set_new(o, "images", json_integer(f->plain.count));
    json_object_set_new(o, "test_loss", json_number(f->plain.loss));
    json_object_set_new(o, "test_accuracy", json_number(f->plain.accuracy));
    json_object_set_new(o, "tta_loss", json_number(f->has_tta ? f->tta.loss : (double)NAN));
    json_object_set_new(o, "tta_accuracy",
                        json_number(f->has_tta ? f->tta.accuracy : (double)NAN));
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "confusion", confusion);
    return cli_print_json(o, e);
}

/* The standard deviation of a share p measured on n images. */
static double spread(double p, uint32_t n)
{
    return sqrt(p * (1 - p) / n);
}

static void print_accuracy(const char *what, const struct eval_result *r)
{
    printf("%-16s%.2f %% +- %.2f of %u images, loss %.4f\n", what, 100 * r->accuracy,
           100 * spread(r->accuracy, r->count), r->count, r->loss);
}

static void print_confusion(const struct findings *f)
{
    int n = f->images->classes;
    printf("\nrows: the label; columns: the answer\n%-14s", "");
    for (int k = 0; k < n; k++)
        printf(" %6.6s", f->images->class_names[k]);
    printf("\n");
    for (int i = 0; i < n; i++) {
        printf("%-14.14s", f->images->class_names[i]);
        for (int k = 0; k < n; k++)
            printf(" %6u", f->confusion[i * n + k]);
        printf("\n");
    }
}

static void print_text(const struct findings *f)
{
    printf("checkpoint      %s\nweights         %s\n", f->weights, f->hash);
    print_accuracy("accuracy", &f->plain);
    if (f->has_tta)
        print_accuracy("with more views", &f->tta);
    printf("\n");
    for (int i = 0; i < f->images->classes; i++)
        printf("%-14.14s %6.2f %% of %u\n", f->images->class_names[i],
               100.0 * f->tta.class_hits[i] / f->tta.class_count[i], f->tta.class_count[i]);
    /* A hundred columns do not fit on a screen; --json has them. */
    if (f->images->classes <= 20)
        print_confusion(f);
}

static int evaluate_target(const struct config *c, struct findings *f, bool json, struct err *e)
{
    size_t n = (size_t)f->images->classes;
    f->confusion = xcalloc(n * n, sizeof *f->confusion);
    f->has_tta = c->tta != TTA_NONE;
    int rc = eval_checkpoint(c, f->images, f->weights, &f->plain, &f->tta, f->confusion, f->hash,
                             e);
    if (!rc && json)
        rc = print_json(f, e);
    else if (!rc)
        print_text(f);
    free(f->confusion);
    return rc;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct config c;
    struct images images = {0};
    struct findings f = {.images = &images};
    if (target_find(inv, inv->operands[0], args->best, f.weights, &c, e))
        return -1;
    int rc = load_images_of_run(&c, &images, e);
    if (!rc)
        rc = evaluate_target(&c, &f, inv->common.json, e);
    images_release(&images);
    return rc;
}

static const char *const examples[] = {
    "kiln eval runs/20261123-203259-quickstart-1a2b3c4d", "the newest checkpoint of a run",
    "kiln eval RUN --best --tta six", "its best one, seen in six views",
    "kiln eval weights.safetensors --net resnet18 --data cifar10", "weights from elsewhere",
    NULL,
};

const struct command command_eval = {
    .name = "eval",
    .summary = "Evaluate a checkpoint on the test images",
    .usage = "RUN|CHECKPOINT [options]",
    .description =
        "Prints accuracy and loss, the accuracy of each class, and the confusion matrix. The\n"
        "configuration is the run's; for weights that lie in no run, it comes from the options.\n"
        "The +- is the standard deviation of a share counted on so many images.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
