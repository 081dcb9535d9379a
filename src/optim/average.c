/* average.c - see average.h. */
#include "optim/average.h"

#include <assert.h>
#include <math.h>

bool average_due(const struct average_rule *r, uint64_t step, uint64_t total)
{
    if (r->kind == AVERAGE_NONE)
        return false;
    return step % (uint64_t)r->every == 0 || (r->kind == AVERAGE_LOOKAHEAD && step == total);
}

double average_decay_at(const struct average_rule *r, uint64_t step, uint64_t total)
{
    assert(step <= total);
    if (step % (uint64_t)r->every != 0)
        return 1;
    return pow(r->decay, r->every) * pow((double)step / (double)total, r->power);
}

void average_update(const struct average_rule *r, struct backend *b, double d, void *slow,
                    void *fast, size_t count)
{
    if (d < 1)
        b->ops->average(b, count, slow, fast, d);
    if (r->kind == AVERAGE_LOOKAHEAD)
        b->ops->copy(b, fast, slow, count * b->real_bytes);
}
