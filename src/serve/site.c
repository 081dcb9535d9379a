/* site.c - see site.h. */
#define _GNU_SOURCE /* realpath */
#include "serve/site.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "report/html.h"
#include "report/page.h"
#include "serve/list.h"

static const double INDEX_EVERY = 1.0; /* seconds between two looks at all runs */

/* Every file that a report reads of a run, or of a folder of them. */
static const char *const read_files[] = {
    "",           "config.ini",   "manifest.json", "metrics.jsonl", "status.json",
    "epochs.csv", "gallery.json", "gallery.png",   "LOCK",          "sweep.json",
    "trials",     "find-lr.json", "study.json",    NULL,
};

int site_open(struct site *s, const char *folder, const char *const *settings, struct err *e)
{
    char place[PATH_MAX];
    *s = (struct site){0};
    if (!realpath(folder, place) || strlen(place) >= sizeof s->folder)
        return err_set(e, EXIT_DATA, "there is no folder '%s'", folder);
    snprintf(s->folder, sizeof s->folder, "%s", place);
    s->updated = clock_seconds();
    return index_open(&s->index, s->folder, settings, e);
}

static void forget(struct site_report *c)
{
    report_release(&c->report);
    for (size_t i = 0; i < c->path_count; i++)
        free(c->paths[i]);
    free(c->paths);
    free(c->key);
    *c = (struct site_report){0};
}

void site_close(struct site *s)
{
    for (size_t i = 0; i < SITE_CACHED; i++)
        forget(&s->reports[i]);
    index_close(&s->index);
}

bool site_host(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]", NULL};
    for (const char *const *name = names; host && *name; name++) {
        size_t n = strlen(*name);
        if (strncmp(host, *name, n) != 0)
            continue;
        const char *port = host + n;
        if (*port == 0)
            return true;
        size_t digits = *port == ':' ? strspn(port + 1, "0123456789") : 0;
        return digits > 0 && digits <= 5 && port[1 + digits] == 0;
    }
    return false;
}

/* Relative, and of plain names alone. */
static bool is_plain(const char *path)
{
    if (!*path || *path == '/' || strlen(path) >= 2048)
        return false;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || p[0] == '.') /* hidden things are no runs */
            return false;
        p += n;
        p += *p == '/' && p[1] ? 1 : 0;
        if (*p == '/')
            return false;
    }
    return true;
}

/* Whether a place, all links followed, lies in the folder; what is not there is nowhere else. */
static bool lies_inside(const struct site *s, const char *place)
{
    char real[PATH_MAX];
    size_t n = strlen(s->folder);
    if (!realpath(place, real))
        return true;
    return strncmp(real, s->folder, n) == 0 && (real[n] == '/' || real[n] == 0 || n == 1);
}

bool site_inside(const struct site *s, const char *path, char *place)
{
    return is_plain(path) && file_join(place, 4096, s->folder, path, NULL) == 0 &&
           file_exists(place) && lies_inside(s, place);
}

static bool files_inside(const struct site *s, const char *path)
{
    for (const char *const *name = read_files; *name; name++) {
        char file[4096];
        if (file_join(file, sizeof file, path, *name, NULL) || !lies_inside(s, file))
            return false;
    }
    return true;
}

/* Whether all that was read for a report lies in the folder. */
static bool all_inside(const struct site *s, const struct report *r)
{
    for (size_t i = 0; i < r->folder_count; i++)
        if (!files_inside(s, r->folders[i]))
            return false;
    for (size_t i = 0; i < r->run_count; i++)
        if (!files_inside(s, r->runs[i].summary.path))
            return false;
    return true;
}

static void respond(struct site_response *a, int status, const char *type, char *body,
                    size_t bytes)
{
    *a = (struct site_response){status, type, body, bytes};
}

static void refuse(struct site_response *a, int status, const char *why)
{
    size_t bytes = strlen(why) + 1;
    char *body = xmalloc(bytes + 1);
    snprintf(body, bytes + 1, "%s\n", why);
    respond(a, status, "text/plain; charset=utf-8", body, bytes);
}

static void respond_json(struct site_response *a, int status, json_t *value)
{
    char *body = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!body) {
        refuse(a, 500, "cannot write the answer");
        return;
    }
    respond(a, status, "application/json", body, strlen(body));
}

static void respond_error(struct site_response *a, int status, const char *sentence)
{
    respond_json(a, status, json_pack("{s:s}", "error", sentence));
}

static const char *parameter(const struct site_request *q, const char *name)
{
    for (size_t i = 0; i < q->parameter_count; i++)
        if (strcmp(q->parameters[i].name, name) == 0)
            return q->parameters[i].value;
    return "";
}

/* ---- the list of runs ---- */

static int update_index(struct site *s, struct err *e)
{
    if (clock_seconds() - s->updated < INDEX_EVERY)
        return 0;
    int rc = index_update(&s->index, e);
    s->updated = clock_seconds();
    return rc;
}

static struct list_query list_query(const struct site_request *q)
{
    long limit = atol(parameter(q, "limit"));
    return (struct list_query){
        .where = parameter(q, "where"),
        .sort = *parameter(q, "sort") ? parameter(q, "sort") : NULL,
        .reverse = strcmp(parameter(q, "reverse"), "1") == 0,
        .limit = limit < 1 ? LIST_ROWS : limit > LIST_ROWS_MOST ? LIST_ROWS_MOST : limit,
    };
}

static bool is_inside(void *context, const char *path)
{
    char place[4096];
    return site_inside(context, path, place);
}

static void answer_list(struct site *s, const struct site_request *q, bool page,
                        struct site_response *a)
{
    struct err e;
    struct list list;
    const struct list_query query = list_query(q);
    if (update_index(s, &e) || list_read(&list, &s->index, &query, is_inside, s, &e)) {
        respond_error(a, e.code == EXIT_USAGE ? 400 : 500, e.text);
        return;
    }
    if (page) {
        char *body;
        size_t bytes;
        FILE *out = html_memory(&body, &bytes);
        list_page(out, s->folder, &list);
        fclose(out);
        respond(a, 200, "text/html; charset=utf-8", body, bytes);
    } else {
        respond_json(a, 200, list_json(&list));
    }
    list_release(&list);
}

/* ---- reports ---- */

/* What would change if the runs did: names, sizes and times of their files. */
static void make_version(const struct site_report *c, char hex[65])
{
    struct hash h;
    hash_init(&h, HASH_SHA256);
    for (size_t i = 0; i < c->path_count + c->report.run_count; i++) {
        const char *path = i < c->path_count ? c->paths[i]
                                             : c->report.runs[i - c->path_count].summary.path;
        for (const char *const *name = read_files; *name; name++) {
            char file[4096];
            struct stat status;
            if (strcmp(*name, "LOCK") == 0 || file_join(file, sizeof file, path, *name, NULL) ||
                stat(file, &status))
                continue;
            int64_t facts[] = {(int64_t)status.st_size, (int64_t)status.st_mtim.tv_sec,
                               (int64_t)status.st_mtim.tv_nsec, (int64_t)status.st_ino};
            hash_add(&h, file, strlen(file) + 1);
            hash_add(&h, facts, sizeof facts);
        }
    }
    hash_hex(&h, hex);
}

/* The runs of a request in one text, and where they lie. */
static int collect_paths(const struct site *s, const struct site_request *q, struct site_report *c)
{
    char *key;
    size_t bytes;
    FILE *out = html_memory(&key, &bytes);
    c->paths = xcalloc(q->parameter_count + 1, sizeof *c->paths);
    bool inside = true;
    for (size_t i = 0; i < q->parameter_count && inside; i++) {
        char place[4096];
        if (strcmp(q->parameters[i].name, "run") != 0)
            continue;
        inside = site_inside(s, q->parameters[i].value, place);
        if (!inside)
            break;
        fprintf(out, "%s\n", q->parameters[i].value);
        c->paths[c->path_count] = xmalloc(strlen(place) + 1);
        memcpy(c->paths[c->path_count++], place, strlen(place) + 1);
    }
    fclose(out);
    c->key = key;
    return inside && c->path_count ? 0 : -1;
}

/* The kept report of these runs, or the place of the one used longest ago. */
static struct site_report *find_kept(struct site *s, const char *key)
{
    struct site_report *oldest = &s->reports[0];
    for (size_t i = 0; i < SITE_CACHED; i++) {
        if (s->reports[i].key && strcmp(s->reports[i].key, key) == 0)
            return &s->reports[i];
        if (s->reports[i].used < oldest->used)
            oldest = &s->reports[i];
    }
    return oldest;
}

/* Reads the runs again if anything about them has changed. */
static int refresh(struct site_report *c, bool fresh, struct err *e)
{
    char version[65];
    struct report now;
    make_version(c, version);
    if (!fresh && strcmp(version, c->version) == 0)
        return 0;
    int rc = report_reopen(&now, (const char *const *)c->paths, c->path_count, &c->report, e);
    report_release(&c->report);
    c->report = now;
    /* Of what was known before it was read: what has changed meanwhile is noticed next time. */
    make_version(c, c->version);
    return rc;
}

/* Finds or makes the report that is asked for; NULL, having answered, if there is none. */
static struct site_report *get_report(struct site *s, const struct site_request *q,
                                      struct site_response *a)
{
    struct site_report asked = {0};
    struct err e;
    if (q->too_many || collect_paths(s, q, &asked)) {
        forget(&asked);
        refuse(a, 404, "there is no such run in this folder");
        return NULL;
    }
    struct site_report *kept = find_kept(s, asked.key);
    bool fresh = !kept->key || strcmp(kept->key, asked.key) != 0;
    if (fresh) {
        forget(kept);
        *kept = asked;
    } else {
        forget(&asked);
    }
    kept->used = ++s->clock;
    int rc = refresh(kept, fresh, &e);
    if (rc || !all_inside(s, &kept->report)) {
        forget(kept);
        refuse(a, 404, rc ? "these runs cannot be read" : "there is no such run in this folder");
        return NULL;
    }
    return kept;
}

/* Paths are shown as they are below the folder. */
static struct page_options options_of(const struct site_report *c)
{
    return (struct page_options){.version = c->version, .home = "/"};
}

static void answer_report(struct site *s, const struct site_request *q, bool page,
                          struct site_response *a)
{
    struct site_report *c = get_report(s, q, a);
    if (!c)
        return;
    const struct page_options o = options_of(c);
    if (!page && strcmp(parameter(q, "version"), c->version) == 0) {
        respond(a, 304, "application/json", NULL, 0);
        return;
    }
    if (!page) {
        respond_json(a, 200, page_json(&c->report, &o));
        return;
    }
    char *body;
    size_t bytes;
    FILE *out = html_memory(&body, &bytes);
    page_write(out, &c->report, &o);
    fclose(out);
    respond(a, 200, "text/html; charset=utf-8", body, bytes);
}

void site_answer(struct site *s, const struct site_request *q, struct site_response *a)
{
    if (!site_host(q->host))
        refuse(a, 403, "this page is only for this machine");
    else if (strcmp(q->method, "GET") != 0 && strcmp(q->method, "HEAD") != 0)
        refuse(a, 405, "this page can only be read");
    else if (q->has_body)
        refuse(a, 413, "a request to read has no body");
    else if (strcmp(q->path, "/") == 0)
        answer_list(s, q, true, a);
    else if (strcmp(q->path, "/api/runs") == 0)
        answer_list(s, q, false, a);
    else if (strcmp(q->path, "/report") == 0)
        answer_report(s, q, true, a);
    else if (strcmp(q->path, "/api/report") == 0)
        answer_report(s, q, false, a);
    else
        refuse(a, 404, "there is nothing of that name here");
}
