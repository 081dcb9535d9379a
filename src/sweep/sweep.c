/* sweep.c - see sweep.h: starts the workers of one call and watches them. */
#define _GNU_SOURCE /* prctl, poll */
#include "sweep/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/log.h"
#include "store/claim.h"
#include "sweep/worker.h"

enum { POLL_MS = 100, RESCAN_SECONDS = 10, STOP_FAILURE = 1002 };

struct watch {
    const struct sweep_plan *plan;
    const char *dir;
    const struct sweep_options *options;
    struct board *board;
    struct image_cache images;   /* loaded before the fork, shared by all workers */
    pid_t *pids;                 /* [jobs], 0: none */
    bool *told;                  /* [trials]: its end has been told */
    int bell[2];                 /* a pipe */
    double started, rescanned;
    int stop;                    /* what the workers were told, 0: nothing */
};

void sweep_trial_text(const struct sweep_plan *plan, size_t trial, char *text, size_t size)
{
    size_t n = 0;
    text[0] = 0;
    for (const char *const *pair = plan->trials[trial].set; *pair && n < size; pair += 2)
        n += (size_t)snprintf(text + n, size - n, "%s%s=%.80s", n ? " " : "", pair[0], pair[1]);
}

static int thread_share(const struct sweep_options *o, int job)
{
    struct cpu cpu;
    cpu_detect(&cpu);
    int threads = o->threads > 0 ? o->threads : cpu.threads;
    int share = threads / o->jobs + (job < threads % o->jobs);
    return share > 0 ? share : 1;
}

/* The child: ends with its parent, whatever ends that, and leaves signals to it. */
static void be_worker(struct watch *w, int job, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    close(w->bell[0]);
    log_set_level(LOG_QUIET); /* the watcher talks */
    struct worker worker = {
        .plan = w->plan,
        .dir = w->dir,
        .options = w->options,
        .board = w->board,
        .number = job,
        .threads = thread_share(w->options, job),
        .bell = w->bell[1],
        .images = &w->images,
    };
    worker_main(&worker);
    _exit(EXIT_DONE); /* nothing of the parent's is flushed or run twice */
}

static int start_worker(struct watch *w, int job, struct err *e)
{
    pid_t parent = getpid();
    w->board->slots[job].trial = -1;
    backend_rest();
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(e, EXIT_FAILED, errno, "cannot start a process");
    if (pid == 0)
        be_worker(w, job, parent);
    w->pids[job] = pid;
    return 0;
}

static bool is_done(int state)
{
    return state == NOTE_BEFORE || state == NOTE_ELSEWHERE || state == NOTE_FINISHED ||
           state == NOTE_DIVERGED;
}

/* Looks on disk for what is done: at first all of it, later what others did. */
static void scan(struct watch *w, enum note_state found)
{
    for (size_t i = 0; i < w->board->note_count; i++) {
        struct note *note = &w->board->notes[i];
        int state = note->state;
        if ((state == NOTE_OPEN || state == NOTE_HELD) &&
            trial_is_done(trial_state_of(w->dir, w->plan->trials[i].id, NULL)))
            atomic_compare_exchange_strong(&note->state, &state, (int)found);
    }
    w->rescanned = clock_seconds();
}

/* Share of its steps that a worker's trial has behind it; of those of this call in *ours. */
static double slot_share(const struct slot *s, double *ours)
{
    double last = (double)s->last_step;
    *ours = last > 0 ? ((double)s->step - (double)s->first_step) / last : 0;
    return last > 0 ? (double)s->step / last : 0;
}

static struct sweep_progress progress_of(struct watch *w)
{
    double ours = 0, left = 0; /* multiply-adds */
    struct sweep_progress p = {
        .total = w->board->note_count, .elapsed = clock_seconds() - w->started, .trial = ""};
    for (size_t i = 0; i < w->board->note_count; i++) {
        int state = w->board->notes[i].state;
        double cost = w->plan->trials[i].cost;
        p.done += is_done(state);
        p.diverged += state == NOTE_DIVERGED;
        p.failed += state == NOTE_FAILED;
        if (state == NOTE_FINISHED || state == NOTE_DIVERGED)
            ours += cost;
        else if (!is_done(state) && state != NOTE_FAILED)
            left += cost;
    }
    for (int i = 0; i < w->board->slot_count; i++) {
        const struct slot *s = &w->board->slots[i];
        long trial = s->trial;
        if (trial < 0)
            continue;
        double cost = w->plan->trials[trial].cost, here;
        left -= cost * slot_share(s, &here);
        ours += cost * here;
        p.running++;
        p.trial = w->plan->trials[trial].id;
        p.step = s->step;
        p.last_step = s->last_step;
        p.images_per_second += s->images_per_second;
    }
    p.left = ours > 0 ? fmax(0, left) * p.elapsed / ours : (double)NAN;
    return p;
}

/* Tells of every trial that has ended since the last time. */
static void tell(struct watch *w)
{
    static const enum trial_state states[] = {
        [NOTE_FINISHED] = TRIAL_FINISHED,
        [NOTE_DIVERGED] = TRIAL_DIVERGED,
        [NOTE_FAILED] = TRIAL_FAILED,
        [NOTE_STOPPED] = TRIAL_INTERRUPTED,
    };
    const struct sweep_options *o = w->options;
    struct sweep_progress p = progress_of(w);
    for (size_t i = 0; i < w->board->note_count; i++) {
        const struct note *note = &w->board->notes[i];
        int state = note->state;
        if (state < NOTE_FINISHED || w->told[i])
            continue;
        w->told[i] = true;
        const struct sweep_ended ended = {
            .trial = i, .state = states[state], .why = note->why, .seconds = note->seconds};
        if (o->ended)
            o->ended(o->context, &ended, &p);
    }
    if (o->progress)
        o->progress(o->context, &p);
}

/* Asks the workers for an end when the caller is asked for one, or after a failure. */
static void pass_stop_on(struct watch *w)
{
    if (!w->stop && w->options->stop)
        w->stop = *w->options->stop;
    for (size_t i = 0; !w->stop && w->options->fail_fast && i < w->board->note_count; i++)
        if (w->board->notes[i].state == NOTE_FAILED)
            w->stop = STOP_FAILURE;
    for (int i = 0; w->stop && i < w->board->slot_count; i++)
        w->board->slots[i].stop = w->stop;
}

/* A worker that was killed takes its trial with it as a failure, and another takes its place. */
static int reap(struct watch *w, int job, struct err *e)
{
    int status;
    pid_t done = waitpid(w->pids[job], &status, WNOHANG);
    if (done == 0)
        return 0;
    w->pids[job] = 0;
    long trial = w->board->slots[job].trial;
    w->board->slots[job].trial = -1;
    if (done < 0 || WIFEXITED(status) || trial < 0)
        return 0;
    struct note *note = &w->board->notes[trial];
    snprintf(note->why, sizeof note->why, "its process was ended by signal %d",
             WTERMSIG(status));
    note->state = NOTE_FAILED;
    return w->stop ? 0 : start_worker(w, job, e);
}

static int watch_workers(struct watch *w, struct err *e)
{
    for (bool alive = true; alive;) {
        struct pollfd bell = {.fd = w->bell[0], .events = POLLIN};
        char bytes[256];
        if (poll(&bell, 1, POLL_MS) > 0)
            (void)!read(w->bell[0], bytes, sizeof bytes);
        alive = false;
        for (int i = 0; i < w->board->slot_count; i++) {
            if (w->pids[i] && reap(w, i, e))
                return -1;
            alive |= w->pids[i] != 0;
        }
        if (clock_seconds() - w->rescanned > RESCAN_SECONDS)
            scan(w, NOTE_ELSEWHERE);
        pass_stop_on(w);
        tell(w);
    }
    return 0;
}

static void fill_report(struct watch *w, struct sweep_report *r)
{
    *r = (struct sweep_report){.total = w->board->note_count};
    for (size_t i = 0; i < w->board->note_count; i++) {
        const struct note *note = &w->board->notes[i];
        int state = note->state;
        r->before += state == NOTE_BEFORE;
        r->finished += state == NOTE_FINISHED;
        r->diverged += state == NOTE_DIVERGED;
        r->failed += state == NOTE_FAILED;
        r->elsewhere += state == NOTE_ELSEWHERE || state == NOTE_HELD;
        r->left += state == NOTE_FAILED || state == NOTE_STOPPED || state == NOTE_OPEN;
        if (state == NOTE_FAILED && !*r->first_failure) {
            char text[200];
            sweep_trial_text(w->plan, i, text, sizeof text);
            snprintf(r->first_failure, sizeof r->first_failure, "trial %s: %.255s", text,
                     note->why);
        }
    }
    r->stop_signal = w->stop == STOP_FAILURE ? 0 : w->stop;
}

/* Loads what the first missing trial needs, once for all workers. */
static int preload(struct watch *w, size_t *missing, struct err *e)
{
    const struct config *base = &w->plan->base;
    struct config c;
    *missing = 0;
    for (size_t i = w->board->note_count; i-- > 0;) {
        if (w->board->notes[i].state != NOTE_BEFORE) {
            (*missing)++;
            sweep_plan_config(w->plan, i, &c);
        }
    }
    if (*missing == 0)
        return 0;
    if (w->options->images && strcmp(c.data, base->data) == 0 && c.data_seed == base->data_seed &&
        strcmp(c.data_dir, base->data_dir) == 0)
        return 0;
    return image_cache_get(&w->images, &c, e) ? 0 : -1;
}

static int lease_of(const struct sweep_options *o)
{
    return o->lease > 0 ? o->lease : CLAIM_LEASE;
}

static int open_watch(struct watch *w, struct err *e)
{
    char claims[4096];
    int jobs = w->options->jobs;
    w->board = board_new(jobs, w->plan->trial_count, e);
    w->pids = xcalloc((size_t)jobs, sizeof *w->pids);
    w->told = xcalloc(w->plan->trial_count, sizeof *w->told);
    if (!w->board)
        return -1;
    if (pipe2(w->bell, O_CLOEXEC | O_NONBLOCK))
        return err_errno(e, EXIT_FAILED, errno, "cannot make a pipe");
    if (!file_join(claims, sizeof claims, w->dir, "claims", NULL))
        claim_clean(claims, lease_of(w->options));
    w->started = clock_seconds();
    scan(w, NOTE_BEFORE);
    return 0;
}

static void close_watch(struct watch *w)
{
    for (int i = 0; w->board && i < w->board->slot_count; i++) {
        if (w->pids[i]) { /* only after a failure of ours */
            kill(w->pids[i], SIGKILL);
            waitpid(w->pids[i], NULL, 0);
        }
    }
    for (int i = 0; i < 2; i++)
        if (w->bell[i] >= 0)
            close(w->bell[i]);
    image_cache_release(&w->images);
    board_free(w->board);
    free(w->pids);
    free(w->told);
}

int sweep_run(const struct sweep_plan *plan, const char *dir, const struct sweep_options *o,
              struct sweep_report *report, struct err *e)
{
    struct watch w = {.plan = plan, .dir = dir, .options = o, .bell = {-1, -1}};
    size_t missing;
    int rc = -1;
    if (open_watch(&w, e) || preload(&w, &missing, e))
        goto out;
    for (int i = 0; i < o->jobs && (size_t)i < missing; i++)
        if (start_worker(&w, i, e))
            goto out;
    if (watch_workers(&w, e))
        goto out;
    scan(&w, NOTE_ELSEWHERE);
    fill_report(&w, report);
    rc = 0;
out:
    close_watch(&w);
    return rc;
}
