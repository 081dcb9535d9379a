/* parallel.c - the threads of the program: see cpu_parallel in cpu.h, and backend_rest. */
#include <omp.h>

#include "backend/cpu/cpu.h"

void cpu_parallel(struct cpu_backend *b, int count, cpu_item_fn fn, void *ctx)
{
    int threads = b->base.threads < count ? b->base.threads : count;
    if (threads <= 1) {
        for (int i = 0; i < count; i++)
            fn(ctx, i, 0);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int i = 0; i < count; i++)
        fn(ctx, i, omp_get_thread_num());
}

void backend_rest(void)
{
    /* GCC's libgomp would wait in the child for threads that only the parent has. */
    omp_pause_resource_all(omp_pause_soft);
}
