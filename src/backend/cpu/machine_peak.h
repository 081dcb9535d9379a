/* machine_peak.h - this machine's ceilings, measured when they are asked for. */
#ifndef KILN_BACKEND_CPU_MACHINE_PEAK_H
#define KILN_BACKEND_CPU_MACHINE_PEAK_H

#include "backend/backend.h"

struct machine_peak {
    double flops;        /* multiply-adds count twice; per second, on all threads, fp32 */
    double bytes;        /* read plus written per second by copying memory, on all threads */
};

/* Measures both for about half a second. Fails (EXIT_FAILED) if there is no memory to copy. */
int machine_peak_measure(struct machine_peak *peak, enum tier tier, int threads, struct err *e);

#endif
