/* process.c - see process.h. */
#define _GNU_SOURCE /* sysconf, getrusage */
#include "base/process.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

size_t process_resident(void)
{
    unsigned long total, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return 0;
    int read = fscanf(f, "%lu %lu", &total, &resident);
    fclose(f);
    return read == 2 ? resident * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

size_t process_resident_peak(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (size_t)usage.ru_maxrss * 1024;
}
