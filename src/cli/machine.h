/* machine.h - which kernels run fastest on this machine, by measurement.
 *
 * What a processor can do does not say what it does well: one has bf16 dot products that are slower
 * than its fp32. So `--isa auto` and `--precision auto` are resolved by running a few convolutions,
 * forward and backward, with every tier and precision that could be taken, interleaved, the best of
 * several; about a second. The result is kept for the next call:
 *
 *     $XDG_CACHE_HOME/kiln/machine-<key>.json     (~/.cache/kiln/ without XDG_CACHE_HOME)
 *
 * A host that lends its processors to others can slow the tile registers alone to a third for
 * seconds or minutes. So where the highest tier does not come out first, in bf16 if it multiplies
 * that in one instruction and in fp32 if not, the next calls measure as well, up to
 * MACHINE_MEASUREMENTS in all, and the fastest of all measurements counts.
 *
 * `key` is a hash of processor, tiers and threads; inside stands the build that measured. A file of
 * another build, or one that cannot be read, is measured anew; one that cannot be written is only
 * mentioned. Nothing here is ever an error, and what is pinned is never measured: the library, and
 * commands with --isa and --precision, do not touch the cache.
 *
 * A run records what was taken, and goes on with it: only the start of a run chooses.
 */
#ifndef KILN_CLI_MACHINE_H
#define KILN_CLI_MACHINE_H

#include <jansson.h>

#include "train/config.h"

enum { MACHINE_CHOICES = 2 * TIER_COUNT, MACHINE_MEASUREMENTS = 4 };

/* A tier and precision, and the seconds of the convolutions with them. */
struct machine_speed {
    enum tier tier;
    enum precision precision;
    double seconds;
    bool stopped;            /* it was so slow that it never was let finish: at least so long */
};

struct machine {
    struct machine_speed speeds[MACHINE_CHOICES]; /* fp32 first, tiers ascending */
    int count;
    char cache[4096];        /* the file; "" if there is no folder for it */
    int measurements;        /* that the speeds are the best of */
    bool cached;             /* read from the file, not measured now */
};

/* Reads the cache; without one, or while its choice is in doubt, measures on `threads` threads and
 * writes it. `anew`: measures in any case, and forgets what was there. Fails only when there is no
 * memory to measure in. */
int machine_open(struct machine *m, int threads, bool anew, struct err *e);

/* Reads the cache only; m->count is 0 when there is none. */
void machine_peek(struct machine *m, int threads);

/* The choice among what `tier` and `precision` allow (AUTO: all). Returns its index in m->speeds,
 * or -1 if nothing that fits was measured. A later one is taken only if it is 5 % faster: noise
 * must not choose, and fp32 is the more exact. Of those that were stopped the last is taken. */
int machine_choose(const struct machine *m, enum tier tier, enum precision precision);

/* Replaces `auto` in the configuration's tier and precision, and says why in c->kernels_why.
 * Without AUTO there, and for fp64, it does nothing. */
int machine_resolve(struct config *c, struct err *e);

/* The measurement as JSON, for kiln doctor. */
json_t *machine_json(const struct machine *m);

/* machine_measure.c: takes down a turn of so many seconds, which was cut short or not. What counts
 * is the fastest that was not; of one that starts as `stopped`, with 0 seconds. */
void machine_speed_turn(struct machine_speed *s, double seconds, bool cut);

/* machine_measure.c: fills m->speeds. */
int machine_measure(struct machine *m, int threads, struct err *e);

#endif
