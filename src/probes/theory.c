/* theory.c - see theory.h. */
#include "probes/theory.h"

#include <math.h>

double theory_stability_limit(const struct theory *t)
{
    double b = t->momentum;
    return (2 + 2 * b) / (t->nesterov ? 1 + 2 * b : 1) / t->lr;
}

double theory_equilibrium_ratio(const struct theory *t)
{
    return sqrt(2 * t->weight_decay * (1 - t->momentum) / t->lr);
}

double theory_equilibrium_angle(const struct theory *t)
{
    double b = t->momentum, more = t->nesterov ? 1 + 2 * b - 2 * b * b * b : 1;
    return sqrt(2 * t->lr * t->weight_decay * more / (1 + b));
}

double theory_equilibrium_turn(const struct theory *t, double steps)
{
    return sqrt(2 * steps * t->lr * t->weight_decay / (1 - t->momentum));
}

double theory_batch_factor(double noise_scale, double batch)
{
    return 1 / (1 + noise_scale / batch);
}

double theory_equilibrium_norm(const struct theory *t, double g)
{
    return pow(t->lr * g * g / (2 * t->weight_decay * (1 - t->momentum)), 0.25);
}

double theory_relaxation_steps(const struct theory *t)
{
    return theory_memory_steps(t) / 4;
}

double theory_memory_steps(const struct theory *t)
{
    return (1 - t->momentum) / (t->lr * t->weight_decay);
}

double theory_decay_root(const struct theory *t)
{
    double b = t->momentum, p = 1 + b - t->lr * t->weight_decay;
    return (p + sqrt(p * p - 4 * b)) / 2;
}
