/* average.h - averaging of weights over steps: EMA and lookahead.
 *
 * Both keep a slow copy of every parameter and running statistic. After step s (1, 2, ... of T), if
 * s is a multiple of `every`, slow = d * slow + (1 - d) * fast with
 *
 *     d = decay ^ every * (s / T) ^ power
 *
 * (power 0: constant, Page's "bag of tricks" has 0.99 ^ 5 every 5 steps; airbench has 0.95 ^ 5 and
 * power 3). An EMA leaves training alone and is what gets evaluated; lookahead (Zhang et al. 2019,
 * as airbench has it) copies the slow weights back into the fast ones each time, trains on from
 * there, and ends with fast = slow; what gets evaluated is the network in training.
 */
#ifndef KILN_OPTIM_AVERAGE_H
#define KILN_OPTIM_AVERAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"

enum average_kind { AVERAGE_NONE, AVERAGE_EMA, AVERAGE_LOOKAHEAD };

struct average_rule {
    enum average_kind kind;
    int every;               /* steps */
    double decay, power;
};

/* Whether something happens after step s (1 ... T), the last step of lookahead included. */
bool average_due(const struct average_rule *r, uint64_t step, uint64_t total);

/* d after step s, for a step that is due; 1 on a last step of lookahead that is no multiple of
 * `every`: the slow weights stay as they are and become the fast ones. */
double average_decay_at(const struct average_rule *r, uint64_t step, uint64_t total);

/* Moves slow[count] by decay d and, for lookahead, copies it to fast[count]. */
void average_update(const struct average_rule *r, struct backend *b, double d, void *slow,
                    void *fast, size_t count);

#endif
