/* bench_around.c - what stands around the training step: averaging, logging, evaluation. */
#define _POSIX_C_SOURCE 200809L /* mkstemp */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "store/metrics.h"

enum { REPETITIONS = 5, RECORDS = 100, SIX_VIEW_IMAGES = 256 };

/* One update of the slow weights by the rule, weights and running statistics. */
static double time_average(struct bench *b, enum average_kind kind, struct model *slow)
{
    struct trainer *t = &b->trainer;
    struct backend *backend = t->net.backend;
    const struct graph *g = &t->net.graph;
    const struct average_rule rule = {.kind = kind, .every = 1, .decay = 0.99, .power = 0};
    double seconds[REPETITIONS];
    for (int i = 0; i < REPETITIONS; i++) {
        double start = clock_seconds();
        average_update(&rule, backend, 0.99, slow->params, t->net.model.params, g->params_count);
        average_update(&rule, backend, 0.99, slow->state, t->net.model.state, g->state_count);
        seconds[i] = clock_seconds() - start;
    }
    return bench_median(seconds, REPETITIONS);
}

static int time_averaging(struct bench *b, struct err *e)
{
    struct model slow = {0};
    int status = model_init(&slow, &b->trainer.net.graph, b->trainer.net.backend, e);
    if (!status) {
        b->around.ema = time_average(b, AVERAGE_EMA, &slow);
        b->around.lookahead = time_average(b, AVERAGE_LOOKAHEAD, &slow);
    }
    if (slow.params)
        model_release(&slow);
    return status;
}

/* Records as a run writes one after each step. */
static int write_records(struct metrics *m, struct err *e)
{
    for (int i = 1; i <= RECORDS; i++) {
        metrics_begin(m, "train", (uint64_t)i, i / 48.0);
        metrics_real(m, "train/loss", 1.0 / i);
        metrics_real(m, "train/accuracy", 1 - 1.0 / i);
        metrics_real(m, "opt/lr", 0.1 / i);
        metrics_real(m, "opt/momentum", 0.85);
        metrics_real(m, "opt/weight_decay", 0.0005);
        metrics_real(m, "perf/step_seconds", 0.5 / i);
        if (metrics_end(m, e))
            return -1;
    }
    return 0;
}

static int time_logging(struct bench *b, struct err *e)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/kiln-bench-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return err_set(e, EXIT_FAILED, "cannot make a file '%s'", path);
    close(fd);
    struct metrics *m = xcalloc(1, sizeof *m);
    m->file.fd = -1;
    int status = metrics_open(m, path, 0, e);
    double start = clock_seconds();
    if (!status)
        status = write_records(m, e);
    b->around.logging = (clock_seconds() - start) / RECORDS;
    metrics_close(m);
    unlink(path);
    free(m);
    return status;
}

static double time_evaluation(struct bench *b, enum tta tta, uint32_t images)
{
    struct trainer *t = &b->trainer;
    const struct eval_set set = {
        .store = &t->test_store, .labels = b->images.test.labels, .count = images};
    struct eval_result result;
    double seconds[3];
    for (int i = 0; i < 3; i++) {
        double start = clock_seconds();
        evaluate(&t->evaluator, &set, tta, &result, NULL, NULL);
        seconds[i] = (clock_seconds() - start) / images;
    }
    return bench_median(seconds, 3);
}

/* The forward half of the training step, for one image. */
static double forward_seconds(const struct bench *b)
{
    double sum = 0;
    for (int i = 0; i < b->row_count && strcmp(b->rows[i].info.phase, "loss") != 0; i++)
        sum += b->rows[i].info.needed ? b->rows[i].median : 0;
    return sum / b->trainer.batch.n;
}

int bench_around(struct bench *b, struct err *e)
{
    if (time_averaging(b, e) || time_logging(b, e))
        return -1;
    b->around.evaluation = time_evaluation(b, TTA_NONE, b->images.test.count);
    b->around.six_views = time_evaluation(b, TTA_SIX, SIX_VIEW_IMAGES);
    b->around.forward = forward_seconds(b);
    return 0;
}
