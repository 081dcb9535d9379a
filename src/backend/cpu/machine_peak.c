/* machine_peak.c - the best of several short runs on all threads at once: a ceiling is not an
 * average. Copying takes blocks far larger than a cache. */
#include "backend/cpu/machine_peak.h"

#include <omp.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "kernels/peak.h"

enum { TRIES = 5, FLOPS_TRIES = 40 };
static const double TRY_FLOPS = 8e8;   /* of each thread */
#define COPY_BYTES ((size_t)64 << 20) /* of each thread */

/* The rate of a kernel whose rounds have so many operations. */
static double measure_flops(peak_fn *kernel, double flops, int threads)
{
    double best = 0;
    long rounds = (long)(TRY_FLOPS / flops) * (flops > 1e4 ? 16 : 1);
    float values[PEAK_VALUES];
    struct rng r = rng_at(1, RNG_PROBE, 0, 0);
    for (int i = 0; i < PEAK_VALUES; i++)
        values[i] = 2 * rng_uniform(&r) - 1;
    volatile float sink = 0;
    for (int i = 0; i < FLOPS_TRIES; i++) {
        double start = clock_seconds();
        float sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        sum += kernel(values, rounds);
        double rate = flops * (double)rounds * threads / (clock_seconds() - start);
        best = rate > best ? rate : best;
        sink = sum;
    }
    (void)sink;
    return best;
}

static double measure_copy(char *to, const char *from, int threads)
{
    double best = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = clock_seconds();
#pragma omp parallel num_threads(threads)
        {
            size_t at = (size_t)omp_get_thread_num() * COPY_BYTES;
            memcpy(to + at, from + at, COPY_BYTES);
        }
        double rate = 2.0 * (double)COPY_BYTES * threads / (clock_seconds() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

int machine_peak_measure(struct machine_peak *peak, enum tier tier, int threads, struct err *e)
{
    size_t bytes = COPY_BYTES * (size_t)threads;
    char *from = big_new(bytes, "copying", e), *to = from ? big_new(bytes, "copying", e) : NULL;
    int status = to ? 0 : -1;
    if (to) {
        memset(from, 1, bytes);
        double flops;
        peak_fn *kernel = peak_select(tier, &flops);
        peak->fp32 = measure_flops(kernel, flops, threads);
        kernel = peak_select_bf16(tier, &flops);
        peak->bf16 = kernel ? measure_flops(kernel, flops, threads) : 0;
        peak->bytes = measure_copy(to, from, threads);
        big_free(to, bytes);
    }
    if (from)
        big_free(from, bytes);
    return status;
}

double machine_peak_roof(const struct machine_peak *peak, bool bf16)
{
    return bf16 && peak->bf16 > peak->fp32 ? peak->bf16 : peak->fp32;
}
