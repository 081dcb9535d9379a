/* cmd_sweep.c - kiln sweep: many configurations of one recipe, each with several seeds. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cli/attend.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "cli/resolve.h"
#include "cli/signals.h"
#include "cli/sweep_view.h"
#include "store/claim.h"
#include "sweep/halving.h"
#include "sweep/images.h"
#include "train/trainer.h"

struct args {
    char vary[OPTION_LIST_SIZE];
    int seeds;
    char sample[OPTION_TEXT_SIZE];
    int jobs;
    bool keep_going, fail_fast;
    int weights;                 /* enum keep_weights */
    int lease;
    int halving;
};

static const struct option_def options[] = {
    {"vary", OPTION_LIST, offsetof(struct args, vary), "", 0, 0, NULL, NULL, "sweep",
     "a key and its values: lr=0.1,0.2 or lr=0.05..1.6:log2; again for further keys", NULL},
    {"seeds", OPTION_INT, offsetof(struct args, seeds), "1", 1, 100000, NULL, NULL, "sweep",
     "so many seeds for each configuration, counted up from the recipe's", NULL},
    {"sample", OPTION_TEXT, offsetof(struct args, sample), "", 0, 0, NULL, NULL, "sweep",
     "random:N or sobol:N: so many points of the ranges, instead of every combination", NULL},
    {"jobs", OPTION_INT, offsetof(struct args, jobs), "1", 1, 1024, NULL, "processes", "sweep",
     "trials at a time; the threads are shared out to them", NULL},
    {"keep_going", OPTION_FLAG, offsetof(struct args, keep_going), "yes", 0, 0, NULL, NULL,
     "sweep", "go on with the other trials when one fails", NULL},
    {"fail_fast", OPTION_FLAG, offsetof(struct args, fail_fast), "no", 0, 0, NULL, NULL, "sweep",
     "stop everything when a trial fails (a diverged one is a result)", NULL},
    {"weights", OPTION_CHOICE, offsetof(struct args, weights), "last", 0, 0, "last|all|none", NULL,
     "sweep", "which checkpoints stay when a trial is done", NULL},
    {"lease", OPTION_INT, offsetof(struct args, lease), "120", 30, 86400, NULL, "seconds",
     "sweep", "take a trial over from a machine that has been silent for so long", NULL},
    {"halving", OPTION_INT, offsetof(struct args, halving), "0", 0, 64, NULL, NULL, "sweep",
     "successive halving: all configurations for few epochs, the best 1/N for N times as many, ...",
     NULL},
    {0},
};

static int status(struct invocation *inv, struct err *e)
{
    struct sweepdir s;
    if (inv->setting_count > 0)
        return err_set(e, EXIT_USAGE, "kiln sweep status takes no keys of the configuration");
    if (sweepdir_read(&s, inv->operands[1], e))
        return -1;
    int rc = EXIT_DONE;
    if (inv->common.json)
        rc = cli_print_json(sweep_status_json(&s), e);
    else
        sweep_print(&s);
    sweepdir_release(&s);
    return rc;
}

/* What is not done yet, in seconds: by the speed of the first such trial, measured on noise. */
static int estimate(const struct sweep_plan *p, const char *dir, size_t *missing, double *seconds,
                    struct err *e)
{
    double cost = 0, rate;
    struct config c;
    struct train_estimate size;
    *missing = 0;
    *seconds = 0;
    for (size_t i = p->trial_count; i-- > 0;) {
        if (trial_is_done(trial_state_of(dir, p->trials[i].id, NULL)))
            continue;
        (*missing)++;
        cost += p->trials[i].cost;
        sweep_plan_config(p, i, &c);
    }
    if (*missing == 0)
        return 0;
    const struct dataset *kind = dataset_find(c.data);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    if (dryrun_rate(&c, &rate, e) || trainer_estimate(&c, input, kind->classes, kind->train_count,
                                                      kind->test_count, &size, e))
        return -1;
    *seconds = cost / (size.training_macs * rate);
    return 0;
}

static json_t *plan_json(const struct sweep_plan *p, const char *dir)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->trial_count; i++) {
        const struct planned_trial *t = &p->trials[i];
        json_t *o = json_object(), *values = json_object();
        for (const char *const *pair = t->set; *pair; pair += 2)
            json_object_set_new(values, pair[0], summary_value(pair[0], pair[1]));
        enum trial_state state = trial_state_of(dir, t->id, NULL);
        json_object_set_new(o, "id", json_string(t->id));
        json_object_set_new(o, "state", json_string(trial_state_name(state)));
        json_object_set_new(o, "values", values);
        json_array_append_new(list, o);
    }
    return list;
}

/* What later rungs will add, in words. */
static void print_rungs(const struct halving *h)
{
    printf("halving by %d:", h->factor);
    for (int r = 0; r < h->rungs; r++)
        printf("%s %zu configuration%s for %.4g epochs%s", r ? "," : "", h->configurations[r],
               h->configurations[r] == 1 ? "" : "s", h->epochs[r],
               r < h->complete ? " (done)" : "");
    printf("; the trials above are those that are known so far\n");
}

static int dry_run(const struct invocation *inv, const struct sweep_plan *p, const char *dir,
                   const struct halving *h, struct err *e)
{
    size_t missing;
    double seconds;
    char text[400], time[16];
    if (estimate(p, dir, &missing, &seconds, e))
        return -1;
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "sweep", json_string(dir));
        json_object_set_new(o, "missing", json_integer((json_int_t)missing));
        json_object_set_new(o, "seconds", json_number(seconds));
        json_object_set_new(o, "trials", plan_json(p, dir));
        return cli_print_json(o, e);
    }
    for (size_t i = 0; i < p->trial_count; i++) {
        sweep_trial_text(p, i, text, sizeof text);
        printf("%s  %-12s %s\n", p->trials[i].id,
               trial_state_name(trial_state_of(dir, p->trials[i].id, NULL)), text);
    }
    if (h)
        print_rungs(h);
    progress_duration(seconds, time);
    printf("%s: %zu trials, %zu to do, about %s of training on all threads\n", dir,
           p->trial_count, missing, time);
    return EXIT_DONE;
}

static int report(const struct invocation *inv, const char *dir, const struct sweep_report *r,
                  struct err *e)
{
    if (r->finished + r->diverged + r->failed == 0 && r->before == r->total)
        log_say("nothing to do: all %zu trials are done", r->total);
    else
        log_say("%zu of %zu trials were done before; now %zu finished, %zu diverged, %zu failed",
                r->before, r->total, r->finished, r->diverged, r->failed);
    if (r->elsewhere)
        log_say("%zu trials were left to other processes", r->elsewhere);
    struct sweepdir s;
    if (sweepdir_read(&s, dir, e))
        return -1;
    int rc = 0;
    if (inv->common.json)
        rc = cli_print_json(sweep_status_json(&s), e);
    else
        sweep_print(&s);
    sweepdir_release(&s);
    return rc ? -1 : sweep_outcome(r, e);
}

static int sweep(struct invocation *inv, struct sweep_plan *p, struct halving *h, const char *dir,
                 const struct images *images, const char *steps_down, struct err *e)
{
    const struct args *args = inv->args;
    struct provenance from = provenance_of(inv);
    struct sweep_view view;
    struct sweep_report done;
    size_t added;
    sweep_view_init(&view, p);
    signals_install();
    const struct sweep_options o = {
        .jobs = args->jobs,
        .threads = p->base.threads,
        .fail_fast = args->fail_fast || !args->keep_going,
        .lease = args->lease,
        .keep = (enum keep_weights)args->weights,
        .from = &from,
        .images = images,
        .steps_down = steps_down,
        .stop = signals_flag(),
        .progress = sweep_view_progress,
        .ended = sweep_view_ended,
        .context = &view,
    };
    int rc = sweep_plan_save(p, dir, &from, &added, e);
    if (!rc) {
        log_say("sweep %s: %zu trials, %zu of them new", dir, p->trial_count, added);
        rc = h ? halving_run(h, p, dir, &o, &done, e) : sweep_run(p, dir, &o, &done, e);
        sweep_view_clear(&view);
    }
    provenance_release(&from);
    return rc ? -1 : report(inv, dir, &done, e);
}

/* Loads the base's images once for all trials, stepping down if need be, unless trials say which
 * they want. */
static int load(const struct args *args, struct config *base, struct images *images,
                char *steps_down, size_t size, bool *loaded, struct err *e)
{
    *loaded = strncmp(args->vary, "data=", 5) != 0 && !strstr(args->vary, "\ndata=");
    steps_down[0] = 0;
    return *loaded ? load_images_for_training(base, images, steps_down, size, e) : 0;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct config base;
    struct sweep_plan plan, rungs, *p = &plan;
    struct halving halving;
    struct images images = {0};
    char dir[4096], slug[64], steps_down[2048] = "";
    bool loaded = false, halve = false;
    if (strcmp(inv->operands[0], "status") == 0 && inv->operand_count == 2)
        return status(inv, e);
    if (inv->operand_count == 2)
        return err_set(e, EXIT_USAGE, "too many arguments; usage: kiln sweep RECIPE [options] or "
                                      "kiln sweep status DIR");
    if (resolve_config(inv, inv->operands[0], &base, e))
        return -1;
    int rc = -1;
    sweep_plan_init(&plan, "sweep", inv->operands[0], &base);
    if (sweep_plan_axes(&plan, args->vary, args->sample, args->seeds, e))
        goto out;
    if (!inv->common.dry_run) {
        if (load(args, &base, &images, steps_down, sizeof steps_down, &loaded, e))
            goto out;
        if (*steps_down) { /* other images, other trials */
            sweep_plan_release(&plan);
            sweep_plan_init(&plan, "sweep", inv->operands[0], &base);
            if (sweep_plan_axes(&plan, args->vary, args->sample, args->seeds, e))
                goto out;
        }
    }
    if (args->halving > 0) {
        halve = true;
        sweep_plan_init(&rungs, "sweep", inv->operands[0], &base);
        if (halving_init(&halving, &plan, args->halving, &rungs, e))
            goto out;
        p = &rungs;
    }
    recipe_slug(inv->operands[0], slug);
    sweep_plan_folder(p, slug, dir, sizeof dir);
    if (*inv->common.out)
        snprintf(dir, sizeof dir, "%s", inv->common.out);
    if (halve && halving_extend(&halving, p, dir, e))
        goto out;
    rc = inv->common.dry_run ? dry_run(inv, p, dir, halve ? &halving : NULL, e)
                             : sweep(inv, p, halve ? &halving : NULL, dir,
                                     loaded ? &images : NULL, steps_down, e);
out:
    images_release(&images);
    if (halve)
        sweep_plan_release(&rungs);
    sweep_plan_release(&plan);
    return rc;
}

static const char *const examples[] = {
    "kiln sweep quickstart --vary lr=0.05..1.6:log2 --vary batch=128,256,512 --seeds 5",
    "a grid of 18 configurations, 5 seeds each",
    "kiln sweep quickstart --vary lr=0.01..2:log --vary momentum=0.5..0.99 --sample sobol:32",
    "32 points spread evenly over two ranges",
    "kiln sweep status runs/sweep-quickstart-1a2b3c4d --json",
    "every trial with its state, values and results",
    NULL,
};

static const char *const words[] = {"status", NULL};

const struct command command_sweep = {
    .name = "sweep",
    .summary = "Train a recipe in many configurations, each with several seeds",
    .usage = "RECIPE --vary KEY=VALUES [options] | status DIR",
    .description =
        "Any key of the configuration may vary: over a list (lr=0.1,0.2), a range that doubles\n"
        "(lr=0.05..1.6:log2), or one of N points (:log9, :lin9). Each trial is an ordinary run in\n"
        "DIR/trials; DIR is the one of --out, or named after the recipe and what varies.\n"
        "The same command again does only what is missing, also after a crash, and may add seeds\n"
        "and values. Several processes, on several machines that see DIR, share the work by\n"
        "running the same command. A diverged trial is a result; a failed one is tried again.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET | COMMON_DRY_RUN | COMMON_OUT,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 2,
    .operand_words = words,
    .run = run,
};
