/* section_provenance.c - where the numbers come from: every run, its machine, build and seed, and
 * the configuration that they share. */
#include <math.h>
#include <string.h>

#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { RUNS_LISTED = 300 };

static void write_cell(FILE *out, const char *text)
{
    fputs("<td>", out);
    html_text(out, *text ? text : "—");
    fputs("</td>", out);
}

static void write_hash(FILE *out, const char *hash)
{
    fputs("<td><code title=\"", out);
    html_text(out, hash);
    fputs("\">", out);
    html_printf(out, "%.8s", *hash ? hash : "—");
    fputs("</code></td>", out);
}

static void write_run(const struct report *r, const struct report_run *run, FILE *out)
{
    const struct run_summary *s = &run->summary;
    const char *seed = summary_setting(s, "seed");
    char text[64], time[32];
    fputs("<tr><th scope=\"row\" title=\"", out);
    html_text(out, s->path);
    fputs("\">", out);
    html_text(out, report_run_name(run));
    fputs("</th>", out);
    if (r->group_count > 1)
        write_cell(out, r->groups[run->group].label);
    write_cell(out, seed ? seed : "");
    fprintf(out, "<td><span class=\"mark %.4s\">%s</span></td>", s->state_name, s->state_name);
    snprintf(text, sizeof text, "%lld", (long long)s->step);
    write_cell(out, s->step >= 0 ? text : "");
    write_cell(out, html_spread(report_accuracy(r, s), (double)NAN, 100, 4, text));
    write_cell(out, html_spread(report_loss(r, s), (double)NAN, 1, 4, text));
    write_cell(out, html_duration(s->seconds, time));
    write_hash(out, s->weights_hash);
    write_hash(out, s->config_hash);
    snprintf(text, sizeof text, "%.30s, %lld", s->tier, (long long)s->thread_count);
    write_cell(out, *s->tier ? text : "");
    write_cell(out, s->revision);
    write_cell(out, s->start);
    fputs("</tr>\n", out);
}

static void write_runs(const struct report *r, FILE *out)
{
    fputs("<h3>Runs</h3>\n<div class=\"scroll tall\" tabindex=\"0\"><table><thead><tr>"
          "<th scope=\"col\">run</th>", out);
    if (r->group_count > 1)
        fputs("<th scope=\"col\">configuration</th>", out);
    fprintf(out, "<th scope=\"col\">seed</th><th scope=\"col\">state</th>"
                 "<th scope=\"col\">steps</th><th scope=\"col\">%s accuracy (%%)</th>"
                 "<th scope=\"col\">%s loss</th>"
                 "<th scope=\"col\">time</th><th scope=\"col\">weights</th>"
                 "<th scope=\"col\">configuration hash</th><th scope=\"col\">tier, threads</th>"
                 "<th scope=\"col\">build</th><th scope=\"col\">started (UTC)</th>"
                 "</tr></thead><tbody>\n", r->measure.images, r->measure.images);
    for (size_t i = 0; i < r->run_count && i < RUNS_LISTED; i++)
        write_run(r, &r->runs[i], out);
    fputs("</tbody></table></div>\n", out);
    if (r->run_count > RUNS_LISTED)
        fprintf(out, "<p>%zu more runs are not listed here.</p>\n", r->run_count - RUNS_LISTED);
}

static void write_fact(FILE *out, const char *name, const char *value)
{
    if (!*value)
        return;
    fputs("<div><dt>", out);
    html_text(out, name);
    fputs("</dt><dd>", out);
    html_text(out, value);
    fputs("</dd></div>\n", out);
}

/* What is the same in all runs of the report; of what differs, the first. */
static void write_facts(const struct report *r, FILE *out)
{
    const struct run_summary *s = &report_first(r, &r->groups[0])->summary;
    char text[512];
    fputs("<dl class=\"facts\">\n", out);
    write_fact(out, "recipe", s->recipe);
    write_fact(out, "network", s->net);
    snprintf(text, sizeof text, "%.100s, hash %.16s", s->data, *s->data_hash ? s->data_hash : "?");
    write_fact(out, "images", text);
    write_fact(out, "machine", s->cpu);
    write_fact(out, "host", s->host);
    snprintf(text, sizeof text, "%.60s (%.60s)", s->version, s->revision);
    write_fact(out, "kiln", text);
    snprintf(text, sizeof text, "%.16s", s->program_hash);
    write_fact(out, "program (SHA-256)", text);
    fputs("</dl>\n", out);
}

static void write_settings(const struct report *r, FILE *out)
{
    const struct run_summary *s = &report_first(r, &r->groups[0])->summary;
    fputs("<details><summary>Configuration", out);
    if (r->group_count > 1)
        html_printf(out, " of %s", r->groups[0].label);
    fputs("</summary>\n<pre>", out);
    for (size_t i = 0; i < s->setting_count; i++)
        html_printf(out, "%s = %s\n", s->settings[i].key, s->settings[i].value);
    fputs("</pre></details>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    write_facts(r, out);
    write_runs(r, out);
    write_settings(r, out);
    fputs("<p class=\"notes\">This page is drawn again, to the same bytes, by ", out);
    figure_command(out, r, NULL);
    fputs(" where the runs lie.</p>\n", out);
}

const struct report_section section_provenance = {"provenance", "Where this comes from", write};
