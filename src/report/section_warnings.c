/* section_warnings.c - what a reader should be wary of. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/section.h"

/* Where the warnings go, and how many there were. */
struct speaker {
    void (*say)(void *context, const char *title, const char *sentence);
    void *context;
    size_t count;
};

static void say(struct speaker *s, const char *title, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct speaker *s, const char *title, const char *format, ...)
{
    char text[1200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    s->count++;
    if (s->say)
        s->say(s->context, title, text);
}

static void warn_of_seeds(const struct report *r, struct speaker *s)
{
    size_t few = 0;
    if (r->range_test && r->run_count < 3)
        say(s, "Few seeds", "%zu ramp%s: where a single curve is lowest is a matter of luck. Three "
            "or more show how far the places are apart.", r->run_count,
            r->run_count == 1 ? "" : "s");
    if (r->range_test)
        return;
    for (size_t g = 0; g < r->group_count; g++) /* that all diverge is no luck either */
        few += r->groups[g].accuracy.n < 3 && r->groups[g].accuracy.n + r->groups[g].diverged < 3;
    if (!few)
        return;
    if (r->group_count == 1 && r->groups[0].accuracy.n == 0)
        return;
    if (r->group_count == 1)
        say(s, "Few seeds", "%zu run%s: differences as large as between two seeds cannot be told "
            "from luck. Three or more are needed for a spread that means something.",
            r->groups[0].accuracy.n, r->groups[0].accuracy.n == 1 ? "" : "s");
    else
        say(s, "Few seeds", "%zu of %zu configurations have fewer than three finished runs: their "
            "order may be luck.", few, r->group_count);
}

static void warn_of_ends(const struct report *r, struct speaker *s)
{
    size_t diverged = 0, failed = 0, running = 0, reduced = 0;
    const char *error = "", *steps_down = "";
    for (size_t i = 0; i < r->run_count; i++) {
        const struct run_summary *run = &r->runs[i].summary;
        diverged += run->state == RUN_DIVERGED;
        running += run->state == RUN_RUNNING;
        reduced += *run->steps_down != 0;
        steps_down = *steps_down ? steps_down : run->steps_down;
        if (run->state == RUN_FAILED || run->state == RUN_DEAD) {
            failed++;
            error = *error ? error : run->error;
        }
    }
    if (diverged && !r->range_test) /* a ramp is to blow up */
        say(s, "Diverged", "%zu of %zu runs diverged: a loss or gradient was not finite. They are "
            "results, but not part of any mean.", diverged, r->run_count);
    if (failed)
        say(s, "Failed or killed", "%zu of %zu runs did not come to their end%s%.600s. "
            "'kiln resume' goes on with them.", failed, r->run_count, *error ? "; the first: " : "",
            error);
    if (running)
        say(s, "Still running", "%zu of %zu runs are not finished: what is said here of them is "
            "preliminary.", running, r->run_count);
    if (r->waiting)
        say(s, "Not complete", "%zu trial%s of the sweep %s not begun: the same 'kiln sweep' "
            "goes on with it.", r->waiting, r->waiting == 1 ? "" : "s",
            r->waiting == 1 ? "is" : "are");
    if (reduced)
        say(s, "Other images than asked for", "%.900s", steps_down);
}

/* A range whose ends were not seen. */
static void warn_of_range(const struct report *r, struct speaker *s)
{
    const json_t *points = json_object_get(r->range, "points");
    const json_t *blow_up = json_object_get(json_object_get(points, "blow_up"), "lr");
    const json_t *steepest = json_object_get(json_object_get(points, "steepest"), "lr");
    const json_t *least = json_array_get(json_object_get(r->range, "lr"), 0);
    if (r->range && !json_is_number(blow_up))
        say(s, "No blow-up seen", "Up to the greatest rate tried the loss does not lose half of "
            "its gain, so the range may end further up: try a greater --max.");
    if (json_is_number(steepest) && json_is_number(least) &&
        json_number_value(steepest) <= json_number_value(least) * (1 + 1e-6))
        say(s, "Steepest at the edge", "The loss falls fastest at the least rate tried, so the "
            "range may begin further down: try a smaller --min.");
}

/* What two runs of one configuration and seed say about each other. */
static void warn_of_pair(const struct report_run *one, const struct report_run *two, bool *twins,
                         bool *strangers, struct speaker *s)
{
    const struct run_summary *a = &one->summary, *b = &two->summary;
    if (strcmp(a->config_hash, b->config_hash) != 0 || a->step != b->step ||
        strcmp(a->data_hash, b->data_hash) != 0 || !*a->weights_hash || !*b->weights_hash)
        return;
    bool same = strcmp(a->weights_hash, b->weights_hash) == 0;
    bool other = strcmp(a->program_hash, b->program_hash) != 0 || strcmp(a->tier, b->tier) != 0;
    if (same && !*twins)
        say(s, "The same run twice", "%.200s and %.200s have the same configuration, seed and "
            "weights, so they count as two runs without being two seeds: n is too large.",
            report_run_name(one), report_run_name(two));
    if (!same && !*strangers)
        say(s, "Not the same bits", "%.200s and %.200s have the same configuration, seed, images "
            "and number of steps, but other weights (%.8s, %.8s). %s",
            report_run_name(one), report_run_name(two), a->weights_hash, b->weights_hash,
            other ? "They come from other builds or instruction sets, which may round differently."
                  : "The same build on the same instruction set must give the same bits: "
                    "please report this.");
    *twins |= same;
    *strangers |= !same;
}

/* Runs that should be one another's copies and are not, and those that are and should not be. */
static void warn_of_bits(const struct report *r, struct speaker *s)
{
    struct buckets known = {0};
    bool twins = false, strangers = false;
    for (size_t k = 0; k < r->run_count; k++) {
        const char *config = r->runs[k].summary.config_hash;
        const uint64_t hash = buckets_hash(0, config);
        for (size_t i = buckets_first(&known, hash); *config && i != BUCKETS_END;
             i = buckets_next(&known, i))
            warn_of_pair(&r->runs[i], &r->runs[k], &twins, &strangers, s);
        buckets_add(&known, hash);
    }
    buckets_release(&known);
}

/* Runs whose bits may differ for another reason than their settings. */
static void warn_of_builds(const struct report *r, struct speaker *s)
{
    size_t other = 0;
    const struct run_summary *first = NULL;
    for (size_t i = 0; i < r->run_count; i++) {
        const struct run_summary *run = &r->runs[i].summary;
        if (!*run->program_hash)
            continue;
        first = first ? first : run;
        other += strcmp(run->program_hash, first->program_hash) != 0 ||
                 strcmp(run->tier, first->tier) != 0;
    }
    if (other)
        say(s, "More than one build", "%zu of %zu runs come from another build of kiln or another "
            "instruction set than the first: they may round differently, so a difference between "
            "them is not the settings' alone.", other, r->run_count);
}

/* The best value of a varied number is the least or greatest one tried. */
static void warn_of_edge(const struct report *r, const char *key, struct speaker *s)
{
    double best, low = (double)INFINITY, high = -(double)INFINITY, value;
    size_t different = 0;
    if (!r->groups[0].accuracy.n || !report_number(r, &r->groups[0], key, &best))
        return;
    for (size_t g = 0; g < r->group_count; g++) {
        if (!report_number(r, &r->groups[g], key, &value))
            return;
        different += value != best;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    if (different && (best == low || best == high) && low < high)
        say(s, "Optimum at the edge", "The best %s, %.4g, is the %s of those tried: extend the "
            "sweep to that side before believing it.", key, best,
            best == low ? "least" : "greatest");
}

static void warn_of_damage(const struct report *r, struct speaker *s)
{
    for (size_t i = 0; i < r->problem_count && i < 5; i++)
        say(s, "Damaged records", "%.1000s", r->problems[i]);
    if (r->problem_count > 5)
        say(s, "Damaged records", "and %zu more", r->problem_count - 5);
}

size_t report_warnings(const struct report *r,
                       void (*hear)(void *context, const char *title, const char *sentence),
                       void *context)
{
    struct speaker s = {hear, context, 0};
    for (size_t i = 0; i < r->varied_count; i++)
        warn_of_edge(r, r->varied[i], &s);
    warn_of_seeds(r, &s);
    warn_of_range(r, &s);
    warn_of_ends(r, &s);
    warn_of_bits(r, &s);
    warn_of_builds(r, &s);
    warn_of_damage(r, &s);
    return s.count;
}

static void write_item(void *context, const char *title, const char *sentence)
{
    FILE *out = context;
    fputs("<li><strong>", out);
    html_text(out, title);
    fputs(".</strong> ", out);
    html_text(out, sentence);
    fputs("</li>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    if (!report_warnings(r, NULL, NULL))
        return;
    fputs("<ul class=\"warnings\">\n", out);
    report_warnings(r, write_item, out);
    fputs("</ul>\n", out);
}

const struct report_section section_warnings = {"warnings", "To be wary of", write};
