/* cpu.c - see cpu.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <errno.h>
#include <sys/syscall.h>
#endif

#include "base/file.h"

/* The number(s) at the start of a small file; returns how many of a, b were read. */
static int read_numbers(const char *folder, const char *name, double *a, double *b)
{
    char path[4096], *text;
    size_t bytes;
    if (file_join(path, sizeof path, folder, name, NULL) ||
        file_read(path, &text, &bytes, EXIT_FAILED, NULL))
        return 0;
    int n = sscanf(text, "%lf %lf", a, b);
    free(text);
    return n < 0 ? 0 : n;
}

static double group_quota(const char *folder)
{
    double quota, period, unused;
    if (read_numbers(folder, "cpu.max", &quota, &period) == 2 && period > 0)
        return quota / period;
    if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused) >= 1 && quota > 0 &&
        read_numbers(folder, "cpu.cfs_period_us", &period, &unused) >= 1 && period > 0)
        return quota / period;
    return 0;
}

/* Smallest quota of `group` and the groups above it, below the folder `base`. */
static double chain_quota(const char *base, const char *group)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s%s", base, strcmp(group, "/") ? group : "");
    double least = 0;
    for (size_t stop = strlen(base); strlen(folder) >= stop;) {
        double quota = group_quota(folder);
        if (quota > 0 && (least <= 0 || quota < least))
            least = quota;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < stop)
            break;
        *slash = 0;
    }
    return least;
}

static bool names_cpu(const char *controllers)
{
    size_t n = strlen(controllers);
    for (const char *p = strstr(controllers, "cpu"); p; p = strstr(p + 1, "cpu"))
        if ((p == controllers || p[-1] == ',') && (p + 3 == controllers + n || p[3] == ','))
            return true;
    return false;
}

double cpu_quota(const char *membership, const char *root)
{
    double least = 0;
    for (const char *line = membership; line && *line;) {
        char controllers[256] = "", group[2048] = "", base[4096];
        /* "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1) */
        bool v2 = sscanf(line, "0::%2047[^\n]", group) == 1;
        bool v1 = !v2 && sscanf(line, "%*d:%255[^:]:%2047[^\n]", controllers, group) == 2 &&
                  names_cpu(controllers);
        snprintf(base, sizeof base, v2 ? "%s" : "%s/cpu", root);
        double quota = v1 || v2 ? chain_quota(base, group) : 0;
        if (quota > 0 && (least <= 0 || quota < least))
            least = quota;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return least;
}

static void detect_model(struct cpu *cpu)
{
    snprintf(cpu->model, sizeof cpu->model, "unknown");
    char *text;
    size_t bytes;
    if (file_read("/proc/cpuinfo", &text, &bytes, EXIT_FAILED, NULL))
        return;
    const char *line = strstr(text, "model name");
    const char *colon = line ? strchr(line, ':') : NULL;
    if (colon)
        sscanf(colon, ": %127[^\n]", cpu->model);
    free(text);
}

#if defined(__x86_64__)
/* Which register files the kernel saves: XCR0 (Intel SDM volume 1, chapter 13). */
static unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static void detect_features(struct cpu *cpu)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return;
    unsigned saved = saved_registers();
    bool fma = c & bit_FMA, f16c = c & bit_F16C;
    bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6;
    bool tiles = (saved & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return;
    unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    unsigned amx_tile = 1u << 24, amx_bf16 = 1u << 22;
    cpu->avx2 = (b & bit_AVX2) && fma && f16c && ymm;
    cpu->avx512 = cpu->avx2 && (b & wide) == wide && zmm;
    cpu->amx = (d & amx_tile) && (d & amx_bf16) && tiles;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d))
        cpu->avx512bf16 = cpu->avx512 && (a & (1u << 5));
}
/* Documentation/arch/x86/xstate.rst of Linux; the call is there since 5.16. */
const char *cpu_lacks_tiles(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    struct cpu cpu = {0};
    detect_features(&cpu);
    if (!cpu.amx)
        return "the processor has no AMX with bf16, or the kernel does not know it";
    if (syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0)
        return NULL;
    if (errno == EINVAL)
        return "the processor has AMX, but this kernel cannot grant it (Linux 5.16 can)";
    return "the processor has AMX, but the kernel refuses the tile registers to this process";
}
#else
static void detect_features(struct cpu *cpu)
{
    (void)cpu;
}

const char *cpu_lacks_tiles(void)
{
    return "the processor has no AMX";
}
#endif

static int count_affinity(void)
{
    /* A machine may have more processors than the fixed cpu_set_t knows. */
    for (size_t n = 1024; n <= 1 << 20; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set)
            return 0;
        size_t bytes = CPU_ALLOC_SIZE(n);
        int rc = sched_getaffinity(0, bytes, set);
        int count = rc ? 0 : CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
        if (!rc)
            return count;
    }
    return 0;
}

void cpu_detect(struct cpu *cpu)
{
    memset(cpu, 0, sizeof *cpu);
    detect_model(cpu);
    detect_features(cpu);
    cpu->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    cpu->affinity = count_affinity();
    char *text;
    size_t bytes;
    if (!file_read("/proc/self/cgroup", &text, &bytes, EXIT_FAILED, NULL)) {
        cpu->quota = cpu_quota(text, "/sys/fs/cgroup");
        free(text);
    }
    int n = cpu->online;
    if (cpu->affinity > 0 && cpu->affinity < n)
        n = cpu->affinity;
    if (cpu->quota > 0 && cpu->quota < n)
        n = (int)cpu->quota;
    cpu->threads = n < 1 ? 1 : n;
}
