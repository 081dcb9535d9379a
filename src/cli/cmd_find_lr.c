/* cmd_find_lr.c - kiln find-lr: in which range to look for a learning rate. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/stats.h"
#include "cli/attend.h"
#include "cli/chart.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "cli/resolve.h"
#include "cli/signals.h"
#include "cli/sweep_view.h"
#include "sweep/find_lr.h"
#include "sweep/images.h"

struct args {
    double min, max;
    int ramp, seeds, confirm, jobs;
};

static const struct option_def options[] = {
    {"min", OPTION_REAL, offsetof(struct args, min), "0.001", 1e-12, 1e6, NULL, NULL, "range test",
     "learning rate of the first step", NULL},
    {"max", OPTION_REAL, offsetof(struct args, max), "10", 1e-12, 1e6, NULL, NULL, "range test",
     "learning rate of the last step", NULL},
    {"ramp", OPTION_INT, offsetof(struct args, ramp), "100", 20, 1000000, NULL, "steps",
     "range test", "steps from one to the other", NULL},
    {"seeds", OPTION_INT, offsetof(struct args, seeds), "3", 1, 1000, NULL, NULL, "range test",
     "so many ramps, each from another seed's first weights", NULL},
    {"confirm", OPTION_INT, offsetof(struct args, confirm), "100", 0, 1000000, NULL, "steps",
     "range test", "train so long with three rates of the range; 0: leave that out", NULL},
    {"jobs", OPTION_INT, offsetof(struct args, jobs), "1", 1, 1024, NULL, "processes",
     "range test", "runs at a time; the threads are shared out to them", NULL},
    {0},
};

static void on_planned(void *context, const struct sweep_plan *p)
{
    struct sweep_view *view = context;
    sweep_view_clear(view);
    sweep_view_init(view, p);
}

static void draw(const json_t *result)
{
    const json_t *mean = json_object_get(json_object_get(result, "mean"), "loss");
    enum { COLUMNS = 66 };
    double values[COLUMNS], min = json_real_at(result, "min"), max = json_real_at(result, "max");
    size_t n = json_array_size(mean), steps = json_array_size(json_object_get(result, "lr"));
    double last = log10(min) + log10(max / min) * (double)(n - 1) / (double)(steps - 1);
    for (int i = 0; i < COLUMNS; i++) {
        size_t at = (size_t)((double)i / (COLUMNS - 1) * (double)(n - 1));
        values[i] = json_number_value(json_array_get(mean, at));
    }
    chart_print(&(struct chart){.title = "training loss along the ramp, smoothed, mean over seeds",
                                .values = values,
                                .count = COLUMNS,
                                .rows = 12,
                                .x_first = log10(min),
                                .x_last = last,
                                .x_name = "log10 of the learning rate",
                                .ascii = !chart_unicode()},
                stdout);
}

static void print_point(const json_t *result, const char *key, const char *what)
{
    const json_t *p = json_object_get(json_object_get(result, "points"), key), *seed;
    size_t i;
    double lr = json_real_at(p, "lr");
    if (isnan(lr))
        printf("%-34s not reached   seeds:", what);
    else
        printf("%-34s %-12.4g  seeds:", what, lr);
    json_array_foreach(json_object_get(p, "seeds"), i, seed) {
        if (json_is_number(seed))
            printf(" %.3g", json_number_value(seed));
        else
            printf(" -");
    }
    if (isfinite(json_real_at(p, "sd_factor")))
        printf("  (sd x/: %.2f)", json_real_at(p, "sd_factor"));
    printf("\n");
}

/* A row for each rate that was confirmed; the trials of one stand together. */
static void print_confirmed(const json_t *result)
{
    const json_t *list = json_object_get(result, "confirmed");
    size_t n = json_array_size(list);
    double *loss = malloc((n + 1) * sizeof *loss), *accuracy = malloc((n + 1) * sizeof *accuracy);
    if (n > 0 && loss && accuracy)
        printf("\n%d steps at a constant rate\n%-12s%22s%22s\n",
               (int)json_real_at(result, "confirm_steps"), "lr", "test loss", "test accuracy, %");
    for (size_t i = 0; loss && accuracy && i < n;) {
        double lr = json_real_at(json_array_get(list, i), "lr");
        size_t count = 0, diverged = 0;
        for (; i < n && json_real_at(json_array_get(list, i), "lr") == lr; i++) {
            double x = json_real_at(json_array_get(list, i), "test_loss");
            diverged += isfinite(x) ? 0 : 1;
            if (isfinite(x)) {
                loss[count] = x;
                accuracy[count++] = 100 * json_real_at(json_array_get(list, i), "test_accuracy");
            }
        }
        printf("%-12.3g%12.4f +- %-6.4f%14.2f +- %-5.2f", lr, stats_mean(loss, count),
               stats_sd(loss, count), stats_mean(accuracy, count), stats_sd(accuracy, count));
        if (diverged)
            printf("  %zu diverged", diverged);
        printf("  n = %zu\n", count);
    }
    free(loss);
    free(accuracy);
}

static void print_result(const json_t *result)
{
    const json_t *range = json_object_get(result, "range");
    draw(result);
    double low = json_number_value(json_array_get(range, 0));
    printf("\nlook between %.3g and %.3g: from where the loss falls fastest to the end of its "
           "plateau\n\n", low, json_number_value(json_array_get(range, 1)));
    if (low <= json_real_at(result, "min") * (1 + 1e-6))
        printf("The loss falls fastest at the least rate tried: try a smaller --min.\n\n");
    print_point(result, "steepest", "the loss falls fastest at");
    print_point(result, "plateau_begin", "three quarters of the gain from");
    print_point(result, "minimum_tenth", "a tenth of the minimum's rate");
    print_point(result, "minimum", "the loss is least at");
    print_point(result, "plateau_end", "three quarters of the gain up to");
    print_point(result, "blow_up", "half of the gain is lost at");
    print_confirmed(result);
    printf("\nWhat this does not tell: the best peak rate of a whole run. Each rate was used for\n"
           "one step, within the first epochs from random weights, without the recipe's schedule\n"
           "and warm-up; with another batch size or length of the ramp the points move. It bounds\n"
           "where to look: 'kiln sweep' over that range, with whole runs, finds the answer.\n");
}

static int report(const struct invocation *inv, json_t *result, const struct sweep_report *r,
                  struct err *e)
{
    if (result && inv->common.json)
        return cli_print_json(result, e);
    if (result) {
        print_result(result);
        json_decref(result);
        return EXIT_DONE;
    }
    return sweep_unfinished(r, e);
}

static int find(struct invocation *inv, struct find_lr *f, const struct images *images,
                const char *steps_down, struct err *e)
{
    struct provenance from = provenance_of(inv);
    struct sweep_view view = {0};
    struct sweep_report done = {0};
    json_t *result;
    signals_install();
    f->run = (struct sweep_options){
        .jobs = ((const struct args *)inv->args)->jobs,
        .threads = f->base.threads,
        .keep = KEEP_NONE,
        .from = &from,
        .images = images,
        .steps_down = steps_down,
        .stop = signals_flag(),
        .progress = sweep_view_progress,
        .ended = sweep_view_ended,
        .context = &view,
    };
    int rc = find_lr_run(f, on_planned, &result, &done, e);
    sweep_view_clear(&view);
    provenance_release(&from);
    if (!rc)
        log_say("range test in %s; 'kiln report %s' draws it", f->dir, f->dir);
    return rc ? -1 : report(inv, result, &done, e);
}

static int dry_run(const struct invocation *inv, const struct find_lr *f, struct err *e)
{
    struct sweep_plan ramps;
    double rate;
    char time[16];
    int rc = find_lr_ramp_plan(f, &ramps, e);
    size_t count = ramps.trial_count;
    sweep_plan_release(&ramps);
    if (rc || dryrun_rate(&f->base, &rate, e))
        return -1;
    const double steps = (double)count * (f->steps + 3.0 * f->confirm_steps);
    const double seconds = steps * f->base.batch / rate;
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "find_lr", json_string(f->dir));
        json_object_set_new(o, "ramps", json_integer((json_int_t)count));
        json_object_set_new(o, "ramp_steps", json_integer(f->steps));
        json_object_set_new(o, "confirm_steps", json_integer(f->confirm_steps));
        json_object_set_new(o, "seconds", json_number(seconds));
        return cli_print_json(o, e);
    }
    printf("%s: %zu ramps of %d steps from %g to %g", f->dir, count, f->steps, f->min, f->max);
    if (f->confirm_steps > 0)
        printf(", then %zu runs of %d steps with three rates of the range", 3 * count,
               f->confirm_steps);
    progress_duration(seconds, time);
    printf("; batch %d; about %s of training on all threads\n", f->base.batch, time);
    return EXIT_DONE;
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    struct images images = {0};
    struct sweep_plan plan;
    char dir[4096], slug[64], steps_down[2048] = "";
    struct find_lr f = {
        .recipe = inv->operands[0],
        .dir = dir,
        .min = args->min,
        .max = args->max,
        .steps = args->ramp,
        .seeds = args->seeds,
        .confirm_steps = args->confirm,
    };
    if (!(args->min < args->max))
        return err_set(e, EXIT_USAGE, "--min (%g) must be less than --max (%g)", args->min,
                       args->max);
    if (resolve_config(inv, inv->operands[0], &f.base, e))
        return -1;
    int rc = -1;
    if (!inv->common.dry_run &&
        load_images_for_training(&f.base, &images, steps_down, sizeof steps_down, e))
        goto out;
    f.run.images = inv->common.dry_run ? NULL : &images;
    rc = find_lr_ramp_plan(&f, &plan, e);
    recipe_slug(inv->operands[0], slug);
    if (!rc)
        sweep_plan_folder(&plan, slug, dir, sizeof dir);
    sweep_plan_release(&plan);
    if (rc)
        goto out;
    if (*inv->common.out)
        snprintf(dir, sizeof dir, "%s", inv->common.out);
    rc = inv->common.dry_run ? dry_run(inv, &f, e) : find(inv, &f, &images, steps_down, e);
out:
    images_release(&images);
    return rc;
}

static const char *const examples[] = {
    "kiln find-lr resnet9-narrow", "three ramps from 0.001 to 10, and what they show",
    "kiln find-lr quickstart --batch 128 --seeds 5 --json", "another batch size; curves as JSON",
    NULL,
};

const struct command command_find_lr = {
    .name = "find-lr",
    .summary = "Find the range in which to look for a learning rate",
    .usage = "RECIPE [options]",
    .description =
        "Trains the recipe's network from scratch, once for each seed, while the learning rate\n"
        "rises by the same factor each step (Smith's range test); shows where the loss falls\n"
        "fastest, where it is least and where it blows up, with their spread over the seeds; then\n"
        "trains for a short while with three rates of that range. It touches no other run, and\n"
        "does not predict the best peak rate of a whole run. The same command again does only\n"
        "what is missing.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET | COMMON_DRY_RUN | COMMON_OUT,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
