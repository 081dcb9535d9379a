/* runs.c - see runs.h. */
#include "support/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"

/* Whole or not at all, as kiln writes, but without waiting for the disk. */
static void put(const char *run, const char *name, const void *data, size_t bytes)
{
    char path[4096], temporary[4096 + 32];
    if (file_join(path, sizeof path, run, name, NULL))
        abort();
    snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, (int)getpid());
    FILE *f = fopen(temporary, "wb");
    if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f) || rename(temporary, path))
        abort();
}

static void put_json(const char *run, const char *name, json_t *value)
{
    char *text = json_line(value);
    put(run, name, text, strlen(text));
    free(text);
    json_decref(value);
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static json_t *number(const char *text)
{
    return text ? json_real(atof(text)) : json_null();
}

void make_run(const struct made_run *r)
{
    char ini[2048];
    struct err e;
    if (file_make_folders(r->path, &e))
        abort();
    int n = snprintf(ini, sizeof ini,
                     "[network]\nnet = %s\n[training]\nbatch = %d\nseed = %d\nlr = %s\n"
                     "[schedule]\nknots = %s\n[record]\nname = %s\n",
                     or_empty(r->net), r->batch, r->seed, or_empty(r->lr), or_empty(r->knots),
                     or_empty(r->name));
    put(r->path, "config.ini", ini, (size_t)n);
    if (r->start)
        put_json(r->path, "manifest.json",
                 json_pack("{s:s, s:[{s:s}], s:{s:o, s:o}}", "recipe", "made.ini", "sessions",
                           "start", r->start, "result", "test_accuracy", number(r->test_accuracy),
                           "test_loss", number(r->test_loss)));
    if (r->state)
        put_json(r->path, "status.json",
                 json_pack("{s:s, s:i, s:s}", "state", r->state, "step", r->step, "heartbeat",
                           "2026-11-23T21:35:35Z"));
}
