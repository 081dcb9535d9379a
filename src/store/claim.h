/* claim.h - exclusive work on one thing among many processes, on one machine or several.
 *
 * A claim on `name` is a file FOLDER/name.N, N = 1, 2 ...; the highest N counts. It is made with
 * its text already in it by link(2), which fails when the name is taken: of any number of processes
 * exactly one makes name.N. Taking over a claim N whose owner is gone means making N + 1, which is
 * exclusive in the same way; nobody ever removes or changes another's file, so there is no moment
 * in which two rescuers both win, and an owner that was only thought dead finds a higher number and
 * stops. A claim that was let go says so in its text; one whose work is done is removed.
 *
 *     ID.1  owner killed            ID.2  let go (a signal)         ID.3  owner at work
 *
 * An owner on this machine (same boot, same pid name space) is gone when no process has its pid and
 * start time: at once, and never by mistake. An owner elsewhere is gone when the time stamp of its
 * file, which it renews every CLAIM_BEAT seconds from a thread of its own, is more than `lease`
 * seconds behind that of a file written now. Both stamps come from the file system's clock, so
 * machines' clocks need not agree.
 *
 * What is assumed of a shared file system: link(2) is atomic (NFS, Lustre, BeeGFS, CephFS ...), and
 * what one machine wrote shows on the others within the lease. If a machine is cut off for longer
 * and comes back, it may write for up to CLAIM_BEAT seconds into a run that was taken over; where
 * flock(2) works across machines (NFSv4, Lustre with -o flock) the run's LOCK prevents that too.
 */
#ifndef KILN_STORE_CLAIM_H
#define KILN_STORE_CLAIM_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/err.h"

enum { CLAIM_BEAT = 10 };  /* seconds between two heartbeats */
enum { CLAIM_LEASE = 120 }; /* the usual lease */

struct claim {
    char path[4096];             /* of our file; "" while nothing is claimed */
    char next[4096];             /* what a rescuer would make */
    volatile sig_atomic_t *lost; /* set to CLAIM_LOST when the claim was taken from us; or NULL */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool over;                   /* the heart may stop; under the mutex */
};

/* What *lost gets: no signal's number. */
enum { CLAIM_LOST = 1001 };

/* Tries to claim `name`. Returns 1: it is ours, with a heart beating until claim_drop or
 * claim_finish; 0: somebody is at it; -1: the folder cannot be written (EXIT_FAILED). */
int claim_take(struct claim *c, const char *folder, const char *name, int lease,
               volatile sig_atomic_t *lost, struct err *e);

/* Lets go of what is not done: whoever comes next may have it at once. */
void claim_drop(struct claim *c);

/* Ends a claim whose work is done, and removes what is left of older ones. */
void claim_finish(struct claim *c);

/* Removes what processes left that were killed while they made a claim: files that hold nothing up,
 * older than the lease. */
void claim_clean(const char *folder, int lease);

/* 1 if somebody is at `name`, 0 if not. Writes nothing. */
int claim_is_held(const char *folder, const char *name, int lease);

#endif
