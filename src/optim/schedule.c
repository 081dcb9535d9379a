/* schedule.c - see schedule.h. */
#include "optim/schedule.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* Reads "12", "0.5" or "1/88" at *text and moves it on; -1 if there is no finite number >= 0. */
static int parse_number(const char **text, double *value)
{
    char *end;
    const char *start = *text;
    if (!isdigit((unsigned char)*start) && *start != '.')
        return -1;
    *value = strtod(start, &end);
    if (end == start)
        return -1;
    if (*end == '/') {
        const char *below = end + 1;
        if (!isdigit((unsigned char)*below) && *below != '.')
            return -1;
        double d = strtod(below, &end);
        if (end == below || d <= 0)
            return -1;
        *value /= d;
    }
    if (!isfinite(*value))
        return -1;
    *text = end;
    return 0;
}

static void skip_spaces(const char **text)
{
    while (isspace((unsigned char)**text))
        (*text)++;
}

static int parse_knot(struct knot *k, const char **text, int with_factors, struct err *e)
{
    skip_spaces(text);
    const char *start = *text;
    if (parse_number(text, &k->position))
        return err_set(e, EXIT_USAGE, "no position at '%.20s'", start);
    k->unit = KNOT_EPOCHS;
    if (**text == 's')
        k->unit = KNOT_STEPS;
    else if (**text == '%')
        k->unit = KNOT_PERCENT;
    if (k->unit != KNOT_EPOCHS)
        (*text)++;
    k->factor = 0;
    skip_spaces(text);
    if (!with_factors)
        return 0;
    if (**text != ':')
        return err_set(e, EXIT_USAGE, "no ':' after the position in '%.20s'", start);
    (*text)++;
    skip_spaces(text);
    if (parse_number(text, &k->factor))
        return err_set(e, EXIT_USAGE, "no factor after ':' in '%.20s'", start);
    skip_spaces(text);
    return 0;
}

int schedule_parse_knots(struct schedule *s, const char *text, int with_factors, struct err *e)
{
    s->knot_count = 0;
    do {
        if (s->knot_count == SCHEDULE_KNOTS)
            return err_set(e, EXIT_USAGE, "more than %d knots", SCHEDULE_KNOTS);
        struct knot *k = &s->knots[s->knot_count];
        const char *start = text;
        if (parse_knot(k, &text, with_factors, e))
            return -1;
        if (s->knot_count > 0 && k->unit == k[-1].unit && k->position <= k[-1].position)
            return err_set(e, EXIT_USAGE, "positions do not ascend at '%.20s'", start);
        if (*text != ',' && *text != '\0')
            return err_set(e, EXIT_USAGE, "expected ',' at '%.20s'", text);
        s->knot_count++;
    } while (*text++ == ',');
    return 0;
}

/* Position of a knot in steps. Shares of the run are whole steps, as airbench has it. The 1e-9
 * keeps 29% of 100 at 29 although 0.29 * 100 < 29 in binary. */
static double knot_step(const struct knot *k, double total, double per_epoch)
{
    switch (k->unit) {
    case KNOT_STEPS:
        return k->position;
    case KNOT_PERCENT:
        return floor(k->position / 100 * total + 1e-9);
    default:
        return k->position * per_epoch;
    }
}

static double linear(const struct schedule *s, double x, double total, double per_epoch)
{
    assert(s->knot_count > 0);
    double before = knot_step(&s->knots[0], total, per_epoch), factor = s->knots[0].factor;
    if (x <= before)
        return factor;
    for (int i = 1; i < s->knot_count; i++) {
        double after = knot_step(&s->knots[i], total, per_epoch), next = s->knots[i].factor;
        if (x < after) {
            double share = (x - before) / (after - before);
            return (1 - share) * factor + share * next;
        }
        before = after;
        factor = next;
    }
    return factor;
}

static double steps_down(const struct schedule *s, double x, double total, double per_epoch)
{
    double factor = 1;
    for (int i = 0; i < s->knot_count; i++) {
        if (x >= knot_step(&s->knots[i], total, per_epoch))
            factor *= s->step_factor;
    }
    return factor;
}

/* From `from` (share 0) to `to` (share 1) along half a cosine. */
static double half_cosine(double from, double to, double share)
{
    return to + (from - to) * (1 + cos(pi * share)) / 2;
}

static double onecycle(const struct schedule *s, double x, double total)
{
    double peak = s->cycle_peak * total - 1, last = total - 1;
    if (x <= peak && peak > 0)
        return half_cosine(s->cycle_start, 1, x / peak);
    if (x >= last || last <= peak)
        return s->final_factor;
    return half_cosine(1, s->final_factor, (x - peak) / (last - peak));
}

static double exponential(const struct schedule *s, double x, double total)
{
    return total > 1 ? pow(s->final_factor, x / (total - 1)) : 1;
}

double schedule_factor(const struct schedule *s, uint64_t step, uint64_t total,
                       uint64_t per_epoch)
{
    assert(total > 0 && per_epoch > 0);
    double x = (double)step + s->origin, t = (double)total, per = (double)per_epoch;
    double warm = round(s->warmup * per);
    double ramp = x < warm ? s->warmup_factor + (1 - s->warmup_factor) * x / warm : 1;
    switch (s->kind) {
    case SCHEDULE_LINEAR:
        return ramp * linear(s, x, t, per);
    case SCHEDULE_STEP:
        return ramp * steps_down(s, x, t, per);
    case SCHEDULE_COSINE: {
        double share = x <= warm ? 0 : x >= t ? 1 : (x - warm) / (t - warm);
        return ramp * half_cosine(1, s->final_factor, share);
    }
    case SCHEDULE_ONECYCLE:
        return ramp * onecycle(s, x, t);
    case SCHEDULE_EXPONENTIAL:
        return ramp * exponential(s, x, t);
    default:
        return ramp;
    }
}
