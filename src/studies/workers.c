/* workers.c - see workers.h. */
#include "studies/workers.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "train/step.h"

enum { COUNTS = 12, REPETITIONS = 5, WARM_STEPS = 3, BIT_STEPS = 5, TIMED_IMAGES = 1024 };

/* Training with so many workers, set up and ready. */
struct team {
    int workers;
    struct trainer trainer;
    double rates[REPETITIONS];   /* images a second */
};

static int make_steps(struct trainer *t, int steps, struct err *e)
{
    struct step_report report;
    for (int i = 0; i < steps; i++)
        if (train_step(t, &report, e))
            return -1;
    return 0;
}

static int time_steps(struct team *team, int repetition, struct err *e)
{
    int batch = team->trainer.config.batch;
    int steps = (TIMED_IMAGES + batch - 1) / batch;
    double start = clock_seconds();
    if (make_steps(&team->trainer, steps, e))
        return -1;
    team->rates[repetition] = steps * batch / (clock_seconds() - start);
    return 0;
}

/* 1, 2, 4 ... and the most there are: counts[COUNTS]. */
static int worker_counts(const struct config *c, int *counts)
{
    struct cpu cpu;
    int n = 0;
    cpu_detect(&cpu);
    int most = c->threads > 0 ? c->threads : cpu.threads;
    for (int w = 1; w < most && n < COUNTS - 1; w *= 2)
        counts[n++] = w;
    counts[n++] = most;
    return n;
}

static json_t *team_json(const struct team *team)
{
    json_t *o = json_object(), *rates = json_array();
    for (int i = 0; i < REPETITIONS; i++)
        json_array_append_new(rates, json_number(team->rates[i]));
    json_object_set_new(o, "workers", json_integer(team->workers));
    json_object_set_new(o, "batch", json_integer(team->trainer.config.batch));
    json_object_set_new(o, "images_per_second", rates);
    return o;
}

static int time_teams(struct team *teams, int count, struct err *e)
{
    for (int i = 0; i < count; i++)
        if (make_steps(&teams[i].trainer, WARM_STEPS, e))
            return -1;
    for (int k = 0; k < REPETITIONS; k++)
        for (int i = 0; i < count; i++)
            if (time_steps(&teams[i], k, e))
                return -1;
    return 0;
}

/* A rate so low that nothing is learnt or diverges: the work is the same. */
static int open_teams(struct team *teams, const int *counts, int count, bool weak,
                      const struct study_plan *p, struct err *e)
{
    struct config c = p->sweep->base;
    int most = counts[count - 1], each = c.batch;
    c.lr = 1e-4;
    c.epochs = 1000;
    c.schedule = SCHEDULE_CONSTANT;
    for (int i = 0; i < count; i++) {
        teams[i].workers = c.threads = counts[i];
        c.batch = each * (weak ? counts[i] : most);
        if (trainer_init(&teams[i].trainer, &c, p->images, true, e))
            return -1;
    }
    return 0;
}

static json_t *time_mode(const struct study_plan *p, const int *counts, int count, bool weak,
                         json_t *hashes, struct err *e)
{
    struct team *teams = xcalloc((size_t)count, sizeof *teams);
    int rc = open_teams(teams, counts, count, weak, p, e);
    for (int i = 0; i < count && !rc && hashes; i++) {
        char hash[65];
        rc = make_steps(&teams[i].trainer, BIT_STEPS, e);
        model_hash(&teams[i].trainer.net.model, hash);
        json_array_append_new(hashes, json_string(hash));
    }
    if (!rc)
        rc = time_teams(teams, count, e);
    json_t *list = rc ? NULL : json_array();
    for (int i = 0; i < count; i++) {
        if (list)
            json_array_append_new(list, team_json(&teams[i]));
        trainer_release(&teams[i].trainer);
    }
    free(teams);
    return list;
}

json_t *workers_measure(const struct study_plan *p, const char *dir, struct err *e)
{
    int counts[COUNTS], count = worker_counts(&p->sweep->base, counts);
    json_t *o = json_object(), *bits = json_object(), *hashes = json_array();
    (void)dir;
    json_t *weak = time_mode(p, counts, count, true, NULL, e);
    json_t *strong = weak ? time_mode(p, counts, count, false, hashes, e) : NULL;
    json_object_set_new(o, "kind", json_string("threads"));
    json_object_set_new(o, "batch_per_worker", json_integer(p->sweep->base.batch));
    json_object_set_new(bits, "batch", json_integer(p->sweep->base.batch * counts[count - 1]));
    json_object_set_new(bits, "steps", json_integer(BIT_STEPS));
    json_object_set_new(bits, "hashes", hashes);
    json_object_set_new(o, "bits", bits);
    if (weak)
        json_object_set_new(o, "weak", weak);
    if (strong) {
        json_object_set_new(o, "strong", strong);
        return o;
    }
    json_decref(o);
    return NULL;
}
