/* machine_peak.h - this machine's ceilings, measured when they are asked for. */
#ifndef KILN_BACKEND_CPU_MACHINE_PEAK_H
#define KILN_BACKEND_CPU_MACHINE_PEAK_H

#include "backend/backend.h"

/* Per second, on all threads. Multiply-adds count twice. */
struct machine_peak {
    double fp32;         /* operations, fp32 multiply-adds */
    double bf16;         /* operations with bf16 operands and fp32 sums; 0: the tier has none */
    double bytes;        /* read plus written by copying memory */
};

/* Measures all of it for about half a second. Fails (EXIT_FAILED) if there is no memory to copy. */
int machine_peak_measure(struct machine_peak *peak, enum tier tier, int threads, struct err *e);

/* The most that a program in this precision can do: with bf16 operands it may use either. */
double machine_peak_roof(const struct machine_peak *peak, bool bf16);

#endif
