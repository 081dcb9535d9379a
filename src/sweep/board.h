/* board.h - what the workers of one call share with the process that watches them: a page of
 * memory, in which every trial has a note and every worker a slot. */
#ifndef KILN_SWEEP_BOARD_H
#define KILN_SWEEP_BOARD_H

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* How a trial stands in this call. */
enum note_state {
    NOTE_OPEN,                   /* to be tried */
    NOTE_BUSY,                   /* one of our workers has it */
    NOTE_HELD,                   /* somebody else has it; tried again in the next round */
    NOTE_BEFORE,                 /* was done when we came */
    NOTE_ELSEWHERE,              /* was done by somebody else meanwhile */
    NOTE_FINISHED, NOTE_DIVERGED, NOTE_FAILED, /* by us */
    NOTE_STOPPED,                /* by us, on request */
};

struct note {
    _Atomic int state;           /* enum note_state; why and seconds are written before it */
    char why[256];
    double seconds;
};

struct slot {
    volatile sig_atomic_t stop;  /* set by the watcher, or by the worker's recorder or claim */
    _Atomic long trial;          /* being trained, or -1 */
    _Atomic uint64_t first_step, step, last_step;
    _Atomic double images_per_second;
};

struct board {
    int slot_count;
    size_t note_count;
    size_t bytes;                /* of this block */
    struct slot *slots;
    struct note *notes;
};

/* NULL and a sentence in e when there is no memory. */
struct board *board_new(int slots, size_t notes, struct err *e);
void board_free(struct board *b);

#endif
