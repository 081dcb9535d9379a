/* summary.h - one run in one struct: what everybody who looks at runs reads of a run directory.
 *
 *     config.ini ----- settings: every key as text
 *     manifest.json -- where it came from: recipe, data, network, machine, build; its result
 *     epochs.csv ----- what was measured last, while there is no result
 *     status.json ---- state, step, heartbeat
 *     LOCK ----------- whether somebody writes it now
 *
 * Runs are read while they are made, after they were killed, and when files are missing: all of
 * that is a summary with less in it, not an error. A text that is not known is "", a number NaN, a
 * count -1. Nothing in the directory is changed, and no writer is ever made to wait.
 *
 *     struct run_summary s;
 *     if (summary_read(&s, "runs/20261123-203259-quickstart-1a2b3c4d", e)) return -1;
 *     printf("%s %s lr %s: %.4f\n", s.id, s.state_name, summary_setting(&s, "lr"),
 *            s.test_accuracy);
 *     summary_release(&s);
 */
#ifndef KILN_STORE_SUMMARY_H
#define KILN_STORE_SUMMARY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum run_state {
    RUN_RUNNING,       /* a process has it locked, or wrote a heartbeat lately on another machine */
    RUN_FINISHED,      /* reached the end of its schedule */
    RUN_STOPPED,       /* by a signal or by `steps`; can be resumed */
    RUN_DIVERGED,      /* a loss or gradient was not finite: a result, not an accident */
    RUN_FAILED,        /* ended with an error, which `error` tells */
    RUN_DEAD,          /* says it is running, but its process is gone; can be resumed */
    RUN_STATE_COUNT
};

/* "running", "finished" ... */
const char *run_state_name(enum run_state state);

/* A heartbeat older than so many seconds is dead, where locks cannot tell. */
enum { RUN_HEARTBEAT_OLD = 120 };

/* One key of the configuration, as config.ini has it. */
struct run_setting {
    const char *key, *value;
};

/* Losses are means per image, accuracies shares from 0 to 1. */
struct run_summary {
    struct arena memory;           /* owns every text below */
    enum run_state state;
    struct run_setting *settings;  /* [setting_count], in the order of config.ini */
    size_t setting_count;

    const char *id;                /* the directory's own name */
    const char *path;              /* as it was given, without slashes at the end */
    const char *name;              /* the setting `name` */
    const char *state_name;
    const char *recipe, *net, *data;  /* short: "quickstart", "resnet9", "cifar10" */
    /* how far */
    int64_t step, total_steps;
    double epoch;
    const char *start, *end;       /* of its first and last session, "2026-11-23T20:32:59Z" */
    const char *heartbeat;
    int64_t sessions;              /* processes that trained it so far */
    /* results: of the whole run if it has ended, else of the last epoch done */
    double train_loss, train_accuracy;
    double test_loss, test_accuracy;
    double tta_loss, tta_accuracy;
    double validation_loss, validation_accuracy;
    double images_per_second;
    double train_seconds;          /* in steps, over all sessions */
    double seconds;                /* in all; over all sessions that ended */
    const char *weights_hash;      /* of the result */
    const char *checkpoint;        /* file name of the last one written */
    /* how it ended */
    const char *reason;            /* finished, steps, stopped, diverged, failed */
    int64_t exit_status;
    const char *error;             /* sentence */
    /* where it came from; of the last session where sessions differ */
    const char *config_hash, *data_hash, *network_hash, *program_hash;
    const char *steps_down;        /* why other images than asked for, or "" */
    int64_t parameters;
    const char *host;
    int64_t pid;
    const char *cpu, *tier;
    int64_t thread_count;
    const char *version, *revision;
    const char *problem;           /* what in the directory could not be read: a sentence */
};

enum summary_kind { SUMMARY_TEXT, SUMMARY_COUNT, SUMMARY_REAL };

/* One member that the list, the index, filters, JSON and CSV know by `name`. `name`,
 * `net` and `data` are settings too; here they are short. */
struct summary_field {
    const char *name;
    enum summary_kind kind;
    size_t offset;                 /* const char *, int64_t or double in struct run_summary */
    const char *help;              /* no full stop */
};

extern const struct summary_field summary_fields[]; /* ended by name = NULL */

const struct summary_field *summary_field_find(const char *name);

/* The member that a field names. */
const char *summary_text(const struct run_summary *s, const struct summary_field *f);
int64_t summary_count(const struct run_summary *s, const struct summary_field *f);
double summary_real(const struct run_summary *s, const struct summary_field *f);

/* Reads a run directory. Fails with EXIT_DATA only if `path` is none (it has no config.ini); `s`
 * then needs no release. */
int summary_read(struct run_summary *s, const char *path, struct err *e);

/* The summary of a run of which there is nothing yet: all unknown. */
void summary_none(struct run_summary *s);

void summary_release(struct run_summary *s);

/* The value of a key of the configuration as text, or NULL. */
const char *summary_setting(const struct run_summary *s, const char *key);

/* All of it: every field by name (null: not known), and "config", an object of the settings in
 * their order, of values as summary_value makes them. */
json_t *summary_json(const struct run_summary *s);

/* A setting's value for JSON: an integer or a real where the text is one, else the text. `name` is
 * always a text. */
json_t *summary_value(const char *key, const char *text);

#endif
