/* cmd_verify.c - kiln verify: a run's first steps again, and the same bits expected. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/resolve.h"
#include "cli/runs.h"
#include "store/metrics.h"
#include "store/rundir.h"
#include "sweep/images.h"
#include "sweep/manifest.h"
#include "train/train.h"

/* The hashes that a run recorded after its first steps; an empty one was not recorded. */
struct recorded {
    int steps;                   /* the last step that has one */
    int limit;                   /* of the configuration: hash_steps */
    char (*hashes)[65];          /* [limit] */
};

static int read_hash(void *context, const json_t *record)
{
    struct recorded *r = context;
    const char *kind = json_string_value(json_object_get(record, "kind"));
    const char *hash = json_string_value(json_object_get(record, "weights_hash"));
    json_int_t step = json_integer_value(json_object_get(record, "step"));
    if (!kind || strcmp(kind, "hash") != 0 || !hash || step < 1)
        return 0;
    if (step > r->limit)
        return 1; /* steps never decrease */
    snprintf(r->hashes[step - 1], sizeof r->hashes[0], "%s", hash);
    r->steps = (int)step;
    return 0;
}

static int prepare(const struct invocation *inv, const char *run, struct config *c,
                   struct images *images, struct recorded *r, struct err *e)
{
    char ini[4096], path[4096];
    if (!rundir_is(run))
        return err_set(e, EXIT_DATA, "'%s' is not a run directory", run);
    if (file_join(ini, sizeof ini, run, "config.ini", e) || resolve_resumed(inv, ini, c, e) ||
        file_join(path, sizeof path, run, "manifest.json", e))
        return -1;
    json_t *manifest = json_read(path, EXIT_DATA, e);
    if (!manifest)
        return -1;
    int rc = manifest_take_tier(manifest, run, asked_for_tier(inv), c, e) ||
                     load_images_of_run(c, images, e) ||
                     manifest_check(manifest, run, c, images, e) ||
                     manifest_take_convolutions(manifest, run, c, e)
                 ? -1
                 : 0;
    json_decref(manifest);
    if (rc || file_join(path, sizeof path, run, "metrics.jsonl", e))
        return -1;
    r->limit = c->steps > 0 && c->steps < c->hash_steps ? c->steps : c->hash_steps;
    r->hashes = xcalloc((size_t)r->limit + 1, sizeof *r->hashes);
    if (metrics_each(path, read_hash, r, e) < 0)
        return -1;
    if (r->steps == 0)
        return err_set(e, EXIT_DATA, "'%s' has recorded no hashes of its first steps", run);
    return 0;
}

/* Compares and prints; 0 if all are the same, else the first step that differs. */
static int compare(const struct recorded *r, char (*again)[65], bool quiet)
{
    int wrong = 0;
    for (int i = 0; i < r->steps; i++) {
        bool same = !*r->hashes[i] || strcmp(r->hashes[i], again[i]) == 0;
        if (!quiet)
            printf("step %d  recorded %.16s  again %.16s  %s\n", i + 1, r->hashes[i], again[i],
                   same ? "same" : "DIFFERENT");
        if (!same && !wrong)
            wrong = i + 1;
    }
    return wrong;
}

static int finish(const struct invocation *inv, const struct recorded *r, char (*again)[65],
                  struct err *e)
{
    int wrong = compare(r, again, inv->common.json);
    if (inv->common.json) {
        json_t *o = json_object();
        json_object_set_new(o, "run", json_string(inv->operands[0]));
        json_object_set_new(o, "steps", json_integer(r->steps));
        json_object_set_new(o, "same", json_boolean(!wrong));
        json_object_set_new(o, "first_different_step", wrong ? json_integer(wrong) : json_null());
        if (cli_print_json(o, e))
            return -1;
    }
    if (wrong)
        return err_set(e, EXIT_MISMATCH, "'%s' gave other weights after step %d",
                       inv->operands[0], wrong);
    log_say("the first %d steps gave the same bits", r->steps);
    return EXIT_DONE;
}

static int run(struct invocation *inv, struct err *e)
{
    struct config c;
    struct images images = {0};
    struct recorded r = {0};
    char path[4096];
    int status = run_named(inv->operands[0], path, e);
    if (!status)
        status = prepare(inv, path, &c, &images, &r, e);
    if (!status) {
        char (*again)[65] = xcalloc((size_t)r.steps, sizeof *again);
        status = train_replay(&c, &images, r.steps, again, e);
        if (!status)
            status = finish(inv, &r, again, e);
        free(again);
    }
    free(r.hashes);
    images_release(&images);
    return status;
}

static const char *const examples[] = {
    "kiln verify runs/20261123-203259-quickstart-1a2b3c4d", "train its first steps again",
    "kiln verify RUN --threads 1", "on one thread: the bits must not change",
    NULL,
};

const struct command command_verify = {
    .name = "verify",
    .summary = "Replay a run's first steps and compare the weights bit by bit",
    .usage = "RUN [options]",
    .description =
        "A run records a hash of its weights after each of its first steps (key hash_steps).\n"
        "verify trains those steps again, on the kernel tier that the run used, and compares.\n"
        "Exits with 6 when a hash differs. Kernel tiers (--isa) differ in the last bits.",
    .examples = examples,
    .common = COMMON_CONFIG | COMMON_JSON | COMMON_QUIET,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
