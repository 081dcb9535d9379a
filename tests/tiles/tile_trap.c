/* tile_trap.c - see tile_trap.h. Encodings: Intel Architecture Software Developer's Manual, volume
 * 2, under each instruction; all have a VEX prefix of three bytes.
 *
 *      byte 0   c4
 *      byte 1   not-R, not-X, not-B, 5 bits: opcode map (2)
 *      byte 2   W, 4 bits: not-vvvv, L, 2 bits: pp (0 none, 1 66, 2 f3, 3 f2)
 *      byte 3   opcode
 *      byte 4   ModRM, then SIB and displacement if there is an address */
#define _GNU_SOURCE /* REG_RIP */
#include "tiles/tile_trap.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "kernels/tile.h"

#if defined(__x86_64__)

enum { NONE, P66, PF3, PF2 };

static const int numbers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                REG_R12, REG_R13, REG_R14, REG_R15};

struct instruction {
    int opcode, prefix, reg, rm, vvvv;
    bool memory;
    char *address;      /* without the index register */
    ptrdiff_t index;    /* the index register times its scale */
    int bytes;
};

static int32_t displacement(const uint8_t *at)
{
    int32_t d;
    memcpy(&d, at, sizeof d);
    return d;
}

/* Reads ModRM, SIB and displacement from `at` on. False for forms without a base register. */
static bool read_address(struct instruction *in, const uint8_t *at, int vex, const greg_t *g)
{
    int mod = at[0] >> 6, base = at[0] & 7, used = 1;
    bool not_x = vex & 0x40, not_b = vex & 0x20;
    if (base == 4) {
        int sib = at[used++], index = (sib >> 3 & 7) | (not_x ? 0 : 8);
        base = sib & 7;
        if (index != 4)
            in->index = (ptrdiff_t)g[numbers[index]] << (sib >> 6);
    }
    if (mod == 0 && base == 5)
        return false;
    in->address = (char *)(uintptr_t)g[numbers[base | (not_b ? 0 : 8)]];
    if (mod == 1)
        in->address += (int8_t)at[used];
    if (mod == 2)
        in->address += displacement(at + used);
    in->bytes = 4 + used + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
    return true;
}

static bool decode(struct instruction *in, const uint8_t *at, const greg_t *g)
{
    memset(in, 0, sizeof *in);
    if (at[0] != 0xc4 || (at[1] & 0x1f) != 2 || (at[2] & 0x84) != 0)
        return false;
    in->prefix = at[2] & 3;
    in->vvvv = ~at[2] >> 3 & 15;
    in->opcode = at[3];
    in->reg = at[4] >> 3 & 7;
    in->rm = at[4] & 7;
    in->memory = at[4] >> 6 != 3;
    in->bytes = 5;
    return !in->memory || read_address(in, at + 4, at[1], g);
}

static bool execute(const struct instruction *in)
{
    if (in->opcode == 0x49 && in->memory && in->prefix == NONE)
        tile_plain_configure((const struct tile_config *)(void *)in->address);
    else if (in->opcode == 0x49 && !in->memory && in->prefix == NONE)
        tile_plain_release();
    else if (in->opcode == 0x49 && !in->memory && in->prefix == PF2)
        tile_plain_zero(in->reg);
    else if (in->opcode == 0x4b && in->memory && in->prefix == PF2)
        tile_plain_load(in->reg, in->address, in->index);
    else if (in->opcode == 0x4b && in->memory && in->prefix == PF3)
        tile_plain_store(in->reg, in->address, in->index);
    else if (in->opcode == 0x5c && !in->memory && in->prefix == PF3)
        tile_plain_dot(in->reg, in->rm, in->vvvv);
    else
        return false;
    return true;
}

static void on_illegal(int signal_number, siginfo_t *info, void *context)
{
    (void)info;
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    struct instruction in;
    if (decode(&in, (const uint8_t *)(uintptr_t)g[REG_RIP], g) && execute(&in)) {
        g[REG_RIP] += in.bytes;
        return;
    }
    signal(signal_number, SIG_DFL); /* and run into it again */
}

bool tile_trap_install(void)
{
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};
    return sigaction(SIGILL, &action, NULL) == 0;
}

#else

bool tile_trap_install(void)
{
    return false;
}

#endif
