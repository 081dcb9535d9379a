/* cmd_study.c - kiln study: a question about training, asked by runs, with a verdict. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/attend.h"
#include "cli/dryrun.h"
#include "cli/progress.h"
#include "cli/resolve.h"
#include "cli/signals.h"
#include "cli/sweep_view.h"
#include "cli/text_table.h"
#include "cli/write_report.h"
#include "studies/engine.h"
#include "sweep/images.h"
#include "train/trainer.h"

struct args {
    int scale;                   /* enum study_scale */
    int seeds;
    int jobs;
    bool list;
};

static const struct option_def options[] = {
    {"scale", OPTION_CHOICE, offsetof(struct args, scale), "tiny", 0, 0, "tiny|small|paper", NULL,
     "study", "tiny: minutes on two cores; small: an hour; paper: as published", NULL},
    {"seeds", OPTION_INT, offsetof(struct args, seeds), "0", 0, STUDY_SEEDS_MOST, NULL, NULL,
     "study", "runs of each configuration; 0: the scale's number. More later only adds", NULL},
    {"jobs", OPTION_INT, offsetof(struct args, jobs), "1", 1, 1024, NULL, "processes", "study",
     "runs at a time; the threads are shared out to them", NULL},
    {"list", OPTION_FLAG, offsetof(struct args, list), "no", 0, 0, NULL, NULL, "study",
     "name the studies and what they ask", NULL},
    {0},
};

static int list(const struct invocation *inv, struct err *e)
{
    json_t *all = json_array();
    for (size_t i = 0; study_list[i]; i++) {
        json_t *o = json_object();
        json_object_set_new(o, "study", json_string(study_list[i]->name));
        json_object_set_new(o, "question", json_string(study_list[i]->question));
        json_array_append_new(all, o);
        if (!inv->common.json)
            printf("%-14s %s\n", study_list[i]->name, study_list[i]->question);
    }
    if (!inv->common.json) {
        json_decref(all);
        return EXIT_DONE;
    }
    json_t *o = json_object();
    json_object_set_new(o, "studies", all);
    return cli_print_json(o, e);
}

/* Wrapped text; the first line begins with `first`, the others are as far in. */
static void print_paragraph(const char *first, const char *text)
{
    enum { WIDTH = 96 };
    size_t indent = strlen(first), column = 0;
    for (const char *word = text; *word;) {
        size_t n = strcspn(word, " ");
        if (column == 0 || column + 1 + n > WIDTH) {
            printf("%s%*s", column ? "\n" : first, column ? (int)indent : 0, "");
            column = indent;
        } else {
            putchar(' ');
            column++;
        }
        fwrite(word, 1, n, stdout);
        column += n;
        word += n + strspn(word + n, " ");
    }
    printf("\n");
}

/* "0.5 to 1", "at least 0". */
static void range_text(const json_t *claim, char text[64])
{
    const json_t *predicted = json_object_get(claim, "predicted");
    double low = json_real_at(predicted, "low"), high = json_real_at(predicted, "high");
    if (isnan(low))
        snprintf(text, 64, "<= %.4g", high);
    else if (isnan(high))
        snprintf(text, 64, ">= %.4g", low);
    else if (low == high)
        snprintf(text, 64, "%.4g", low);
    else
        snprintf(text, 64, "%.4g to %.4g", low, high);
}

static void print_claims(const json_t *claims)
{
    static const enum text_align align[] = {TEXT_LEFT,  TEXT_RIGHT, TEXT_RIGHT,
                                            TEXT_RIGHT, TEXT_RIGHT, TEXT_LEFT};
    struct text_table t;
    size_t i;
    json_t *claim;
    text_table_init(&t, 6, align);
    text_table_add(&t, (const char *const[]){"claim", "predicted", "seen", "95 %", "n", "verdict"});
    json_array_foreach(claims, i, claim) {
        const json_t *seen = json_object_get(claim, "seen");
        char range[64], value[32] = "-", interval[64] = "-", n[32];
        range_text(claim, range);
        if (!isnan(json_real_at(seen, "value")))
            snprintf(value, sizeof value, "%.4g", json_real_at(seen, "value"));
        if (!isnan(json_real_at(seen, "low")) && !isnan(json_real_at(seen, "high")))
            snprintf(interval, sizeof interval, "%.3g to %.3g", json_real_at(seen, "low"),
                     json_real_at(seen, "high"));
        snprintf(n, sizeof n, "%.0f", json_real_at(seen, "n"));
        text_table_add(&t, (const char *const[]){json_text_at(claim, "id"), range, value, interval,
                                                 n, json_text_at(claim, "verdict")});
    }
    text_table_print(&t, 0, stdout);
    text_table_release(&t);
}

static void print_study(const json_t *o, const char *dir, const char *page)
{
    size_t i;
    json_t *claim;
    printf("%s (%s)\n%s\n\n", json_text_at(o, "title"), json_text_at(o, "scale"),
           json_text_at(o, "question"));
    print_claims(json_object_get(o, "claims"));
    printf("\n");
    json_array_foreach(json_object_get(o, "claims"), i, claim) {
        char line[2400];
        snprintf(line, sizeof line, "%s: %s %s (%s)", json_text_at(claim, "id"),
                 json_text_at(json_object_get(claim, "seen"), "text"),
                 json_text_at(claim, "verdict"), json_text_at(claim, "because"));
        print_paragraph("  ", line);
    }
    printf("\nverdict: %s\nprediction written %s, before the runs\n%s/study.json\n",
           json_text_at(o, "verdict"), json_text_at(json_object_get(o, "prediction"), "written"),
           dir);
    if (*page)
        printf("%s\n", page);
}

/* The same as study.json, without the figures' data: who wants that reads the file. */
static json_t *short_json(const json_t *study, const char *dir, const char *page)
{
    json_t *o = json_copy((json_t *)study);
    static const char *const left_out[] = {"figures", "tables", "background"};
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        json_object_del(o, left_out[i]);
    json_object_set_new(o, "dir", json_text(dir));
    json_object_set_new(o, "report", *page ? json_text(page) : json_null());
    return o;
}

/* What is missing, in seconds of all threads: the first such trial's speed is measured on noise,
 * the others go by their multiply-adds. */
static int estimate(const struct study_plan *p, const char *dir, size_t *missing, double *seconds,
                    struct err *e)
{
    const struct sweep_plan *s = p->sweep;
    double all = 0;
    size_t first = s->trial_count;
    *missing = 0;
    *seconds = 0;
    for (size_t i = s->trial_count; i-- > 0;) {
        if (trial_is_done(trial_state_of(dir, s->trials[i].id, NULL)))
            continue;
        ++*missing;
        all += s->trials[i].cost;
        first = i;
    }
    if (!*missing)
        return 0;
    struct config c;
    double rate;
    struct train_estimate size;
    sweep_plan_config(s, first, &c);
    const struct dataset *kind = dataset_find(c.data);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    if (dryrun_rate(&c, &rate, e) || trainer_estimate(&c, input, kind->classes, kind->train_count,
                                                      kind->test_count, &size, e))
        return -1;
    *seconds = all / (size.training_macs * rate);
    return 0;
}

static void print_prediction(const json_t *claims)
{
    size_t i;
    json_t *claim;
    json_array_foreach(claims, i, claim) {
        printf("\n");
        print_paragraph("  ", json_text_at(claim, "statement"));
        if (*json_text_at(claim, "formula"))
            print_paragraph("    formula:   ", json_text_at(claim, "formula"));
        print_paragraph("    predicted: ",
                        json_text_at(json_object_get(claim, "predicted"), "text"));
        print_paragraph("    rule:      ", json_text_at(claim, "rule"));
    }
}

static int dry_run(const struct invocation *inv, const struct study_plan *p, const char *dir,
                   struct err *e)
{
    size_t missing;
    double seconds;
    char time[16], text[400];
    if (estimate(p, dir, &missing, &seconds, e))
        return -1;
    if (inv->common.json) {
        json_t *o = study_prediction(p), *trials = json_array();
        for (size_t i = 0; i < p->sweep->trial_count; i++) {
            sweep_trial_text(p->sweep, i, text, sizeof text);
            json_array_append_new(trials, json_pack("{sssssssf}", "id", p->sweep->trials[i].id,
                                                    "label", p->sweep->trials[i].label, "set", text,
                                                    "macs", p->sweep->trials[i].cost));
        }
        json_object_set_new(o, "dir", json_text(dir));
        json_object_set_new(o, "missing", json_integer((json_int_t)missing));
        json_object_set_new(o, "seconds", json_number(seconds));
        json_object_set_new(o, "trials", trials);
        return cli_print_json(o, e);
    }
    for (size_t i = 0; i < p->sweep->trial_count; i++) {
        sweep_trial_text(p->sweep, i, text, sizeof text);
        printf("%s  %-28s %s\n", p->sweep->trials[i].id, p->sweep->trials[i].label, text);
    }
    print_prediction(p->claims);
    progress_duration(seconds, time);
    printf("\n%s: %zu runs, %zu to do, about %s of training on all threads\n", dir,
           p->sweep->trial_count, missing, time);
    return EXIT_DONE;
}

static int finish(const struct invocation *inv, json_t *result, const char *dir, struct err *e)
{
    char page[4096];
    if (file_join(page, sizeof page, dir, "report.html", e) ||
        write_report(&dir, 1, NULL, page, NULL, e)) {
        json_decref(result);
        return -1;
    }
    int rc = EXIT_DONE;
    if (inv->common.json)
        rc = cli_print_json(short_json(result, dir, page), e);
    else
        print_study(result, dir, page);
    json_decref(result);
    return rc;
}

static int study(struct invocation *inv, struct study_plan *p, const char *dir,
                 const char *steps_down, struct err *e)
{
    const struct args *args = inv->args;
    struct provenance from = provenance_of(inv);
    struct sweep_view view;
    struct sweep_report done;
    json_t *result;
    sweep_view_init(&view, p->sweep);
    signals_install();
    const struct sweep_options o = {
        .jobs = args->jobs,
        .threads = p->sweep->base.threads,
        .from = &from,
        .images = p->images,
        .steps_down = steps_down,
        .stop = signals_flag(),
        .progress = sweep_view_progress,
        .ended = sweep_view_ended,
        .context = &view,
    };
    log_say("study %s, %s, in %s: %zu runs", p->study->name, study_scale_name(p->scale), dir,
            p->sweep->trial_count);
    int rc = study_run(p, dir, &o, &result, &done, e);
    sweep_view_clear(&view);
    provenance_release(&from);
    if (rc)
        return -1;
    return result ? finish(inv, result, dir, e) : sweep_unfinished(&done, e);
}

static int run(struct invocation *inv, struct err *e)
{
    const struct args *args = inv->args;
    const enum study_scale scale = (enum study_scale)args->scale;
    struct config base;
    struct study_plan plan = {0};
    struct images images = {0};
    char dir[4096], steps_down[2048] = "";
    if (args->list)
        return list(inv, e);
    if (inv->operand_count == 0)
        return err_set(e, EXIT_USAGE, "kiln study needs a name; 'kiln study --list' has them");
    const struct study *s = study_find(inv->operands[0], e);
    if (!s || resolve_study(inv, s->recipe[scale], s->settings[scale], &base, e))
        return -1;
    int rc = -1;
    if (!inv->common.dry_run &&
        load_images_for_training(&base, &images, steps_down, sizeof steps_down, e))
        goto out;
    if (study_plan_init(&plan, s, scale, args->seeds, &base,
                        inv->common.dry_run ? NULL : &images, e))
        goto out;
    sweep_plan_folder(plan.sweep, study_scale_name(scale), dir, sizeof dir);
    if (*inv->common.out)
        snprintf(dir, sizeof dir, "%s", inv->common.out);
    rc = inv->common.dry_run ? dry_run(inv, &plan, dir, e)
                             : study(inv, &plan, dir, steps_down, e);
out:
    study_plan_release(&plan);
    images_release(&images);
    return rc;
}

static const char *const examples[] = {
    "kiln study --list", "what can be asked",
    "kiln study lr-batch --jobs 2", "a few minutes; prediction, runs, verdicts, and a report",
    "kiln study lr-batch --scale small --out lr-batch", "an hour on CIFAR-10; again: goes on",
    "kiln study lr-batch --scale small --out lr-batch --seeds 6", "narrower intervals: three more",
    "kiln study lr-batch --scale paper --dry-run", "runs, predictions and time, nothing trained",
    NULL,
};

const struct command command_study = {
    .name = "study",
    .summary = "Ask a question about training: predict, run, measure, judge",
    .usage = "NAME [--scale tiny|small|paper] [options]",
    .description =
        "Writes down what theory and published results predict, then trains what is needed to\n"
        "test it, and judges each claim by a rule that was fixed before: supported, not supported\n"
        "or inconclusive, with the numbers and their error. DIR/study.json has the outcome,\n"
        "DIR/report.html shows it. The same command again does only what is missing; several\n"
        "processes and machines share the runs, as in kiln sweep.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET | COMMON_DRY_RUN | COMMON_OUT,
    .options = options,
    .args_size = sizeof(struct args),
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
