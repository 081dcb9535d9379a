/* judge.c - see judge.h. */
#include "studies/judge.h"

#include <math.h>
#include <stdio.h>

const char *study_verdict_name(enum study_verdict v)
{
    static const char *const names[] = {"supported", "not supported", "inconclusive"};
    return names[v];
}

enum study_verdict study_judge(double low, double high, const struct study_seen *seen,
                               const char **reason)
{
    const char *why = "";
    enum study_verdict v = STUDY_INCONCLUSIVE;
    if (seen->doubt) {
        why = seen->doubt;
    } else if (isnan(seen->value)) {
        why = "nothing could be measured";
    } else if (isnan(seen->low) || isnan(seen->high)) {
        why = "no interval can be given: too few runs";
    } else if (seen->low >= low && seen->high <= high) {
        v = STUDY_SUPPORTED;
        why = "all of the interval lies in the predicted range";
    } else if (seen->high < low || seen->low > high) {
        v = STUDY_NOT_SUPPORTED;
        why = "none of the interval lies in the predicted range";
    } else {
        why = "the interval reaches over an end of the predicted range";
    }
    if (reason)
        *reason = why;
    return v;
}

enum study_verdict study_judge_all(const enum study_verdict *verdicts, size_t n)
{
    bool doubt = n == 0;
    for (size_t i = 0; i < n; i++) {
        if (verdicts[i] == STUDY_NOT_SUPPORTED)
            return STUDY_NOT_SUPPORTED;
        doubt = doubt || verdicts[i] == STUDY_INCONCLUSIVE;
    }
    return doubt ? STUDY_INCONCLUSIVE : STUDY_SUPPORTED;
}

void study_rule_text(double low, double high, const char *condition, char *text, size_t size)
{
    char range[80];
    if (isinf(low))
        snprintf(range, sizeof range, "at most %.4g", high);
    else if (isinf(high))
        snprintf(range, sizeof range, "at least %.4g", low);
    else if (low == high)
        snprintf(range, sizeof range, "exactly %.4g", low);
    else
        snprintf(range, sizeof range, "from %.4g to %.4g", low, high);
    snprintf(text, size,
             "supported if the whole 95 %% interval of what is seen is %s, not supported if none "
             "of it is, else inconclusive%s%s",
             range, condition ? "; inconclusive too when " : "", condition ? condition : "");
}
