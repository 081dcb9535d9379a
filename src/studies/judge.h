/* judge.h - verdicts, by one rule for all claims, fixed before the runs:
 *
 *     predicted range      [===========]
 *     seen, 95 %               |--x--|               supported: all of the interval lies inside
 *                                       |--x--|      not supported: none of it does
 *                                  |--x--|           inconclusive: it reaches over an end
 *
 * Without an interval (a single run), or when the study has a reason to doubt it, a claim is
 * inconclusive: a point without an error is no evidence either way.
 */
#ifndef KILN_STUDIES_JUDGE_H
#define KILN_STUDIES_JUDGE_H

#include "studies/results.h"

enum study_verdict { STUDY_SUPPORTED, STUDY_NOT_SUPPORTED, STUDY_INCONCLUSIVE };

/* "supported", "not supported", "inconclusive". */
const char *study_verdict_name(enum study_verdict v);

/* `reason` (may be NULL) gets a sentence without full stop; static text. */
enum study_verdict study_judge(double low, double high, const struct study_seen *seen,
                               const char **reason);

/* Of all claims that count: not supported if one is not, else inconclusive if one is, else
 * supported; inconclusive if there are none. */
enum study_verdict study_judge_all(const enum study_verdict *verdicts, size_t n);

/* The rule in words, for a claim that predicts [low, high]; `condition` may be NULL. */
void study_rule_text(double low, double high, const char *condition, char *text, size_t size);

#endif
