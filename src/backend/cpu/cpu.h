/* cpu.h - the CPU backend from within: what its operations share.
 *
 * Each file of this folder holds a group of operations and puts them into the table with its one
 * public function; cpu.c calls them all. An operation cuts its work into independent items
 * (a block of images, a row, a panel of channels), runs them with cpu_parallel, and calls kernels.
 * What an item computes depends on the item alone, never on who runs it.
 */
#ifndef KILN_BACKEND_CPU_H
#define KILN_BACKEND_CPU_H

#include <stdatomic.h>

#include "backend/backend.h"
#include "kernels/kernels.h"

enum { CPU_SCRATCH = 1 << 18 }; /* bytes */

/* The items [begin, end) that a thread begins with, of which [next, end) are left, on a line of the
 * cache of their own. */
struct cpu_range {
    _Alignas(64) atomic_int next;
    int begin, end;
};

struct cpu_backend {
    struct backend base;    /* first, so that a struct backend * is one of these */
    struct backend_ops ops;
    struct kernels kernels;
    struct conv_rates rates;
    char *scratch;          /* threads * CPU_SCRATCH bytes */
    struct cpu_range *ranges; /* [threads], behind the scratch: of the cpu_parallel that runs */
};

static inline struct cpu_backend *cpu_of(struct backend *b)
{
    return (struct cpu_backend *)(void *)b;
}

/* CPU_SCRATCH bytes, aligned to 64, that belong to one worker for the time of one item. */
static inline void *cpu_scratch(struct cpu_backend *b, int worker)
{
    return b->scratch + (size_t)worker * CPU_SCRATCH;
}

/* Runs fn(ctx, item, worker) for every item in [0, count), on b's threads, each thread first a
 * range of neighbouring items and then what is left of others; returns when all are done. worker
 * is in [0, threads) and tells scratch apart.
 * Must not be called from within an item. The only place of the program that starts threads. */
typedef void (*cpu_item_fn)(void *ctx, int item, int worker);
void cpu_parallel(struct cpu_backend *b, int count, cpu_item_fn fn, void *ctx);

/* The same, each range from its last item to its first: a second pass over maps that exceed the
 * caches begins with what the first one left there. */
void cpu_parallel_back(struct cpu_backend *b, int count, cpu_item_fn fn, void *ctx);

/* Lane l owns the blocks of 32 images [cpu_lane_begin(n, l), cpu_lane_begin(n, l + 1)). */
static inline int cpu_lane_begin(int n, int lane)
{
    return (int)((long)layout_blocks(n) * lane / LANES);
}

/* How many of the images of a block are among the first n. */
static inline int cpu_block_images(int n, int block)
{
    int rest = n - block * IMAGES;
    return rest < IMAGES ? rest : IMAGES;
}

/* Whether the map of n images would not stay in the last-level cache until it is read: 16 MB. */
static inline bool cpu_streams(const struct cpu_backend *b, int n, const struct map *m)
{
    return layout_bytes(b->base.precision, n, m->h, m->w, m->c) >= 16u << 20;
}

/* Part `part` of `parts` nearly equal parts of [0, count): begins here and ends where the next
 * begins. */
static inline size_t cpu_part_begin(size_t count, int part, int parts)
{
    return count * (size_t)part / (size_t)parts;
}

/* Each group of operations puts itself into the table. */
void cpu_memory_ops(struct backend_ops *ops);
void cpu_conv_ops(struct backend_ops *ops);
void cpu_conv_bias_ops(struct backend_ops *ops);
void cpu_images_ops(struct backend_ops *ops);
void cpu_norm_ops(struct backend_ops *ops);
void cpu_activation_ops(struct backend_ops *ops);
void cpu_pool_ops(struct backend_ops *ops);
void cpu_combine_ops(struct backend_ops *ops);
void cpu_loss_ops(struct backend_ops *ops);
void cpu_optimise_ops(struct backend_ops *ops);

#endif
