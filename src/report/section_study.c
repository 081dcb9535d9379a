/* section_study.c - what a study (kiln study) found, from its study.json: the verdict, each claim
 * with what was predicted before the runs and what was seen, figures, and what to keep in mind. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "report/html.h"
#include "report/section.h"
#include "report/study_figure.h"

/* The class of a verdict's mark: good, bad, open. */
static const char *mark_of(const char *verdict)
{
    return strcmp(verdict, "supported") == 0       ? "runn"
           : strcmp(verdict, "not supported") == 0 ? "dive"
                                                   : "open";
}

static void write_headline(const json_t *s, FILE *out)
{
    const json_t *claims = json_object_get(s, "claims");
    const json_t *before = json_object_get(s, "prediction");
    const char *verdict = json_text_at(s, "verdict");
    size_t i, supported = 0, refuted = 0, counting = 0;
    json_t *claim;
    json_array_foreach(claims, i, claim) {
        if (!json_is_true(json_object_get(claim, "counts")))
            continue;
        counting++;
        supported += strcmp(json_text_at(claim, "verdict"), "supported") == 0;
        refuted += strcmp(json_text_at(claim, "verdict"), "not supported") == 0;
    }
    fputs("<p class=\"headline\">", out);
    html_text(out, json_text_at(s, "question"));
    fputs(" <strong>", out);
    html_printf(out, "%s", strcmp(verdict, "supported") == 0       ? "As predicted"
                           : strcmp(verdict, "not supported") == 0 ? "Not as predicted"
                                                                   : "Inconclusive");
    fputs("</strong></p>\n<p class=\"lead\">", out);
    html_printf(out, "Of %zu claim%s that count%s, %zu %s supported, %zu not, %zu %s open. Written "
                     "down before the first run (%s); scale %s, on %s.",
                counting, counting == 1 ? "" : "s", counting == 1 ? "s" : "", supported,
                supported == 1 ? "is" : "are", refuted, counting - supported - refuted,
                counting - supported - refuted == 1 ? "is" : "are", json_text_at(before, "written"),
                json_text_at(s, "scale"), json_text_at(s, "data"));
    if (json_is_true(json_object_get(before, "program_differs")))
        html_printf(out, " This version of kiln would predict otherwise; what was written before "
                         "the runs holds.");
    fputs("</p>\n", out);
}

static void write_fact(FILE *out, const char *name, const char *text)
{
    if (!*text)
        return;
    fprintf(out, "<dt>%s</dt><dd>", name);
    html_text(out, text);
    fputs("</dd>", out);
}

static void write_seen(FILE *out, const json_t *seen)
{
    double value = json_real_at(seen, "value"), low = json_real_at(seen, "low");
    double high = json_real_at(seen, "high"), n = json_real_at(seen, "n");
    char a[32], b[32], c[32];
    fputs("<dt>seen</dt><dd>", out);
    html_text(out, json_text_at(seen, "text"));
    if (isfinite(value)) {
        fputs("<small>", out);
        html_printf(out, " %s", html_number(value, 4, a));
        if (isfinite(low) && isfinite(high) && low < high)
            html_printf(out, " (%s to %s)", html_number(low, 3, b), html_number(high, 3, c));
        if (isfinite(n))
            html_printf(out, ", n = %.0f", n);
        if (*json_text_at(seen, "error"))
            html_printf(out, "; interval: %s", json_text_at(seen, "error"));
        fputs("</small>", out);
    }
    fputs("</dd>", out);
}

static void write_claim(FILE *out, const json_t *claim)
{
    const char *verdict = json_text_at(claim, "verdict");
    fprintf(out, "<li><p><b>");
    html_text(out, json_text_at(claim, "statement"));
    fprintf(out, "</b> <span class=\"mark %s\">", mark_of(verdict));
    html_text(out, verdict);
    fputs("</span>", out);
    if (!json_is_true(json_object_get(claim, "counts")))
        fputs(" <span class=\"mark\">does not count</span>", out);
    if (json_is_true(json_object_get(claim, "added_after_runs")))
        fputs(" <span class=\"mark\">added after the runs</span>", out);
    fputs("</p><dl>", out);
    write_fact(out, "formula", json_text_at(claim, "formula"));
    write_fact(out, "predicted", json_text_at(json_object_get(claim, "predicted"), "text"));
    write_seen(out, json_object_get(claim, "seen"));
    write_fact(out, "why", json_text_at(claim, "because"));
    write_fact(out, "would have contradicted it", json_text_at(claim, "falsified_by"));
    write_fact(out, "rule", json_text_at(claim, "rule"));
    fputs("</dl></li>\n", out);
}

static void write_cell(FILE *out, const json_t *cell, bool head)
{
    char number[32];
    bool words = json_is_string(cell) && json_string_length(cell) > 24;
    fputs(head ? "<th scope=\"row\">" : words ? "<td class=\"words\">" : "<td>", out);
    if (json_is_string(cell))
        html_text(out, json_string_value(cell));
    else
        fputs(json_is_number(cell) ? html_number(json_number_value(cell), 5, number) : "—", out);
    fputs(head ? "</th>" : "</td>", out);
}

static void write_table(FILE *out, const json_t *table)
{
    size_t i, k;
    json_t *row, *cell;
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<caption>", out);
    html_text(out, json_text_at(table, "title"));
    fputs("</caption>\n<thead><tr>", out);
    json_array_foreach(json_object_get(table, "columns"), i, cell) {
        fputs("<th scope=\"col\">", out);
        html_text(out, json_is_string(cell) ? json_string_value(cell) : "");
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
    json_array_foreach(json_object_get(table, "rows"), i, row) {
        fputs("<tr>", out);
        json_array_foreach(row, k, cell)
            write_cell(out, cell, k == 0);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void write_caveats(FILE *out, const json_t *s)
{
    const json_t *caveats = json_object_get(s, "caveats");
    const json_t *differing = json_object_get(s, "disagreements");
    size_t i;
    json_t *item;
    if (json_array_size(caveats)) {
        fputs("<h3>Keep in mind</h3>\n<ul class=\"warnings\">\n", out);
        json_array_foreach(caveats, i, item) {
            fputs("<li>", out);
            html_text(out, json_is_string(item) ? json_string_value(item) : "");
            fputs("</li>\n", out);
        }
        fputs("</ul>\n", out);
    }
    if (!json_array_size(differing))
        return;
    fputs("<h3>Where the notes and the published figures differ</h3>\n<div class=\"scroll\"><table "
          "class=\"texts\"><thead><tr><th scope=\"col\">the notes say</th>"
          "<th scope=\"col\">the figures show</th><th scope=\"col\">here</th></tr></thead>"
          "<tbody>\n", out);
    json_array_foreach(differing, i, item) {
        fputs("<tr>", out);
        write_cell(out, json_object_get(item, "text"), false);
        write_cell(out, json_object_get(item, "figures"), false);
        write_cell(out, json_object_get(item, "here"), false);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

/* How to have the same again, from the prediction on. */
static void write_command(FILE *out, const json_t *s)
{
    const json_t *command = json_object_get(s, "command"), *runs = json_object_get(s, "runs");
    fputs("<p class=\"notes\">", out);
    html_printf(out, "%.0f runs finished, %.0f diverged.", json_real_at(runs, "finished"),
                json_real_at(runs, "diverged"));
    if (json_is_string(command)) {
        fputs(" Again, from the prediction on: <code>", out);
        html_text(out, json_string_value(command));
        fputs("</code>", out);
    }
    fputs("</p>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    const json_t *s = r->study;
    size_t i;
    json_t *item;
    if (!s)
        return;
    write_headline(s, out);
    fputs("<ol class=\"claims\">\n", out);
    json_array_foreach(json_object_get(s, "claims"), i, item)
        write_claim(out, item);
    fputs("</ol>\n<div class=\"grid\">\n", out);
    json_array_foreach(json_object_get(s, "figures"), i, item)
        study_figure_write(out, r, item, i + 1);
    fputs("</div>\n", out);
    json_array_foreach(json_object_get(s, "tables"), i, item)
        write_table(out, item);
    write_caveats(out, s);
    if (*json_text_at(s, "background")) {
        fputs("<details><summary>Background</summary><p class=\"lead\">", out);
        html_text(out, json_text_at(s, "background"));
        fputs("</p></details>\n", out);
    }
    write_command(out, s);
}

const struct report_section section_study = {"study", "", write};
