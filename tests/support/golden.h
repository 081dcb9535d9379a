/* golden.h - golden files made by tools/make-golden.py, and networks trained along them. */
#ifndef KILN_TESTS_SUPPORT_GOLDEN_H
#define KILN_TESTS_SUPPORT_GOLDEN_H

#include "backend/backend.h"
#include "base/json.h"

/* Reads tests/golden/<name>.json; the caller ends it with json_decref. Fails the test if it
 * cannot. */
json_t *golden_read(const char *name);

/* The number at `key`; fails the test if there is none. */
double golden_number(const json_t *object, const char *key);

/* Trains the network of a golden file for `steps` steps and compares: the loss of each, logits and
 * every gradient of the first, and, with all ten, every parameter and running statistic at the
 * end. Skips the test if the machine does not have the tier. */
void golden_check(const char *name, enum tier tier, enum precision precision, int steps);

#endif
