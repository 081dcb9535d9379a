/* find_lr.c - see find_lr.h. */
#include "sweep/find_lr.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/stats.h"
#include "store/metrics.h"
#include "sweep/range_test.h"
#include "train/trainer.h"

enum { CONFIRMED = 3 }; /* rates: both ends of the range and the middle between them */

/* One seed's ramp. */
struct ramp {
    const char *seed, *run;      /* borrowed from the sweep */
    size_t count;                /* steps that it has; fewer than planned if it diverged */
    double *loss, *smooth, *slope; /* [steps], heap */
    struct range_points points;
};

struct curves {
    size_t steps;
    double *lr, *x;              /* [steps]; x = ln(lr) */
    struct ramp *ramps;          /* [count] */
    size_t count;
    /* Of all seeds: */
    size_t mean_count;           /* steps that every seed has */
    double *mean, *sd, *smooth, *slope;
    struct range_points points;
};

/* Steps of the recipe as epochs, so that they are exactly so many. */
static int epochs_of(const struct config *c, const struct images *images, int steps,
                     double *epochs, struct err *e)
{
    const struct dataset *kind = dataset_find(c->data);
    struct train_estimate size;
    if (!kind)
        return dataset_unknown(c->data, e);
    const struct shape input = {kind->channels, IMAGE_SIDE, IMAGE_SIDE};
    uint32_t train = images ? images->train.count : kind->train_count;
    if (trainer_estimate(c, input, kind->classes, train, kind->test_count, &size, e))
        return -1;
    *epochs = (double)steps / (double)size.steps_per_epoch;
    return 0;
}

/* The recipe without what belongs to its schedule: warm-up, knots, averaging over its steps. */
static int short_config(const struct find_lr *f, int steps, struct config *c, struct err *e)
{
    *c = f->base;
    c->drop_last = true; /* a short batch would be a noisier one */
    c->warmup = 0;
    c->schedule_origin = 0;
    c->average = AVERAGE_NONE;
    c->steps = 0;
    c->tta = TTA_NONE;
    c->target = 0;
    c->keep_best = false;
    c->hash_steps = 0;
    return epochs_of(c, f->run.images, steps, &c->epochs, e);
}

int find_lr_ramp_plan(const struct find_lr *f, struct sweep_plan *p, struct err *e)
{
    struct config c;
    memset(p, 0, sizeof *p);
    if (short_config(f, f->steps, &c, e))
        return -1;
    c.schedule = SCHEDULE_EXPONENTIAL;
    c.lr = f->min;
    c.final_factor = f->max / f->min;
    c.eval_every = -1;
    sweep_plan_init(p, "find-lr", f->recipe, &c);
    return sweep_plan_axes(p, "", "", f->seeds, e);
}

int find_lr_confirm_plan(const struct find_lr *f, const double *rates, int count,
                         struct sweep_plan *p, struct err *e)
{
    struct config c;
    char vary[512] = "lr=";
    memset(p, 0, sizeof *p);
    if (short_config(f, f->confirm_steps, &c, e))
        return -1;
    c.schedule = SCHEDULE_CONSTANT;
    c.eval_every = 0;
    for (int i = 0; i < count; i++) {
        size_t n = strlen(vary);
        snprintf(vary + n, sizeof vary - n, "%s%.3g", i ? "," : "", rates[i]);
    }
    sweep_plan_init(p, "sweep", f->recipe, &c);
    return sweep_plan_axes(p, vary, "", f->seeds, e);
}

/* Where read_step puts what it reads. */
struct reading {
    struct curves *curves;
    struct ramp *ramp;
};

static int read_step(void *context, const json_t *record)
{
    struct reading *r = context;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    json_int_t step = json_integer_value(json_object_get(record, "step"));
    if (!kind || strcmp(kind, "train") != 0 || step < 1 || (size_t)step > r->curves->steps)
        return 0;
    r->ramp->loss[step - 1] = json_real_at(record, "train/loss");
    r->ramp->count = (size_t)step;
    return 0;
}

static double *room(size_t n)
{
    return xcalloc(n + 1, sizeof(double));
}

static void curves_init(struct curves *c, const struct find_lr *f, size_t ramps)
{
    size_t n = (size_t)f->steps;
    *c = (struct curves){.steps = n, .count = ramps};
    c->ramps = xcalloc(ramps, sizeof *c->ramps);
    double **of_all[] = {&c->lr, &c->x, &c->mean, &c->sd, &c->smooth, &c->slope};
    for (size_t i = 0; i < sizeof of_all / sizeof of_all[0]; i++)
        *of_all[i] = room(n);
    for (size_t i = 0; i < n; i++) {
        c->x[i] = log(f->min) + log(f->max / f->min) * (double)i / (double)(n - 1);
        c->lr[i] = exp(c->x[i]);
    }
    for (size_t i = 0; i < ramps; i++) {
        c->ramps[i].loss = room(n);
        c->ramps[i].smooth = room(n);
        c->ramps[i].slope = room(n);
    }
}

static void curves_release(struct curves *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->ramps[i].loss);
        free(c->ramps[i].smooth);
        free(c->ramps[i].slope);
    }
    double *of_all[] = {c->lr, c->x, c->mean, c->sd, c->smooth, c->slope};
    for (size_t i = 0; i < sizeof of_all / sizeof of_all[0]; i++)
        free(of_all[i]);
    free(c->ramps);
}

static int read_ramp(struct curves *c, struct ramp *r, const struct sweep_trial *t, struct err *e)
{
    char path[4096];
    struct reading reading = {c, r};
    r->seed = t->seed;
    r->run = t->path;
    if (file_join(path, sizeof path, t->path, "metrics.jsonl", e) ||
        metrics_each(path, read_step, &reading, e) < 0)
        return -1;
    if (r->count < 3) /* diverged at once: there is nothing to fit */
        return 0;
    range_smooth(c->x, r->loss, r->count, r->smooth, r->slope);
    double next = r->count < c->steps ? c->lr[r->count] : (double)NAN;
    range_find(c->lr, r->smooth, r->slope, r->count, r->count < c->steps, next, &r->points);
    return 0;
}

/* The mean over the seeds goes as far as all of them do. */
static void average(struct curves *c)
{
    double *column = room(c->count);
    c->mean_count = c->steps;
    for (size_t s = 0; s < c->count; s++)
        if (c->ramps[s].count < c->mean_count)
            c->mean_count = c->ramps[s].count;
    for (size_t i = 0; i < c->mean_count; i++) {
        for (size_t s = 0; s < c->count; s++)
            column[s] = c->ramps[s].smooth[i];
        c->mean[i] = stats_mean(column, c->count);
        c->sd[i] = stats_sd(column, c->count);
        for (size_t s = 0; s < c->count; s++)
            c->slope[i] += c->ramps[s].slope[i] / (double)c->count;
    }
    memcpy(c->smooth, c->mean, c->steps * sizeof *c->smooth);
    free(column);
    bool cut_short = c->mean_count < c->steps;
    double next = cut_short ? c->lr[c->mean_count] : (double)NAN;
    range_find(c->lr, c->smooth, c->slope, c->mean_count, cut_short, next, &c->points);
}

static int read_curves(struct curves *c, const struct find_lr *f, const struct sweep_plan *p,
                       const struct sweepdir *s, struct err *e)
{
    curves_init(c, f, p->trial_count);
    for (size_t i = 0; i < p->trial_count; i++) {
        const struct sweep_trial *t = NULL;
        for (size_t j = 0; j < s->trial_count; j++)
            if (strcmp(s->trials[j].id, p->trials[i].id) == 0)
                t = &s->trials[j];
        if (!t)
            return err_set(e, EXIT_DATA, "'%s/sweep.json' has lost a trial", s->path);
        if (read_ramp(c, &c->ramps[i], t, e))
            return -1;
    }
    average(c);
    return 0;
}

static json_t *numbers(const double *x, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_number(x[i]));
    return list;
}

/* One of the points: of the mean curve, of each seed, and how far the seeds are apart. */
static json_t *point_json(const struct curves *c, size_t offset)
{
    json_t *o = json_object(), *each = json_array();
    double *logs = room(c->count), lr, x;
    size_t n = 0;
    memcpy(&lr, (const char *)&c->points + offset, sizeof lr);
    for (size_t i = 0; i < c->count; i++) {
        memcpy(&x, (const char *)&c->ramps[i].points + offset, sizeof x);
        json_array_append_new(each, json_number(x));
        if (isfinite(x))
            logs[n++] = log(x);
    }
    json_object_set_new(o, "lr", json_number(lr));
    json_object_set_new(o, "seeds", each);
    json_object_set_new(o, "n", json_integer((json_int_t)n));
    json_object_set_new(o, "geometric_mean", json_number(exp(stats_mean(logs, n))));
    json_object_set_new(o, "sd_factor", json_number(exp(stats_sd(logs, n))));
    free(logs);
    return o;
}

static json_t *ramps_json(const struct curves *c)
{
    json_t *list = json_array();
    for (size_t i = 0; i < c->count; i++) {
        const struct ramp *r = &c->ramps[i];
        json_t *o = json_object();
        json_object_set_new(o, "seed", json_string(r->seed));
        json_object_set_new(o, "run", json_string(r->run));
        json_object_set_new(o, "diverged", json_boolean(r->count < c->steps));
        json_object_set_new(o, "loss", numbers(r->loss, r->count));
        json_object_set_new(o, "smooth", numbers(r->smooth, r->count));
        json_array_append_new(list, o);
    }
    return list;
}

/* Where to look: from where the loss falls fastest to where it begins to rise for good. */
static void range_of(const struct range_points *p, double range[2])
{
    range[0] = p->steepest;
    range[1] = p->end;
}

static json_t *points_json(const struct curves *c)
{
    static const struct {
        const char *name;
        size_t offset;
    } points[] = {
        {"steepest", offsetof(struct range_points, steepest)},
        {"plateau_begin", offsetof(struct range_points, begin)},
        {"minimum_tenth", offsetof(struct range_points, tenth)},
        {"minimum", offsetof(struct range_points, minimum)},
        {"plateau_end", offsetof(struct range_points, end)},
        {"blow_up", offsetof(struct range_points, blow_up)},
    };
    json_t *o = json_object();
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        json_object_set_new(o, points[i].name, point_json(c, points[i].offset));
    return o;
}

static json_t *curves_json(const struct find_lr *f, const struct curves *c)
{
    json_t *o = json_object(), *mean = json_object();
    double range[2];
    range_of(&c->points, range);
    json_object_set_new(mean, "loss", numbers(c->mean, c->mean_count));
    json_object_set_new(mean, "sd", numbers(c->sd, c->mean_count));
    json_object_set_new(mean, "slope", numbers(c->slope, c->mean_count));
    json_object_set_new(o, "format", json_integer(1));
    json_object_set_new(o, "find_lr", json_string(f->dir));
    json_object_set_new(o, "recipe", json_string(f->recipe));
    json_object_set_new(o, "min", json_number(f->min));
    json_object_set_new(o, "max", json_number(f->max));
    json_object_set_new(o, "steps", json_integer(f->steps));
    json_object_set_new(o, "batch", json_integer(f->base.batch));
    json_object_set_new(o, "smoothing",
                        json_string("straight line fitted at each step, Gaussian weights"));
    json_object_set_new(o, "smoothing_factor", json_number(RANGE_SMOOTH));
    json_object_set_new(o, "range", numbers(range, 2));
    json_object_set_new(o, "points", points_json(c));
    json_object_set_new(o, "lr", numbers(c->lr, c->steps));
    json_object_set_new(o, "mean", mean);
    json_object_set_new(o, "ramps", ramps_json(c));
    return o;
}

/* Trains a plan in a directory. 1: all of it is done; 0: the report says what is left. */
static int run_plan(const struct find_lr *f, const struct sweep_plan *p, const char *dir,
                    struct sweep_report *report, struct err *e)
{
    if (sweep_plan_save(p, dir, f->run.from, NULL, e) || sweep_run(p, dir, &f->run, report, e))
        return -1;
    return report->left + report->elsewhere == 0;
}

/* The confirming trials' results, in the order of the plan. */
static json_t *confirmed_json(const struct sweep_plan *p, const char *dir)
{
    json_t *list = json_array();
    for (size_t i = 0; i < p->trial_count; i++) {
        struct run_summary run;
        struct config c;
        enum trial_state state = trial_state_of(dir, p->trials[i].id, &run);
        json_t *o = json_object();
        sweep_plan_config(p, i, &c);
        json_object_set_new(o, "lr", json_number(c.lr));
        json_object_set_new(o, "seed", json_integer((json_int_t)c.seed));
        json_object_set_new(o, "state", json_string(trial_state_name(state)));
        json_object_set_new(o, "train_loss", json_number(run.train_loss));
        json_object_set_new(o, "test_loss", json_number(run.test_loss));
        json_object_set_new(o, "test_accuracy", json_number(run.test_accuracy));
        json_array_append_new(list, o);
        summary_release(&run);
    }
    return list;
}

static int confirm(const struct find_lr *f, const struct curves *c,
                   void (*planned)(void *, const struct sweep_plan *), json_t *result,
                   struct sweep_report *report, struct err *e)
{
    struct sweep_plan plan;
    double range[2];
    char dir[4096];
    range_of(&c->points, range);
    const double rates[CONFIRMED] = {range[0], sqrt(range[0] * range[1]), range[1]};
    if (file_join(dir, sizeof dir, f->dir, "confirm", e))
        return -1;
    int rc = find_lr_confirm_plan(f, rates, CONFIRMED, &plan, e);
    if (!rc) {
        planned(f->run.context, &plan);
        rc = run_plan(f, &plan, dir, report, e);
    }
    if (rc == 1) {
        json_object_set_new(result, "confirm_steps", json_integer(f->confirm_steps));
        json_object_set_new(result, "confirmed", confirmed_json(&plan, dir));
    }
    sweep_plan_release(&plan);
    return rc;
}

/* The ramps are done: what they show, and what confirms it. */
static int conclude(const struct find_lr *f, const struct sweep_plan *ramps,
                    void (*planned)(void *, const struct sweep_plan *), json_t **result,
                    struct sweep_report *report, struct err *e)
{
    struct curves curves = {0};
    struct sweepdir s;
    char path[4096];
    if (file_join(path, sizeof path, f->dir, "find-lr.json", e) || sweepdir_read(&s, f->dir, e))
        return -1;
    json_t *o = NULL;
    int rc = read_curves(&curves, f, ramps, &s, e);
    if (!rc && isnan(curves.points.minimum))
        rc = err_set(e, EXIT_FAILED,
                     "the loss never fell by a tenth between %g and %g; try other ends or more "
                     "steps",
                     f->min, f->max);
    if (!rc) {
        o = curves_json(f, &curves);
        rc = f->confirm_steps > 0 ? confirm(f, &curves, planned, o, report, e) : 1;
        if (rc == 1)
            rc = json_write(o, path, e);
        else if (rc == 0)
            json_decref(o), o = NULL; /* not all is known yet */
    }
    if (rc)
        json_decref(o);
    else
        *result = o;
    curves_release(&curves);
    sweepdir_release(&s);
    return rc;
}

int find_lr_run(const struct find_lr *f, void (*planned)(void *context, const struct sweep_plan *p),
                json_t **result, struct sweep_report *report, struct err *e)
{
    struct sweep_plan plan;
    *result = NULL;
    int rc = find_lr_ramp_plan(f, &plan, e);
    if (!rc) {
        planned(f->run.context, &plan);
        rc = run_plan(f, &plan, f->dir, report, e);
        if (rc == 1)
            rc = conclude(f, &plan, planned, result, report, e);
    }
    sweep_plan_release(&plan);
    return rc;
}
