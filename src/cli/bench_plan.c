/* bench_plan.c - which algorithm the plan takes for each pass of each convolution, what it expected
 * of it and of the others, and what each takes when it is run alone. Packing is left out: it
 * happens once a step. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/conv_subject.h"

enum { IMAGES_MOST = 256, TURNS = 3 };

static const char *const pass_names[CONV_PASSES] = {"forward", "backward-data",
                                                    "backward-weights"};

static int images_of(const struct bench *b)
{
    int batch = b->trainer.config.batch;
    return batch < IMAGES_MOST ? batch : IMAGES_MOST;
}

/* The shortest of a few runs, after one that warms up. */
static int measure(const struct bench *b, const struct bench_candidate *c,
                   const struct conv_shape *like, double *seconds, struct err *e)
{
    struct backend *backend = b->trainer.net.backend;
    struct conv_subject s;
    struct conv_shape shape = *like;
    for (int p = 0; p < CONV_PASSES; p++)
        shape.algorithm[p] = 0;
    shape.algorithm[c->pass] = c->algorithm;
    int status = conv_subject_init(&s, backend, images_of(b), &shape, e);
    for (int turn = 0; turn <= TURNS && !status; turn++) {
        double start = clock_seconds();
        conv_subject_run(&s, (enum conv_pass)c->pass);
        double now = clock_seconds() - start;
        *seconds = turn <= 1 || now < *seconds ? now : *seconds;
    }
    conv_subject_release(&s);
    return status;
}

/* Appends what can compute one pass of one layer. */
static int add_pass(struct bench *b, const struct plan_step_info *info, struct err *e)
{
    struct backend *backend = b->trainer.net.backend;
    enum conv_pass pass = (enum conv_pass)info->pass;
    for (int a = 0; backend->ops->conv_algorithm_name(backend, a); a++) {
        double predicted =
            backend->ops->conv_predict(backend, images_of(b), info->conv, pass, a);
        if (predicted < 0)
            continue;
        struct bench_candidate *c = &b->candidates[b->candidate_count++];
        *c = (struct bench_candidate){.layer = info->name,
                                      .pass = info->pass,
                                      .algorithm = a,
                                      .predicted = predicted,
                                      .taken = info->conv->algorithm[pass] == a};
        c->pooled = c->taken && info->pooled;
        if (measure(b, c, info->conv, &c->measured, e))
            return -1;
    }
    return 0;
}

int bench_candidates(struct bench *b, struct err *e)
{
    struct plan *plan = b->trainer.plan;
    struct backend *backend = b->trainer.net.backend;
    size_t algorithms = 0;
    while (backend->ops->conv_algorithm_name(backend, (int)algorithms))
        algorithms++;
    b->candidates = arena_alloc(&b->arena, (size_t)plan_step_count(plan) * algorithms,
                                sizeof *b->candidates);
    for (int i = 0; i < plan_step_count(plan); i++) {
        struct plan_step_info info;
        plan_step_describe(plan, i, &info);
        if (info.conv && info.needed && add_pass(b, &info, e))
            return -1;
    }
    return 0;
}

static const char *name_of(const struct bench *b, const struct bench_candidate *c)
{
    struct backend *backend = b->trainer.net.backend;
    return backend->ops->conv_algorithm_name(backend, c->algorithm);
}

void bench_plan_print(const struct bench *b)
{
    const struct backend *backend = b->trainer.net.backend;
    printf("%s, batch %d, %s, tier %s, %d thread%s; milliseconds for %d images\n\n",
           b->trainer.net.graph.name, b->trainer.config.batch, precision_name(backend->precision),
           tier_name(backend->tier), backend->threads, backend->threads == 1 ? "" : "s",
           images_of(b));
    printf("%-22s %-18s %-12s %9s %9s\n", "layer", "pass", "algorithm", "predicted", "measured");
    for (int i = 0; i < b->candidate_count; i++) {
        const struct bench_candidate *c = &b->candidates[i];
        bool first = i == 0 || c[-1].layer != c->layer || c[-1].pass != c->pass;
        printf("%-22s %-18s %-12s %9.2f %9.2f%s%s\n", first ? c->layer : "",
               first ? pass_names[c->pass] : "", name_of(b, c), 1e3 * c->predicted,
               1e3 * c->measured, c->taken ? "  taken" : "",
               c->pooled ? ", with the pool" : "");
    }
}

json_t *bench_plan_json(const struct bench *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->candidate_count; i++) {
        const struct bench_candidate *c = &b->candidates[i];
        json_t *o = json_object();
        json_object_set_new(o, "layer", json_string(c->layer));
        json_object_set_new(o, "pass", json_string(pass_names[c->pass]));
        json_object_set_new(o, "algorithm", json_string(name_of(b, c)));
        json_object_set_new(o, "predicted_seconds", json_number(c->predicted));
        json_object_set_new(o, "measured_seconds", json_number(c->measured));
        json_object_set_new(o, "taken", json_boolean(c->taken));
        json_object_set_new(o, "pooled", json_boolean(c->pooled));
        json_array_append_new(list, o);
    }
    return list;
}
