/* section_images.c - the held-out images that the best run finds hardest, and the pairs of classes
 * that it confuses most: gallery.json and gallery.png of its directory (docs/formats.md).
 *
 * The picture is in the page once, as an image that is not drawn; each image of the grids is a cut
 * of it, so that labels are text: they can be read aloud, and follow light and dark. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "report/figure.h"
#include "report/html.h"
#include "report/section.h"

enum { PICTURE_MOST = 512 * 1024 }; /* bytes; kiln's own are below 240,000 */

/* A gallery as read: its words, and where its cells are. */
struct gallery {
    const struct report_run *run;
    json_t *file;
    int side, columns;
    char id[64];                 /* of the picture in the page */
};

static const char *class_name(const struct gallery *g, const json_t *image, const char *key)
{
    json_int_t class = json_integer_value(json_object_get(image, key));
    const json_t *names = json_object_get(g->file, "classes");
    const char *name = class >= 0 ? json_string_value(json_array_get(names, (size_t)class)) : NULL;
    return name ? name : "?";
}

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

static long count(const json_t *o, const char *key)
{
    return (long)json_integer_value(json_object_get(o, key));
}

/* Of the best configuration the run with the best accuracy; NULL if none counts. */
static const struct report_run *choose(const struct report *r)
{
    const struct report_group *g = &r->groups[0];
    const struct report_run *best = NULL;
    for (size_t i = 0; i < g->count; i++) {
        const struct report_run *run = &r->runs[g->runs[i]];
        double accuracy = report_accuracy(r, &run->summary);
        if (run->counted &&
            (!best || (accuracy > report_accuracy(r, &best->summary))))
            best = run;
    }
    return best;
}

/* "97 %"; a share that is not quite 1 or 0 does not become so. */
static const char *percent(double share, char text[32])
{
    if (share > 0 && share < 0.0005)
        snprintf(text, 32, "< 0.1\u00a0%%");
    else if (share < 0.1)
        snprintf(text, 32, "%.1f\u00a0%%", 100 * share);
    else
        snprintf(text, 32, "%.*f\u00a0%%", share > 0.99 && share < 1 ? 1 : 0,
                 100 * fmin(share, share < 1 ? 0.999 : 1));
    return text;
}

/* One image: a cut of the picture, what it is, what it was taken for. */
static void write_image(const struct gallery *g, const json_t *image, bool pair, FILE *out)
{
    long cell = count(image, "cell");
    const char *label = class_name(g, image, "label");
    const char *predicted = class_name(g, image, "predicted");
    char a[32], b[32];
    percent(number(image, "probability"), a);
    percent(number(image, "label_probability"), b);
    fprintf(out, "<li><svg role=\"img\" viewBox=\"%ld %ld %d %d\" aria-label=\"",
            cell % g->columns * g->side, cell / g->columns * g->side, g->side, g->side);
    html_printf(out, "%s, taken for %s (%s)", label, predicted, a);
    fprintf(out, "\"><title>");
    html_printf(out, "image %ld: %s %s, %s %s, loss %.3g", count(image, "image"), predicted, a,
                label, b, number(image, "loss"));
    fprintf(out, "</title><use href=\"#%s\"/></svg>", g->id);
    if (!pair) {
        fputs("<b>", out);
        html_text(out, label);
        fputs("</b>", out);
    }
    fputs("<small>", out);
    html_printf(out, "%s%s%s", pair ? "" : predicted, pair ? "" : " ", a);
    fputs("</small></li>\n", out);
}

static void write_images(const struct gallery *g, const json_t *images, bool pair, FILE *out)
{
    size_t i;
    json_t *image;
    fprintf(out, "<ul class=\"images\">\n");
    json_array_foreach(images, i, image)
        write_image(g, image, pair, out);
    fputs("</ul>\n", out);
}

/* Which images and weights these are. */
static void write_origin(const struct report *r, const struct gallery *g, FILE *out)
{
    html_printf(out, "Of %s%s after step %ld, on its %ld %s images, seen once each. ",
                r->run_count > 1 ? "the best run of the best configuration, " : "",
                report_run_name(g->run), count(g->file, "step"), count(g->file, "count"),
                json_string_value(json_object_get(g->file, "images")));
}

static void write_hardest(const struct report *r, const struct gallery *g, FILE *out)
{
    const json_t *images = json_object_get(g->file, "hardest");
    const json_t *first = json_array_get(images, 0);
    size_t i, wrong = 0;
    json_t *image;
    json_array_foreach(images, i, image)
        wrong += count(image, "label") != count(image, "predicted");
    fputs("<figure class=\"wide\" id=\"fig-hardest\">\n<figcaption><h3>Hardest images</h3>"
          "<p class=\"takeaway\">", out);
    if (count(g->file, "wrong"))
        html_printf(out, "%ld of %ld are taken for something else; at worst %s for %s.",
                    count(g->file, "wrong"), count(g->file, "count"),
                    class_name(g, first, "label"), class_name(g, first, "predicted"));
    else
        html_printf(out, "All %ld are recognised; these only just.", count(g->file, "count"));
    fputs("</p></figcaption>\n", out);
    write_images(g, images, false, out);
    fputs("<p class=\"notes\">", out);
    write_origin(r, g, out);
    html_printf(out, "The %zu of greatest loss, worst first, %zu of them wrong: in bold what it "
                     "is, below it what the network says and how sure it is. ",
                json_array_size(images), wrong);
    figure_command(out, r, "images");
    fputs("</p>\n</figure>\n", out);
}

static void write_pair(const struct gallery *g, const json_t *pair, FILE *out)
{
    char a[32];
    fputs("<tr><th scope=\"row\">", out);
    html_printf(out, "%s → %s", class_name(g, pair, "label"), class_name(g, pair, "predicted"));
    fprintf(out, "<small>%ld of %ld, %s</small></th><td>", count(pair, "count"),
            count(pair, "of"),
            percent((double)count(pair, "count") / (double)count(pair, "of"), a));
    write_images(g, json_object_get(pair, "examples"), true, out);
    fputs("</td></tr>\n", out);
}

static void write_confused(const struct report *r, const struct gallery *g, FILE *out)
{
    const json_t *pairs = json_object_get(g->file, "confused");
    const json_t *first = json_array_get(pairs, 0);
    size_t i;
    json_t *pair;
    if (!first)
        return;
    fputs("<figure class=\"wide\" id=\"fig-confused\">\n<figcaption><h3>Most confused pairs</h3>"
          "<p class=\"takeaway\">", out);
    html_printf(out, "Most often %s is taken for %s: %ld of %ld.", class_name(g, first, "label"),
                class_name(g, first, "predicted"), count(first, "count"), count(first, "of"));
    fputs("</p></figcaption>\n<div class=\"scroll\"><table class=\"pairs\"><thead><tr>"
          "<th scope=\"col\">label → prediction</th><th scope=\"col\">the surest mistakes, and how "
          "sure</th></tr></thead><tbody>\n", out);
    json_array_foreach(pairs, i, pair)
        write_pair(g, pair, out);
    fputs("</tbody></table></div>\n<p class=\"notes\">", out);
    write_origin(r, g, out);
    figure_command(out, r, "images");
    fputs("</p>\n</figure>\n", out);
}

/* The picture, once, where nothing draws it; false if it cannot be had. */
static bool write_picture(const struct gallery *g, FILE *out)
{
    char path[4096], *bytes = NULL;
    size_t size, cells = 0, i;
    struct err e;
    json_t *pair;
    if (file_join(path, sizeof path, g->run->summary.path, "gallery.png", &e) ||
        file_read(path, &bytes, &size, EXIT_DATA, &e))
        return false;
    cells = json_array_size(json_object_get(g->file, "hardest"));
    cells = (cells + (size_t)g->columns - 1) / (size_t)g->columns;
    json_array_foreach(json_object_get(g->file, "confused"), i, pair)
        cells++;
    bool fine = size > 8 && size < PICTURE_MOST && memcmp(bytes, "\x89PNG", 4) == 0;
    if (fine) {
        fprintf(out, "<svg class=\"sr\" aria-hidden=\"true\" width=\"1\" height=\"1\"><defs>"
                     "<image id=\"%s\" width=\"%d\" height=\"%zu\" href=\"data:image/png;base64,",
                g->id, g->columns * g->side, cells * (size_t)g->side);
        html_base64(out, (const unsigned char *)bytes, size);
        fputs("\"/></defs></svg>\n", out);
    }
    free(bytes);
    return fine;
}

/* Why there is no gallery, in a line. */
static void write_absent(const struct report_run *run, FILE *out)
{
    fputs("<p class=\"notes\">", out);
    if (run->summary.state == RUN_RUNNING)
        html_printf(out, "%s is still training: its hardest images are known when it ends.",
                    report_run_name(run));
    else
        html_printf(out, "%s has no gallery.json, so its hardest images are not known: it was "
                         "stopped, never evaluated, told not to keep them (predictions = no), or "
                         "made by an older kiln.", report_run_name(run));
    fputs("</p>\n", out);
}

static void write(const struct report *r, FILE *out)
{
    struct gallery g = {.run = choose(r), .id = "gallery"};
    char path[4096];
    struct err e;
    if (!g.run || r->range_test)
        return;
    if (!file_join(path, sizeof path, g.run->summary.path, "gallery.json", &e))
        g.file = json_read(path, EXIT_DATA, &e);
    g.side = (int)count(g.file, "side");
    g.columns = (int)count(g.file, "columns");
    bool known = count(g.file, "format") == 1 && g.side > 0 && g.columns > 0 &&
                 json_is_string(json_object_get(g.file, "images")) && write_picture(&g, out);
    if (known) {
        write_hardest(r, &g, out);
        write_confused(r, &g, out);
    } else {
        write_absent(g.run, out);
    }
    json_decref(g.file);
}

const struct report_section section_images = {"images", "Hard images", write};
