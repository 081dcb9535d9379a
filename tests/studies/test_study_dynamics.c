/* test_study_dynamics.c - the analyses of weight-decay, curvature and forgetting in worlds where
 * the answer is known: they must find it, its opposite, and that it cannot be told. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "probes/theory.h"
#include "scratch_group.h"
#include "store/metrics.h"
#include "support/made_study.h"

/* What the worlds are like; `off` stands for how far they are from the prediction, `noise` for how
 * much seeds differ. */
static double off, noise;

static void check_all(const json_t *study, const char *const *claims, const char *verdict)
{
    for (int i = 0; claims[i]; i++)
        made_check(study, claims[i], verdict);
}

static void open_records(struct metrics *f, const char *dir, const char *name)
{
    char path[4096];
    struct err e;
    if (file_join(path, sizeof path, dir, name, &e) || metrics_open(f, path, 0, &e))
        fail_msg("%s", e.text);
}

/* 1, but for the seeds: -1 and 1 times the noise. */
static double seeded(const struct config *c)
{
    return 1 + noise * (c->seed % 2 ? 1 : -1);
}

static json_t *made(const char *name, made_world_fn world, double how_far, double how_noisy)
{
    static int folders;
    char folder[64];
    off = how_far;
    noise = how_noisy;
    snprintf(folder, sizeof folder, "%s-%d", name, folders++);
    return made_study(name, scratch_path(&scratch, folder), world, NULL);
}

/* ---- weight-decay ---- */

static const char *const layers[] = {"prep.conv.weight", "layer1.conv.weight",
                                     "layer1.extra.conv.weight", "layer2.conv.weight",
                                     "layer2.extra.conv.weight", "layer3.conv.weight",
                                     "layer3.extra.conv.weight", NULL};

/* Of a step: what training loss is. Runs that should be one differ by `off` of it. */
static double decay_loss(const struct config *c, const char *label, double step)
{
    double loss = 1 + exp(-step / 100);
    if (strcmp(label, "decay on") == 0 || strcmp(label, "weights x 1") == 0 ||
        strcmp(label, "decay for 100 steps") == 0)
        return loss;
    if (strcmp(label, "weights x 2, learning rate x 4") == 0 ||
        strcmp(label, "growing learning rate") == 0)
        return loss * (1 + (1e-4 + off) * seeded(c));
    if (strncmp(label, "weights x 2", 11) == 0 || strcmp(label, "neither") == 0)
        return loss * 1.1;
    return strncmp(label, "first", 5) == 0 ? loss : loss * (1 + off * seeded(c) + 0.04 * noise);
}

static void decay_norms(struct metrics *f, const struct config *c, const char *label, double step)
{
    const struct theory t = {.lr = c->lr, .momentum = c->momentum,
                             .weight_decay = c->weight_decay, .nesterov = c->nesterov};
    const struct theory base = {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.006,
                                .nesterov = true};
    bool looked = strncmp(label, "first", 5) == 0, lars = c->optimizer == OPTIMIZER_LARS;
    struct err e;
    double start = pow(c->init_scale, 4), time = theory_relaxation_steps(&t) * (1 + off);
    double w4 = 1 + (start - 1) * exp(-step / time) + off * fmin(start, 3);
    double scale = looked ? c->init_scale : 1, eps = c->init_scale < 0.01 ? 0.5 : off;
    double batches = c->batch > 16 ? 0.1 - off + seeded(c) : 1;
    for (int i = 0; layers[i]; i++) {
        metrics_begin(f, "norms", (uint64_t)step, step / 64);
        metrics_text(f, "of", layers[i]);
        metrics_real(f, "weight_norm", pow(w4, 0.25));
        metrics_real(f, "gradient_norm", (1 + eps * (scale < 1000)) / scale);
        metrics_real(f, "cosine", eps);
        metrics_real(f, "gradient_ratio", theory_equilibrium_ratio(&t) * (1 + off + i * noise) *
                                              batches);
        metrics_real(f, "angle", theory_equilibrium_angle(lars ? &base : &t) *
                                     (1 + off + i * noise));
        metrics_real(f, "effective_lr", pow(step, -0.5 + off));
        assert_int_equal(metrics_end(f, &e), 0);
    }
}

static bool short_of_steps;      /* a tenth of them */

static void decay_records(const char *dir, const struct config *c, const char *label)
{
    struct metrics f;
    struct err e;
    bool looked = strncmp(label, "first", 5) == 0;
    int each = c->epochs < 1 || short_of_steps ? 1 : 10, count = looked ? 10 : 100;
    open_records(&f, dir, "metrics.jsonl");
    for (int i = 1; i <= count; i++) {
        metrics_begin(&f, "train", (uint64_t)(i * each), i);
        metrics_real(&f, "train/loss", decay_loss(c, label, i * each));
        metrics_end(&f, &e);
    }
    metrics_close(&f);
    open_records(&f, dir, "probes.jsonl");
    for (int i = 1; i <= count; i++)
        decay_norms(&f, c, label, i * each);
    metrics_close(&f);
}

/* lr_s = lr a^(-2s-1) with a = 1 - lr wd, on weights 1024 times as long, whatever origin the
 * recipe's schedule has. */
static void check_growing(const struct config *c)
{
    struct schedule s;
    struct err e;
    const double a = 1 - 0.1 * 0.03, at[3] = {0, 1, 99};
    assert_int_equal(config_schedule(c, &s, &e), 0);
    for (int i = 0; i < 3; i++) {
        double rate = c->lr * schedule_factor(&s, (uint64_t)at[i], 100, 256);
        assert_true(fabs(rate / (0.1 * 1024 * 1024 * pow(a, -2 * at[i] - 1)) - 1) < 1e-7);
    }
}

static void decay_world(const struct config *c, const char *label, struct made_result *m)
{
    if (strcmp(label, "growing learning rate") == 0)
        check_growing(c);
    m->records = decay_records;
}

static const char *const decay_claims[] = {"invariance", "factor-4", "growing-rate", "ratio",
                                           "ratio-batch", "angle", "converge", "relaxation",
                                           "projection", "product", "momentum", "lars-angle",
                                           "lars-loss", "others", "off", NULL};

static void test_weight_decay__finds_what_theory_says(void **state)
{
    (void)state;
    json_t *o = made("weight-decay", decay_world, 0, 0);
    check_all(o, decay_claims, "supported");
    made_check(o, "eps", "supported");
    assert_string_equal(json_string_value(json_object_get(o, "verdict")), "supported");
    json_decref(o);
}

static void test_weight_decay__finds_the_opposite(void **state)
{
    (void)state;
    json_t *o = made("weight-decay", decay_world, 0.8, 0);
    check_all(o, decay_claims, "not supported");
    json_decref(o);
}

static void test_weight_decay__cannot_tell_from_noise(void **state)
{
    (void)state;
    static const char *const noisy[] = {"ratio", "ratio-batch", "angle", "factor-4",
                                        "growing-rate", "projection", NULL};
    json_t *o = made("weight-decay", decay_world, 0.01, 0.9);
    check_all(o, noisy, "inconclusive");
    json_decref(o);
}

/* A hundred steps are less than two relaxation times. */
static void test_weight_decay__does_not_judge_lengths_that_had_no_time(void **state)
{
    (void)state;
    short_of_steps = true;
    json_t *o = made("weight-decay", decay_world, 0, 0);
    short_of_steps = false;
    made_check(o, "converge", "inconclusive");
    json_decref(o);
}

/* ---- curvature ---- */

static void put_sharpness(struct metrics *f, double step, const char *of, double largest,
                          double batch, double limit, double loss)
{
    struct err e;
    metrics_begin(f, "sharpness", (uint64_t)step, step);
    metrics_text(f, "of", of);
    metrics_real(f, "largest", largest);
    metrics_real(f, "batch", batch);
    metrics_real(f, "limit", limit);
    metrics_real(f, "loss", loss);
    assert_int_equal(metrics_end(f, &e), 0);
}

/* Without batch norm the loss is lost at 0.2, with it at 0.2 / off, or never. */
static void ramp_records(const char *dir, const struct config *c, const char *label)
{
    struct metrics f;
    struct err e;
    bool bare = strstr(label, "without") != NULL;
    double breaks = bare ? 0.2 : off > 0 ? 0.2 / off : 1e9;
    open_records(&f, dir, "metrics.jsonl");
    for (int i = 1; i <= 600; i++) {
        double lr = c->lr * pow(c->final_factor, i / 600.0);
        metrics_begin(&f, "train", (uint64_t)i, i);
        metrics_real(&f, "train/loss", lr > breaks ? 2.3 : 1 + 1.3 * exp(-i / 50.0));
        metrics_real(&f, "opt/lr", lr);
        metrics_end(&f, &e);
    }
    metrics_close(&f);
    open_records(&f, dir, "probes.jsonl");
    for (int i = 50; i <= 600; i += 50) {
        /* At the rate 0.2 the limit is 10 lr / 0.2 of what it is at the measurement. */
        double lr = c->lr * pow(c->final_factor, i / 600.0);
        double at = 10 * lr / 0.2 * (1 + 2 * off) * seeded(c);
        if (bare) {
            put_sharpness(&f, i, "", at, 5, 10, 1);
        } else {
            put_sharpness(&f, i, "train mode", 2, 1, 10, 1);
            put_sharpness(&f, i, "eval mode", off > 0 ? 2 : 20 * seeded(c), 1, 10, 1);
        }
    }
    metrics_close(&f);
}

static void edge_records(const char *dir, const struct config *c, const char *label)
{
    struct metrics f;
    double at = strcmp(label, "mini-batches") == 0 ? 0.5 + off : 1 + off;
    open_records(&f, dir, "probes.jsonl");
    for (int i = 1; i <= 12; i++)
        put_sharpness(&f, 50 * i, "", (i < 4 ? 0.2 : at) * 20 * seeded(c), 20 * (1 + off), 20, 0.5);
    metrics_close(&f);
}

static void curvature_world(const struct config *c, const char *label, struct made_result *m)
{
    (void)c;
    m->records = strncmp(label, "ramp", 4) == 0 ? ramp_records : edge_records;
}

static const char *const curvature_claims[] = {"hovers-gd", "hovers-heavy-ball", "hovers-nesterov",
                                               "mini-batch", "bare-breaks", "ten-times", "frozen",
                                               NULL};

static void test_curvature__goes_each_way(void **state)
{
    (void)state;
    json_t *o = made("curvature", curvature_world, 0, 0);
    check_all(o, curvature_claims, "supported");
    made_check(o, "mini-batch-limit", "supported");
    json_decref(o);
    o = made("curvature", curvature_world, 0.6, 0);
    check_all(o, curvature_claims, "not supported");
    json_decref(o);
    o = made("curvature", curvature_world, 0, 0.3);
    made_check(o, "hovers-gd", "inconclusive");
    made_check(o, "mini-batch", "inconclusive");
    made_check(o, "bare-breaks", "inconclusive");
    json_decref(o);
}

/* ---- forgetting ---- */

static double forgetting_loss(const struct config *c, bool plateau)
{
    double octaves = log2(c->lr / 0.1), share = c->train_count / 3072.0;
    bool plain = c->crop == 0;
    double gap = plain && share < 1 ? (plateau && octaves > 3 ? off : 1) : 0;
    double best = off > 0 ? 2 : c->batch == 32 ? 1 - log2(share) : 1; /* octave of the best rate */
    return plain || plateau ? 1 + gap * seeded(c) : 1 + 0.01 * (octaves - best) * (octaves - best);
}

/* Of the probe: true losses on the plateau, around their mean; before and after it, anything. */
static void put_losses(struct metrics *f, const struct config *c, int plateau)
{
    static const char *const of[] = {"training", "validation"};
    struct err e;
    for (int epoch = 1; epoch <= (int)c->epochs; epoch++) {
        bool counts = 2 * epoch >= plateau && epoch <= plateau;
        for (int i = 0; i < 2; i++) {
            metrics_begin(f, "losses", (uint64_t)epoch * 100, epoch);
            metrics_text(f, "of", of[i]);
            metrics_real(f, "loss", 100);
            metrics_real(f, "refreshed_loss",
                         counts ? forgetting_loss(c, true) + 0.1 * (epoch - 0.75 * plateau)
                                : c->crop * 10 + 1);
            assert_int_equal(metrics_end(f, &e), 0);
        }
    }
}

/* Rows of ages 0, 1, 2-3, ... as the probe has them: the oldest are named differently each time,
 * and one more is there in the last measurement. The loss falls from one epoch to the next by more
 * than it differs between ages. */
static void put_ages(struct metrics *f, const struct config *c, int epoch, int rows)
{
    const struct theory t = {.lr = c->lr, .momentum = c->momentum,
                             .weight_decay = c->weight_decay};
    struct err e;
    for (int k = 0; k < rows; k++) {
        double age = k ? 1.5 * exp2(k - 1) - 0.5 : 0;
        char of[32];
        snprintf(of, sizeof of, k < 2 ? "age %d" : "age %d-%d", k < 2 ? k : 1 << (k - 1),
                 (1 << k) - 1 - (k >= 7) * (epoch + (int)c->seed));
        metrics_begin(f, "recency", (uint64_t)epoch * 100, epoch);
        metrics_text(f, "of", of);
        metrics_real(f, "age", age);
        metrics_real(f, "seen_loss", 1 - 2 * epoch - (off > 0 ? -0.3 : 0.3) *
                                                           exp(-age / theory_memory_steps(&t)));
        metrics_real(f, "seen_error", noise > 0 ? 1 : 0.003);
        metrics_end(f, &e);
    }
}

static void put_memory(struct metrics *f, const struct config *c, int plateau)
{
    struct err e;
    for (int epoch = 1; epoch <= plateau; epoch++)
        put_ages(f, c, epoch, epoch == plateau ? 9 : 8);
    metrics_begin(f, "forgetting", 600, c->epochs);
    metrics_text(f, "of", "");
    metrics_real(f, "never_forgotten", 0.5 - (off > 0 ? -1 : 1) * 0.1 * c->lr +
                                           noise * 0.2 * (c->seed % 2));
    metrics_end(f, &e);
}

static void forgetting_records(const char *dir, const struct config *c, const char *label)
{
    struct metrics f;
    struct err e;
    int plateau = (int)round(c->epochs * 2 / 3);
    (void)label;
    open_records(&f, dir, "metrics.jsonl");
    metrics_begin(&f, "epoch", (uint64_t)c->epochs * 100, c->epochs);
    metrics_real(&f, "train/epoch_loss", 0.5);
    metrics_real(&f, "val/loss", forgetting_loss(c, false));
    metrics_end(&f, &e);
    metrics_close(&f);
    if (!*c->probes)
        return;
    open_records(&f, dir, "probes.jsonl");
    put_losses(&f, c, plateau);
    if (strstr(c->probes, "recency"))
        put_memory(&f, c, plateau);
    metrics_close(&f);
}

static void forgetting_world(const struct config *c, const char *label, struct made_result *m)
{
    (void)label;
    (void)c;
    m->records = forgetting_records;
}

static void test_forgetting__goes_each_way(void **state)
{
    (void)state;
    static const char *const claims[] = {"gap", "shrinks", "equal", "recency", "memory", "events",
                                         NULL};
    static const char *const contradicted[] = {"shrinks", "equal", "recency", "events", NULL};
    json_t *o = made("forgetting", forgetting_world, 0, 0);
    check_all(o, claims, "supported");
    made_check(o, "steps", "supported");
    json_decref(o);
    o = made("forgetting", forgetting_world, 0.9, 0);
    check_all(o, contradicted, "not supported");
    made_check(o, "memory", "inconclusive"); /* a bump is no dip */
    json_decref(o);
    o = made("forgetting", forgetting_world, 0, 0.9);
    made_check(o, "gap", "inconclusive");
    made_check(o, "recency", "inconclusive");
    made_check(o, "memory", "inconclusive");
    made_check(o, "events", "inconclusive");
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weight_decay__finds_what_theory_says),
        cmocka_unit_test(test_weight_decay__finds_the_opposite),
        cmocka_unit_test(test_weight_decay__cannot_tell_from_noise),
        cmocka_unit_test(test_weight_decay__does_not_judge_lengths_that_had_no_time),
        cmocka_unit_test(test_curvature__goes_each_way),
        cmocka_unit_test(test_forgetting__goes_each_way),
    };
    return cmocka_run_group_tests(tests, scratch_group_start, scratch_group_end);
}
