/* list.c - see list.h. */
#include "serve/list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/html.h"
#include "report/page.h"
#include "store/sweepdir.h"

/* The columns, by the keys of the index; the first two make the name. */
static const struct column {
    const char *key, *title;
    enum { TEXT, STATE, SHARE, REAL, COUNT, TIME } kind;
} columns[] = {
    {"path", NULL, TEXT},           {"name", "run", TEXT},
    {"state", "state", STATE},      {"recipe", "recipe", TEXT},
    {"net", "net", TEXT},           {"data", "images", TEXT},
    {"lr", "lr", TEXT},             {"batch", "batch", TEXT},
    {"seed", "seed", TEXT},         {"epoch", "epoch", REAL},
    {"test_accuracy", "test accuracy (%)", SHARE}, {"test_loss", "test loss", REAL},
    {"images_per_second", "images/s", COUNT},      {"seconds", "time", TIME},
    {"start", "started (UTC)", TEXT},
};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

/* How much of the path SWEEP/trials/ID names a sweep; 0 of any other run. */
static size_t sweep_part(const char *folder, const char *path)
{
    char sweep[4096], place[4096];
    const char *id = strrchr(path, '/');
    size_t n = id ? (size_t)(id - path) : 0;
    if (n <= 7 || n >= sizeof sweep || strncmp(id - 7, "/trials", 7) != 0)
        return 0;
    snprintf(sweep, sizeof sweep, "%.*s", (int)n - 7, path);
    return !file_join(place, sizeof place, folder, sweep, NULL) && sweepdir_is(place) ? n - 7 : 0;
}

int list_read(struct list *l, struct index *x, const struct list_query *q,
              bool (*inside)(void *context, const char *path), void *context, struct err *e)
{
    const char *keys[COLUMNS], *const path[] = {"path"};
    struct index_rows all;
    struct index_query query = {.where = q->where, .sort = q->sort, .reverse = q->reverse};
    for (int i = 0; i < COLUMNS; i++)
        keys[i] = columns[i].key;
    *l = (struct list){.query = *q};
    int rc = index_select(x, &query, path, 1, &all, e);
    l->total = rc ? 0 : all.count;
    index_rows_release(&all);
    if (rc)
        return -1;
    query.limit = q->limit;
    if (index_select(x, &query, keys, COLUMNS, &l->rows, e)) {
        index_rows_release(&l->rows);
        return -1;
    }
    l->shown = xcalloc(l->rows.count + 1, sizeof *l->shown);
    l->sweep = xcalloc(l->rows.count + 1, sizeof *l->sweep);
    for (size_t i = 0; i < l->rows.count; i++) {
        const char *where = l->rows.values[i * l->rows.columns].text;
        l->shown[i] = inside(context, where);
        l->sweep[i] = sweep_part(x->folder, where);
    }
    return 0;
}

void list_release(struct list *l)
{
    index_rows_release(&l->rows);
    free(l->shown);
    free(l->sweep);
}

/* For an address: every byte but letters, digits and "-._~/" as %XX. */
static void write_address(FILE *out, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    for (const char *p = path; *p; p++) {
        if (strchr(plain, *p))
            fputc(*p, out);
        else
            fprintf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
}

static double real_of(const struct index_value *v)
{
    return v->kind == DB_REAL      ? v->real
           : v->kind == DB_INTEGER ? (double)v->integer
                                   : (double)NAN;
}

static void write_value(FILE *out, const struct column *c, const struct index_value *v)
{
    char text[64], number[32];
    double x = real_of(v);
    const char *words = v->kind == DB_TEXT ? v->text : isnan(x) ? "" : html_number(x, 6, number);
    fputs("<td>", out);
    switch (c->kind) {
    case STATE:
        fputs("<span class=\"mark ", out);
        html_printf(out, "%.4s", words);
        fputs("\">", out);
        html_text(out, words);
        fputs("</span>", out);
        break;
    case SHARE: html_text(out, html_spread(x, (double)NAN, 100, 4, text)); break;
    case REAL: html_text(out, html_number(x, 4, number)); break;
    case COUNT: html_text(out, html_number(x, 3, number)); break;
    case TIME: html_text(out, html_duration(x, number)); break;
    case TEXT: html_text(out, words); break;
    }
    fputs("</td>", out);
}

/* Before a trial's name, its sweep, as a link to the page of all its trials. */
static void write_sweep(FILE *out, const char *path, size_t bytes)
{
    char sweep[4096];
    snprintf(sweep, sizeof sweep, "%.*s", (int)bytes, path);
    fputs("<a class=\"sweep\" href=\"/report?run=", out);
    write_address(out, sweep);
    fputs("\" title=\"all trials of this sweep\">", out);
    html_text(out, sweep);
    fputs("</a> / ", out);
}

static void write_row(FILE *out, const struct index_value *values, size_t sweep)
{
    const char *path = values[0].text, *name = values[1].text;
    const char *slash = strrchr(path, '/');
    fputs("<tr><td class=\"pick\"><input type=\"checkbox\" value=\"", out);
    html_text(out, path);
    fputs("\" aria-label=\"compare\"></td><th scope=\"row\">", out);
    if (sweep)
        write_sweep(out, path, sweep);
    fputs("<a href=\"/report?run=", out);
    write_address(out, path);
    fputs("\" title=\"", out);
    html_text(out, path);
    fputs("\">", out);
    if (name && *name)
        html_text(out, name);
    else
        html_printf(out, "%.*s", sweep ? 8 : 4096, slash ? slash + 1 : path);
    fputs("</a></th>", out);
    for (int i = 2; i < COLUMNS; i++)
        write_value(out, &columns[i], &values[i]);
    fputs("</tr>\n", out);
}

static size_t write_rows(FILE *out, const struct list *l)
{
    size_t shown = 0;
    for (size_t i = 0; i < l->rows.count; i++) {
        if (!l->shown[i])
            continue;
        shown++;
        write_row(out, l->rows.values + i * l->rows.columns, l->sweep[i]);
    }
    return shown;
}

json_t *list_json(const struct list *l)
{
    char *html;
    size_t bytes;
    FILE *out = html_memory(&html, &bytes);
    size_t shown = write_rows(out, l);
    fclose(out);
    json_t *o = json_pack("{s:I, s:I, s:s}", "total", (json_int_t)l->total, "shown",
                          (json_int_t)shown, "html", html);
    free(html);
    return o;
}

void list_page(FILE *out, const char *folder, const struct list *l)
{
    page_begin(out, "kiln runs", "connect-src 'self'", "/");
    fputs("<nav></nav>\n<button type=\"button\" id=\"theme\" hidden>Theme</button>\n</header>\n"
          "<main id=\"main\" class=\"runs\">\n<h1>Runs</h1>\n<p class=\"subtitle\">", out);
    html_printf(out, "%s", folder);
    fputs("</p>\n<form class=\"filter\" role=\"search\"><label for=\"where\">Only where</label>"
          "<input id=\"where\" name=\"where\" autocomplete=\"off\" spellcheck=\"false\" "
          "placeholder=\"lr &gt; 0.1 and net = resnet9\" value=\"", out);
    html_text(out, l->query.where);
    fputs("\"><button type=\"submit\">Show</button><span class=\"spacer\"></span>"
          "<button type=\"button\" id=\"compare\" disabled>Compare the ticked</button></form>\n"
          "<p class=\"problem\" role=\"alert\" hidden></p>\n"
          "<div class=\"body\"><div class=\"scroll\"><table id=\"list\"><thead><tr><th></th>", out);
    for (int i = 1; i < COLUMNS; i++)
        fprintf(out, "<th scope=\"col\"><button type=\"button\" data-key=\"%s\">%s</button></th>",
                columns[i].key, columns[i].title);
    fputs("</tr></thead>\n<tbody>\n", out);
    size_t shown = write_rows(out, l);
    fprintf(out, "</tbody></table></div></div>\n<p class=\"notes\"><span id=\"count\">%zu of %zu"
                 "</span> <button type=\"button\" id=\"more\"%s>Show more</button></p>\n", shown,
            l->total, l->rows.count < l->total ? "" : " hidden");
    page_end(out);
}
