/* page.c - see page.h. */
#include "report/page.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "report/assets.h"
#include "report/html.h"
#include "report/section.h"

/* Scripts of a page, in the order in which they run. */
static const char *const scripts[] = {"chart.js", "page.js", "live.js", NULL};

/* " 'sha256-...'" of the bytes between the tags of a script or style. */
static void write_hash(FILE *out, const struct asset *a)
{
    unsigned char digest[HASH_BYTES];
    struct hash h;
    hash_init(&h, HASH_SHA256);
    hash_add(&h, a->text, a->bytes);
    hash_bytes(&h, digest);
    fputs(" 'sha256-", out);
    html_base64(out, digest, sizeof digest);
    fputs("'", out);
}

/* No script but ours can run, whatever got into the text; nothing is fetched. */
static void write_policy(FILE *out, const char *policy)
{
    fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "img-src data:; style-src", out);
    write_hash(out, asset_find("page.css"));
    fputs("; script-src", out);
    for (const char *const *s = scripts; *s; s++)
        if (asset_find(*s))
            write_hash(out, asset_find(*s));
    fprintf(out, "; base-uri 'none'; form-action 'none'%s%s\">\n", *policy ? "; " : "", policy);
}

void page_begin(FILE *out, const char *title, const char *policy, const char *home)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", out);
    write_policy(out, policy);
    fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>", out);
    html_text(out, title);
    fputs("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>", out);
    fputs(asset_find("page.css")->text, out);
    fputs("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the results</a>\n"
          "<header class=\"top\">\n", out);
    fprintf(out, "<a class=\"wordmark\" href=\"%s\">", home ? home : "#");
    fputs(asset_find("mark.svg")->text, out);
    fputs("kiln</a>\n", out);
}

void page_end(FILE *out)
{
    fputs("</main>\n", out);
    if (!asset_find("chart.js"))
        fputs("<p class=\"notes\">This kiln was built without Chart.js: the charts are left out, "
              "their numbers are not.</p>\n", out);
    for (const char *const *s = scripts; *s; s++) {
        const struct asset *a = asset_find(*s);
        if (!a)
            continue;
        fputs("<script>", out);
        fwrite(a->text, 1, a->bytes, out);
        fputs("</script>\n", out);
    }
    fputs("</body>\n</html>\n", out);
}

static bool wanted(const struct report_section *s, const char *const *only)
{
    for (const char *const *name = only; name && *name; name++)
        if (strcmp(*name, s->name) == 0)
            return true;
    return !only;
}

/* One section's HTML, or NULL when it has nothing to say; heap. */
static char *section_html(const struct report_section *s, const struct report *r)
{
    char *text;
    size_t bytes;
    FILE *out = html_memory(&text, &bytes);
    s->write(r, out);
    fclose(out);
    if (bytes)
        return text;
    free(text);
    return NULL;
}

static const char *title_of(const struct report *r, const struct page_options *o, char text[512])
{
    if (o->title)
        snprintf(text, 512, "%.500s", o->title);
    else if (r->run_count == 1)
        snprintf(text, 512, "%.500s", report_run_name(&r->runs[0]));
    else if (r->folder_count == 1) {
        const char *slash = strrchr(r->folders[0], '/');
        snprintf(text, 512, "%.500s", slash && slash[1] ? slash + 1 : r->folders[0]);
    } else if (r->group_count == 1)
        snprintf(text, 512, "%.500s", r->groups[0].label);
    else
        snprintf(text, 512, "%zu configurations", r->group_count);
    return text;
}

json_t *page_json(const struct report *r, const struct page_options *o)
{
    char title[512];
    json_t *sections = json_array();
    for (const struct report_section *const *s = report_sections; *s; s++) {
        char *html = wanted(*s, o->only) ? section_html(*s, r) : NULL;
        if (!html)
            continue;
        json_t *section = json_object();
        json_object_set_new(section, "id", json_string((*s)->name));
        json_object_set_new(section, "title", json_string((*s)->title));
        json_object_set_new(section, "html", json_string(html));
        json_array_append_new(sections, section);
        free(html);
    }
    json_t *page = json_object();
    json_object_set_new(page, "version", json_string(o->version ? o->version : ""));
    json_object_set_new(page, "title", json_string(title_of(r, o, title)));
    json_object_set_new(page, "sections", sections);
    return page;
}

static void write_subtitle(FILE *out, const struct report *r)
{
    const struct run_summary *s = &report_first(r, &r->groups[0])->summary;
    html_printf(out, "%zu run%s", r->run_count, r->run_count == 1 ? "" : "s");
    if (r->group_count > 1)
        html_printf(out, " of %zu configurations", r->group_count);
    html_printf(out, " · network %s · images %s · recipe %s", s->net, s->data, s->recipe);
}

static void write_sections(FILE *out, const json_t *page)
{
    size_t i;
    json_t *section;
    json_array_foreach(json_object_get(page, "sections"), i, section) {
        const char *id = json_string_value(json_object_get(section, "id"));
        const char *title = json_string_value(json_object_get(section, "title"));
        fprintf(out, "<section id=\"%s\">\n", id);
        if (*title)
            fprintf(out, "<h2>%s</h2>\n", title);
        fprintf(out, "<div class=\"body\">\n%s</div>\n</section>\n",
                json_string_value(json_object_get(section, "html")));
    }
}

static void write_links(FILE *out, const json_t *page)
{
    size_t i;
    json_t *section;
    fputs("<nav aria-label=\"Sections\">", out);
    json_array_foreach(json_object_get(page, "sections"), i, section) {
        const char *title = json_string_value(json_object_get(section, "title"));
        if (*title)
            fprintf(out, "<a href=\"#%s\">%s</a>",
                    json_string_value(json_object_get(section, "id")), title);
    }
    fputs("</nav>\n<button type=\"button\" id=\"theme\" hidden>Theme</button>\n</header>\n", out);
}

void page_write(FILE *out, const struct report *r, const struct page_options *o)
{
    json_t *page = page_json(r, o);
    const char *title = json_string_value(json_object_get(page, "title"));
    page_begin(out, title, o->version ? "connect-src 'self'" : "", o->home);
    write_links(out, page);
    fputs("<main id=\"main\"", out);
    if (o->version) {
        fputs(" data-version=\"", out);
        html_text(out, o->version);
        fputs("\"", out);
    }
    fputs(">\n<h1>", out);
    html_text(out, title);
    fputs("</h1>\n<p class=\"subtitle\">", out);
    write_subtitle(out, r);
    fputs("</p>\n", out);
    write_sections(out, page);
    page_end(out);
    json_decref(page);
}
