/* section_answer.c - what came out, before any picture: a sentence and a table. */
#include <math.h>
#include <string.h>

#include "base/stats.h"
#include "report/html.h"
#include "report/section.h"

enum { ROWS_MOST = 1000 }; /* of the table */

static const char *points(const struct report_spread *s, char text[64])
{
    return html_spread(s->mean, s->sd, 100, 4, text);
}

/* The counted runs' accuracies, for comparing two groups. */
static size_t values(const struct report *r, const struct report_group *g, double *x, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < g->count && n < room; i++) {
        const struct report_run *run = &r->runs[g->runs[i]];
        double v = report_accuracy(r, &run->summary);
        if (run->counted && isfinite(v))
            x[n++] = v;
    }
    return n;
}

/* Whether the best is better than the second, or might only be luckier. */
static void write_lead(const struct report *r, FILE *out)
{
    const struct report_group *best = &r->groups[0], *second = &r->groups[1];
    double a[256], b[256];
    size_t na = values(r, best, a, 256), nb = values(r, second, b, 256);
    struct stats_interval d = stats_difference95(a, na, b, nb);
    html_printf(out, " The second, %s, is %.2g points behind", second->label,
                100 * (best->accuracy.mean - second->accuracy.mean));
    if (isnan(d.low))
        html_printf(out, "; with so few seeds nobody knows whether that is more than luck.");
    else if (d.low > 0)
        html_printf(out, ", 95 %% interval %.2g to %.2g.", 100 * d.low, 100 * d.high);
    else
        html_printf(out, ", 95 %% interval %.2g to %.2g: not clearly worse.", 100 * d.low,
                    100 * d.high);
}

static const char *of_seeds(size_t n, char text[64])
{
    if (n == 1)
        snprintf(text, 64, "one run, so its spread is not known");
    else
        snprintf(text, 64, "mean ± sd of n = %zu runs", n);
    return text;
}

static void write_headline(const struct report *r, FILE *out)
{
    const struct report_group *best = &r->groups[0];
    char a[64], b[64], time[32];
    fputs("<p class=\"headline\">", out);
    if (best->accuracy.n == 0) {
        html_printf(out, "%s: no accuracy was measured%s.", best->label,
                    best->running ? " yet" : best->diverged ? "; it diverged" : "");
    } else {
        html_printf(out, "%s%s %s ", r->group_count > 1 ? "Best of " : "",
                    r->group_count > 1 ? "" : best->label,
                    r->group_count > 1 ? "" : best->running ? "is at" : "reaches");
        if (r->group_count > 1)
            html_printf(out, "%zu configurations: %s, with ", r->group_count, best->label);
        fputs("<strong>", out);
        html_printf(out, "%s %%", points(&best->accuracy, a));
        fputs("</strong>", out);
        if (best->running)
            html_printf(out, " %s accuracy after %s epochs", r->measure.images,
                        html_number(report_first(r, best)->summary.epoch, 3, time));
        else
            html_printf(out, " %s accuracy in %s", r->measure.images,
                        html_duration(best->seconds.mean, time));
        html_printf(out, " (%s).", of_seeds(best->accuracy.n, b));
    }
    fputs("</p>\n", out);
    if (r->group_count > 1 && best->accuracy.n && r->groups[1].accuracy.n) {
        fputs("<p class=\"lead\">", out);
        write_lead(r, out);
        fputs("</p>\n", out);
    }
}

/* Of a range test: rates instead of an accuracy. */
static void write_range(const struct report *r, FILE *out)
{
    const json_t *range = json_object_get(r->range, "range");
    char a[32], b[32];
    fputs("<p class=\"headline\">", out);
    if (r->range) {
        fputs("Look for the learning rate between <strong>", out);
        double low = json_number_value(json_array_get(range, 0));
        double high = json_number_value(json_array_get(range, 1));
        html_printf(out, "%s and %s", html_number(low, 2, a), html_number(high, 2, b));
        fprintf(out, "</strong> (mean curve of n = %zu seeds, batch %.0f).",
                json_array_size(json_object_get(r->range, "ramps")),
                json_number_value(json_object_get(r->range, "batch")));
    } else if (report_ramps_done(r)) {
        html_printf(out, "A range test without a range: its %zu ramps are done, but nothing was "
                         "read off them.", r->run_count);
    } else {
        html_printf(out, "A range test that is not complete: %zu of %zu ramps are begun.",
                    r->run_count, r->run_count + r->waiting);
    }
    fputs("</p>\n", out);
}

static void write_tile(FILE *out, const char *name, const char *value, const char *more)
{
    fputs("<div class=\"tile\"><dt>", out);
    html_text(out, name);
    fputs("</dt><dd>", out);
    html_text(out, value);
    fputs("<small>", out);
    html_text(out, more);
    fputs("</small></dd></div>\n", out);
}

static void write_tiles(const struct report *r, FILE *out)
{
    const struct report_group *g = &r->groups[0];
    const struct run_summary *first = &report_first(r, g)->summary;
    char text[64], name[64], number[32];
    fputs("<dl class=\"tiles\">\n", out);
    snprintf(name, sizeof name, "%s accuracy", r->measure.images);
    write_tile(out, name, points(&g->accuracy, text), " %");
    if (g->tta_accuracy.n)
        write_tile(out, "with more views",
                   html_spread(g->tta_accuracy.mean, g->tta_accuracy.sd, 100, 4, text), " %");
    snprintf(name, sizeof name, "%s loss", r->measure.images);
    write_tile(out, name, html_spread(g->loss.mean, g->loss.sd, 1, 4, text), "");
    write_tile(out, "time of a run", html_duration(g->seconds.mean, number), "");
    write_tile(out, "speed", html_number(g->images_per_second.mean, 3, number), " images/s");
    snprintf(text, sizeof text, "%zu", g->accuracy.n);
    write_tile(out, "runs in the mean", text, "");
    if (first->parameters > 0) {
        snprintf(text, sizeof text, "%.3g", (double)first->parameters);
        if (first->parameters >= 1000000)
            snprintf(text, sizeof text, "%.2f M", (double)first->parameters / 1e6);
        else if (first->parameters >= 1000)
            snprintf(text, sizeof text, "%.1f k", (double)first->parameters / 1e3);
        write_tile(out, "parameters", text, "");
    }
    fputs("</dl>\n", out);
}

static void write_head(const struct report *r, bool views, FILE *out)
{
    fputs("<thead><tr>", out);
    if (!r->varied_count)
        fputs("<th scope=\"col\">configuration</th>", out);
    for (size_t i = 0; i < r->varied_count; i++) {
        fputs("<th scope=\"col\">", out);
        html_text(out, r->varied[i]);
        fputs("</th>", out);
    }
    fputs("<th scope=\"col\">n</th>", out);
    fprintf(out, "<th scope=\"col\">%s accuracy (%%)</th>", r->measure.images);
    if (views)
        fputs("<th scope=\"col\">with more views (%)</th>", out);
    fprintf(out, "<th scope=\"col\">%s loss</th><th scope=\"col\">time</th>"
                 "<th scope=\"col\">images/s</th><th scope=\"col\">remarks</th></tr></thead>\n",
            r->measure.images);
}

static void write_cell(FILE *out, const char *text)
{
    fputs("<td>", out);
    html_text(out, text);
    fputs("</td>", out);
}

static void write_remarks(FILE *out, const struct report_group *g)
{
    static const char *const words[] = {"diverged", "failed or killed", "running"};
    const size_t counts[] = {g->diverged, g->failed, g->running};
    fputs("<td>", out);
    for (int i = 0; i < 3; i++)
        if (counts[i])
            fprintf(out, "<span class=\"mark %.4s\">%zu %s</span> ", words[i], counts[i], words[i]);
    fputs("</td>", out);
}

static void write_row(const struct report *r, const struct report_group *g, bool views, FILE *out)
{
    char text[64], number[32];
    fputs(g == r->groups && r->group_count > 1 ? "<tr class=\"best\">" : "<tr>", out);
    if (!r->varied_count)
        write_cell(out, g->label);
    for (size_t i = 0; i < r->varied_count; i++) {
        const char *value = report_setting(r, g, r->varied[i]);
        double v;
        if (report_number(r, g, r->varied[i], &v))
            value = html_number(v, 6, number);
        write_cell(out, value);
    }
    fprintf(out, "<td>%zu</td>", g->accuracy.n);
    write_cell(out, html_spread(g->accuracy.mean, g->accuracy.sd, 100, 4, text));
    if (views)
        write_cell(out, html_spread(g->tta_accuracy.mean, g->tta_accuracy.sd, 100, 4, text));
    write_cell(out, html_spread(g->loss.mean, g->loss.sd, 1, 4, text));
    write_cell(out, html_duration(g->seconds.mean, number));
    write_cell(out, html_number(g->images_per_second.mean, 3, number));
    write_remarks(out, g);
    fputs("</tr>\n", out);
}

static void write_table(const struct report *r, FILE *out)
{
    bool views = false;
    for (size_t g = 0; g < r->group_count; g++)
        views |= r->groups[g].tta_accuracy.n > 0;
    fputs("<div class=\"scroll tall\" tabindex=\"0\"><table class=\"results\">\n<caption>", out);
    html_printf(out, "Mean ± standard deviation over seeds; n counts finished runs. %s",
                r->varied_count ? "The first columns are the settings that differ; everything else "
                                  "is the same in all."
                                : "All runs have the same configuration but for the seed.");
    fputs("</caption>\n", out);
    write_head(r, views, out);
    fputs("<tbody>\n", out);
    for (size_t g = 0; g < r->group_count && g < ROWS_MOST; g++)
        write_row(r, &r->groups[g], views, out);
    fputs("</tbody></table></div>\n", out);
    if (r->group_count > ROWS_MOST)
        fprintf(out, "<p class=\"notes\">The %d best; %zu more are not listed here, but <code>kiln "
                     "runs list</code> has them.</p>\n", ROWS_MOST, r->group_count - ROWS_MOST);
}

static void write(const struct report *r, FILE *out)
{
    size_t warnings = report_warnings(r, NULL, NULL);
    if (r->range_test)
        write_range(r, out);
    else if (r->study)
        fputs("<h2>Its runs</h2>\n", out);
    else
        write_headline(r, out);
    if (warnings)
        fprintf(out, "<p><a class=\"caution\" href=\"#warnings\">%zu thing%s to be wary of</a>"
                "</p>\n", warnings, warnings == 1 ? "" : "s");
    if (r->range_test)
        return;
    if (r->group_count == 1)
        write_tiles(r, out);
    else
        write_table(r, out);
}

const struct report_section section_answer = {"answer", "", write};
