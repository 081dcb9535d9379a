/* parallel.c - the threads of the program: see cpu_parallel in cpu.h, and backend_rest.
 *
 * Each thread begins with a range of neighbouring items of its own. One that has done its range
 * goes on with what is left of the others', item by item: a core that somebody else uses for a
 * while holds the rest up no longer than one item.
 *
 * A range counts upwards in either direction; backwards, the item is the one as far from its
 * end. */
#include <omp.h>

#include "backend/cpu/cpu.h"

/* The next item of a range, or -1. */
static int take(struct cpu_range *r, bool back)
{
    int item = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
    if (item >= r->end)
        return -1;
    return back ? r->begin + r->end - 1 - item : item;
}

static void parallel(struct cpu_backend *b, int count, bool back, cpu_item_fn fn, void *ctx)
{
    int threads = b->base.threads < count ? b->base.threads : count;
    if (threads <= 1) {
        for (int i = 0; i < count; i++)
            fn(ctx, back ? count - 1 - i : i, 0);
        return;
    }
    for (int t = 0; t < threads; t++) {
        struct cpu_range *r = &b->ranges[t];
        r->begin = (int)cpu_part_begin((size_t)count, t, threads);
        r->end = (int)cpu_part_begin((size_t)count, t + 1, threads);
        atomic_init(&r->next, r->begin);
    }
#pragma omp parallel num_threads(threads)
    {
        int worker = omp_get_thread_num();
        for (int t = 0; t < threads; t++) {
            struct cpu_range *r = &b->ranges[(worker + t) % threads];
            for (int item = take(r, back); item >= 0; item = take(r, back))
                fn(ctx, item, worker);
        }
    }
}

void cpu_parallel(struct cpu_backend *b, int count, cpu_item_fn fn, void *ctx)
{
    parallel(b, count, false, fn, ctx);
}

void cpu_parallel_back(struct cpu_backend *b, int count, cpu_item_fn fn, void *ctx)
{
    parallel(b, count, true, fn, ctx);
}

void backend_rest(void)
{
    /* GCC's libgomp would wait in the child for threads that only the parent has. */
    omp_pause_resource_all(omp_pause_soft);
}
