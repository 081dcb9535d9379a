/* made_study.c - see made_study.h. */
#include "support/made_study.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/rng.h"
#include "store/metrics.h"
#include "studies/prediction.h"

static void base_of(const struct study *s, struct config *c)
{
    char ini[4096];
    struct err e = {0};
    config_default(c);
    snprintf(ini, sizeof ini, "%s/recipes/%s.ini", KILN_SOURCE_DIR, s->recipe[STUDY_TINY]);
    if (options_read_ini(config_options, c, ini, &e))
        fail_msg("%s", e.text);
    for (const char *const *pair = s->settings[STUDY_TINY]; pair && *pair; pair += 2)
        if (options_set(config_options, c, pair[0], pair[1], "study", &e))
            fail_msg("%s", e.text);
}

double made_noise(const struct config *c)
{
    uint32_t key = (uint32_t)(c->batch * 31 + c->lr * 1e4 + c->epochs * 7 + c->weight_decay * 1e5);
    struct rng r = rng_at(c->seed, RNG_TEST, key, (uint32_t)c->schedule);
    return (double)rng_below(&r, 2000001) / 1e6 - 1;
}

static void put(const char *dir, const char *name, json_t *value)
{
    char path[4096];
    struct err e;
    if (file_join(path, sizeof path, dir, name, &e) || json_write(value, path, &e))
        fail_msg("%s", e.text);
    json_decref(value);
}

static void put_records(const char *dir, const struct made_result *m)
{
    struct metrics f;
    struct err e;
    char path[4096];
    if (file_join(path, sizeof path, dir, "metrics.jsonl", &e) || metrics_open(&f, path, 0, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < m->epochs; i++) {
        metrics_begin(&f, "train", (uint64_t)i + 1, i + 1);
        metrics_real(&f, "opt/lr", m->lr[i]);
        metrics_end(&f, &e);
        metrics_begin(&f, "epoch", (uint64_t)i + 1, i + 1);
        metrics_real(&f, "train/epoch_loss", m->train_loss[i]);
        metrics_real(&f, "train/epoch_accuracy", m->train_accuracy[i]);
        metrics_real(&f, "test/accuracy", m->epoch_accuracy[i]);
        metrics_end(&f, &e);
    }
    metrics_close(&f);
    if (!(m->noise_scale > 0))
        return;
    if (file_join(path, sizeof path, dir, "probes.jsonl", &e) || metrics_open(&f, path, 0, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < 10; i++) {
        metrics_begin(&f, "noise_scale", (uint64_t)i + 1, i + 1);
        metrics_text(&f, "of", "");
        metrics_real(&f, "now_trace", m->noise_scale * (1 + i));
        metrics_real(&f, "now_gradient2", 1 + i);
        metrics_end(&f, &e);
    }
    metrics_close(&f);
}

static void put_run(const char *dir, const struct config *c, const struct made_result *m)
{
    char path[4096];
    struct err e;
    if (file_make_folders(dir, &e) || file_join(path, sizeof path, dir, "config.ini", &e))
        fail_msg("%s", e.text);
    char *ini = options_ini_text(config_options, c);
    if (file_write(path, ini, strlen(ini), &e))
        fail_msg("%s", e.text);
    free(ini);
    put_records(dir, m);
    json_t *result = json_object();
    json_object_set_new(result, "reason", json_string(m->diverged ? "diverged" : "finished"));
    json_object_set_new(result, "test_loss", json_number(m->test_loss));
    json_object_set_new(result, "test_accuracy", json_number(m->test_accuracy));
    json_object_set_new(result, "validation_loss", json_number(m->validation_loss));
    put(dir, "manifest.json",
        json_pack("{s:s, s:[{s:s}], s:o}", "recipe", "made", "sessions", "start",
                  "2026-11-23T20:32:59Z", "result", result));
    put(dir, "status.json",
        json_pack("{s:s, s:i, s:s}", "state", m->diverged ? "diverged" : "finished", "step", 10,
                  "heartbeat", "2026-11-23T21:35:35Z"));
}

static void put_measured(const char *dir, const json_t *measured)
{
    char path[4096];
    struct err e;
    const char *name;
    json_t *value;
    if (file_join(path, sizeof path, dir, "measured", &e) || file_make_folders(path, &e))
        fail_msg("%s", e.text);
    json_object_foreach((json_t *)measured, name, value) {
        char file[128];
        snprintf(file, sizeof file, "%.100s.json", name);
        put(path, file, json_incref(value));
    }
}

json_t *made_study(const char *name, const char *dir, made_world_fn world, const json_t *measured)
{
    struct err e = {0};
    struct config base;
    struct study_plan p;
    json_t *build = json_object(), *result = NULL;
    char *argv[] = {"kiln", "study"};
    const struct provenance from = {2, argv, build};
    const struct study *s = study_find(name, &e);
    assert_non_null(s);
    base_of(s, &base);
    if (study_plan_init(&p, s, STUDY_TINY, 0, &base, NULL, &e))
        fail_msg("%s", e.text);
    json_t *prediction = prediction_settle(&p, dir, &e);
    if (!prediction || sweep_plan_save(p.sweep, dir, &from, NULL, &e))
        fail_msg("%s", e.text);
    json_decref(prediction);
    for (size_t i = 0; i < p.sweep->trial_count; i++) {
        struct config c;
        struct made_result *m = calloc(1, sizeof *m);
        char path[4096];
        assert_non_null(m);
        sweep_plan_config(p.sweep, i, &c);
        world(&c, p.sweep->trials[i].label, m);
        snprintf(path, sizeof path, "%.3000s/trials/%s", dir, p.sweep->trials[i].id);
        put_run(path, &c, m);
        if (m->records)
            m->records(path, &c, p.sweep->trials[i].label);
        free(m);
    }
    if (measured)
        put_measured(dir, measured);
    if (study_analyse(&p, dir, &result, &e))
        fail_msg("%s", e.text);
    study_plan_release(&p);
    json_decref(build);
    return result;
}

static const json_t *claim_of(const json_t *study, const char *id)
{
    size_t i;
    json_t *claim;
    json_array_foreach(json_object_get(study, "claims"), i, claim) {
        if (strcmp(json_string_value(json_object_get(claim, "id")), id) == 0)
            return claim;
    }
    fail_msg("no claim %s", id);
    return NULL;
}

const char *made_verdict(const json_t *study, const char *claim)
{
    return json_string_value(json_object_get(claim_of(study, claim), "verdict"));
}

double made_seen(const json_t *study, const char *claim, const char *key)
{
    const json_t *x = json_object_get(json_object_get(claim_of(study, claim), "seen"), key);
    return json_is_number(x) ? json_number_value(x) : (double)NAN;
}

void made_check(const json_t *study, const char *claim, const char *verdict)
{
    if (strcmp(made_verdict(study, claim), verdict) != 0)
        fail_msg("%s is %s (%g, %g to %g), expected %s", claim, made_verdict(study, claim),
                 made_seen(study, claim, "value"), made_seen(study, claim, "low"),
                 made_seen(study, claim, "high"), verdict);
}
