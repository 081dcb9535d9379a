/* cpu.h - what this machine can do, and how much of it this process may use. */
#ifndef KILN_BASE_CPU_H
#define KILN_BASE_CPU_H

#include <stdbool.h>

struct cpu {
    char model[128];
    bool avx2;       /* with FMA and F16C, and the kernel saves the registers */
    bool avx512;     /* F, BW, DQ, VL, and the kernel saves the registers */
    bool avx512bf16;
    bool amx;        /* tile and bf16, in the CPU; see cpu_lacks_tiles for the permission */
    int online;      /* processors online */
    int affinity;    /* processors in this process's affinity mask */
    double quota;    /* processors that the cgroup (v2 or v1) grants, 0 if unlimited */
    int threads;     /* what kiln uses by default: min of the above, at least 1 */
};

/* Looks once at the machine; pure apart from reading /proc and /sys. */
void cpu_detect(struct cpu *cpu);

/* Why this process cannot use AMX's tile registers with bf16, as half a sentence; NULL if it can.
 * Linux saves the 8 KB of tile registers only for processes that ask: the first call asks for the
 * whole process, its present and future threads; later calls find it granted. */
const char *cpu_lacks_tiles(void);

/* The processors that a cgroup grants. `membership` is the text of /proc/self/cgroup, `root` stands
 * for /sys/fs/cgroup. Walks from the group up to the root and returns the smallest quota (v2:
 * cpu.max; v1: cpu.cfs_quota_us / cpu.cfs_period_us); 0 if nothing limits. */
double cpu_quota(const char *membership, const char *root);

#endif
