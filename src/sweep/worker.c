/* worker.c - see worker.h. */
#define _GNU_SOURCE
#include "sweep/worker.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/claim.h"

static void on_run(void *context, const struct run_event *event)
{
    struct slot *slot = context;
    slot->step = event->first_step;
    slot->first_step = event->first_step;
    slot->last_step = event->last_step;
}

static void on_step(void *context, const struct step_event *event)
{
    struct slot *slot = context;
    slot->step = event->step;
    slot->images_per_second = event->images_per_second;
}

/* What trial_run hands to the hooks of the sweep. */
struct hook {
    struct worker *worker;
    size_t trial;
};

static int open_observers(void *context, const struct trial_run *t, struct recorder *r,
                          struct observer *observers, struct err *e)
{
    const struct hook *h = context;
    const struct sweep_options *o = h->worker->options;
    int count = 0;
    if (o->open)
        count = o->open(o->observer_context, h->trial, t->config, r, observers, e);
    if (count < 0)
        return -1;
    if (count == SESSION_OBSERVERS)
        return count; /* nobody will see how far it is */
    struct slot *slot = &h->worker->board->slots[h->worker->number];
    observers[count++] = (struct observer){.context = slot, .run = on_run, .step = on_step};
    return count;
}

static void close_observers(void *context, const struct trial_run *t, struct recorder *r)
{
    const struct hook *h = context;
    const struct sweep_options *o = h->worker->options;
    (void)t;
    if (o->close)
        o->close(o->observer_context, h->trial, r);
}

static bool sets_threads(const struct planned_trial *t)
{
    for (const char *const *pair = t->set; *pair; pair += 2)
        if (strcmp(pair[0], "threads") == 0)
            return true;
    return false;
}

/* The images of a trial: the caller's for those of the base. */
static const struct images *images_of(struct worker *w, const struct config *c, struct err *e)
{
    const struct config *base = &w->plan->base;
    bool same = strcmp(c->data, base->data) == 0 && c->data_seed == base->data_seed &&
                strcmp(c->data_dir, base->data_dir) == 0;
    return same && w->options->images ? w->options->images : image_cache_get(w->images, c, e);
}

static int train(struct worker *w, size_t trial, struct err *e)
{
    struct config c;
    struct train_result result;
    struct hook hook = {w, trial};
    char path[4096];
    sweep_plan_config(w->plan, trial, &c);
    if (!sets_threads(&w->plan->trials[trial]))
        c.threads = w->threads;
    snprintf(path, sizeof path, "%.4000s/trials/%s", w->dir, w->plan->trials[trial].id);
    const struct trial_run run = {
        .path = path,
        .recipe = w->plan->recipe,
        .config = &c,
        .images = images_of(w, &c, e),
        .from = w->options->from,
        .steps_down = w->options->steps_down ? w->options->steps_down : "",
        .keep = w->options->keep,
        .stop = &w->board->slots[w->number].stop,
        .open = open_observers,
        .close = close_observers,
        .context = &hook,
    };
    return run.images ? trial_train(&run, &result, e) : -1;
}

/* What became of a trial that we trained: the disk says whether it is done. */
static enum note_state outcome(const struct worker *w, const char *id, int rc)
{
    enum trial_state state = trial_state_of(w->dir, id, NULL);
    if (state == TRIAL_FINISHED)
        return NOTE_FINISHED;
    if (state == TRIAL_DIVERGED)
        return NOTE_DIVERGED;
    return rc ? NOTE_FAILED : NOTE_STOPPED;
}

/* The trial is claimed: trains it, unless somebody did meanwhile. */
static void work_on(struct worker *w, size_t trial, struct claim *claim)
{
    struct slot *slot = &w->board->slots[w->number];
    struct note *note = &w->board->notes[trial];
    const char *id = w->plan->trials[trial].id;
    struct err e = {.code = EXIT_FAILED};
    if (trial_is_done(trial_state_of(w->dir, id, NULL))) {
        int state = note->state; /* not OPEN if one of our own workers was as quick */
        claim_finish(claim);
        if (state == NOTE_OPEN || state == NOTE_HELD)
            atomic_compare_exchange_strong(&note->state, &state, NOTE_ELSEWHERE);
        return;
    }
    double start = clock_seconds();
    slot->first_step = slot->step = slot->last_step = 0;
    slot->images_per_second = 0;
    slot->trial = (long)trial;
    note->state = NOTE_BUSY;
    int rc = train(w, trial, &e);
    enum note_state state = outcome(w, id, rc);
    if (state == NOTE_FINISHED || state == NOTE_DIVERGED)
        claim_finish(claim);
    else
        claim_drop(claim);
    snprintf(note->why, sizeof note->why, "%.255s", rc ? e.text : "");
    note->seconds = clock_seconds() - start;
    slot->trial = -1;
    note->state = (int)state;
    (void)!write(w->bell, "", 1);
}

/* Once over all trials; returns how many we trained. */
static size_t go_round(struct worker *w, const char *claims)
{
    const struct sweep_options *o = w->options;
    struct slot *slot = &w->board->slots[w->number];
    size_t trained = 0;
    for (size_t i = 0; i < w->plan->trial_count && !slot->stop; i++) {
        struct note *note = &w->board->notes[i];
        struct claim claim;
        struct err e;
        if (note->state != NOTE_OPEN && note->state != NOTE_HELD)
            continue;
        int taken = claim_take(&claim, claims, w->plan->trials[i].id,
                               o->lease > 0 ? o->lease : CLAIM_LEASE, &slot->stop, &e);
        if (taken == 1) {
            work_on(w, i, &claim);
            trained++;
            /* A record or a claim that failed stops one trial, a signal all. */
            if (slot->stop == STOP_RECORDS || slot->stop == CLAIM_LOST)
                slot->stop = 0;
        } else if (taken == 0) {
            int open = NOTE_OPEN;
            atomic_compare_exchange_strong(&note->state, &open, NOTE_HELD);
        } else {
            snprintf(note->why, sizeof note->why, "%.255s", e.text);
            note->state = NOTE_FAILED;
            (void)!write(w->bell, "", 1);
        }
    }
    return trained;
}

void worker_main(struct worker *w)
{
    char claims[4096];
    if (file_join(claims, sizeof claims, w->dir, "claims", NULL))
        return;
    while (go_round(w, claims) > 0 && !w->board->slots[w->number].stop)
        continue;
    image_cache_release(w->images);
}
