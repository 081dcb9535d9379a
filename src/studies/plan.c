/* plan.c - what a study writes down before its runs: trials and claims. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "studies/engine.h"
#include "studies/judge.h"

const char *study_scale_name(enum study_scale scale)
{
    static const char *const names[STUDY_SCALES] = {"tiny", "small", "paper"};
    return names[scale];
}

const struct study *study_find(const char *name, struct err *e)
{
    const char *names[64] = {0};
    for (size_t i = 0; study_list[i]; i++) {
        if (strcmp(study_list[i]->name, name) == 0)
            return study_list[i];
        names[i] = study_list[i]->name;
    }
    const char *near = nearest_name(name, names);
    err_set(e, EXIT_USAGE, "no study '%s'%s%s%s; 'kiln study --list' names them", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

/* JSON has no infinity: an open end is null. */
static json_t *end_json(double x)
{
    assert(!isnan(x));
    return json_number(x);
}

void study_predict(struct study_plan *p, const struct study_claim *claim)
{
    char rule[600];
    json_t *o = json_object(), *predicted = json_object();
    assert(!json_find(p->claims, "id", claim->id) && claim->low <= claim->high);
    assert(claim->statement && claim->prediction && claim->falsified_by);
    study_rule_text(claim->low, claim->high, claim->condition, rule, sizeof rule);
    json_object_set_new(predicted, "text", json_string(claim->prediction));
    json_object_set_new(predicted, "low", end_json(claim->low));
    json_object_set_new(predicted, "high", end_json(claim->high));
    json_object_set_new(predicted, "unit", json_string(claim->unit ? claim->unit : ""));
    json_object_set_new(o, "id", json_string(claim->id));
    json_object_set_new(o, "statement", json_string(claim->statement));
    json_object_set_new(o, "formula", json_string(claim->formula ? claim->formula : ""));
    json_object_set_new(o, "predicted", predicted);
    json_object_set_new(o, "rule", json_string(rule));
    json_object_set_new(o, "falsified_by", json_string(claim->falsified_by));
    json_object_set_new(o, "counts", json_boolean(!claim->aside));
    json_array_append_new(p->claims, o);
}

int study_repeat(struct study_plan *p, int seeds, const char *label, const char *const *pairs,
                 struct err *e)
{
    const char *with[64];
    char seed[32];
    size_t n = 0;
    for (; pairs[n]; n++) {
        assert(n + 3 < sizeof with / sizeof with[0]);
        with[n] = pairs[n];
    }
    with[n] = "seed";
    with[n + 1] = seed;
    with[n + 2] = NULL;
    json_t *group = json_object_get(p->groups, label);
    if (!group) {
        group = json_array();
        json_object_set_new(p->groups, label, group);
    }
    for (int i = 0; i < seeds; i++) {
        snprintf(seed, sizeof seed, "%llu", (unsigned long long)p->sweep->base.seed + (unsigned)i);
        int trial = sweep_plan_add(p->sweep, label, with, e);
        if (trial < 0)
            return -1;
        json_array_append_new(group, json_integer(trial));
    }
    return 0;
}

int study_trials(struct study_plan *p, const char *label, const char *const *pairs, struct err *e)
{
    return study_repeat(p, p->seeds, label, pairs, e);
}

int study_plan_init(struct study_plan *p, const struct study *study, enum study_scale scale,
                    int seeds, const struct config *base, const struct images *images,
                    struct err *e)
{
    *p = (struct study_plan){.study = study, .scale = scale, .images = images};
    p->seeds = seeds ? seeds : study->seeds[scale];
    assert(p->seeds > 0 && p->seeds <= STUDY_SEEDS_MOST);
    p->claims = json_array();
    p->groups = json_object();
    p->sweep = xcalloc(1, sizeof *p->sweep);
    sweep_plan_init(p->sweep, study->name, study->recipe[scale], base);
    return study->plan(p, e) ? err_prefix(e, "study %s", study->name) : 0;
}

void study_plan_release(struct study_plan *p)
{
    json_decref(p->claims);
    json_decref(p->groups);
    if (p->sweep)
        sweep_plan_release(p->sweep);
    free(p->sweep);
    memset(p, 0, sizeof *p);
}

json_t *study_prediction(const struct study_plan *p)
{
    char hex[HASH_HEX];
    json_t *o = json_object();
    char *text = json_line(p->claims);
    hash_of(HASH_SHA256, text, strlen(text), hex);
    free(text);
    json_object_set_new(o, "format", json_integer(1));
    json_object_set_new(o, "study", json_string(p->study->name));
    json_object_set_new(o, "scale", json_string(study_scale_name(p->scale)));
    json_object_set_new(o, "hash", json_string(hex));
    json_object_set(o, "claims", p->claims);
    return o;
}
