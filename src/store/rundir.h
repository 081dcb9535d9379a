/* rundir.h - a run directory: the facts about one run.
 *
 *     runs/20261123-203259-quickstart-1a2b3c4d/      UTC, recipe, start of the config's hash
 *         config.ini       resolved configuration; can be fed to kiln train again
 *         manifest.json    machine, build, data, network, sessions, result
 *         metrics.jsonl    every step, hash, evaluation, checkpoint (store/metrics.h)
 *         epochs.csv       a row an epoch (store/table.h)
 *         status.json      running, finished ...; process, step, heartbeat
 *         predictions.safetensors  at the end: what each held-out image was taken for
 *         gallery.json     at the end: the hardest images and the most confused pairs of classes,
 *         gallery.png      and what they look like
 *         checkpoints/     safetensors (train/checkpoint.h)
 *         LOCK             held by the one process that writes
 *
 * One process writes a run at a time; config.ini is never changed, the two tables only grow (and
 * are cut back to the checkpoint that a resume starts from), the others are replaced whole.
 */
#ifndef KILN_STORE_RUNDIR_H
#define KILN_STORE_RUNDIR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct rundir {
    char path[4096];
    int lock;          /* descriptor of LOCK, -1: closed */
};

/* Makes a new run directory and locks it: `out` if not NULL (it must not exist, or be empty; fails
 * with EXIT_USAGE), else runs/<UTC stamp>-<slug>-<first 8 of hash>, with -2, -3 ... if taken. */
int rundir_create(struct rundir *r, const char *out, const char *slug, const char *hash,
                  struct err *e);

/* Locks a run directory that exists, and removes half-written files of a writer that was killed.
 * Fails with EXIT_DATA when it is none, with EXIT_FAILED when another process writes it. */
int rundir_open(struct rundir *r, const char *path, struct err *e);

/* Whether a process writes the run directory now: 1 or 0; -1 if that cannot be told (no LOCK that
 * can be opened, or a file system without locks). Changes nothing. */
int rundir_is_locked(const char *path);

/* Locks the run directory `path`, making it where there is none, for a writer that begins a run or
 * goes on with it: *begun says whether it holds config.ini and manifest.json, without which there
 * is nothing to go on with. Fails with EXIT_FAILED when another process writes it. */
int rundir_take(struct rundir *r, const char *path, bool *begun, struct err *e);

/* Lets go of the lock; safe on a struct with lock -1. */
void rundir_close(struct rundir *r);

/* Removes the run directory that r has open, with everything in it, and closes r. What makes it a
 * run directory goes last, so that a removal that was cut short can be done again. */
int rundir_remove(struct rundir *r, struct err *e);

/* The path of a file in the directory, in path[4096]. */
int rundir_path(const struct rundir *r, const char *name, char *path, struct err *e);

/* Replaces a file of the directory, atomically. */
int rundir_write(const struct rundir *r, const char *name, const char *text, struct err *e);
int rundir_write_json(const struct rundir *r, const char *name, const json_t *value,
                      struct err *e);

/* Reads one of its .json; NULL and EXIT_DATA if it cannot. The caller ends it with json_decref. */
json_t *rundir_read_json(const struct rundir *r, const char *name, struct err *e);

/* 1 if `path` looks like a run directory: it has a config.ini. */
int rundir_is(const char *path);

#endif
