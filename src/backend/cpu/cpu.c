/* cpu.c - the CPU backend: made, and its table of operations put together. */
#include "backend/cpu/cpu.h"

#include <assert.h>

#include "backend/cpu/conv_algorithm.h"
#include "base/arena.h"

static void cpu_free(struct backend *base)
{
    if (!base)
        return;
    struct cpu_backend *b = cpu_of(base);
    big_free(b->scratch, b->base.scratch_bytes);
    big_free(b, sizeof *b);
}

static void fill_ops(struct backend_ops *ops)
{
    ops->free = cpu_free;
    cpu_memory_ops(ops);
    cpu_conv_ops(ops);
    cpu_conv_bias_ops(ops);
    cpu_images_ops(ops);
    cpu_norm_ops(ops);
    cpu_activation_ops(ops);
    cpu_pool_ops(ops);
    cpu_combine_ops(ops);
    cpu_loss_ops(ops);
    cpu_optimise_ops(ops);
}

struct backend *backend_cpu_new(const struct backend_options *o, struct err *e)
{
    assert(o->threads >= 1);
    enum tier tier = o->tier == TIER_AUTO ? tier_best() : o->tier;
    enum precision precision = precision_resolve(o->precision, tier);
    if (precision == PRECISION_FP64)
        tier = TIER_REF;
    if (tier_lacks(tier)) {
        err_set(e, EXIT_USAGE, "this machine cannot run the kernels of tier '%s': %s; the best it "
                "has is '%s'", tier_name(tier), tier_lacks(tier), tier_name(tier_best()));
        return NULL;
    }
    struct cpu_backend *b = big_new(sizeof *b, "the backend", e);
    if (!b)
        return NULL;
    b->base.ops = &b->ops;
    b->base.tier = tier;
    b->base.precision = precision;
    b->base.threads = o->threads;
    b->base.real_bytes = precision_real_bytes(precision);
    kernels_init(&b->kernels, tier, precision);
    b->base.shares_memory = true;
    b->base.scratch_bytes = (size_t)o->threads * (CPU_SCRATCH + sizeof *b->ranges);
    b->base.convolution = o->convolution ? o->convolution : "auto";
    b->rates = o->rates ? *o->rates : conv_builtin_rates(tier, precision);
    fill_ops(&b->ops);
    b->scratch = big_new(b->base.scratch_bytes, "the threads' scratch", e);
    if (!b->scratch) {
        cpu_free(&b->base);
        return NULL;
    }
    b->ranges = (void *)(b->scratch + (size_t)o->threads * CPU_SCRATCH);
    return &b->base;
}
