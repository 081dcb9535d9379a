/* board.c - see board.h. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "sweep/board.h"

#include <errno.h>
#include <sys/mman.h>

struct board *board_new(int slots, size_t notes, struct err *e)
{
    size_t slot_bytes = (size_t)slots * sizeof(struct slot);
    size_t bytes = sizeof(struct board) + slot_bytes + notes * sizeof(struct note);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        err_errno(e, EXIT_FAILED, errno, "no memory for the notes on %zu trials", notes);
        return NULL;
    }
    struct board *b = p;
    *b = (struct board){.slot_count = slots, .note_count = notes, .bytes = bytes};
    b->slots = (struct slot *)(b + 1);
    b->notes = (struct note *)(b->slots + slots);
    for (int i = 0; i < slots; i++)
        b->slots[i].trial = -1;
    return b;
}

void board_free(struct board *b)
{
    if (b)
        munmap(b, b->bytes);
}
