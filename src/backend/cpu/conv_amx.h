/* conv_amx.h - what the algorithms in tile registers share: `amx`, in conv_amx.c (packing, forward,
 * backward-data) and conv_amx_weights.c, and `amx4`, in conv_amx_rows.c. */
#ifndef KILN_BACKEND_CPU_CONV_AMX_H
#define KILN_BACKEND_CPU_CONV_AMX_H

#include "backend/cpu/conv.h"

/* Bytes that fit a second-level cache with room for what else passes through it: the machines that
 * have tile registers have 2 MB a core. */
enum { AMX_CACHE = 1 << 20 };

static inline int amx_lines(int channels)
{
    return layout_cblocks(PRECISION_BF16, channels);
}

/* Backward-weights. */
size_t amx_weights_workspace(const struct cpu_backend *b, int n, const struct conv_shape *s);
void amx_weights(struct cpu_backend *b, const struct conv_work *w);

#endif
