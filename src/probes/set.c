/* set.c - see set.h. */
#include "probes/set.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

static int add(struct probe_set *s, const char *name, struct err *e)
{
    const struct probe *p = probe_find(name, e);
    if (!p)
        return -1;
    for (int i = 0; i < s->count; i++) {
        if (s->slots[i].probe == p)
            return err_set(e, EXIT_USAGE, "the probe '%s' stands twice", name);
    }
    assert(s->count < PROBES_MAX);
    s->slots[s->count++] = (struct probe_slot){.probe = p};
    return 0;
}

int probe_set_init(struct probe_set *s, const char *names, struct err *e)
{
    static const char between[] = ", \t";
    *s = (struct probe_set){0};
    for (const char *p = names + strspn(names, between); *p; p += strspn(p, between)) {
        char name[64];
        size_t length = strcspn(p, between);
        snprintf(name, sizeof name, "%.*s", (int)length, p);
        if (add(s, name, e))
            return err_prefix(e, "probes");
        p += length;
    }
    return 0;
}

void probe_periods(int count, const double *cost, const uint64_t *period, const uint64_t *unit,
                   double budget, uint64_t *periods)
{
    double share = 0;
    for (int i = 0; i < count; i++)
        share += cost[i] / (double)period[i];
    double stretch = share > budget ? share / budget : 1;
    for (int i = 0; i < count; i++) {
        double units = ceil(stretch * (double)period[i] / (double)unit[i] - 1e-9);
        periods[i] = (uint64_t)fmin(units, 1e15) * unit[i];
    }
}

void probe_set_plan(struct probe_set *s, const struct trainer *t)
{
    double cost[PROBES_MAX] = {0};
    uint64_t period[PROBES_MAX] = {0}, unit[PROBES_MAX] = {0}, periods[PROBES_MAX];
    for (int i = 0; i < s->count; i++) {
        const struct probe *p = s->slots[i].probe;
        unit[i] = p->in_epochs ? t->per_epoch : 1;
        period[i] = (uint64_t)p->period * unit[i];
        s->slots[i].cost = cost[i] = p->cost(t);
        s->slots[i].wanted = period[i];
    }
    probe_periods(s->count, cost, period, unit, t->config.probe_budget, periods);
    for (int i = 0; i < s->count; i++)
        s->slots[i].period = periods[i];
}

/* Says which probes measure less often than they want to. */
static void tell_periods(const struct probe_set *s, const struct run_event *run)
{
    const struct trainer *t = run->trainer;
    for (int i = 0; i < s->count; i++) {
        const struct probe_slot *slot = &s->slots[i];
        if (slot->period > run->total_steps)
            log_warn("the probe '%s' costs as much as %.3g steps; within a budget of %.3g %% it is "
                     "due every %.4g steps, and the run has only %.4g (see probe_budget)",
                     slot->probe->name, slot->cost, 100 * t->config.probe_budget,
                     (double)slot->period, (double)run->total_steps);
        else if (slot->period > slot->wanted)
            log_say("the probe '%s' measures every %.4g steps instead of %.4g, to stay within "
                    "its budget", slot->probe->name, (double)slot->period, (double)slot->wanted);
    }
}

static void fail(struct probe_set *s, const struct probe *p, struct err *e)
{
    err_prefix(e, "the probe '%s'", p->name);
    s->failed = true;
    if (s->on_failure)
        s->on_failure(s->context, e);
}

static bool due(const struct probe_slot *slot, uint64_t step)
{
    return step % slot->period == 0;
}

/* Lets those who measure after step `step` look at what is there before it. */
static void look_before(struct probe_set *s, const struct probe_moment *m)
{
    struct err e;
    for (int i = 0; i < s->count && !s->failed; i++) {
        const struct probe_slot *slot = &s->slots[i];
        if (slot->probe->before && due(slot, m->step + 1) &&
            slot->probe->before(slot->self, m, &e))
            fail(s, slot->probe, &e);
    }
}

/* What the probe knew when the checkpoint was written that the run goes on from. A checkpoint of a
 * run without the probe knows nothing, and the rows are those of a run that began here. */
static void recall(const struct probe_slot *slot, const struct run_event *run)
{
    const struct probe *p = slot->probe;
    if (!p->state_count || run->first_step == 0)
        return;
    const double *values = carry_find(&run->trainer->carry, p->name, p->state_count(slot->self));
    if (values)
        p->recall(slot->self, values);
    else
        log_warn("the checkpoint has nothing of the probe '%s': it begins anew at step %.4g",
                 p->name, (double)run->first_step);
}

static void on_carry(void *context, struct carry *carry)
{
    struct probe_set *s = context;
    for (int i = 0; i < s->count && !s->failed; i++) {
        const struct probe_slot *slot = &s->slots[i];
        if (slot->probe->state_count)
            slot->probe->keep(slot->self, carry_add(carry, slot->probe->name,
                                                    slot->probe->state_count(slot->self)));
    }
}

static void on_run(void *context, const struct run_event *event)
{
    struct probe_set *s = context;
    struct err e;
    probe_set_plan(s, event->trainer);
    tell_periods(s, event);
    for (int i = 0; i < s->count && !s->failed; i++) {
        if (s->slots[i].probe->open(&s->slots[i].self, event->trainer, &e))
            fail(s, s->slots[i].probe, &e);
        else
            recall(&s->slots[i], event);
    }
    const struct probe_moment m = {
        .trainer = event->trainer,
        .step = event->first_step,
        .epoch = (double)event->first_step / (double)event->steps_per_epoch,
    };
    look_before(s, &m);
}

static void on_step(void *context, const struct step_event *event)
{
    struct probe_set *s = context;
    struct err e;
    const struct probe_moment m = {.trainer = event->trainer,
                                   .step = event->step,
                                   .epoch = event->epoch,
                                   .lr = event->lr,
                                   .stepped = true};
    for (int i = 0; i < s->count && !s->failed; i++) {
        const struct probe_slot *slot = &s->slots[i];
        const struct probe_out out = {slot->probe, event->step, event->epoch, s->sinks,
                                      s->sink_count};
        if (slot->probe->watch)
            slot->probe->watch(slot->self, event);
        if (due(slot, event->step) && slot->probe->measure(slot->self, &m, &out, &e))
            fail(s, slot->probe, &e);
    }
    look_before(s, &m);
}

/* The trainer is still there, and with it the memory that the probes borrowed from it. */
static void on_end(void *context, const struct train_result *result)
{
    struct probe_set *s = context;
    (void)result;
    for (int i = 0; i < s->count; i++) {
        s->slots[i].probe->close(s->slots[i].self);
        s->slots[i].self = NULL;
    }
}

struct observer probe_set_observer(struct probe_set *s)
{
    return (struct observer){.context = s,
                             .run = on_run,
                             .step = on_step,
                             .carry = on_carry,
                             .end = on_end};
}
