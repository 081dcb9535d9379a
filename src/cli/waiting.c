/* waiting.c - see waiting.h. */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include "cli/waiting.h"

#include <stdlib.h>
#include <unistd.h>

static const char SPINS[] = "3000"; /* ten to thirty microseconds */

void waiting_shorten(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("GOMP_SPINCOUNT", SPINS, 1) == 0)
        execv("/proc/self/exe", argv);
}
