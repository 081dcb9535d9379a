/* theory.h - what theory predicts about training with SGD: formulas, to stand beside what was
 * measured. None of them looks at a network.
 *
 * Notation: lr = eta, weight decay = lambda, momentum = b. Heavy ball is m = b m + g, w -= eta m;
 * Nesterov w -= eta (g + b m). Every one is checked by iterating the optimiser itself
 * (tests/probes/test_theory.c).
 */
#ifndef KILN_PROBES_THEORY_H
#define KILN_PROBES_THEORY_H

#include <stdbool.h>

struct theory {
    double lr, momentum, weight_decay;
    bool nesterov;
};

/* The largest curvature at which descent along a quadratic with the whole gradient still
 * converges: 2 / eta without momentum, (2 + 2b) / eta with heavy ball, (2 + 2b) / ((1 + 2b) eta)
 * with Nesterov. Weight decay is part of the curvature. Beyond it nothing need diverge in a
 * network: the curvature moves (Cohen et al. 2021), and mini-batches reach a limit of their own at
 * lower values. */
double theory_stability_limit(const struct theory *t);

/* Equilibrium of weights that are scale-invariant (batch norm follows), with gradients dominated by
 * noise: what weight decay takes from |w| in a step is what the gradient, at a right angle to w,
 * adds (van Laarhoven 2017; Wan et al. 2021; Kosson et al. 2024). */

/* |g| / |w| = sqrt(2 lambda (1 - b) / eta). */
double theory_equilibrium_ratio(const struct theory *t);

/* Root of the mean squared angle per step: sqrt(2 eta lambda / (1 + b)); with Nesterov
 * sqrt(2 eta lambda (1 + 2b - 2b^3) / (1 + b)), because its last gradient counts more. */
double theory_equilibrium_angle(const struct theory *t);

/* Root of the mean squared angle over `steps` of them, many more than 1 / (1 - b) but far fewer
 * than theory_memory_steps: a random walk, sqrt(2 steps eta lambda / (1 - b)), whatever the
 * momentum's form. */
double theory_equilibrium_turn(const struct theory *t, double steps);

/* |w| where |g| |w| = g, a constant of scale-invariant weights: (eta g^2 / (2 lambda (1 - b)))^1/4.
 * */
double theory_equilibrium_norm(const struct theory *t, double g);

/* Steps in which |w|^2 - its equilibrium falls by e: (1 - b) / (4 eta lambda). */
double theory_relaxation_steps(const struct theory *t);

/* Steps that the weights remember, as an average of updates: (1 - b) / (eta lambda). */
double theory_memory_steps(const struct theory *t);

/* The best learning rate for a batch over that for a very large one, where the gradient noise scale
 * is `noise_scale`: 1 / (1 + noise_scale / batch) (McCandlish et al. 2018, equation 2.8). Linear in
 * small batches, flat in large ones; derived for plain gradient descent. */
double theory_batch_factor(double noise_scale, double batch);

/* Weight decay as a growing learning rate (Li and Arora 2020): with weights that are all
 * scale-invariant, training with eta, lambda and heavy ball b gives the same functions as training
 * without weight decay, with the same b and eta_s = eta a^(-2s-1) in step s = 0, 1, ..., where a is
 * the larger root of x^2 - (1 + b - eta lambda) x + b = 0 (1 - eta lambda without momentum). The
 * weights are those of the first divided by a^s. The learning rate stands outside the buffer, as in
 * PyTorch; the buffer that was zero with decay is -(1 - a) w / (eta a) without. Returns a. */
double theory_decay_root(const struct theory *t);

#endif
