/* figure.c - see figure.h. */
#include "report/figure.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "report/assets.h"
#include "report/html.h"

/* 40,000 points are about 0.6 MB of numbers: with everything else, a page stays below 2 MB. */
enum { PAGE_POINTS = 40000, CURVE_POINTS = 2000, CURVE_POINTS_LEAST = 60 };

json_t *chart_new(const char *name)
{
    char file[128];
    json_error_t cause;
    snprintf(file, sizeof file, "charts/%s.json", name);
    const struct asset *asset = asset_find(file);
    assert(asset && "a chart of web/charts");
    json_t *chart = json_loadb(asset->text, asset->bytes, 0, &cause);
    assert(chart && "web/charts/*.json is JSON");
    return chart;
}

static json_t *member(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        value = json_object();
        json_object_set_new(object, key, value);
    }
    return value;
}

void chart_axis(json_t *chart, const char *axis, const char *title, const char *type)
{
    json_t *scale = member(member(member(chart, "options"), "scales"), axis);
    json_t *heading = member(scale, "title");
    json_object_set_new(heading, "display", json_true());
    json_object_set_new(heading, "text", json_text(title));
    if (type)
        json_object_set_new(scale, "type", json_string(type));
}

size_t chart_points(size_t curves)
{
    size_t most = PAGE_POINTS / (curves ? curves : 1);
    return most > CURVE_POINTS ? CURVE_POINTS : most < CURVE_POINTS_LEAST ? CURVE_POINTS_LEAST
                                                                          : most;
}

json_t *chart_number(double value)
{
    if (!isfinite(value))
        return json_null();
    if (value == floor(value) && fabs(value) < 1e15)
        return json_integer((json_int_t)value);
    return json_real(value);
}

static json_t *datasets(json_t *chart)
{
    return json_object_get(json_object_get(chart, "data"), "datasets");
}

static json_t *new_dataset(const char *role, const char *label, const char *key, int colour)
{
    json_t *set = json_object();
    json_object_set_new(set, "role", json_string(role));
    json_object_set_new(set, "label", json_text(label));
    json_object_set_new(set, "key", json_text(key));
    json_object_set_new(set, "colour", json_integer(colour));
    return set;
}

json_t *chart_add(json_t *chart, const char *role, const char *label, const char *key, int colour,
                  const double *x, const double *y, size_t n, size_t most)
{
    json_t *set = new_dataset(role, label, key, colour), *xy = json_array();
    size_t *keep = calloc(n + 2, sizeof *keep);
    assert(keep);
    size_t kept = series_decimate(y, n, most ? most : n, keep);
    for (size_t i = 0; i < kept; i++) {
        if (!isfinite(x[keep[i]]) || !isfinite(y[keep[i]]))
            continue;
        json_array_append_new(xy, chart_number(x[keep[i]]));
        json_array_append_new(xy, chart_number(y[keep[i]]));
    }
    free(keep);
    json_object_set_new(set, "xy", xy);
    json_array_append_new(datasets(chart), set);
    return set;
}

void chart_add_band(json_t *chart, const char *label, const char *key, int colour, const double *x,
                    const double *low, const double *high, size_t n)
{
    chart_add(chart, "band-low", label, key, colour, x, low, n, 0);
    chart_add(chart, "band", label, key, colour, x, high, n, 0);
}

/* Quotes an operand for a shell if it must be. */
static void write_operand(FILE *out, const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./+=:,@%";
    if (*text && strspn(text, plain) == strlen(text)) {
        html_text(out, text);
        return;
    }
    fputs("&#39;", out);
    for (char c[2] = {0}; (c[0] = *text); text++) {
        if (c[0] == '\'')
            fputs("&#39;\\&#39;&#39;", out);
        else if ((unsigned char)c[0] < 0x80)
            html_text(out, c);
        else {
            /* A whole character at once, so that it is seen to be UTF-8. */
            size_t n = 1 + strspn(text + 1, "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c"
                                  "\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c"
                                  "\x9d\x9e\x9f\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac"
                                  "\xad\xae\xaf\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc"
                                  "\xbd\xbe\xbf");
            html_printf(out, "%.*s", (int)n, text);
            text += n - 1;
        }
    }
    fputs("&#39;", out);
}

void figure_command(FILE *out, const struct report *r, const char *section)
{
    const size_t most = section ? 12 : 500;
    fputs("<code>kiln report", out);
    for (size_t i = 0; i < r->operand_count && i < most; i++) {
        fputc(' ', out);
        write_operand(out, r->operands[i]);
    }
    if (r->operand_count > most)
        fprintf(out, " … and %zu more", r->operand_count - most);
    if (section)
        fprintf(out, " --only %s", section);
    fputs(" --out report.html</code>", out);
}

/* x and y of point i of a data set. */
static double point(const json_t *xy, size_t i, int which)
{
    return json_number_value(json_array_get(xy, 2 * i + (size_t)which));
}

static void write_row(FILE *out, const json_t *set)
{
    const json_t *xy = json_object_get(set, "xy");
    size_t n = json_array_size(xy) / 2, least = 0, greatest = 0;
    char a[32], b[32];
    for (size_t i = 1; i < n; i++) {
        least = point(xy, i, 1) < point(xy, least, 1) ? i : least;
        greatest = point(xy, i, 1) > point(xy, greatest, 1) ? i : greatest;
    }
    fputs("<tr><th scope=\"row\">", out);
    html_text(out, json_string_value(json_object_get(set, "label")));
    fprintf(out, "</th><td>%zu</td>", n);
    const size_t shown[] = {0, least, greatest, n - 1};
    for (int k = 0; k < 4; k++)
        fprintf(out, "<td>%s <small>at %s</small></td>",
                html_number(point(xy, shown[k], 1), 5, a),
                html_number(point(xy, shown[k], 0), 4, b));
    fputs("</tr>\n", out);
}

/* What the lines show, in numbers. */
static void write_numbers(FILE *out, const json_t *chart)
{
    const json_t *sets = json_object_get(json_object_get(chart, "data"), "datasets");
    size_t i;
    json_t *set;
    fputs("<details class=\"numbers\"><summary>Numbers</summary><div class=\"scroll\"><table>"
          "<thead><tr><th scope=\"col\">curve</th><th scope=\"col\">points</th>"
          "<th scope=\"col\">first</th><th scope=\"col\">least</th><th scope=\"col\">greatest</th>"
          "<th scope=\"col\">last</th></tr></thead><tbody>\n", out);
    json_array_foreach(sets, i, set) {
        const char *role = json_string_value(json_object_get(set, "role"));
        if (strncmp(role, "band", 4) != 0 && strcmp(role, "raw") != 0 &&
            json_array_size(json_object_get(set, "xy")) > 0)
            write_row(out, set);
    }
    fputs("</tbody></table></div></details>\n", out);
}

void figure_write(FILE *out, const struct report *r, const struct figure *f, const json_t *chart)
{
    fprintf(out, "<figure class=\"chart\" id=\"%s\">\n<figcaption><h3>", f->id);
    html_text(out, f->title);
    fputs("</h3><p class=\"takeaway\">", out);
    html_text(out, f->takeaway);
    fputs("</p></figcaption>\n<div class=\"legend\"></div>\n<div class=\"plot\">"
          "<canvas role=\"img\" tabindex=\"0\" aria-label=\"", out);
    html_text(out, f->alt);
    fputs("\"></canvas></div>\n<p class=\"readout\" role=\"status\"></p>\n"
          "<script type=\"application/json\">", out);
    html_json(out, chart);
    fputs("</script>\n<p class=\"notes\">", out);
    html_text(out, f->notes);
    fputs(" ", out);
    figure_command(out, r, f->section);
    fputs("</p>\n", out);
    write_numbers(out, chart);
    fputs("</figure>\n", out);
}
