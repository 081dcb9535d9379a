/* machine_peak.c - the best of several short runs on all threads at once: a ceiling is not an
 * average. Copying takes blocks far larger than a cache. */
#include "backend/cpu/machine_peak.h"

#include <omp.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "kernels/peak.h"

enum { TRIES = 5, ROUNDS = 2000000 };
#define COPY_BYTES ((size_t)64 << 20) /* of each thread */

static double measure_flops(enum tier tier, int threads)
{
    double flops, best = 0;
    peak_fn *kernel = peak_select(tier, &flops);
    float values[PEAK_VALUES];
    struct rng r = rng_at(1, RNG_PROBE, 0, 0);
    for (int i = 0; i < PEAK_VALUES; i++)
        values[i] = 2 * rng_uniform(&r) - 1;
    volatile float sink = 0;
    for (int i = 0; i < TRIES; i++) {
        double start = clock_seconds();
        float sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
        sum += kernel(values, ROUNDS);
        double rate = flops * ROUNDS * threads / (clock_seconds() - start);
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
        peak->flops = measure_flops(tier, threads);
        peak->bytes = measure_copy(to, from, threads);
        big_free(to, bytes);
    }
    if (from)
        big_free(from, bytes);
    return status;
}
