/* section_heat.c - a table of two settings with coloured cells: where training works, and where it
 * stops doing so. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/axes.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { LEVELS = 10, SIDE_MOST = 32 };

/* A table of rows x columns; cell NULL: nothing was tried there. Where further settings vary, a
 * cell shows the best of them. */
struct heat {
    struct axis x, y;
    const struct report_group **cells; /* [y.count][x.count] */
    double low, high;                  /* of the accuracies shown */
    bool others;
};

static bool better(const struct report_group *a, const struct report_group *b)
{
    if (!b || !b->accuracy.n)
        return true;
    return a->accuracy.n && a->accuracy.mean > b->accuracy.mean;
}

static void fill(struct heat *h, const struct report *r)
{
    h->low = (double)INFINITY;
    h->high = -(double)INFINITY;
    for (size_t g = 0; g < r->group_count; g++) {
        const struct report_group *group = &r->groups[g];
        size_t place = axis_place(&h->y, r, group) * h->x.count + axis_place(&h->x, r, group);
        h->others |= h->cells[place] != NULL;
        if (better(group, h->cells[place]))
            h->cells[place] = group;
    }
    for (size_t i = 0; i < h->x.count * h->y.count; i++) {
        if (!h->cells[i] || !h->cells[i]->accuracy.n)
            continue;
        h->low = fmin(h->low, h->cells[i]->accuracy.mean);
        h->high = fmax(h->high, h->cells[i]->accuracy.mean);
    }
}

/* Whether a group has the best accuracy of its row. */
static bool best_of_row(const struct heat *h, size_t row, const struct report_group *g)
{
    for (size_t i = 0; i < h->x.count; i++) {
        const struct report_group *other = h->cells[row * h->x.count + i];
        if (other && other->accuracy.n && other->accuracy.mean > g->accuracy.mean)
            return false;
    }
    return true;
}

static void write_cell(const struct report *r, const struct heat *h, size_t row, size_t column,
                       FILE *out)
{
    const struct report_group *g = h->cells[row * h->x.count + column];
    char x[32], y[32];
    if (!g) {
        fputs("<td class=\"none\"><span class=\"sr\">not tried</span></td>", out);
        return;
    }
    html_number(h->x.values[column], 6, x);
    html_number(h->y.values[row], 6, y);
    if (!g->accuracy.n) {
        const char *without = g->running ? "unfinished" : "not tested";
        fprintf(out, "<td class=\"%s\" data-x=\"%s\" data-y=\"%s\">%s<small>%zu %s</small></td>",
                g->diverged ? "diverged" : "none", x, y, g->diverged ? "✕" : "·",
                g->diverged ? g->diverged : g->count, g->diverged ? "diverged" : without);
        return;
    }
    double share = h->high > h->low ? (g->accuracy.mean - h->low) / (h->high - h->low) : 1;
    fprintf(out, "<td class=\"h%d%s%s\" data-x=\"%s\" data-y=\"%s\">", (int)lround(share * LEVELS),
            g == r->groups ? " ring" : "", best_of_row(h, row, g) ? " row-best" : "", x, y);
    fprintf(out, "<b>%.*f</b><small>", 100 * (h->high - h->low) < 1 ? 2 : 1,
            100 * g->accuracy.mean);
    if (g->accuracy.n > 1)
        fprintf(out, "±%.*f, ", 100 * g->accuracy.sd < 0.95 ? 2 : 1, 100 * g->accuracy.sd);
    fprintf(out, "n %zu%s</small></td>", g->accuracy.n, g->diverged ? " ✕" : "");
}

static void write_table(const struct report *r, const struct heat *h, FILE *out)
{
    bool rates = strcmp(h->x.key, "lr") == 0 && strcmp(h->y.key, "batch") == 0;
    char number[32];
    fprintf(out, "<div class=\"scroll\" tabindex=\"0\"><div class=\"heat%s\"><table>\n<thead><tr>"
                 "<th scope=\"col\">", rates ? " rates" : "");
    html_printf(out, "%s ↓  %s →", h->y.key, h->x.key);
    fputs("</th>", out);
    for (size_t i = 0; i < h->x.count; i++)
        fprintf(out, "<th scope=\"col\">%s</th>", html_number(h->x.values[i], 6, number));
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t row = 0; row < h->y.count; row++) {
        fprintf(out, "<tr><th scope=\"row\">%s</th>", html_number(h->y.values[row], 6, number));
        for (size_t i = 0; i < h->x.count; i++)
            write_cell(r, h, row, i, out);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div></div>\n", out);
    fputs("<ul class=\"legend\"><li><span class=\"swatch ring\"></span>best of all</li>"
          "<li><span class=\"swatch row-best\"></span>best of its row</li>"
          "<li><span class=\"swatch diverged\">✕</span>diverged</li>", out);
    if (rates)
        fputs("<li><span class=\"swatch iso\"></span>equal lr/batch</li>"
              "<li><span class=\"swatch root\"></span>equal lr/√batch</li>", out);
    fputs("</ul>\n", out);
}

static void write_figure(const struct report *r, const struct heat *h, FILE *out)
{
    const struct report_group *best = &r->groups[0];
    size_t diverged = 0, cells = h->x.count * h->y.count;
    char a[64], x[32], y[32];
    for (size_t i = 0; i < cells; i++)
        diverged += h->cells[i] && !h->cells[i]->accuracy.n && h->cells[i]->diverged;
    fputs("<figure class=\"wide\" id=\"fig-heat\">\n<figcaption><h3>", out);
    html_printf(out, "%s accuracy (%%) by %s and %s", *r->measure.images == 'v' ? "Validation"
                                                                                : "Test",
                h->x.key, h->y.key);
    fputs("</h3><p class=\"takeaway\">", out);
    if (best->accuracy.n)
        html_printf(out, "Best at %s %s and %s %s: %s %%.", h->x.key,
                    html_number(h->x.values[axis_place(&h->x, r, best)], 6, x), h->y.key,
                    html_number(h->y.values[axis_place(&h->y, r, best)], 6, y),
                    html_spread(best->accuracy.mean, best->accuracy.sd, 100, 4, a));
    if (diverged)
        html_printf(out, " %zu of %zu cells diverged.", diverged, cells);
    fputs("</p></figcaption>\n", out);
    write_table(r, h, out);
    fputs("<p class=\"notes\">", out);
    html_printf(out, "Each cell: mean over its n finished runs, ± their standard deviation%s. ",
                h->others ? "; of the other settings that vary, the best" : "");
    figure_command(out, r, "heat");
    fputs("</p>\n</figure>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    const char *x = axes_main(r), *y = axes_second(r);
    if (!y)
        return;
    struct heat h = {0};
    axis_init(&h.x, r, x);
    axis_init(&h.y, r, y);
    h.cells = xcalloc(h.x.count * h.y.count, sizeof(struct report_group *));
    fill(&h, r);
    /* A sample of single points is no table. */
    bool dense = h.x.count * h.y.count <= 3 * r->group_count;
    if (dense && h.x.count <= SIDE_MOST && h.y.count <= SIDE_MOST)
        write_figure(r, &h, out);
    free(h.cells);
    axis_release(&h.x);
    axis_release(&h.y);
}

const struct report_section section_heat = {"heat", "Where it works", write};
